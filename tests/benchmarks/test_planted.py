from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from benchmarks import planted_screen as screens
from benchmarks.planted_interactions import MEASURES, as_markdown, judge, summary
from benchmarks.planted_screen import KINDS, plant, planted_screen, true_effects
from sams_core.analysis.differential import log_normalise
from sams_core.analysis.interval_calibration import IntervalScale
from sams_core.analysis.interval_conditions import calibrate_intervals
from sams_core.analysis.interval_errors import ErrorModel
from sams_core.api import SAMSVAE
from sams_core.data.splits import SplitConfig

TRUTH = plant(n_of_pathway=4, n_measured=4, n_unmeasured=2, seed=1)


def test_pairs_are_of_every_kind_and_measured_or_not() -> None:
    kinds = [TRUTH.kind(pair) for pair in TRUTH.unmeasured]
    assert {kind: kinds.count(kind) for kind in KINDS} == {
        "synergy": 4, "suppression": 4, "none": 4 + 6,
    }  # fmt: skip
    assert len(TRUTH.measured) == 6 * 4 + 12
    assert not set(TRUTH.measured) & set(TRUTH.unmeasured)


def test_pairs_do_what_was_planted() -> None:
    for pair in TRUTH.unmeasured:
        first, second, double = (TRUTH.log_fold(m) for m in ((pair[0],), (pair[1],), pair))
        summed = first + second
        ratio = double @ summed / (summed @ summed)
        kind = TRUTH.kind(pair)
        if kind == "none":
            np.testing.assert_allclose(double, summed, atol=1e-12)
        else:
            assert ratio > 1.3 if kind == "synergy" else ratio < 0.8


def test_true_effects_are_those_of_many_cells() -> None:
    pair = TRUTH.unmeasured[0]
    n = 10_000
    rng = np.random.default_rng(0)

    def mean(members: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        values = log_normalise(sparse.csr_matrix(screens._cells(TRUTH, members, n, rng))).toarray()
        return values.mean(0), values.var(0) / n

    (control, noise), (treated, more) = mean(()), mean(pair)
    (exact,) = true_effects(TRUTH, [pair])
    error = (treated - control - exact) / np.sqrt(noise + more)
    assert np.abs(error).max() < 5
    assert error.std() == pytest.approx(1, abs=0.2)


def test_intervals_are_judged_against_the_truth() -> None:
    screen = planted_screen(TRUTH)
    split = SplitConfig(kind="ood_combinations")
    model = SAMSVAE(screen, split=split, n_latent=8, n_hidden=32)
    model.train(max_steps=120, validation_every=60, progress=False)
    scale = calibrate_intervals(model, screen)
    assert scale.basis == "unseen_combinations"
    endless = ErrorModel(constant=1e6, n_conditions=1)
    everything = IntervalScale(endless, endless, endless, "unseen_combinations")
    judged = judge(model, TRUTH, [IntervalScale(), scale, everything])
    assert len(judged) == 3 * len(TRUTH.unmeasured)
    means = judged.groupby("scale")[list(MEASURES)].mean().to_numpy()
    assert (means[2, :4] == 1).all()
    assert means[2, 4] == pytest.approx(10 / 18)
    assert (means[0, :4] < means[1, :4]).all()
    assert 0.75 < means[1, 0] < 1

    table = summary(judged[judged["scale"] < 2])
    assert list(table.index) == [*KINDS, "all"]
    synergy = judged[(judged["kind"] == "synergy") & (judged["scale"] == 1)]
    text = as_markdown({"seed 0": table})
    assert f"→ {synergy['effect'].mean():.0%} |" in text.splitlines()[2]
    assert text.splitlines()[5].startswith("| seed 0 | all | 18 |")
