"""The latents page in each of its states."""

from __future__ import annotations

import pytest

from tests.pages.conftest import OpenPage
from tests.support.example_run import N_CELLS, SINGLES

pytestmark = pytest.mark.usefixtures("example_runs")


def test_opens_on_cells_with_the_strongest_perturbations_highlighted(open_page: OpenPage) -> None:
    app = open_page("latents")
    assert not app.exception
    assert app.multiselect(key="highlight_perturbation").value == list(SINGLES[:4])
    assert len(app.get("plotly_chart")) == 1
    assert f"{N_CELLS} of {N_CELLS} cells shown" in app.main.caption[-1].value


@pytest.mark.parametrize(
    "colour",
    ["perturbation", "pathway", "split", "n perturbations", "library size", "latent dimension"],
)
def test_every_colouring_draws(open_page: OpenPage, colour: str) -> None:
    app = open_page("latents", {"run": "simulated", "colour": colour})
    assert not app.exception
    assert not app.warning
    assert app.selectbox(key="colour").value == colour
    assert len(app.get("plotly_chart")) == 1


def test_splits_filter_cells_and_none_is_no_error(open_page: OpenPage) -> None:
    app = open_page("latents", {"splits": ["test"]})
    assert app.pills(key="splits").value == ["test"]
    shown = app.main.caption[-1].value
    assert f"{N_CELLS} of {N_CELLS}" not in shown
    app.pills(key="splits").set_value([]).run()
    assert not app.exception
    assert f"0 of {N_CELLS} cells shown" in app.main.caption[-1].value


def test_nothing_highlighted_colours_all(open_page: OpenPage) -> None:
    app = open_page("latents")
    app.multiselect(key="highlight_perturbation").set_value([]).run()
    assert not app.exception
    assert "all by perturbation" in app.main.caption[-1].value


def test_bad_addresses_fall_back_with_a_notice(open_page: OpenPage) -> None:
    app = open_page("latents", {"colour": "NOPE", "highlight_perturbation": "NOPE", "splits": "x"})
    assert not app.exception
    assert app.selectbox(key="colour").value == "perturbation"
    assert len(app.warning) == 3


@pytest.mark.parametrize("colour", ["pathway", "open latents", "cells measured"])
def test_the_map_of_perturbations(open_page: OpenPage, colour: str) -> None:
    app = open_page("latents", {"latents_view": "Perturbations", "map_colour": colour})
    assert not app.exception
    assert len(app.get("plotly_chart")) == 1
    assert set(app.dataframe[0].value.index) == set(SINGLES)
