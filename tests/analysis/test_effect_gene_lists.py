"""Reverse look-up of gene lists: the text, the ranking and the heatmap's matrices."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sams_core.analysis import effect_gene_lists as lists

GENES = [f"G{i}" for i in range(40)]
CONDITIONS = ["A", "B", "C_x", "D"]


@pytest.fixture
def effects() -> ad.AnnData:
    """A lowers G0 to G7, B raises half of them, C does nothing, D has no held-out cell."""
    rng = np.random.default_rng(0)
    model = np.zeros((4, 40))
    model[0, :8], model[1, :4], model[1, 4:8] = -2.0, 1.5, -1.5
    data = model + rng.normal(0, 0.1, model.shape)
    test = data.copy()
    test[3] = np.nan
    fdr = np.where(np.abs(model) > 0, 1e-4, 0.7)
    return ad.AnnData(
        model,
        obs=pd.DataFrame(
            {"n_cells": [50, 40, 30, 20], "n_cells_test": [10, 9, 8, 0],
             "seen_in_training": [True, True, False, True]},
            index=CONDITIONS,
        ),
        var=pd.DataFrame({"symbol": GENES}, index=[f"id{i}" for i in range(40)]),
        layers={
            "data_ate": data, "data_ate_test": test, "fdr": fdr,
            "fdr_test": np.where(np.isnan(test), np.nan, fdr),
        },
    )  # fmt: skip


@pytest.mark.parametrize("text", ["G1 G2 G3", "G1,G2;G3", "g1\n'G2'\t\"g3\"\r\n", " G1  G2 G1 G3 "])
def test_pasted_lists(text: str) -> None:
    assert lists.parse_genes(text, GENES) == (["G1", "G2", "G3"], [])


def test_unknown_and_ambiguous_words() -> None:
    got = lists.parse_genes("Abc ABC aBC zzz G1", ["Abc", "ABC", "G1"])
    assert got == (["Abc", "ABC", "G1"], ["aBC", "zzz"])
    assert lists.parse_genes(" ,; \n", GENES) == ([], [])


def test_sets_keep_their_genes_in_the_screen_and_get_names_of_their_own() -> None:
    mine = {"S": ["G2", "other", "G1", "G2"], "small": ["G1", "x"]}
    got = lists.sets_of_screen({"Mine": mine, "Hallmark": {"S": ["G3", "G4"]}}, GENES)
    assert got == {"S": ["G2", "G1"], "S (Hallmark)": ["G3", "G4"]}


def test_every_column_by_hand(effects: ad.AnnData) -> None:
    genes = GENES[:8]
    got = lists.gene_list_table(effects, genes, cells="all")
    assert list(got.index[:1]) == ["A"]
    for name, measured in zip(CONDITIONS, effects.layers["data_ate"], strict=True):
        row = got.T[name]
        mine, rest = measured[:8], measured[8:]
        assert row["data"] == pytest.approx(sum(mine) / 8)
        assert row["data_size"] == pytest.approx(np.linalg.norm(mine) / np.sqrt(8))
        u = sum((a > b) for a in mine for b in rest)  # no ties
        z = (abs(u - 8 * 32 / 2) - 0.5) / np.sqrt(8 * 32 * 41 / 12)
        assert row["p_value"] == pytest.approx(min(1, 2 * stats.norm.sf(z)))
    assert got["model"].to_dict() == {"A": -2, "B": 0, "C_x": 0, "D": 0}
    assert got["model_size"].to_dict() == {"A": 2, "B": 1.5, "C_x": 0, "D": 0}
    assert got["n_significant"].to_dict() == {"A": 8, "B": 8, "C_x": 0, "D": 0}
    by_hand = stats.false_discovery_control(got["p_value"])
    np.testing.assert_allclose(got["fdr"], by_hand)
    assert got["fdr"]["A"] < 0.001 < got["fdr"]["C_x"]
    assert lists.by_size(got, ("model_size", "data_size")).index[1] == "B"


def test_what_was_not_measured_stays_unknown(effects: ad.AnnData) -> None:
    got = lists.gene_list_table(effects, GENES[:8], cells="held-out")
    assert got.T["D"][["data", "data_size", "p_value", "fdr"]].isna().all()
    assert got["n_significant"]["D"] == 0
    assert got["n_cells"].to_dict() == dict(zip(CONDITIONS, [10, 9, 8, 0], strict=True))
    assert got["fdr"].notna().sum() == 3


@pytest.mark.parametrize("genes", [GENES[:1], GENES[:2], GENES])
def test_lists_that_cannot_be_tested(effects: ad.AnnData, genes: list[str]) -> None:
    got = lists.gene_list_table(effects, genes, cells="all")
    assert got["p_value"].isna().all()
    assert got["data"].notna().all()


def test_matrices_hold_the_tables_numbers_and_put_like_beside_like(effects: ad.AnnData) -> None:
    genes = [GENES[i] for i in (0, 20, 1, 21, 2, 22)]
    model, data = lists.effect_matrices(effects, CONDITIONS, genes, cells="held-out")
    assert model.index.equals(data.index)
    assert model.columns.equals(data.columns)
    for name in CONDITIONS:
        for gene in genes:
            place = CONDITIONS.index(name), GENES.index(gene)
            assert model[gene][name] == np.asarray(effects.X)[place]
            measured = effects.layers["data_ate_test"][place]
            assert data[gene][name] == pytest.approx(measured, nan_ok=True)
    places = sorted(list(model.columns).index(gene) for gene in ("G0", "G1", "G2"))
    assert places[2] - places[0] == 2
    assert data.T["D"].isna().all()


def test_the_most_moved_genes(effects: ad.AnnData) -> None:
    assert set(lists.most_moved_genes(effects, limit=8)) == set(GENES[:8])
    assert len(lists.most_moved_genes(effects, limit=99)) == 40


def test_words(effects: ad.AnnData) -> None:
    table = lists.gene_list_table(effects, GENES[:8], cells="all")
    told = lists.describe_gene_list(table, 8, 0.05)
    assert told.startswith("**2 of 4 perturbations** change at least one of the 8 genes")
    assert told.endswith("the list shifts as a whole: A lowers it.")
    quiet = lists.gene_list_table(effects, GENES[20:21], cells="all")
    assert "No measured perturbation changes any of the 1 gene" in (
        lists.describe_gene_list(quiet, 1, 0.05)
    )
    alone = lists.describe_gene_list(table.loc[["A"]].rename({"A": "a_b"}), 8, 0.05)
    assert r"a\_b the most, 8." in alone
