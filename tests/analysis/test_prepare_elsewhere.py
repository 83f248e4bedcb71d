"""Preparing in other processes: the same tables as in one, and one sentence about failures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
from typer.testing import CliRunner

from sams_core.analysis.condition_effects import begin_effects, dosages_of, effects_table
from sams_core.analysis.effects import model_ate
from sams_core.analysis.prepare import STEPS, prepare
from sams_core.analysis.tasks import InProcess, joined
from sams_core.api import FAMILIES
from sams_core.cli import build
from sams_core.data import Screen
from tests.analysis.conftest import PreparedRun
from tests.support.dask_cluster import dask_cluster
from tests.support.tiny import tiny_screen

SETTINGS: dict[str, Any] = {"n_particles": 100, "max_cells": 200, "seed": 5}


@pytest.fixture(scope="module")
def here(prepared: PreparedRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables made in this process."""
    folder = tmp_path_factory.mktemp("here") / "run"
    shutil.copytree(prepared.folder, folder)
    prepare(folder, **SETTINGS)
    return folder


@pytest.mark.parametrize("where", ["two local processes", "a cluster by address"])
def test_tables_are_the_same_wherever_they_are_made(where: str, here: Path, tmp_path: Path) -> None:
    steps: list[tuple[str, float]] = []

    def told(step: str, share: float) -> None:
        steps.append((step, share))

    folder = shutil.copytree(here, tmp_path / "run", ignore=shutil.ignore_patterns("explorer"))
    if where == "two local processes":
        prepare(folder, workers=2, progress=told, **SETTINGS)
    else:
        with dask_cluster(tmp_path, n_workers=1) as address:
            prepare(folder, scheduler=address, progress=told, **SETTINGS)
    for name in ("effects", "masks", "cells"):
        check_same(*(ad.read_h5ad(run / "explorer" / f"{name}.h5ad") for run in (folder, here)))
    found, expected = (
        json.loads((run / "explorer" / "metrics.json").read_text()) for run in (folder, here)
    )
    assert found["heldout_ate"]["pearson"] == pytest.approx(expected["heldout_ate"]["pearson"])
    assert found["elbo"] == pytest.approx(expected["elbo"])
    assert list(dict.fromkeys(step for step, _ in steps)) == list(STEPS)
    assert [share for step, share in steps if step == "Effects"][-1] == pytest.approx(1)


def check_same(found: ad.AnnData, expected: ad.AnnData) -> None:
    assert list(found.obs_names) == list(expected.obs_names)
    np.testing.assert_allclose(dense(found), dense(expected), rtol=1e-5, atol=1e-6)
    for kind in ("layers", "obsm", "varm"):
        values = getattr(found, kind)
        assert set(values) == set(getattr(expected, kind))
        for name in values:
            np.testing.assert_allclose(
                values[name], getattr(expected, kind)[name], rtol=1e-4, atol=1e-4, err_msg=name
            )


def dense(table: ad.AnnData) -> np.ndarray:
    return np.asarray(table.X.todense() if hasattr(table.X, "todense") else table.X)


class Watched(InProcess):
    """Three workers, as it says, and what they would get."""

    n_elsewhere = 3

    def run(self, task: Callable[..., Any], items: Iterable[Any], **common: Any) -> Iterator[Any]:
        self.sent, self.blocks = common, [len(item) for item in items]
        return super().run(task, items, **common)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_blocks_are_rebuilt_from_plain_values_in_every_family(family: str) -> None:
    """With a batch covariate, and combinations as the family encodes them."""
    screen = with_batches(tiny_screen())
    model = FAMILIES[family](screen, n_latent=4, n_hidden=8)
    watched = Watched()
    found = joined(begin_effects(watched, model, screen, n_particles=50, seed=3))
    assert {type(value) for value in watched.sent.values()} == {str, bytes, int}
    conditions = effects_table(model, screen, n_particles=2).obs_names
    assert watched.blocks == [3, 3, 2]
    assert sum(watched.blocks) == len(conditions)
    whole = model_ate(
        model.module,
        dosages_of(model.encoded(screen), conditions),
        library_size=model.library_sizes,
        n_particles=50,
        seed=3,
    )
    np.testing.assert_allclose(found.mean, whole.mean, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found.standard_error, whole.standard_error, rtol=1e-4, atol=1e-6)


def with_batches(screen: Screen) -> Screen:
    adata = screen.to_anndata()
    adata.obs["lane"] = [f"lane {cell % 3}" for cell in range(adata.n_obs)]
    return Screen.from_anndata(
        adata, perturbation_key="perturbation", control="control", batch_key="lane"
    )


def test_either_processes_here_or_a_cluster(here: Path) -> None:
    words = ["prepare", str(here), "--workers", "2", "--scheduler", "tcp://127.0.0.1:1"]
    result = CliRunner().invoke(build(words), words)
    assert result.exit_code == 2
    assert "leave out one of the two" in result.stderr


def test_no_scheduler_is_one_sentence(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sams_core.cluster.CONNECT_SECONDS", 0.3)
    words = ["prepare", str(here), "--scheduler", "tcp://127.0.0.1:1"]
    result = CliRunner().invoke(build(words), words)
    assert result.exit_code == 2
    assert "No Dask scheduler answers at tcp://127.0.0.1:1" in result.stderr
