from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from scipy import sparse

from benchmarks.planted_screen import plant, planted_screen
from sams_core.analysis import interval_conditions
from sams_core.analysis.combination_draws import combination_draws
from sams_core.analysis.differential import log_normalise
from sams_core.analysis.interval_calibration import IntervalScale, interval_scale
from sams_core.analysis.interval_conditions import calibrate_intervals
from sams_core.analysis.interval_errors import fit_error_model
from sams_core.api import SAMSVAE, SVAEPlus
from sams_core.data import Screen
from sams_core.data.splits import SplitConfig
from tests.analysis.conftest import PreparedRun

TRUTH = plant(n_of_pathway=3, n_measured=3, n_unmeasured=0)


@pytest.fixture(scope="module")
def screen() -> Screen:
    return planted_screen(TRUTH)


def split_of(screen: Screen, held_out: int, rng: np.random.Generator) -> np.ndarray:
    """A random split but for so many pairs, all of whose cells are test cells."""
    split = rng.choice(["train", "val", "test"], screen.n_cells, p=[0.6, 0.2, 0.2]).astype(object)
    pairs = ["+".join(TRUTH.names[list(pair)]) for pair in TRUTH.measured[:held_out]]
    split[np.isin(np.asarray(screen.conditions), pairs)] = "test"
    return split


@pytest.fixture(scope="module")
def model_of(screen: Screen) -> Callable[[int], SAMSVAE]:
    def make(held_out: int) -> SAMSVAE:
        split = split_of(screen, held_out, np.random.default_rng(0))
        return SAMSVAE(screen, split=split, n_latent=4, n_hidden=16)

    return make


def outside(screen: Screen, model: SAMSVAE, condition: str) -> np.ndarray:
    """Log-normalised expression of the cells of a condition that do not train."""
    chosen = (np.asarray(screen.conditions) == condition) & (model.split != "train")
    return log_normalise(sparse.csr_matrix(screen.counts[np.flatnonzero(chosen)])).toarray()


def test_effects_of_unseen_pairs_are_judged_by_their_cells(
    screen: Screen, model_of: Callable[[int], SAMSVAE], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Residuals and their noise, computed from the cells one condition at a time."""
    model = model_of(12)
    fitted = []

    def spy(*columns: np.ndarray) -> object:
        fitted.append(columns)
        return fit_error_model(*columns)

    monkeypatch.setattr(interval_conditions, "fit_error_model", spy)
    scale = calibrate_intervals(model, screen)
    assert scale.basis == "unseen_combinations"
    assert (
        scale.n_conditions == scale.interaction.n_conditions == scale.along_sum.n_conditions == 12
    )
    effect, interaction, share = fitted
    control = outside(screen, model, screen.control)
    names = sorted("+".join(TRUTH.names[list(pair)]) for pair in TRUTH.measured[:12])
    for row, name in enumerate(names):
        a, b = name.split("+")
        draws = combination_draws(model, [a, b])
        cells = {each: outside(screen, model, each) for each in (name, a, b)}
        mean = {each: values.mean(0) - control.mean(0) for each, values in cells.items()}
        expected = mean[name] - draws[2].mean(0)
        here = effect[5] == row
        genes = np.isin(expected.round(9), effect[0][here].round(9))
        assert genes.sum() == here.sum() >= 20
        np.testing.assert_allclose(effect[0][here], expected[genes], atol=1e-9)
        variance = [cells[name].var(0, ddof=1) / len(cells[name]), control.var(0) / len(control)]
        np.testing.assert_allclose(effect[1][here] ** 2, sum(variance)[genes], rtol=0.15, atol=1e-4)
        parted = mean[name] - mean[a] - mean[b]
        deviation = draws[2] - draws[0] - draws[1]
        np.testing.assert_allclose(
            interaction[0][here], (parted - deviation.mean(0))[genes], atol=1e-9
        )
        variance += [cells[each].var(0, ddof=1) / len(cells[each]) for each in (a, b)]
        np.testing.assert_allclose(
            interaction[1][here] ** 2, sum(variance)[genes], rtol=0.2, atol=1e-4
        )
        summed = (draws[0] + draws[1]).mean(0)
        along = (parted - deviation.mean(0)) @ summed / (summed @ summed)
        assert share[0][row] == pytest.approx(along, abs=1e-6)


def test_pairs_that_training_saw_judge_where_too_few_others_do(
    screen: Screen, model_of: Callable[[int], SAMSVAE]
) -> None:
    scale = calibrate_intervals(model_of(9), screen)
    assert scale.basis == "seen_combinations"
    assert scale.n_conditions == len(TRUTH.measured) - 9


def test_singles_judge_where_there_are_no_pairs(prepared: PreparedRun) -> None:
    """The run has ten singles and three pairs, and prepare keeps what it found."""
    scale = calibrate_intervals(prepared.model, prepared.screen)
    assert scale.basis == "singles"
    assert scale.n_conditions == 10
    assert scale.along_sum.n_conditions == 0
    metrics = json.loads((prepared.folder / "explorer" / "metrics.json").read_text())
    kept = interval_scale(metrics)
    assert kept.effect.factor == pytest.approx(scale.effect.factor, rel=1e-4)
    assert kept.effect.constant == pytest.approx(scale.effect.constant, rel=1e-3, abs=1e-6)


def test_cells_in_training_judge_nothing(screen: Screen) -> None:
    model = SAMSVAE(screen, split=np.full(screen.n_cells, "train"), n_latent=4, n_hidden=16)
    assert calibrate_intervals(model, screen) == IntervalScale()


def test_combinations_of_their_own_have_no_intervals(screen: Screen) -> None:
    model = SVAEPlus(screen, split=SplitConfig(), n_latent=4, n_hidden=16)
    assert calibrate_intervals(model, screen) == IntervalScale()


def test_a_sample_of_many_conditions_is_taken(
    screen: Screen, model_of: Callable[[int], SAMSVAE], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interval_conditions, "MAX_CONDITIONS", 11)
    shares: list[float] = []
    scale = calibrate_intervals(model_of(14), screen, progress=shares.append)
    assert scale.n_conditions == 11
    assert shares == sorted(shares)
    assert shares[-1] == 1
