"""The effects page in each of its states."""

from __future__ import annotations

from pathlib import Path

import pytest

from sams_core.explorer import controls
from tests.pages.conftest import OpenPage
from tests.support.example_run import DOUBLES, GENES, SINGLES

pytestmark = pytest.mark.usefixtures("example_runs")

VIEWS = ("One perturbation", "One gene", "All perturbations")


def figures(app) -> int:  # type: ignore[no-untyped-def]
    return len(app.get("plotly_chart"))


def test_opens_on_the_perturbation_with_the_most_significant_genes(open_page: OpenPage) -> None:
    app = open_page("effects")
    assert not app.exception
    assert not app.error
    assert app.selectbox(key="condition").value in {*SINGLES, *DOUBLES}
    assert [metric.label for metric in app.metric][:2] == [
        "Pearson, all genes",
        "Pearson, top 20 genes",
    ]
    assert figures(app) == 1
    table = app.dataframe[0].value
    assert len(table) == len(GENES)
    assert table[["model", "data"]].abs().max(axis=1).is_monotonic_decreasing


def test_the_address_chooses_the_perturbation_and_the_threshold(open_page: OpenPage) -> None:
    app = open_page("effects", {"condition": "STAT1", "cells": "Held-out cells", "fdr": "20%"})
    assert app.selectbox(key="condition").value == "STAT1"
    assert app.segmented_control(key="cells").value == "Held-out cells"
    assert app.select_slider(key="fdr").value == 20
    assert not app.warning


def test_a_looser_threshold_never_loses_significant_genes(open_page: OpenPage) -> None:
    app = open_page("effects", {"condition": "STAT1"})
    counts = []
    for percent in controls.FDRS:
        app.select_slider(key="fdr").set_value(percent).run()
        counts.append(int(app.metric[3].value))
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


def test_few_held_out_cells_fall_back_to_all_cells(open_page: OpenPage) -> None:
    app = open_page("effects", {"condition": "STAT1"})
    assert app.metric[3].delta.endswith("in all cells")
    app.segmented_control(key="cells").set_value("Held-out cells").run()
    assert app.metric[3].delta.endswith("in held-out cells")


def test_a_condition_without_score_says_so(open_page: OpenPage) -> None:
    app = open_page("effects", {"condition": DOUBLES[1]})
    assert not app.exception
    assert app.metric[0].value == "–"
    assert app.metric[2].delta == "not seen in training"
    assert any("Too few held-out cells" in text.value for text in app.markdown)


@pytest.mark.parametrize("view", VIEWS)
def test_bad_addresses_fall_back_with_a_notice(open_page: OpenPage, view: str) -> None:
    bad = {"condition": "NOPE", "gene": "NOPE", "cells": "x", "fdr": "77%", "gene_top": "x"}
    app = open_page("effects", {"effects_view": view, **bad})
    assert not app.exception
    assert figures(app) == 1
    assert len(app.warning) == dict(zip(VIEWS, (3, 2, 0), strict=True))[view]


def test_one_gene_lists_every_condition(open_page: OpenPage) -> None:
    app = open_page("effects", {"effects_view": VIEWS[1], "gene": "GENE07"})
    assert not app.exception
    assert app.selectbox(key="gene").value == "GENE07"
    assert set(app.dataframe[0].value.index) == {*SINGLES, *DOUBLES}
    app.toggle(key="gene_all_cells").set_value(False).run()
    assert not app.exception


def test_all_perturbations_are_sorted_by_fit(open_page: OpenPage) -> None:
    app = open_page("effects", {"effects_view": VIEWS[2]})
    assert not app.exception
    table = app.dataframe[0].value
    scores = table["pearson"].dropna()
    assert scores.is_monotonic_decreasing
    assert table.index[-1] == DOUBLES[1]


def test_another_checkpoint_keeps_or_drops_the_choice(
    open_page: OpenPage, example_folder: Path
) -> None:
    app = open_page("effects", {"condition": "MYC"})
    app.selectbox(key="run").set_value("simulated").run()
    assert not app.exception
    assert app.selectbox(key="condition").value == "MYC"
