from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sams_core.analysis.enrichment import COLUMNS, enrich
from sams_core.data.gene_sets import read_gmt
from tests.conftest import ROOT

BACKGROUND = [f"g{i}" for i in range(60)]
SETS = {
    "one": {
        "hit": ["g0", "g1", "g2", "g3", "elsewhere"],
        "same": ["g0", "g10", "g20"],
        "no overlap": ["g40", "g41"],
        "single": ["g0", "elsewhere"],
        "everything": BACKGROUND,
    },
    "two": {"hit": ["g1", "g2", "g50"]},
}


def test_agrees_with_fisher_and_hypergeometric_tests() -> None:
    chosen = ["g3", "g1", "g2", "g1", "unknown", "g30", "g0"]
    result = enrich(chosen, SETS, BACKGROUND)
    assert (result.n_chosen, result.n_outside, result.n_background) == (5, 1, 60)
    assert result.n_tested == 5
    assert set(zip(result.table["collection"], result.table["set"], strict=True)) == {
        ("one", "hit"),
        ("one", "same"),
        ("one", "everything"),
        ("two", "hit"),
    }
    inside = set(chosen) & set(BACKGROUND)
    for row in result.table.itertuples():
        members = set(SETS[str(row.collection)][str(row.set)]) & set(BACKGROUND)
        both = len(members & inside)
        cells = np.array(
            [
                [both, len(members) - both],
                [len(inside) - both, 60 - len(members) - len(inside) + both],
            ]
        )
        assert row.overlap == both
        assert row.set_size == len(members)
        assert row.expected == pytest.approx(len(members) * 5 / 60)
        fisher = stats.fisher_exact(cells, alternative="greater").pvalue
        assert row.p_value == pytest.approx(fisher, rel=1e-9)
        assert row.p_value == pytest.approx(stats.hypergeom.sf(both - 1, 60, len(members), 5))
        padded = cells + 0.5
        odds = padded[0, 0] * padded[1, 1] / (padded[0, 1] * padded[1, 0])
        assert row.odds_ratio == pytest.approx(odds)


def test_members_keep_the_order_of_the_list() -> None:
    table = enrich(["g3", "g0", "g2"], SETS, BACKGROUND).table
    assert table.iloc[0]["members"] == "g3, g0, g2"
    assert list(table.columns) == list(COLUMNS)


def test_fdr_counts_sets_without_overlap() -> None:
    result = enrich(["g0", "g1", "g2", "g3"], SETS, BACKGROUND)
    p_values = [*result.table["p_value"], *[1.0] * (result.n_tested - len(result.table))]
    expected = stats.false_discovery_control(p_values)[: len(result.table)]
    np.testing.assert_allclose(result.table["fdr"], expected)
    many = {"c": {**SETS["one"], **{f"empty {i}": ["g58", "g59"] for i in range(200)}}}
    more = enrich(["g0", "g1", "g2", "g3"], many, BACKGROUND)
    assert more.table["fdr"].iloc[0] > result.table["fdr"].iloc[0]


def test_fdr_is_uniform_enough_under_the_null() -> None:
    """Random lists find something at an FDR of 5 % in about 5 % of the cases or fewer."""
    generator = np.random.default_rng(0)
    sets = {"c": {f"s{i}": list(generator.choice(BACKGROUND, 12, False)) for i in range(30)}}
    found = [
        not enrich(generator.choice(BACKGROUND, 10, False), sets, BACKGROUND).enriched.empty
        for _ in range(200)
    ]
    assert np.mean(found) < 0.08


@pytest.mark.parametrize(
    ("chosen", "background", "sets", "words"),
    [
        ([], BACKGROUND, SETS, "nothing to test: no name"),
        (["g0"], [], SETS, "nothing to test: no name"),
        (["other"], BACKGROUND, SETS, "1 of the list is not among them"),
        (["g0"], BACKGROUND, {}, "no gene set has 2"),
        (["g0"], BACKGROUND, SETS, "No gene set is enriched among one name"),
        (["g0", "g1", "g2", "g3"], BACKGROUND, SETS, "hit holds 4 of 4 where 0.3"),
    ],
)
def test_says_what_was_found(
    chosen: list[str], background: list[str], sets: dict[str, dict[str, list[str]]], words: str
) -> None:
    result = enrich(chosen, sets, background)
    assert words in result.finding
    if "nothing" in words:
        assert result.table.empty
        assert list(result.table.columns) == list(COLUMNS)


def test_interferon_genes_are_found_in_the_embedded_sets() -> None:
    hallmark = read_gmt(ROOT / "assets" / "gene_sets" / "hallmark.gmt")
    background = sorted({gene for genes in hallmark.values() for gene in genes})
    chosen = ["STAT1", "IRF1", "JAK2", "CXCL10", "GBP4", "IFI35", "PSMB9", "TAP1"]
    result = enrich(chosen, {"Hallmark": hallmark}, background, kind="genes of any set")
    assert "INTERFERON_GAMMA" in result.table["set"].iloc[0]
    assert "genes of any set" in result.finding
