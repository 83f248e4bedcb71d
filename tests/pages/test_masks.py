from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import OpenPage

pytestmark = pytest.mark.usefixtures("example_runs")


def figure(app: AppTest) -> dict[str, Any]:
    (chart,) = app.get("plotly_chart")
    return dict(json.loads(chart.proto.spec))


def latent_names(fig: dict[str, Any], axis: str = "xaxis") -> list[str]:
    return list(fig["layout"][axis]["ticktext"])


def heatmaps(fig: dict[str, Any]) -> list[dict[str, Any]]:
    return [trace for trace in fig["data"] if trace["type"] == "heatmap"]


def words(app: AppTest) -> str:
    return "\n".join(block.value for block in app.markdown)


def test_shows_the_mask_by_pathway_without_unused_latents(open_page: OpenPage) -> None:
    app = open_page("masks")
    assert not app.exception
    fig = figure(app)
    assert set(latent_names(fig)) == {"z0", "z1", "z2"}
    assert [note["text"] for note in fig["layout"]["annotations"]] == [
        "<b>IFN-gamma</b>  4",
        "<b>TGF-beta</b>  2",
        "<b>other</b>  2",
    ]
    assert "6 of 8 perturbations shift at least one latent dimension" in words(app)
    assert app.toggle(key="mask_unused").label == "Unused latents (3)"


def test_chart_has_a_text_alternative_that_states_the_finding(open_page: OpenPage) -> None:
    (chart,) = open_page("masks").get("plotly_chart")
    assert "6 of 8 perturbations" in chart.proto.alt


def test_unused_latents_can_be_shown(open_page: OpenPage) -> None:
    app = open_page("masks")
    app.toggle(key="mask_unused").set_value(True).run()
    assert len(latent_names(figure(app))) == 6


def test_silent_perturbations_can_give_their_room_to_the_others(open_page: OpenPage) -> None:
    app = open_page("masks")
    everyone = figure(app)
    assert app.toggle(key="mask_silent").label == "Silent rows (2)"
    app.toggle(key="mask_silent").set_value(False).run()
    fig = figure(app)
    assert [note["text"] for note in fig["layout"]["annotations"]] == [
        "<b>IFN-gamma</b>  4",
        "<b>TGF-beta</b>  2",
    ]
    assert fig["layout"]["height"] < everyone["layout"]["height"]


@pytest.mark.parametrize(
    ("grouping", "first"),
    [
        ("Reactome signalling gene sets", "<b>Interferon gamma signaling</b>  4"),
        ("pathway", "<b>IFN-gamma</b>  4"),
    ],
)
def test_grouping_comes_from_annotations_or_gene_sets(
    open_page: OpenPage, grouping: str, first: str
) -> None:
    app = open_page("masks", {"mask_group": grouping})
    assert figure(app)["layout"]["annotations"][0]["text"] == first


def test_without_grouping_there_are_no_headers(open_page: OpenPage) -> None:
    app = open_page("masks", {"mask_group": "No grouping"})
    assert "annotations" not in figure(app)["layout"]
    assert "group" not in app.dataframe[0].value


def test_a_shared_link_restores_the_view(open_page: OpenPage) -> None:
    query = {
        "run": "simulated",
        "mask_view": "Signed effect",
        "mask_threshold": "0.8",
        "mask_open": "true",
        "mask_truth": "false",
    }
    app = open_page("masks", query)
    assert app.slider(key="mask_threshold").value == 0.8
    assert app.toggle(key="mask_open").value
    fig = figure(app)
    assert len(heatmaps(fig)) == 1
    assert "Effect" in fig["data"][0]["colorbar"]["title"]["text"]
    assert dict(app.query_params) == query


@pytest.mark.parametrize(
    "query",
    [
        {"mask_view": "Magic"},
        {"mask_group": "no such column"},
        {"mask_threshold": "abc"},
        {"mask_threshold": "7"},
        {"mask_unused": "maybe"},
        {"mask_view": ["Embedding", "Embedding"]},
    ],
)
def test_bad_values_in_the_address_fall_back(open_page: OpenPage, query: dict[str, Any]) -> None:
    app = open_page("masks", query)
    assert not app.exception
    assert not app.error
    assert figure(app)["data"]
    assert app.slider(key="mask_threshold").value in (0.5, 0.95)


@pytest.mark.parametrize("key", ["mask_view", "mask_group"])
def test_an_unknown_choice_in_the_address_is_told(open_page: OpenPage, key: str) -> None:
    assert "Magic" in open_page("masks", {key: "Magic"}).warning[0].value


@pytest.mark.parametrize(("value", "told"), [("abc", True), ("7", True), ("0.8", False)])
def test_an_unusable_threshold_in_the_address_is_told(
    open_page: OpenPage, value: str, told: bool
) -> None:
    assert bool(open_page("masks", {"mask_threshold": value}).warning) is told


def test_truth_lies_beside_the_model_when_simulated(open_page: OpenPage) -> None:
    app = open_page("masks", {"run": "simulated"})
    fig = figure(app)
    assert len(heatmaps(fig)) == 2
    assert set(latent_names(fig, "xaxis2")) == {"z0", "z1", "z2"}
    assert "F1 **1.00**" in words(app)


def test_probabilities_are_held_against_the_truth_when_simulated(
    open_page: OpenPage, example_folder: Path
) -> None:
    masks = ad.read_h5ad(example_folder / "simulated" / "explorer" / "masks.h5ad")
    n, n_true = int((np.float32(0.9) <= masks.X).sum()), int(masks.uns["truth_mask"].sum())
    app = open_page("masks", {"run": "simulated", "mask_threshold": "0.95", "mask_unused": "true"})
    assert n > 1
    assert f"Of the {n} entries reported at 0.9 or above, {n} are real (100%;" in words(app)
    (table,) = (box.value for box in app.dataframe if "mean_probability" in box.value)
    assert table["n"].sum() == masks.X.size
    assert table["n_real"].sum() == n_true
    app.toggle(key="mask_truth").set_value(False).run()
    assert "entries reported" not in words(app)


def test_a_real_screen_offers_no_truth(open_page: OpenPage) -> None:
    app = open_page("masks")
    assert "mask_truth" not in [toggle.key for toggle in app.toggle]
    assert "imulated" not in words(app)


def test_a_threshold_above_everything_says_what_to_do(open_page: OpenPage) -> None:
    app = open_page("masks", {"mask_threshold": "0.95"})
    assert not app.exception
    assert "Lower the threshold" in app.info[0].value
    app.toggle(key="mask_unused").set_value(True).run()
    assert len(latent_names(figure(app))) == 6


def test_tables_follow_the_threshold(open_page: OpenPage) -> None:
    app = open_page("masks")
    by_perturbation, by_latent = (table.value for table in app.dataframe)
    assert by_perturbation.loc["STAT1", "n_open"] == 2
    assert by_perturbation.loc["SPI1", "open_latents"] == ""
    assert set(str(by_latent.loc["z2", "perturbations"]).split(", ")) == {"SMAD4", "TGFBR2"}
    app.slider(key="mask_threshold").set_value(0.05).run()
    assert not app.exception
    assert len(app.get("download_button")) == 2
