"""The effects page in each of its states."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from sams_core.explorer import controls
from sams_core.explorer.effect_condition import PLOTS
from sams_core.explorer.effect_page import VIEWS
from tests.pages.conftest import OpenPage
from tests.support.example_run import DOUBLES, GENES, SINGLES, write_example_run, write_manifest
from tests.support.snippets import check_snippets

pytestmark = pytest.mark.usefixtures("example_runs")

FIGURES = {
    "Model against data": "effect_scatter",
    "Volcano": "effect_volcano",
    "MA": "effect_ma",
    "Surprising genes": "effect_residuals",
}
OWN = b"My pathway\tx\tGENE01\tGENE02\tGENE03\tELSEWHERE\nAlone\tx\tGENE05\n"


def figures(app: AppTest) -> int:
    return len(app.get("plotly_chart"))


def words(app: AppTest) -> str:
    told = [*app.markdown, *app.caption, *app.info, *app.warning]
    return "\n".join(block.value for block in told)


def test_opens_on_the_perturbation_with_the_most_significant_genes(open_page: OpenPage) -> None:
    app = open_page("effects")
    assert not app.exception
    assert not app.error
    assert app.selectbox(key="condition").value in {*SINGLES, *DOUBLES}
    assert [metric.label for metric in app.metric] == [
        "Pearson", "Pearson, top 20", "Trained / held out", "Significant genes", "Outside 90%",
    ]  # fmt: skip
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
    assert app.metric[3].delta == f"of {len(GENES)}, all"
    app.segmented_control(key="cells").set_value("Held-out cells").run()
    assert app.metric[3].delta == f"of {len(GENES)}, held out"


def test_a_condition_without_score_says_so(open_page: OpenPage) -> None:
    app = open_page("effects", {"condition": DOUBLES[1]})
    assert not app.exception
    assert app.metric[0].value == "–"
    assert app.metric[2].delta == "not seen in training"
    assert "Too few held-out cells" in words(app)


@pytest.mark.parametrize("plot", PLOTS)
def test_every_view_of_a_condition_and_its_python(
    open_page: OpenPage, example_folder: Path, plot: str
) -> None:
    app = open_page("effects", {"run": "real", "condition": "STAT1", "effect_plot": plot})
    assert not app.exception
    assert not app.warning
    assert figures(app) == 1
    table = app.dataframe[0].value
    order = "residual_z" if plot == "Surprising genes" else "model"
    by = table[["model", "data"]].abs().max(axis=1) if order == "model" else table[order].abs()
    assert by.is_monotonic_decreasing
    outside = table["outside"][np.isfinite(table["ppc_p"])]
    assert app.metric[4].value == f"{outside.mean():.0%}"
    check_snippets(app, example_folder / "real", {FIGURES[plot]})


def test_the_table_has_every_statistic(open_page: OpenPage) -> None:
    table = open_page("effects", {"condition": "STAT1"}).dataframe[0].value
    assert {
        "model", "model_se", "effect_low", "effect_high", "model_p", "model_fdr", "data", "data_se",
        "statistic", "p_value", "fdr", "predicted_low", "predicted_high", "predicted_sd", "ppc_p",
        "ppc_fdr", "outside", "residual", "residual_z", "mean_control", "frac_detected", "n_cells",
        "n_control_cells", "seen_in_training",
    } <= set(table.columns)  # fmt: skip
    checked = table[np.isfinite(table["ppc_p"])]
    assert (checked["predicted_low"] < checked["predicted_high"]).all()
    assert checked["ppc_p"].between(0, 1).all()


def test_own_gene_sets_filter_the_genes(open_page: OpenPage, example_folder: Path) -> None:
    app = open_page("effects", {"run": "real", "condition": "STAT1"})
    app.file_uploader[0].upload("mine.gmt", OWN, "text/plain").run()
    assert "Alone" not in app.selectbox(key="gene_set").options
    app.selectbox(key="gene_set").set_value("My pathway").run()
    assert not app.exception
    assert {*app.dataframe[0].value.index} == {"GENE01", "GENE02", "GENE03"}
    assert app.metric[3].delta == "of 3, all"
    assert "Shown: 3 genes of **My pathway**" in words(app)
    check_snippets(app, example_folder / "real", {"effect_scatter"})
    app.session_state["effects_view"] = VIEWS[2]
    app.run()
    app.selectbox(key="genes_from").set_value("My pathway").run()
    assert "of the 3 genes" in words(app)


@pytest.mark.parametrize("view", VIEWS)
def test_bad_addresses_fall_back_with_a_notice(open_page: OpenPage, view: str) -> None:
    bad = {
        "condition": "NOPE", "gene": "NOPE", "cells": "x", "fdr": "77%", "gene_top": "x",
        "gene_set": "NOPE", "effect_plot": "NOPE", "genes_from": "NOPE", "genes_sort": "NOPE",
        "genes_top": "1000", "genes_plot": "NOPE",
    }  # fmt: skip
    app = open_page("effects", {"effects_view": view, **bad})
    assert not app.exception
    assert figures(app) == 1
    assert len(app.warning) == dict(zip(VIEWS, (5, 2, 4, 0), strict=True))[view]


def test_one_gene_lists_every_condition(open_page: OpenPage, example_folder: Path) -> None:
    query = {"run": "real", "effects_view": VIEWS[1], "gene": "GENE07"}
    app = open_page("effects", query)
    assert not app.exception
    assert app.selectbox(key="gene").value == "GENE07"
    assert set(app.dataframe[0].value.index) == {*SINGLES, *DOUBLES}
    app.toggle(key="gene_all_cells").set_value(False).run()
    assert not app.exception
    check_snippets(app, example_folder / "real", {"gene_dots"})


@pytest.mark.parametrize(
    ("plot", "key"), [("Heatmap", "effect_heatmap"), ("Mean effects", "list_dots")]
)
def test_a_pasted_list_is_looked_up(
    open_page: OpenPage, example_folder: Path, plot: str, key: str
) -> None:
    query = {
        "run": "real",
        "effects_view": VIEWS[2],
        "genes_from": "Pasted list",
        "genes_plot": plot,
    }
    app = open_page("effects", query)
    assert figures(app) == 0
    assert "Paste the symbols" in words(app)
    app.text_area(key="genes").set_value("gene01, GENE02;GENE03\nnot_a_gene").run()
    assert not app.exception
    assert r"1 of 4 names are not among this screen's 40 genes and are left out: not\_a\_gene." in (
        words(app)
    )
    table = app.dataframe[0].value
    assert set(table.index) == {*SINGLES, *DOUBLES}
    effects = ad.read_h5ad(example_folder / "real" / "explorer" / "effects.h5ad")
    by_hand = pd.DataFrame(effects.X, effects.obs_names, effects.var_names)[list(GENES[1:4])]
    np.testing.assert_allclose(table["model"], by_hand.mean(axis=1)[table.index], rtol=1e-5)
    check_snippets(app, example_folder / "real", {key})


def test_a_list_can_be_ranked_whatever_its_direction(open_page: OpenPage) -> None:
    app = open_page("effects", {"effects_view": VIEWS[2], "genes_sort": "Size, any direction"})
    table = app.dataframe[0].value
    assert table[["model_size", "data_size"]].max(axis=1).is_monotonic_decreasing
    assert "of the 30 genes" in words(app)


def test_all_perturbations_are_sorted_by_fit(open_page: OpenPage, example_folder: Path) -> None:
    app = open_page("effects", {"run": "real", "effects_view": VIEWS[3]})
    assert not app.exception
    table = app.dataframe[0].value
    scores = table["pearson"].dropna()
    assert scores.is_monotonic_decreasing
    assert table.index[-1] == DOUBLES[1]
    check_snippets(app, example_folder / "real", {"fits"})


def test_another_checkpoint_keeps_or_drops_the_choice(
    open_page: OpenPage, example_folder: Path
) -> None:
    app = open_page("effects", {"condition": "MYC"})
    app.selectbox(key="run").set_value("simulated").run()
    assert not app.exception
    assert app.selectbox(key="condition").value == "MYC"


@pytest.mark.parametrize("family", ["cpa_vae", "svae_plus", "conditional_vae"])
def test_families_without_a_mask_have_intervals_too(
    open_page: OpenPage, runs_at: Callable[[Path], None], tmp_path: Path, family: str
) -> None:
    runs_at(write_example_run(tmp_path / "run", title="A screen", family=family).parent)
    for condition in (SINGLES[0], DOUBLES[0]):
        app = open_page("effects", {"condition": condition, "effect_plot": "Surprising genes"})
        assert not app.exception
        assert not app.error
        assert app.dataframe[0].value["predicted_low"].notna().any()


def test_conditions_measured_in_no_cell_or_two(
    open_page: OpenPage, runs_at: Callable[[Path], None], tmp_path: Path
) -> None:
    folder = write_example_run(tmp_path / "run", title="A tiny screen")
    path = folder / "explorer" / "effects.h5ad"
    effects = ad.read_h5ad(path)
    effects.obs["n_cells"], effects.obs["n_cells_test"] = 2, 0
    for layer in ("data_ate", "data_se", "statistic", "pvalue", "fdr"):
        effects.layers[f"{layer}_test"][:] = np.nan
    effects.obs[["pearson", "pearson_top20", "ceiling", "ceiling_top20"]] = np.nan
    effects.write_h5ad(path)
    write_manifest(folder)
    runs_at(tmp_path)
    for plot in PLOTS:
        app = open_page("effects", {"effect_plot": plot, "cells": "Held-out cells"})
        assert not app.exception
        assert not app.error
        assert app.metric[4].value == "–"
        app.segmented_control(key="cells").set_value("All cells").run()
        assert not app.exception
        assert app.metric[4].value != "–"
    for view in VIEWS[1:]:
        app = open_page("effects", {"effects_view": view})
        assert not app.exception
