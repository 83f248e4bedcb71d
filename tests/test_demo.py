"""What is embedded loads, and agrees with its own figures."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
from scipy import stats

from sams_core.analysis.effects import model_ate
from sams_core.analysis.evaluation_files import read_evaluation
from sams_core.analysis.latents import LEFT_OUT
from sams_core.analysis.stability import STABILITY, read_stability
from sams_core.api import load_model
from sams_core.demo import CHECKPOINTS, DEMOS, Demo, compare_seeds
from sams_core.perturbation_model import PerturbationModel
from sams_core.record import EXPLORER, MANIFEST
from tests.conftest import ROOT


@pytest.fixture(params=DEMOS, ids=lambda demo: demo.name, scope="module")
def demo(request: pytest.FixtureRequest) -> Demo:
    found: Demo = request.param
    return found


@pytest.fixture(scope="module")
def folder(demo: Demo) -> Path:
    return CHECKPOINTS / demo.name


@pytest.fixture(scope="module")
def model(folder: Path) -> PerturbationModel:
    return load_model(folder)


@pytest.fixture(scope="module")
def metrics(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / EXPLORER / "metrics.json").read_text())
    return content


def table(folder: Path, name: str) -> ad.AnnData:
    return ad.read_h5ad(folder / EXPLORER / f"{name}.h5ad")


def test_everything_embedded_is_built_by_the_demo_command() -> None:
    assert {path.name for path in CHECKPOINTS.iterdir()} == {demo.name for demo in DEMOS}
    size = sum(path.stat().st_size for path in CHECKPOINTS.rglob("*") if path.is_file())
    assert size < 18e6, "the embedded checkpoints have outgrown a few MB"


def test_is_named_and_says_when_simulated(demo: Demo, model: PerturbationModel) -> None:
    assert model.record.title == demo.title
    assert model.record.simulated == (demo.citation is None)
    assert model.record.simulated == demo.title.startswith("Simulated")


def test_is_finished_and_tells_nothing_of_the_machine(
    folder: Path, model: PerturbationModel
) -> None:
    assert not model.unfinished
    files = {path.name for path in folder.iterdir()}
    assert "source.json" not in files
    for path in [folder / "config.json", *(folder / EXPLORER).glob("*.json")]:
        assert str(Path.home()) not in path.read_text()
        assert "/" not in (model.record.data.file or "")


def test_tables_are_those_of_the_manifest(folder: Path) -> None:
    manifest = json.loads((folder / EXPLORER / MANIFEST).read_text())
    for name, digest in manifest.items():
        assert hashlib.sha256((folder / EXPLORER / name).read_bytes()).hexdigest() == digest


def test_masks_are_the_models(
    folder: Path, model: PerturbationModel, metrics: dict[str, Any]
) -> None:
    masks = table(folder, "masks")
    probability = model.mask_probabilities()
    assert list(masks.obs_names) == list(model.perturbation_names)
    np.testing.assert_allclose(masks.X, probability, atol=1e-6)
    np.testing.assert_allclose(masks.layers["effect"], model.effects(), atol=1e-4)
    share = float((probability > 0.5).to_numpy().mean()) if model.has_mask else None
    assert metrics["share_open"] == pytest.approx(share)


def test_cells_are_the_models(folder: Path, model: PerturbationModel) -> None:
    cells = table(folder, "cells")
    single = cells[(cells.obs["n_perturbations"] == 1).to_numpy()]
    effect = model.effects().loc[single.obs["condition"].astype(str)].to_numpy()
    shift = single.obsm["z"] - single.obsm["z_basal"]
    np.testing.assert_allclose(shift, effect, atol=1e-3)


def test_counts_are_kept_of_the_simulated_screen_alone(
    folder: Path, model: PerturbationModel
) -> None:
    cells = table(folder, "cells")
    assert cells.n_vars == (len(model.gene_names) if model.record.simulated else 0)
    assert (LEFT_OUT in cells.uns) is not model.record.simulated


def test_the_evaluation_is_of_these_weights(folder: Path, model: PerturbationModel) -> None:
    evaluation = read_evaluation(folder)
    assert evaluation["checkpoint"] == model.record.digest
    kinds = {row["kind"] for row in evaluation["scores"]}
    assert kinds == {"model", "baseline", "ceiling"}


def test_scores_follow_from_the_effects(folder: Path, metrics: dict[str, Any]) -> None:
    effects = table(folder, "effects")
    scored = effects[(effects.obs["n_cells_test"] >= 2) & effects.obs["seen_in_training"]]
    held_out = np.asarray(scored.layers["data_ate_test"])
    for name, values in {"pearson": scored.X, "ceiling": scored.layers["data_ate_train"]}.items():
        again = stats.pearsonr(np.ravel(values), held_out.ravel()).statistic
        assert metrics["heldout_ate"][name] == pytest.approx(again, abs=1e-4)


def test_effects_are_the_models(folder: Path, model: PerturbationModel) -> None:
    effects = table(folder, "effects")
    chosen = list(effects.obs_names[[0, -1]])
    dosages = np.array(
        [model.perturbation_names.isin(name.split("+")) for name in chosen], dtype=np.float32
    )
    again = model_ate(
        model.module, dosages, library_size=model.library_sizes, n_particles=1500, seed=1
    )
    stored = effects[chosen]
    error = np.hypot(stored.layers["model_se"], again.standard_error)
    error = np.maximum(error, 3e-3)  # it may be 0 of a gene that no cell drew
    deviation = (np.asarray(stored.X) - again.mean) / error
    assert np.abs(deviation).max() < 6
    assert np.square(deviation).mean() < 2


def test_the_readme_states_the_same_figures(metrics: dict[str, Any]) -> None:
    scores = metrics["heldout_ate"]
    figures = (
        scores["pearson"],
        scores["ceiling"],
        scores["baselines"]["perturbed_mean"]["pearson"],
    )
    truth = f"{metrics['truth']['f1']:.2f}" if metrics["truth"] else "unknown"
    row = " | ".join([*(f"{value:.2f}" for value in figures), truth])
    assert f"| {metrics['n_perturbations']} | {row} |" in (ROOT / "README.md").read_text()


def test_demos_that_differ_by_their_seed_get_their_stability(tmp_path: Path) -> None:
    pair = ("papalexi2021_thp1", "papalexi2021_thp1_seed1")
    for name in pair:
        shutil.copytree(CHECKPOINTS / name, tmp_path / name)
        (tmp_path / name / STABILITY).unlink(missing_ok=True)
    compare_seeds(tmp_path)
    for name in pair:
        stability = read_stability(tmp_path / name)
        assert stability is not None
        assert stability.seeds == (0, 1)
        assert set(np.unique(stability.share)) <= {0, 0.5, 1}
        assert 0 < stability.agreement < 1
