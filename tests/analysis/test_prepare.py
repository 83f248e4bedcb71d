from __future__ import annotations

import copy
import hashlib
import json
import shutil
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

from sams_core.analysis.condition_effects import (
    condition_dosages,
    effects_table,
    heldout_scores,
)
from sams_core.analysis.differential import differential_expression, group_statistics
from sams_core.analysis.effects import model_ate
from sams_core.analysis.likelihood import elbo_by_split
from sams_core.analysis.metrics import effect_agreement
from sams_core.analysis.prepare import STEPS, collect_metrics, prepare
from sams_core.errors import CheckpointError, ScreenError
from tests.analysis.conftest import PreparedRun

FILES = {"effects.h5ad", "masks.h5ad", "cells.h5ad", "metrics.json"}


@pytest.fixture
def effects(prepared: PreparedRun) -> ad.AnnData:
    return ad.read_h5ad(prepared.folder / "explorer" / "effects.h5ad")


def test_manifest_names_every_file(prepared: PreparedRun) -> None:
    folder = prepared.folder / "explorer"
    manifest = json.loads((folder / "manifest.json").read_text())
    assert set(manifest) == FILES
    assert {path.name for path in folder.iterdir()} == FILES | {"manifest.json"}
    for name, digest in manifest.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_progress_goes_through_every_step(prepared: PreparedRun) -> None:
    names = [step for step, _ in prepared.steps]
    assert list(dict.fromkeys(names)) == list(STEPS)
    for step in STEPS:
        shares = [share for name, share in prepared.steps if name == step]
        assert shares[0] == 0
        assert shares == sorted(shares)
        assert shares[-1] == pytest.approx(1)


def test_effects_table_is_the_data_and_the_model(
    prepared: PreparedRun, effects: ad.AnnData
) -> None:
    screen, model = prepared.screen, prepared.model
    names, dosages = condition_dosages(screen)
    assert list(effects.obs_names) == list(names)
    assert list(effects.var_names) == list(screen.gene_names)
    for suffix, cells in (("", None), ("_test", model.split == "test")):
        moments = group_statistics(screen.counts, screen.conditions, cells=cells)
        data = differential_expression(moments, screen.control, names)
        for layer, values in {
            "data_ate": data.effect,
            "data_se": data.standard_error,
            "statistic": data.statistic,
            "pvalue": data.p_value,
            "fdr": data.fdr,
        }.items():
            np.testing.assert_allclose(effects.layers[layer + suffix], values, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(
        effects.obs["n_significant"], (effects.layers["fdr"] < 0.05).sum(1)
    )
    again = model_ate(
        model.module, dosages, library_size=model.library_sizes, n_particles=2_000, seed=9
    )
    error = np.hypot(again.standard_error, effects.layers["model_se"])
    z = (again.mean - effects.X) / np.maximum(error, 1e-6)
    assert np.abs(z).max() < 6
    assert effects.X.dtype == np.float32


def test_conditions_are_described(prepared: PreparedRun, effects: ad.AnnData) -> None:
    screen, obs = prepared.screen, effects.obs
    assert list(obs["n_perturbations"]) == [1] * 10 + [2] * 3
    labels = np.asarray(screen.conditions.astype(str))
    for condition, row in obs.iterrows():
        assert row["n_cells"] == (labels == condition).sum()
        assert "+".join(sorted(row["perturbations"].split("+"))) == condition
        chosen = (labels == condition) & (prepared.model.split == "test")
        assert row["n_cells_test"] == chosen.sum()
    assert obs["seen_in_training"].all()
    assert effects.uns["n_control_cells"] == (labels == screen.control).sum()
    control = effects.var["mean_control"]
    assert control.between(0, np.log2(1e4 + 1)).all()
    assert effects.var["frac_detected"].between(0, 1).all()


def test_metrics_agree_with_the_tables(prepared: PreparedRun, effects: ad.AnnData) -> None:
    metrics = json.loads((prepared.folder / "explorer" / "metrics.json").read_text())
    scores = metrics["heldout_ate"]
    test, train = effects.layers["data_ate_test"], effects.layers["data_ate_train"]
    found = effect_agreement(test, np.asarray(effects.X))
    assert scores["pearson"] == pytest.approx(found.pearson, abs=1e-6)
    assert scores["pearson_top20"] == pytest.approx(found.pearson_top20, abs=1e-6)
    np.testing.assert_allclose(effects.obs["pearson"], found.by_condition, atol=1e-5)
    ceiling = effect_agreement(test, train)
    assert scores["ceiling"] == pytest.approx(ceiling.pearson, abs=1e-6)
    np.testing.assert_allclose(effects.obs["ceiling"], ceiling.by_condition, atol=1e-5)
    mean = train[effects.obs["n_perturbations"] == 1].mean(0)
    baseline = effect_agreement(test, np.broadcast_to(mean, test.shape))
    stored = scores["baselines"]
    assert stored["perturbed_mean"]["pearson"] == pytest.approx(baseline.pearson, abs=1e-6)
    assert stored["no_change"]["pearson"] is None
    assert stored["no_change"]["rmse"] > 0
    assert metrics["splits"] == {
        name: int((prepared.model.split == name).sum()) for name in ("train", "val", "test")
    }
    assert set(metrics["truth"]) == {"f1", "precision", "recall"}
    assert metrics["n_conditions"] == effects.n_obs
    assert metrics["prepared"]["seed"] == 0


@pytest.fixture
def copied(prepared: PreparedRun, tmp_path: Path) -> Path:
    """A copy of the checkpoint without its tables."""
    shutil.copytree(prepared.folder, tmp_path / "run", ignore=shutil.ignore_patterns("explorer"))
    return tmp_path / "run"


def test_another_screen_is_refused_and_nothing_is_written(
    prepared: PreparedRun, copied: Path
) -> None:
    fewer = prepared.screen.subset(np.arange(100))
    with pytest.raises(CheckpointError, match="not the one"):
        prepare(copied, screen=fewer)
    assert not (copied / "explorer").exists()


def test_a_screen_that_moved_is_asked_for(copied: Path) -> None:
    (copied / "source.json").write_text(json.dumps({"screen": str(copied / "gone.h5ad")}))
    with pytest.raises(CheckpointError, match=r"gone\.h5ad: name its new place with --screen"):
        prepare(copied)
    with pytest.raises(ScreenError, match="elsewhere"):
        prepare(copied, screen=copied / "elsewhere.h5ad")
    (copied / "source.json").unlink()
    with pytest.raises(CheckpointError, match="does not say where its screen is"):
        prepare(copied)


def test_a_failure_leaves_the_old_tables(
    prepared: PreparedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = prepared.folder / "explorer"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail(*_args: object, **_kwargs: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(ad.AnnData, "write_h5ad", fail)
    with pytest.raises(OSError, match="disk full"):
        prepare(prepared.folder, n_particles=4, max_cells=20)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert not list(prepared.folder.glob(".explorer*"))


def test_a_screen_without_test_cells_has_no_heldout_scores(prepared: PreparedRun) -> None:
    model = copy.copy(prepared.model)
    model.split = np.where(model.split == "test", "train", model.split)
    effects = effects_table(model, prepared.screen, n_particles=10)
    assert np.isnan(effects.layers["data_ate_test"]).all()
    assert effects.obs["pearson"].isna().all()
    assert (effects.obs["n_cells_test"] == 0).all()
    elbo = elbo_by_split(model.module, prepared.screen, model.split, n_particles=1)
    masks = ad.read_h5ad(prepared.folder / "explorer" / "masks.h5ad")
    metrics = json.loads(json.dumps(collect_metrics(prepared.screen, effects, masks, elbo)))
    scores = metrics["heldout_ate"]
    assert scores["n_conditions"] == 0
    assert scores["pearson"] is None
    assert scores["baselines"]["no_change"]["rmse"] is None
    assert metrics["elbo"]["test"] is None
    assert metrics["splits"]["test"] == 0


def test_conditions_never_trained_on_have_no_ceiling(prepared: PreparedRun) -> None:
    model = copy.copy(prepared.model)
    pairs = np.diff(prepared.screen.dosages.indptr) == 2
    model.split = np.where(pairs, "test", model.split)
    effects = effects_table(model, prepared.screen, n_particles=10)
    unseen = effects.obs["n_perturbations"] == 2
    assert not effects.obs.loc[unseen, "seen_in_training"].any()
    assert effects.obs.loc[unseen, "ceiling"].isna().all()
    assert effects.obs.loc[unseen, "pearson"].notna().all()
    assert heldout_scores(effects)["n_conditions"] == 10
