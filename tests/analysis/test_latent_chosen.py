"""Composition and top genes of chosen cells, against independent computations."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats

from sams_core.analysis import latent_chosen

N, GENES = 300, ["G0", "G1", "G2", "G3"]


@pytest.fixture(scope="module")
def cells() -> ad.AnnData:
    rng = np.random.default_rng(0)
    counts = rng.poisson([5, 1, 0.3, 8], (N, 4)).astype(np.uint8)
    counts[:, 3] += 1
    counts[:60, 0] += 20
    return ad.AnnData(
        sparse.csr_matrix(counts),
        obs=pd.DataFrame(
            {
                "condition": pd.Categorical(rng.choice(["control", "A", "B"], N)),
                "library_size": counts.sum(1).astype(float),
                "n_perturbations": rng.integers(0, 2, N),
                "depth": rng.normal(size=N),
                "lane": pd.Categorical(rng.choice(["l1", "l2"], N)),
            },
            index=[f"c{i}" for i in range(N)],
        ),
        var=pd.DataFrame(index=GENES),
        obsm={
            "z_basal": rng.normal(size=(N, 2)).astype(np.float32),
            "z": rng.normal(size=(N, 2)).astype(np.float32),
            "X_umap_basal": rng.normal(size=(N, 2)).astype(np.float32),
            "X_umap": rng.normal(size=(N, 2)).astype(np.float32),
        },
    )


@pytest.fixture(scope="module")
def masks() -> ad.AnnData:
    return ad.AnnData(
        np.zeros((2, 2), np.float32),
        obs=pd.DataFrame(
            {"n_cells": 10, "n_significant": 0, "pathway": ["p", "q"]}, index=["A", "B"]
        ),
        var=pd.DataFrame(index=["z0", "z1"]),
    )


@pytest.fixture(scope="module")
def chosen() -> np.ndarray:
    return np.arange(N) < 60


class TestComposition:
    def test_numbers_are_those_of_a_crosstab(self, chosen: np.ndarray) -> None:
        rng = np.random.default_rng(1)
        values = pd.Series(rng.choice(["x", "y", "z"], N), name="kind")
        values[:40] = "x"
        table = latent_chosen.composition(values, chosen)
        counts = pd.crosstab(values, chosen)
        for name in "xyz":
            a, rest = (int(counts[side][name]) for side in (True, False))
            row = {column: float(table[column][name]) for column in table}
            assert (row["chosen"], row["all"]) == (a, a + rest)
            assert row["share_of_category"] == pytest.approx(a / (a + rest))
            assert row["enrichment"] == pytest.approx((a / 60) / ((a + rest) / N))
            # the sum of all hypergeometric outcomes that are no likelier
            each = stats.hypergeom(N, a + rest, 60).pmf(np.arange(61))
            expected = each[each <= each[a] * (1 + 1e-7)].sum()
            assert row["p_value"] == pytest.approx(expected, rel=1e-6)
        assert table.index[0] == "x"
        fdr = stats.false_discovery_control(table["p_value"])
        np.testing.assert_allclose(table["fdr"], fdr)
        assert latent_chosen.tell_composition(table, "kind").startswith(
            f"{table.loc['x', 'share_chosen']:.0%} of them are x"
        )

    def test_chance_is_not_told_as_enrichment(self) -> None:
        rng = np.random.default_rng(2)
        values = pd.Series(rng.choice(["x", "y"], N), name="kind")
        table = latent_chosen.composition(values, rng.random(N) < 0.3)
        assert "No kind is more frequent" in latent_chosen.tell_composition(table, "kind")

    def test_missing_values_are_counted(self, chosen: np.ndarray) -> None:
        values = pd.Series(["x", None, "y"] * 100, name="kind")
        table = latent_chosen.composition(values, chosen)
        assert table.loc[latent_chosen.MISSING, "all"] == 100
        assert table["all"].sum() == N

    @pytest.mark.parametrize("everyone", [True, False])
    def test_all_cells_or_none(self, everyone: bool) -> None:
        values = pd.Series(["x", "y"] * 10, name="kind")
        table = latent_chosen.composition(values, np.full(20, everyone))
        assert (table["p_value"] == 1).all()
        assert (table["chosen"] == (10 if everyone else 0)).all()

    def test_only_categories_can_be_counted(self, cells: ad.AnnData) -> None:
        columns = ["perturbation", "pathway", "lane", "depth", "n_perturbations"]
        assert latent_chosen.composition_columns(cells, columns) == [
            *("perturbation", "pathway", "lane")
        ]


class TestGenes:
    def test_measured_means_of_log_normalised_counts(
        self, cells: ad.AnnData, chosen: np.ndarray
    ) -> None:
        table = latent_chosen.top_genes(cells, chosen)
        counts = cells.X.toarray().astype(float)
        values = np.log2(1e4 * counts / counts.sum(1, keepdims=True) + 1)
        expected = values[chosen].mean(0) - values[~chosen].mean(0)
        np.testing.assert_allclose(table.loc[GENES, "difference"], expected, rtol=1e-6)
        seen = (cells.X.toarray()[~chosen] > 0).mean(0)
        np.testing.assert_allclose(table.loc[GENES, "detected_others"], seen)
        assert (np.diff(table["difference"].abs()) <= 0).all()
        assert "Higher in them: G0" in latent_chosen.tell_genes(table)

    def test_others_can_be_only_some(self, cells: ad.AnnData, chosen: np.ndarray) -> None:
        among = np.arange(N) < 150
        table = latent_chosen.top_genes(cells, chosen, among=among)
        again = latent_chosen.top_genes(cells[:150], chosen[:150])
        pd.testing.assert_frame_equal(table, again)

    def test_alike_cells_differ_in_nothing(self) -> None:
        table = pd.DataFrame({"difference": [0.05, -0.02]}, index=["G0", "G1"])
        assert latent_chosen.tell_genes(table).startswith("No gene's mean differs")


def test_the_cells_table_has_all_that_is_known(
    cells: ad.AnnData, masks: ad.AnnData, chosen: np.ndarray
) -> None:
    table = latent_chosen.cell_table(cells, masks, chosen, ["pathway"], control="control")
    assert list(table.index) == [f"c{i}" for i in range(60)]
    assert table.index.name == "cell"
    pathway = cells.obs["condition"][:60].map({"control": "control", "A": "p", "B": "q"})
    assert list(table["pathway"]) == list(pathway)
    np.testing.assert_array_equal(table["full_z1"], cells.obsm["z"][:60, 1])
    np.testing.assert_array_equal(table["basal_z0"], cells.obsm["z_basal"][:60, 0])
    np.testing.assert_array_equal(table["umap_full_2"], cells.obsm["X_umap"][:60, 1])
