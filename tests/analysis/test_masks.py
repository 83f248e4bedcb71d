from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
from anndata import AnnData

from sams_core.analysis.masks import (
    masks_table,
    match_truth,
    perturbation_annotations,
    true_mask,
)
from sams_core.analysis.metrics import match_masks
from sams_core.api import SAMSVAE
from sams_core.data.screen import Screen
from tests.analysis.conftest import PreparedRun


def small_screen(**columns: list[object]) -> Screen:
    labels = ["ctrl", "A", "A", "B", "B", "A+B", "C"]
    counts = np.random.default_rng(0).integers(1, 9, (len(labels), 5)).astype(np.float32)
    obs = pd.DataFrame({"target": labels, **columns}, index=[f"c{i}" for i in range(len(labels))])
    adata = AnnData(counts, obs=obs)
    return Screen.from_anndata(adata, perturbation_key="target", control="ctrl")


def test_annotations_of_perturbations() -> None:
    screen = small_screen(
        pathway=["none", "x", "x", "y", "y", "x+y", "y"],
        sometimes=[None, "x", None, "y", "y", "z", "z"],
        same=["s"] * 7,
        name=["ctrl", "A", "A", "B", "B", "A+B", "C"],
        potency=[0.0, 1.5, 1.5, 2.0, 2.0, 9.0, 3.0],
        cell=list("abcdefg"),
    )
    got = perturbation_annotations(screen)
    assert list(got.columns) == ["pathway", "potency"]
    assert list(got.index) == ["A", "B", "C"]
    assert list(got["pathway"]) == ["x", "y", "y"]
    assert list(got["potency"]) == [1.5, 2.0, 3.0]


def test_no_annotation_from_single_cells_alone() -> None:
    screen = small_screen(cell=list("abcdefg")).subset([0, 1, 3, 6])
    assert perturbation_annotations(screen).shape == (3, 0)


def test_masks_table(prepared: PreparedRun) -> None:
    table = ad.read_h5ad(prepared.folder / "explorer" / "masks.h5ad")
    model, screen = prepared.model, prepared.screen
    probability = model.mask_probabilities()
    np.testing.assert_allclose(table.X, probability, atol=1e-6)
    assert list(table.obs_names) == list(screen.perturbation_names)
    assert list(table.var_names) == [f"z{i}" for i in range(8)]
    np.testing.assert_array_equal(table.var["n_open"], (probability > 0.5).sum())
    np.testing.assert_array_equal(table.var["used"], (probability > 0.5).any())
    carriers = np.asarray((screen.dosages > 0).sum(0)).ravel()
    np.testing.assert_array_equal(table.obs["n_cells"], carriers)
    assert (table.obs["n_cells_train"] < table.obs["n_cells"]).all()
    assert table.obs["pathway"].nunique() == 2
    np.testing.assert_allclose(table.layers["embedding_mean"], model.embeddings(), atol=0.1)
    assert table.obsm["X_umap"].shape == (10, 2)
    assert bool(table.uns["simulated"])


def test_significant_genes_are_of_the_perturbation_alone_or_of_the_combination_s_own_dose() -> None:
    labels = ["ctrl", "A", "A", "B", "A+B", "A+B"] * 4
    counts = np.random.default_rng(0).integers(1, 9, (len(labels), 5)).astype(np.float32)
    cells = [f"c{i}" for i in range(len(labels))]
    obs = pd.DataFrame(
        {"target": labels, "dose": ["0", "1", "0.5", "1", "1+1", "0.5+1"] * 4}, index=cells
    )
    screen = Screen.from_anndata(
        AnnData(counts, obs=obs), perturbation_key="target", control="ctrl", dose_key="dose"
    )
    effects = AnnData(
        obs=pd.DataFrame(
            {
                "perturbations": ["A", "A", "B", "A+B", "A+B"],
                "n_perturbations": [1, 1, 1, 2, 2],
                "n_significant": [3, 4, 5, 60, 70],
            },
            index=["A", "A@0.5", "B", "A+B", "A@0.5+B"],
        )
    )
    model = SAMSVAE(screen, combinations="own", n_latent=2, n_hidden=4)
    significant = masks_table(model, screen, effects).obs["n_significant"]
    assert significant.to_dict() == {"A": 4, "B": 5, "A+B": 60, "A@0.5+B": 70}
    model = SAMSVAE(screen, combinations="sum", n_latent=2, n_hidden=4)
    significant = masks_table(model, screen, effects).obs["n_significant"]
    assert significant.to_dict() == {"A": 4, "B": 5}


def test_truth_follows_the_order_of_the_screen(prepared: PreparedRun) -> None:
    table = ad.read_h5ad(prepared.folder / "explorer" / "masks.h5ad")
    screen = prepared.screen
    assert screen.truth is not None
    rows = pd.Index(screen.truth["perturbations"].astype(str)).get_indexer(table.obs_names)
    np.testing.assert_array_equal(table.uns["truth_mask"], screen.truth["mask"][rows])
    match = match_truth(table)
    assert match is not None
    assert match.f1 == match_masks(table.uns["truth_mask"], np.asarray(table.X) > 0.5).f1
    assert true_mask(small_screen()) is None
