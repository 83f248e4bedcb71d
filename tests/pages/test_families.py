"""Every family of models on every page: no page breaks, and each says what the family lacks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import OpenPage
from tests.support.example_run import DOUBLES, SINGLES, write_example_run, write_manifest

FAMILIES = ("cpa_vae", "svae_plus", "conditional_vae")
PAGES = ("start", "masks", "effects", "latents", "combine", "models")


@pytest.fixture(scope="session")
def family_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("families")
    for family in FAMILIES:
        write_example_run(folder / family, title=f"Screen of {family}", family=family)
    return folder


@pytest.fixture
def families(family_folder: Path, runs_at: Callable[[Path], None]) -> Path:
    runs_at(family_folder)
    return family_folder


def words(app: AppTest) -> str:
    told = [*app.markdown, *app.caption, *app.info, *app.warning]
    return "\n".join(block.value for block in told)


@pytest.mark.usefixtures("families")
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("page", PAGES)
def test_every_page_opens(open_page: OpenPage, page: str, family: str) -> None:
    app = open_page(page, {"run": family})
    assert not app.exception
    assert not app.error


@pytest.mark.usefixtures("families")
def test_without_a_mask_the_shifts_are_shown(open_page: OpenPage) -> None:
    app = open_page("masks", {"run": "cpa_vae"})
    assert "This CPA-VAE has no mask" in words(app)
    assert not app.slider
    (chart,) = app.get("plotly_chart")
    spec = json.loads(chart.proto.spec)
    assert "Effect" in spec["data"][0]["colorbar"]["title"]["text"]
    assert "inclusion probability" not in spec["data"][1]["hovertemplate"]
    assert len(set(spec["data"][0]["x"])) == 6
    assert not {"n_open", "open_latents"} & set(app.dataframe[0].value.columns)


@pytest.mark.usefixtures("families")
def test_without_shifts_the_masks_page_says_where_to_go(open_page: OpenPage) -> None:
    app = open_page("masks", {"run": "conditional_vae"})
    assert "neither masks nor shifts" in words(app)
    assert [link.proto.label for link in app.page_link] == ["Effects", "Latents"]
    assert not app.get("plotly_chart")


@pytest.mark.usefixtures("families")
def test_without_shifts_there_is_one_map_of_cells_and_none_of_perturbations(
    open_page: OpenPage,
) -> None:
    app = open_page("latents", {"run": "conditional_vae"})
    (chart,) = app.get("plotly_chart")
    assert "xaxis2" not in json.loads(chart.proto.spec)["layout"]
    app = open_page("latents", {"run": "conditional_vae", "latents_view": "Perturbations"})
    assert "no map of perturbations" in words(app)
    assert not app.get("plotly_chart")


@pytest.mark.usefixtures("families")
def test_without_a_mask_perturbations_are_not_counted_by_open_latents(open_page: OpenPage) -> None:
    app = open_page("latents", {"run": "cpa_vae", "latents_view": "Perturbations"})
    assert "open latents" not in app.selectbox(key="map_colour").options
    assert "open no latent" not in words(app)


@pytest.mark.usefixtures("families")
def test_combinations_of_their_own_cannot_be_predicted(open_page: OpenPage) -> None:
    app = open_page("combine", {"run": "svae_plus"})
    assert "cannot predict combinations" in words(app)
    assert f"trained on 1 combination, whose effects it knows as it knows those of single " \
           f"perturbations: {DOUBLES[0]}." in words(app)  # fmt: skip
    assert not app.multiselect
    assert not app.get("plotly_chart")


@pytest.mark.usefixtures("families")
def test_a_conditional_vae_does_not_claim_that_shifts_add_up(open_page: OpenPage) -> None:
    app = open_page("combine", {"run": "conditional_vae", "combine_tab": "Interaction"})
    assert len(app.get("plotly_chart")) == 2
    assert "no shifts that could add up" in words(app)
    assert "add up by construction" not in words(app)


@pytest.mark.usefixtures("families")
def test_an_unseen_condition_is_marked(open_page: OpenPage) -> None:
    for family, told in (("svae_plus", "nothing to go on"), ("cpa_vae", "put together from")):
        app = open_page("effects", {"run": family, "condition": DOUBLES[1]})
        assert app.metric[2].delta == "not seen in training"
        assert told in words(app)
        assert told not in words(open_page("effects", {"run": family, "condition": SINGLES[0]}))


@pytest.mark.usefixtures("families")
def test_the_start_page_speaks_of_the_mask_only_where_there_is_one(open_page: OpenPage) -> None:
    assert "of mask entries open" in words(open_page("start", {"run": "svae_plus"}))
    app = open_page("start", {"run": "cpa_vae"})
    assert "shifts all 6 latent dimensions" in words(app)
    assert "of mask entries open" not in words(app)
    curves = json.loads(app.get("plotly_chart")[2].proto.spec)
    assert "xaxis2" not in curves["layout"]
    assert "no mask and no shifts" in words(open_page("start", {"run": "conditional_vae"}))


def test_what_was_never_trained_does_not_count_as_open(
    family_folder: Path, tmp_path: Path, runs_at: Callable[[Path], None], open_page: OpenPage
) -> None:
    folder = write_example_run(tmp_path / "mine", title="Mine", simulated=True)
    path = folder / "explorer" / "masks.h5ad"
    table = ad.read_h5ad(path)
    table.obs.loc[SINGLES[:2], "n_cells_train"] = 0
    table.write_h5ad(path)
    write_manifest(folder)
    runs_at(tmp_path)
    app = open_page("masks")
    assert "4 of 6 perturbations shift at least one latent dimension" in words(app)
    assert "2 perturbations are left out" in words(app)


def test_unused_cells_are_shown_as_such(
    tmp_path: Path, runs_at: Callable[[Path], None], open_page: OpenPage
) -> None:
    folder = write_example_run(tmp_path / "mine", title="Mine")
    path = folder / "explorer" / "cells.h5ad"
    table = ad.read_h5ad(path)
    table.obs["split"] = table.obs["split"].cat.rename_categories({"val": "unused"})
    table.write_h5ad(path)
    write_manifest(folder)
    runs_at(tmp_path)
    app = open_page("latents")
    assert app.pills(key="splits").options == ["train", "test", "unused"]
    assert "**unused**" in app.pills(key="splits").proto.help
