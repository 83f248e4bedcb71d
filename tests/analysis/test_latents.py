from __future__ import annotations

from typing import Any

import anndata as ad
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sams_core.analysis import latents
from sams_core.analysis.embedding import umap
from sams_core.analysis.latents import LEFT_OUT, cells_table, stratified_subsample
from sams_core.data.reading import read_screen
from tests.analysis.conftest import PreparedRun


@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    share=st.floats(0.05, 1.0),
    seed=st.integers(0, 100),
)
def test_subsample_is_stratified(sizes: list[int], share: float, seed: int) -> None:
    groups = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    size = max(1, int(share * len(groups)))
    chosen = stratified_subsample(groups, size, seed=seed)
    assert len(chosen) == size
    assert np.array_equal(chosen, np.unique(chosen))
    found = np.bincount(groups[chosen], minlength=len(sizes))
    assert (np.abs(found - size / len(groups) * np.array(sizes)) <= 1 + len(sizes) / 2).all()
    if size >= len(sizes):
        assert (found > 0).all()


def test_everything_is_kept_when_there_is_room() -> None:
    np.testing.assert_array_equal(stratified_subsample(["b", "a", "b"], 3), [0, 1, 2])


def test_umap_is_repeatable_and_separates_groups() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(size=(40, 5)), rng.normal(size=(40, 5)) + 20])
    first, again = umap(values, seed=4), umap(values, seed=4)
    np.testing.assert_array_equal(first, again)
    assert first.shape == (80, 2)
    assert first.dtype == np.float32
    centres = first[:40].mean(0), first[40:].mean(0)
    gap = np.linalg.norm(centres[0] - centres[1])
    assert gap > 2 * max(first[:40].std(), first[40:].std())


def test_umap_leaves_the_threads_of_torch_alone() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    umap(np.random.default_rng(2).normal(size=(30, 3)))
    assert torch.get_num_threads() == 1
    torch.set_num_threads(before)


@pytest.mark.parametrize("rows", [1, 2, 5, 7, 8, 12])
def test_umap_of_few_rows(rows: int) -> None:
    values = np.random.default_rng(1).normal(size=(rows, 4))
    found = umap(values)
    assert found.shape == (rows, 2)
    assert np.isfinite(found).all()


def test_umap_of_equal_rows() -> None:
    assert np.isfinite(umap(np.zeros((12, 3)))).all()
    assert umap(np.ones((3, 1))).shape == (3, 2)


def test_cells_table(prepared: PreparedRun) -> None:
    table = ad.read_h5ad(prepared.folder / "explorer" / "cells.h5ad")
    screen, model = prepared.screen, prepared.model
    assert table.shape == (500, screen.n_genes)
    assert table.uns["n_cells_total"] == screen.n_cells
    rows = screen.cell_names.get_indexer(table.obs_names)
    assert (rows >= 0).all()
    assert list(table.var_names) == list(screen.gene_names)
    assert table.X.dtype == screen.counts.dtype
    assert (screen.counts[rows] != table.X).nnz == 0
    assert LEFT_OUT not in table.uns
    assert table.obs["condition"].nunique() == len(screen.conditions.categories)
    np.testing.assert_array_equal(
        table.obs["condition"].astype(str), np.asarray(screen.conditions.astype(str))[rows]
    )
    np.testing.assert_array_equal(table.obs["split"].astype(str), model.split[rows])
    np.testing.assert_array_equal(table.obs["library_size"], screen.library_size[rows])
    assert set(table.obs["library_size_annotation"]) == {"a clash of names"}
    assert table.obs["batch"].nunique() == 4
    for kind, key in (("basal", "z_basal"), ("full", "z")):
        latent = model.get_latent_representation(screen, kind=kind)[rows]  # type: ignore[arg-type]
        np.testing.assert_allclose(table.obsm[key], latent, atol=2e-5)
    control = (table.obs["n_perturbations"] == 0).to_numpy()
    np.testing.assert_array_equal(table.obsm["z"][control], table.obsm["z_basal"][control])
    for key in ("X_umap_basal", "X_umap"):
        assert table.obsm[key].shape == (500, 2)
        assert np.isfinite(table.obsm[key]).all()


def test_counts_are_left_out_with_the_reason(
    prepared: PreparedRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    some: dict[str, Any] = {"max_cells": 30, "seed": 0}
    without = cells_table(prepared.model, prepared.screen, keep_counts=False, **some)
    assert without.shape == (30, 0)
    assert "were left out when its tables were prepared" in without.uns[LEFT_OUT]
    n_counts = cells_table(prepared.model, prepared.screen, **some).X.nnz
    monkeypatch.setattr(latents, "MAX_COUNTS", n_counts - 1)
    too_many = cells_table(prepared.model, prepared.screen, **some)
    assert too_many.shape == (30, 0)
    assert f"have {n_counts:,} counts above zero" in too_many.uns[LEFT_OUT]
    assert "--max-cells" in too_many.uns[LEFT_OUT]
    monkeypatch.setattr(latents, "MAX_COUNTS", n_counts)
    assert cells_table(prepared.model, prepared.screen, **some).X.nnz == n_counts


def test_counts_of_a_screen_on_disk_are_kept(prepared: PreparedRun) -> None:
    path = prepared.folder.parent / "screen.h5ad"
    options = {"perturbation_key": "perturbation", "batch_key": "lane"}
    stored = read_screen(path, on_disk=True, **options)  # type: ignore[arg-type]
    assert stored.on_disk
    for max_cells in (40, stored.n_cells):
        table = cells_table(prepared.model, stored, max_cells=max_cells)
        rows = prepared.screen.cell_names.get_indexer(table.obs_names)
        assert (prepared.screen.counts[rows] != table.X).nnz == 0
