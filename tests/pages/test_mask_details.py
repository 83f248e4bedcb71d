"""The details of the masks page: what is told of a latent dimension and of a perturbation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from sams_core.analysis.perturbation_details import shift_cosines
from sams_core.api import load_model
from tests.pages.conftest import OpenPage
from tests.pages.test_masks import words
from tests.support.example_run import write_example_run, write_manifest

pytestmark = pytest.mark.usefixtures("example_runs")


@pytest.fixture(scope="session")
def family_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mask_families")
    for family in ("cpa_vae", "svae_plus"):
        write_example_run(folder / family, title=f"Screen of {family}", family=family)
    return folder


@pytest.fixture
def family_runs(family_folder: Path, runs_at: Callable[[Path], None]) -> Path:
    runs_at(family_folder)
    return family_folder


def boxes(app: AppTest) -> dict[str, Any]:
    return {str(box.key): box.value for box in app.selectbox}


def headings(app: AppTest) -> list[str]:
    return [heading.value for heading in app.subheader]


def columns(app: AppTest) -> list[set[str]]:
    return [set(table.value.columns) for table in app.dataframe]


def test_nothing_is_told_until_something_is_chosen(open_page: OpenPage) -> None:
    app = open_page("masks")
    assert "Click a cell" in app.info[0].value
    assert headings(app) == ["Who opens what"]
    app.button(key="mask_start").click().run()
    assert headings(app)[0] == "Latent dimension z0"
    assert boxes(app)["mask_latent"] == "z0"
    assert app.query_params["mask_latent"] == "z0"


@pytest.mark.parametrize("tab", ["Genes", "Perturbations", "Gene sets", "Cells"])
def test_a_latent_dimension_is_told_in_every_tab(open_page: OpenPage, tab: str) -> None:
    app = open_page("masks", {"mask_latent": "z0", "mask_latent_tab": tab})
    assert not app.exception
    assert "open **z0**" in words(app)
    charts = [chart.proto.alt for chart in app.get("plotly_chart")]
    assert len(charts) == {"Genes": 2, "Cells": 2}.get(tab, 1)
    assert all(charts)
    if tab == "Perturbations":
        (table,) = (t.value for t in app.dataframe if "inclusion" in t.value.columns)
        assert set(table.index) == {"IFNGR1", "IFNGR2", "JAK2", "STAT1"}
        assert (table["effect"].abs().diff().dropna() <= 0).all()
    if tab == "Gene sets":
        assert "Background: the 8 perturbed genes of this screen" in words(app)
        assert "Background: the 40 genes of the model" in words(app)


def test_perturbations_of_one_dimension_are_enriched_in_their_pathway(open_page: OpenPage) -> None:
    app = open_page("masks", {"mask_latent": "z0", "mask_latent_tab": "Gene sets"})
    tables = [t.value for t in app.dataframe if "odds_ratio" in t.value.columns]
    assert tables[0].iloc[0]["set"] == "Interferon gamma signaling"
    assert tables[0].iloc[0]["overlap"] == 4


@pytest.mark.parametrize("tab", ["Mask and effect", "Nearest", "Genes"])
def test_a_perturbation_is_told_in_every_tab(open_page: OpenPage, tab: str) -> None:
    app = open_page("masks", {"mask_perturbation": "STAT1", "mask_perturbation_tab": tab})
    assert not app.exception
    assert headings(app)[0] == "Perturbation STAT1"
    assert "**STAT1** opens 2 of 6 latent dimensions: z" in words(app)
    expected = {"Mask and effect": "n_others", "Nearest": "cosine", "Genes": "model_rank"}[tab]
    assert any(expected in names for names in columns(app))


def test_a_cell_tells_of_both_and_either_can_be_read(open_page: OpenPage) -> None:
    query = {"mask_perturbation": "STAT1", "mask_latent": "z1"}
    app = open_page("masks", query)
    assert "**STAT1** opens **z1** (inclusion probability 0." in words(app)
    assert headings(app)[0] == "Latent dimension z1"
    frames = [shape for shape in figure_of_map(app)["layout"]["shapes"] if shape["type"] == "rect"]
    assert len(frames) == 2
    app.segmented_control(key="mask_about").set_value("Perturbation").run()
    assert headings(app)[0] == "Perturbation STAT1"


def figure_of_map(app: AppTest) -> dict[str, Any]:
    return dict(json.loads(app.get("plotly_chart")[0].proto.spec))


@pytest.mark.parametrize(
    "query",
    [
        {"mask_latent": "z99"},
        {"mask_perturbation": "nobody"},
        {"mask_order": "Magic"},
        {"mask_rows": "Magic"},
        {"mask_only_group": "Magic"},
        {"mask_scale": "Magic"},
        {"mask_compare": "Magic"},
    ],
)
def test_an_unknown_name_in_the_address_is_told_and_left(
    open_page: OpenPage, query: dict[str, str]
) -> None:
    app = open_page("masks", query)
    assert not app.exception
    assert next(iter(query.values())) in app.warning[0].value
    assert headings(app) == ["Who opens what"]


@pytest.mark.parametrize(
    "query", [{"mask_latent": "z0", "mask_latent_tab": "Magic"}, {"mask_about": "Magic"}]
)
def test_an_unknown_tab_in_the_address_falls_back(
    open_page: OpenPage, query: dict[str, str]
) -> None:
    app = open_page("masks", {"mask_perturbation": "STAT1", **query})
    assert not app.exception


def test_a_choice_that_the_next_checkpoint_lacks_is_dropped(
    open_page: OpenPage, example_folder: Path
) -> None:
    app = open_page("masks", {"run": "real", "mask_latent": "z5", "mask_unused": "true"})
    assert "No perturbation opens **z5**" in words(app)
    app.selectbox(key="run").set_value("simulated").run()
    assert not app.exception
    assert headings(app)[0] == "Latent dimension z5"


@pytest.mark.parametrize("family", ["cpa_vae", "svae_plus"])
@pytest.mark.parametrize(
    "query",
    [
        {"mask_latent": "z1"},
        {"mask_latent": "z1", "mask_latent_tab": "Gene sets"},
        {"mask_latent": "z1", "mask_latent_tab": "Perturbations"},
        {"mask_latent": "z1", "mask_latent_tab": "Cells"},
        {"mask_perturbation": "STAT1"},
        {"mask_perturbation": "STAT1", "mask_perturbation_tab": "Genes"},
        {"mask_perturbation": "STAT1", "mask_latent": "z1"},
    ],
)
def test_details_of_every_family(
    family_runs: Path, open_page: OpenPage, family: str, query: dict[str, str]
) -> None:
    app = open_page("masks", {"run": family, **query})
    assert not app.exception
    assert not app.error
    if family == "cpa_vae":
        assert "hift" in words(app)
        assert not any("inclusion" in names for names in columns(app))


def test_nearest_perturbations_leave_out_those_never_trained(
    runs_at: Callable[[Path], None], tmp_path: Path, open_page: OpenPage
) -> None:
    folder = write_example_run(tmp_path / "run", title="A screen")
    path = folder / "explorer" / "masks.h5ad"
    masks = ad.read_h5ad(path)
    masks.obs.loc["IFNGR1", "n_cells_train"] = 0
    masks.write_h5ad(path)
    write_manifest(folder)
    runs_at(tmp_path)
    query = {"mask_perturbation": "STAT1", "mask_perturbation_tab": "Nearest"}
    app = open_page("masks", query)
    assert not app.exception
    (table,) = (t.value for t in app.dataframe if "cosine" in t.value.columns)
    assert set(table.index) == set(masks.obs_names) - {"STAT1", "IFNGR1"}
    model = load_model(folder)
    names = model.perturbation_names
    cosines = shift_cosines(model, list(names).index("STAT1")).mean(0)
    expected = pd.Series(cosines, names).loc[table.index]
    np.testing.assert_allclose(table["cosine"], expected, atol=1e-6)
