from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from sams_core.analysis import mask_groups
from tests.pages.conftest import OpenPage
from tests.support.seeds import write_seeds

pytestmark = pytest.mark.usefixtures("example_runs")


def figure(app: AppTest) -> dict[str, Any]:
    (chart,) = app.get("plotly_chart")
    return dict(json.loads(chart.proto.spec))


def latent_names(fig: dict[str, Any], axis: str = "xaxis") -> list[str]:
    return list(fig["layout"][axis]["ticktext"])


def heatmaps(fig: dict[str, Any]) -> list[dict[str, Any]]:
    return [trace for trace in fig["data"] if trace["type"] == "heatmap"]


def words(app: AppTest) -> str:
    return "\n".join(block.value for block in app.main.markdown)


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
    (by_perturbation,) = (table.value for table in app.dataframe)
    assert by_perturbation.loc["STAT1", "n_open"] == 2
    assert by_perturbation.loc["SPI1", "open_latents"] == ""
    app = open_page("masks", {"mask_table": "Latent dimensions"})
    (by_latent,) = (table.value for table in app.dataframe)
    assert set(str(by_latent.loc["z2", "perturbations"]).split(", ")) == {"SMAD4", "TGFBR2"}
    app.slider(key="mask_threshold").set_value(0.05).run()
    assert not app.exception
    assert "mask_latents_csv" in [button.key for button in app.get("download_button")]


@pytest.mark.parametrize("order", ["Likeness", "Name", "Strength"])
def test_rows_and_latents_follow_the_order(
    open_page: OpenPage, example_folder: Path, order: str
) -> None:
    app = open_page("masks", {"mask_order": order, "mask_group": "No grouping"})
    rows = list(app.dataframe[0].value.index)
    masks = ad.read_h5ad(example_folder / "real" / "explorer" / "masks.h5ad")
    strength = np.linalg.norm(masks.layers["effect"], axis=1)
    expected = {
        "Name": sorted(masks.obs_names),
        "Strength": list(masks.obs_names[np.argsort(-strength)]),
    }
    assert rows == expected.get(order, rows)
    assert sorted(rows) == sorted(masks.obs_names)
    assert list(figure(app)["layout"]["yaxis"]["ticktext"]) == rows


def test_group_averages_are_means_and_a_group_can_be_opened(
    open_page: OpenPage, example_folder: Path
) -> None:
    app = open_page("masks", {"mask_rows": "Group averages"})
    fig = figure(app)
    assert fig["layout"]["yaxis"]["ticktext"] == ["IFN-gamma (4)", "TGF-beta (2)", "other (2)"]
    masks = ad.read_h5ad(example_folder / "real" / "explorer" / "masks.h5ad")
    cells = [data for data in fig["data"][1]["customdata"] if data[1] == "TGF-beta (2)"]
    for data in cells:
        expected = np.asarray(masks[["SMAD4", "TGFBR2"], data[2]].X).mean()
        assert data[3] == pytest.approx(expected, abs=1e-3)
    app.selectbox(key="mask_only_group").set_value("TGF-beta").run()
    assert set(figure(app)["layout"]["yaxis"]["ticktext"]) == {"SMAD4", "TGFBR2"}
    app.button(key="mask_all_groups").click().run()
    assert len(figure(app)["layout"]["yaxis"]["ticktext"]) == 3


def test_a_large_mask_is_averaged_and_says_so(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mask_groups, "MAX_ENTRIES", 20)
    app = open_page("masks")
    assert "8 perturbations x 3 latent dimensions are more than the 20" in app.info[0].value
    assert figure(app)["layout"]["yaxis"]["ticktext"][0] == "IFN-gamma (4)"
    app = open_page("masks", {"mask_only_group": "IFN-gamma"})
    assert len(figure(app)["layout"]["yaxis"]["ticktext"]) == 4
    app = open_page("masks", {"mask_group": "No grouping"})
    assert not app.exception
    assert figure(app)["layout"]["yaxis"]["ticktext"] == ["Cluster 1 (8)"]


def test_overlapping_sets_are_resolved_by_a_rule_that_is_told(open_page: OpenPage) -> None:
    app = open_page("masks", {"mask_group": "Hallmark gene sets"})
    assert any("in several sets: the set that holds most" in each.value for each in app.caption)


def test_own_gene_sets_can_group_and_bad_files_are_told(open_page: OpenPage) -> None:
    app = open_page("masks")
    app.file_uploader[0].upload("mine.gmt", b"Odd pair\tx\tSTAT1\tMYC\n", "text/plain").run()
    assert not app.exception
    app.selectbox(key="mask_group").set_value("Your file mine").run()
    assert figure(app)["layout"]["annotations"][0]["text"] == "<b>Odd pair</b>  2"
    app.file_uploader[0].upload("bad.gmt", b"\xff\xfe\x00", "text/plain").run()
    assert "is not text" in app.error[0].value
    assert not app.exception


def test_another_checkpoint_lies_beside_in_matched_latents(
    runs_at: Callable[[Path], None], tmp_path: Path, open_page: OpenPage
) -> None:
    write_seeds(tmp_path)
    runs_at(tmp_path)
    app = open_page("masks", {"run": "seed0", "mask_compare": "seed1"})
    assert not app.exception
    assert not app.warning
    fig = figure(app)
    assert len(heatmaps(fig)) == 2
    assert len(latent_names(fig, "xaxis2")) == len(latent_names(fig))
    assert "are open in both" in words(app)
    assert "seed1" in [note["text"] for note in fig["layout"]["annotations"]]


def test_without_another_checkpoint_of_the_screen_there_is_nothing_to_compare(
    open_page: OpenPage,
) -> None:
    app = open_page("masks")
    assert app.selectbox(key="mask_compare").disabled
    assert any("train another seed" in caption.value for caption in app.caption)


def test_without_a_checkpoint_the_page_says_how_to_make_one(
    runs_at: Callable[[Path], None], tmp_path: Path, open_page: OpenPage
) -> None:
    runs_at(tmp_path)
    app = open_page("masks")
    assert not app.exception
    assert "python -m sams_core train" in app.info[0].value
    assert not app.get("plotly_chart")
