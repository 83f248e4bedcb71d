"""An evaluation: what it computes, on which cells, and what it writes."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
import torch
from scipy import sparse, stats

from sams_core.analysis import evaluation_masks
from sams_core.analysis.comparison import read_evaluation
from sams_core.analysis.condition_effects import dosages_of
from sams_core.analysis.differential import group_statistics, log_normalise
from sams_core.analysis.drawn_cells import draw_cells
from sams_core.analysis.effects import model_ate
from sams_core.analysis.evaluate import (
    PREDICTIVE_CHECK,
    STEPS,
    EvaluationConfig,
    evaluate,
)
from sams_core.analysis.evaluation_draws import (
    cells_in_space,
    draw_counts,
    mean_count_effects,
    replicate_check,
)
from sams_core.analysis.evaluation_effects import Measurements, measure, score_ceiling
from sams_core.analysis.evaluation_masks import mask_scores, pathway_scores
from sams_core.analysis.masks import true_mask
from sams_core.api import FAMILIES, load_model
from sams_core.data.minibatches import minibatch
from sams_core.data.screen import Screen
from sams_core.data.splits import SplitConfig
from sams_core.errors import CheckpointError, ScreenError
from sams_core.perturbation_model import PerturbationModel
from tests.support.small_models import small_module
from tests.support.tiny import tiny_screen

QUICK = EvaluationConfig(iwelbo_particles=10, ate_particles=400, replicates=39, seed=4)
SCREEN = tiny_screen(n_doubles=6, cells_per_perturbation=40)
OOD = SplitConfig(kind="ood_combinations")


@dataclass(frozen=True)
class Evaluated:
    """A run, and what evaluating it returned."""

    folder: Path
    model: PerturbationModel
    found: dict[str, Any]
    steps: list[tuple[str, float]]

    def score(self, predictor: str, scope: str, metric: str) -> float | None:
        (row,) = (
            row
            for row in self.found["scores"]
            if (row["predictor"], row["scope"], row["metric"]) == (predictor, scope, metric)
        )
        return row["value"]


def trained(folder: Path, family: str, **settings: Any) -> PerturbationModel:
    model = FAMILIES[family](SCREEN, split=OOD, n_latent=4, n_hidden=8, **settings)
    return model.train(out=folder, max_steps=30, validation_every=10, batch_size=64, progress=False)


@pytest.fixture(scope="module", params=sorted(FAMILIES))
def evaluated(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Evaluated:
    folder = tmp_path_factory.mktemp("runs") / request.param
    trained(folder, request.param)
    steps: list[tuple[str, float]] = []
    found = evaluate(folder, screen=SCREEN, config=QUICK, progress=lambda *step: steps.append(step))
    return Evaluated(folder, load_model(folder, SCREEN), found, steps)


@pytest.fixture(scope="module")
def data() -> Measurements:
    model = FAMILIES["sams_vae"](SCREEN, split=OOD, n_latent=2, n_hidden=2)
    return measure(SCREEN, model.split)


def test_the_file_is_what_was_returned_and_is_read_by_comparisons(evaluated: Evaluated) -> None:
    stored = json.loads((evaluated.folder / "evaluation.json").read_text())
    assert stored == evaluated.found
    read = read_evaluation(evaluated.folder)
    assert read["scores"] == evaluated.found["scores"]
    assert stored["settings"] == QUICK.model_dump(mode="json")
    assert stored["split"] == OOD.model_dump()
    assert stored["simulated"] is True
    assert stored["seconds"]["train"] > 0
    assert [name for name, share in evaluated.steps if share == 0] == list(STEPS)


def test_again_it_finds_the_same(evaluated: Evaluated) -> None:
    before = json.loads((evaluated.folder / "evaluation.json").read_text())
    again = evaluate(evaluated.folder, screen=SCREEN, config=QUICK)
    assert before | {"seconds": None} == again | {"seconds": None}


def test_every_predictor_in_every_scope_and_metric(evaluated: Evaluated) -> None:
    rows = evaluated.found["scores"]
    keys = {(row["predictor"], row["scope"], row["metric"]) for row in rows}
    assert len(keys) == len(rows) == 7 * 6 * 13
    kinds = {row["predictor"]: row["kind"] for row in rows}
    assert list(kinds.values()) == ["model", *["baseline"] * 5, "ceiling"]
    n = {row["scope"]: row["n_conditions"] for row in rows if row["metric"] == "rmse"}
    assert n == {
        "all": 12, "seen": 9, "unseen": 3, "singles": 6, "combinations": 6, "unseen_combinations": 3
    }  # fmt: skip


def test_effects_are_scored_on_test_cells(evaluated: Evaluated) -> None:
    """Everything anew: cell by cell for the data, one condition at a time for the model."""
    model = evaluated.model
    names, test = np.asarray(SCREEN.conditions), model.split == "test"
    expression = log_normalise(SCREEN.counts).toarray()
    counts = SCREEN.counts.toarray()
    conditions = [name for name in SCREEN.conditions.categories if name != "control"]
    predicted = model_ate(
        model.module,
        dosages_of(model.encoded(SCREEN), evaluated_conditions(evaluated)),
        library_size=model.library_sizes,
        n_particles=400,
        seed=4,
    ).mean
    order = evaluated_conditions(evaluated).get_indexer(conditions)
    for scope, chosen in {
        "all": conditions,
        "unseen": [c for c in conditions if not ((names == c) & (model.split == "train")).any()],
        "singles": [c for c in conditions if "+" not in c],
    }.items():
        control = test & (names == "control")
        measured = np.stack(
            [expression[test & (names == c)].mean(0) - expression[control].mean(0) for c in chosen]
        )
        ours = predicted[order][[conditions.index(c) for c in chosen]]
        found = evaluated.score("model", scope, "pearson")
        if np.ptp(ours) == 0:
            assert found is None  # nothing is predicted to change
        else:
            expected = stats.pearsonr(measured.ravel(), ours.ravel())[0]
            assert found == pytest.approx(expected, abs=1e-6)
        raw = np.stack(
            [counts[test & (names == c)].mean(0) - counts[control].mean(0) for c in chosen]
        )
        train = model.split == "train"
        if scope == "singles":
            base = counts[train & (names == "control")].mean(0)
            own = np.stack([counts[train & (names == c)].mean(0) - base for c in chosen])
            expected = stats.pearsonr(raw.ravel(), own.ravel())[0]
            assert evaluated.score("additive", scope, "pearson_mean") == pytest.approx(expected)


def evaluated_conditions(evaluated: Evaluated) -> Any:
    return ad.read_h5ad(evaluated.folder / PREDICTIVE_CHECK).obs_names


def test_the_predictive_check_table(evaluated: Evaluated) -> None:
    table = ad.read_h5ad(evaluated.folder / PREDICTIVE_CHECK)
    assert table.shape == (12, SCREEN.n_genes)
    assert table.uns["simulated"]
    inside = (table.layers["lower"] <= table.X) & (table.layers["upper"] >= table.X)
    summary = evaluated.found["predictive_check"]
    assert summary["n"] == np.isfinite(table.layers["p_value"]).sum() <= table.X.size
    checked = np.isfinite(table.layers["p_value"])
    assert summary["coverage_90"] == pytest.approx(inside[checked].mean())
    below = (table.layers["p_value"] < 0.05)[checked]
    assert summary["share_p_below_0.05"] == pytest.approx(below.mean())
    assert list(table.obs["seen_in_training"]).count(False) == 3


def test_masks_of_combinations_take_no_part(evaluated: Evaluated) -> None:
    mask = evaluated.found["mask"]
    assert 0 <= mask["mcc"] <= 1
    if not evaluated.model.has_mask:
        assert {
            mask[name] for name in ("share_open", "f1", "precision", "recall", "calibration")
        } == {None}
        return
    model = load_model(evaluated.folder, SCREEN)
    logits, truth = model.module.mask_logits, true_mask(SCREEN)
    assert logits is not None
    assert truth is not None
    with torch.no_grad():
        logits.fill_(30.0)  # what combinations' own rows keep
        logits[: len(truth)] = torch.from_numpy(truth)[:, [2, 0, 3, 1]] * 60.0 - 30.0
    scores = mask_scores(model, SCREEN)
    assert scores is not None
    assert (scores["f1"], scores["precision"], scores["recall"]) == (1, 1, 1)
    closed, opened = scores["calibration"]["bins"]
    assert (closed["n_real"], opened["n_real"], opened["n"]) == (0, truth.sum(), truth.sum())
    assert scores["calibration"]["ece"] == pytest.approx(0, abs=1e-6)
    assert scores["share_open"] == pytest.approx(truth.mean())


@pytest.mark.parametrize("evaluated", ["svae_plus"], indirect=True)
def test_own_combinations_are_scored_untrained(evaluated: Evaluated) -> None:
    """A perturbation of its own that no training cell carries does nothing, and is judged so."""
    assert evaluated.score("model", "unseen", "pearson_mean") is None  # a constant: no effect
    assert evaluated.score("model", "seen", "pearson_mean") is not None
    rmse = evaluated.score("no_change", "unseen", "rmse")
    assert evaluated.score("model", "unseen", "rmse") == pytest.approx(rmse, rel=0.1)


def changed(where: np.ndarray) -> Screen:
    """The screen with other counts in some cells."""
    rng = np.random.default_rng(0)
    counts = SCREEN.counts.toarray()
    counts[where] = rng.poisson(30, counts[where].shape)
    return replace(SCREEN, counts=sparse.csr_matrix(counts.astype(SCREEN.counts.dtype)))


@pytest.mark.parametrize("part", ["train", "test", "val"])
def test_what_is_measured_where(part: str) -> None:
    """Baselines and the space know training cells only; validation cells are nobody's."""
    model = FAMILIES["sams_vae"](SCREEN, split=OOD, n_latent=2, n_hidden=2)
    before = measure(SCREEN, model.split)
    after = measure(changed(model.split == part), model.split)
    same = {
        "train": np.array_equal(
            before.train.expression.effect, after.train.expression.effect, equal_nan=True
        )
        and np.array_equal(before.train.mean_counts, after.train.mean_counts, equal_nan=True)
        and np.array_equal(before.space.components, after.space.components)
        and np.array_equal(before.control_cells, after.control_cells),
        "test": all(
            np.array_equal(a.expression.effect, b.expression.effect)
            and np.array_equal(a.mean_counts, b.mean_counts)
            for a, b in ((before.test, after.test), (before.first_half, after.first_half))
        ),
    }
    assert same == {"train": part != "train", "test": part != "test"}


def test_the_ceiling_of_unseen_conditions_is_one_half_of_the_test_cells_on_the_other() -> None:
    model = FAMILIES["sams_vae"](SCREEN, split=OOD, n_latent=2, n_hidden=2)

    def ceiling(screen: Screen) -> dict[tuple[str, str], float | None]:
        rows = score_ceiling(measure(screen, model.split))
        return {(row["scope"], row["metric"]): row["value"] for row in rows}

    before, after = ceiling(SCREEN), ceiling(changed(model.split == "train"))
    for metric in ("pearson", "pearson_mean", "rmse", "de_overlap", "retrieval_rank"):
        assert before["unseen", metric] == after["unseen", metric] is not None
        assert before["seen", metric] != after["seen", metric]


def test_cells_of_a_condition_are_its_own(data: Measurements) -> None:
    names = np.asarray(SCREEN.conditions)
    for row, condition in enumerate(data.conditions):
        assert len(data.test.cells[row]) == data.test.expression.n_cells[row]
        halves = len(data.first_half.cells[row]) + len(data.second_half.cells[row])
        assert halves == len(data.test.cells[row])
        unseen = not data.seen[row]
        assert len(data.test.cells[row]) == (names == condition).sum() or not unseen


def test_effects_on_mean_counts_are_those_of_drawn_cells() -> None:
    module, doses = small_module(), np.array([[1, 0, 0], [0, 2, 1]], np.float32)
    got = mean_count_effects(module, doses, library_size=300.0, n_particles=4_000, seed=1)
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        cells = draw_cells(module, 40_000, 300.0, generator)
        control = cells.counts(torch.zeros(1, 3), generator)
        difference = (cells.counts(torch.from_numpy(doses), generator) - control).double()
    error = difference.std(0) / 40_000**0.5
    assert (np.abs(got - difference.mean(0).numpy()) < 5 * error.numpy() + 0.02 * 300 / 12).all()
    assert np.abs(got.sum(1)).max() < 1e-3  # counts are only moved between genes


def test_parts_do_not_change_mean_counts() -> None:
    module, doses = small_module(), np.eye(3, dtype=np.float32)
    whole, parts = (
        mean_count_effects(module, doses, library_size=100.0, n_particles=20_000, max_elements=size)
        for size in (10_000_000, 30_000)
    )
    np.testing.assert_allclose(whole, parts, atol=0.2)


def test_drawn_cells_are_placed_like_measured_ones(data: Measurements) -> None:
    module = small_module(n_genes=SCREEN.n_genes, n_perturbations=3)
    doses = np.eye(3, dtype=np.float32)
    placed = list(cells_in_space(module, doses, data.space, library_size=500, n_cells=20, seed=3))
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        counts = draw_cells(module, 20, 500, generator).counts(torch.from_numpy(doses), generator)
    for row, cells in enumerate(placed):
        expected = data.space.project(sparse.csr_matrix(counts[:, row].numpy()))
        np.testing.assert_allclose(cells, expected, atol=1e-4)


@pytest.mark.parametrize("right", [True, False])
def test_the_predictive_check_knows_a_right_model(right: bool) -> None:
    """Of effects that the model made, 90% lie in the interval and 5% have p < 0.05."""
    module = small_module(n_genes=SCREEN.n_genes, n_perturbations=SCREEN.n_perturbations)
    batch = minibatch(SCREEN, np.arange(SCREEN.n_cells))
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        sample = module.sample_shift_parameters(1, generator)
        counts = draw_counts(module, batch, sample, generator)[0].numpy()
        if not right:
            module.decoder_head.weight.mul_(0.3)
    screen = replace(SCREEN, counts=sparse.csr_matrix(counts))
    statistics = group_statistics(screen.counts, screen.conditions)
    rows = statistics.groups.drop("control")
    control = statistics.mean[statistics.groups.get_loc("control")]
    measured = statistics.mean[statistics.groups.get_indexer(rows)] - control
    measured[0] = np.nan
    measured[1, 0] = np.nan
    shares: list[float] = []
    check = replicate_check(
        module, screen, np.ones(screen.n_cells, bool), rows.to_numpy(), measured,
        n_replicates=79, seed=1, progress=shares.append,
    )  # fmt: skip
    summary = check.summary()
    assert summary["n"] == measured[1:].size - 1
    assert np.isnan(check.p_value[0]).all()
    assert shares[-1] == 1
    assert summary["coverage_90"] is not None
    if right:
        assert summary["coverage_90"] == pytest.approx(0.9, abs=0.06)
        assert summary["share_p_below_0.05"] == pytest.approx(0.05, abs=0.05)
    else:
        assert summary["coverage_90"] < 0.75


def test_pathways_come_from_gene_sets_or_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    few = functools.partial(evaluation_masks.pathway_accuracy, n_repeats=2, n_permutations=2)
    monkeypatch.setattr(evaluation_masks, "pathway_accuracy", few)
    monkeypatch.setattr("sams_core.analysis.pathway_accuracy._N_TREES", 10)
    screen = tiny_screen(n_perturbations=10, n_pathways=2, n_doubles=0, n_latent=4)
    model = FAMILIES["sams_vae"](screen, n_latent=4, n_hidden=4)
    names = list(screen.perturbation_names)
    doses = np.eye(10, dtype=np.float32)
    truth = np.asarray(screen.truth["pathways"]) if screen.truth else np.array([])
    logits = model.module.mask_logits
    assert logits is not None
    with torch.no_grad():  # the mask tells the truth's pathways apart, the effects the other sets
        logits[:] = torch.from_numpy(np.where(truth == truth[0], 9.0, -9.0))[:, None]
    effects = np.random.default_rng(0).normal(size=(10, screen.n_genes)) * 0.01
    effects[::2, :5] += 4.0
    sets = {"even": [*names[::2], "OTHER"], "odd": names[1::2]}
    found = pathway_scores(model, screen, effects, doses, None)
    other = pathway_scores(model, screen, effects, doses, sets)
    assert found is not None
    assert other is not None
    assert found["accuracy_logistic"]["mean"] == found["accuracy_forest"]["mean"] == 1
    assert found["ate"]["mean"] < 0.8
    assert other["ate"]["mean"] == 1
    assert other["accuracy_logistic"]["mean"] < 0.8
    assert (other["n_perturbations"], other["majority"]) == (10, 0.5)
    effects[3:] = np.nan  # never trained on alone: nothing is known of them
    assert pathway_scores(model, screen, effects, doses, sets) is None
    assert pathway_scores(model, replace(screen, truth=None), effects, doses, None) is None


def test_nothing_is_written_when_something_is_wrong(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    FAMILIES["cpa_vae"](SCREEN, n_latent=2, n_hidden=2).save(folder)
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(CheckpointError, match="--screen"):
        evaluate(folder)
    with pytest.raises(CheckpointError, match="not the one"):
        evaluate(folder, screen=tiny_screen(seed=5))
    with pytest.raises(ScreenError, match="no gene set file"):
        evaluate(folder, screen=SCREEN, config=QUICK.model_copy(update={"pathways": "no.gmt"}))
    with pytest.raises(ScreenError, match="There is no file"):
        evaluate(folder, screen=tmp_path / "no.h5ad")
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.parametrize(
    "case", ["no test cells", "one test cell", "no controls in test", "unused"]
)
def test_splits_with_little_to_score(case: str, tmp_path: Path) -> None:
    names = np.asarray(SCREEN.conditions)
    split = np.where(np.arange(SCREEN.n_cells) % 4 == 0, "test", "train").astype(object)
    if case == "no test cells":
        split[:] = "train"
    elif case == "one test cell":
        split[:] = "train"
        split[5] = "test"
    elif case == "no controls in test":
        split[names == "control"] = "train"
    else:
        split[names == "P001"] = "unused"
    FAMILIES["cpa_vae"](SCREEN, split=split, n_latent=2, n_hidden=2).save(tmp_path / "run")
    found = evaluate(tmp_path / "run", screen=SCREEN, config=QUICK)
    assert (found["iwelbo"]["test"] is None) == (case == "no test cells")
    assert found["iwelbo"]["val"] is None
    pearson = {
        row["scope"]: row for row in found["scores"]
        if (row["predictor"], row["metric"]) == ("model", "pearson")
    }  # fmt: skip
    if case == "unused":
        assert pearson["all"]["n_conditions"] == 11
        assert pearson["all"]["value"] is not None
    else:
        assert all(row["value"] is None for row in pearson.values())
    assert found["seconds"]["train"] is None
