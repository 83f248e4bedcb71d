"""Names and the order of genes are arbitrary: the same seed finds the same masks."""

from __future__ import annotations

from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from sams_core.api import CPAVAE, FAMILIES, SAMSVAE, ConditionalVAE, SVAEPlus
from sams_core.data import Screen, SimulationConfig, simulate_screen
from sams_core.models.order import perturbation_rank

TOLERANCE = 1e-4
"""Largest difference of an inclusion probability or an effect: sums over genes and perturbations
are taken in another order, and training amplifies their rounding errors."""
CONFIG = SimulationConfig(
    n_perturbations=6, n_latent=3, n_genes=30, cells_per_perturbation=40, n_control=60,
    mask_density=0.4, n_doubles=2,
)  # fmt: skip
TRAINING: dict[str, Any] = {
    "max_steps": 80, "validation_every": 20, "batch_size": 64, "learning_rate": 1e-2,
    "embedding_learning_rate": 5e-2, "mask_learning_rate": 0.2,
}  # fmt: skip


def screen_of(adata: ad.AnnData) -> Screen:
    return Screen.from_anndata(adata, perturbation_key="perturbation", control="control")


def relabelled(adata: ad.AnnData, seed: int) -> tuple[ad.AnnData, dict[str, str]]:
    """The same cells with genes in another order and perturbations under each other's names."""
    rng = np.random.default_rng(seed)
    names = [f"P{number:03d}" for number in range(1, CONFIG.n_perturbations + 1)]
    names = [name for name in names if name in set(adata.obs["perturbation"])]
    new = dict(zip(names, rng.permutation(names), strict=True))
    labels = adata.obs["perturbation"].astype(str)
    labels = labels.map(lambda text: "+".join(new.get(part, part) for part in text.split("+")))
    genes = rng.permutation(adata.n_vars)
    moved = ad.AnnData(
        X=sparse.csr_matrix(adata.X)[:, genes],
        obs=pd.DataFrame({"perturbation": labels}),
        var=adata.var.iloc[genes],
    )
    return moved, new


@pytest.mark.parametrize("kind", list(FAMILIES.values()))
@pytest.mark.parametrize("seed", [0, 2])
def test_relabelling_and_reordering_permute_the_model_and_change_nothing_else(
    kind: type[SAMSVAE | CPAVAE | SVAEPlus | ConditionalVAE], seed: int
) -> None:
    adata = simulate_screen(CONFIG)
    moved, new = relabelled(adata, seed)
    split = np.array(["train", "train", "val", "test"])[np.arange(adata.n_obs) % 4]
    first, second = (
        kind(screen_of(cells), split=split, seed=3, n_latent=4, n_hidden=16, combinations="sum")
        for cells in (adata, moved)
    )
    for model in (first, second):
        model.train(progress=False, **TRAINING)
    curves = [model.history.drop(columns="seconds") for model in (first, second)]
    pd.testing.assert_frame_equal(curves[0], curves[1], atol=1e-3, rtol=1e-5)
    masks = [model.mask_probabilities() for model in (first, second)]
    renamed = masks[1].loc[[new[name] for name in masks[0].index]].to_numpy()
    assert float(np.abs(masks[0].to_numpy() - renamed).max()) <= TOLERANCE
    genes = second.gene_names.get_indexer(first.gene_names)
    heads = [model.module.decoder_head.weight.detach() for model in (first, second)]
    assert float((heads[0] - heads[1][genes]).abs().max()) <= TOLERANCE
    if kind is SAMSVAE:
        assert 0 < (masks[0] > 0.5).to_numpy().mean() < 1, "a mask that says nothing"


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_perturbations_rank_by_the_cells_that_carry_them(seed: int) -> None:
    rng = np.random.default_rng(seed)
    dosages = (rng.random((12, 5)) < 0.3).astype(float)
    rank = perturbation_rank(sparse.csr_matrix(dosages)).tolist()
    cells = [tuple(np.flatnonzero(column)) for column in dosages.T]
    assert [cells[rank.index(place)] for place in range(5)] == sorted(cells)
    moved = rng.permutation(5)
    again = perturbation_rank(sparse.csr_matrix(dosages[:, moved])).tolist()
    if len(set(cells)) == 5:
        assert again == [rank[t] for t in moved]
