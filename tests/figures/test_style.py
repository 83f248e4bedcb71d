"""Colours must stand out from both pages of the theme."""

from __future__ import annotations

import itertools
import tomllib
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest

from sams_core.figures.style import PALETTE, apply_style

THEME = tomllib.loads(
    (Path(__file__).resolve().parents[2] / ".streamlit" / "config.toml").read_text()
)["theme"]
MODES = ("light", "dark")


def luminance(colour: str) -> float:
    channels = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("mode", "colour"), itertools.product(MODES, PALETTE))
def test_palette_stands_out_from_the_page(mode: str, colour: str) -> None:
    assert contrast(colour, THEME[mode]["backgroundColor"]) >= 3


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("text", ["textColor", "linkColor", "primaryColor"])
@pytest.mark.parametrize("ground", ["backgroundColor", "secondaryBackgroundColor"])
def test_text_is_readable(mode: str, text: str, ground: str) -> None:
    for section in (THEME[mode], THEME[mode]["sidebar"]):
        assert contrast(section[text], section[ground]) >= 4.5


@pytest.mark.parametrize("mode", MODES)
def test_captions_are_readable(mode: str) -> None:
    for section in (THEME[mode], THEME[mode]["sidebar"]):
        ink, page = section["textColor"], section["backgroundColor"]
        mixed = [
            round(0.6 * int(ink[place : place + 2], 16) + 0.4 * int(page[place : place + 2], 16))
            for place in (1, 3, 5)
        ]
        faded = "#" + "".join(f"{channel:02x}" for channel in mixed)
        assert contrast(faded, page) >= 4.5


def test_style_leaves_background_and_text_to_the_page() -> None:
    fig = apply_style(go.Figure(), height=123)
    assert fig.layout.height == 123
    assert fig.layout.paper_bgcolor == fig.layout.plot_bgcolor == "rgba(0, 0, 0, 0)"
    assert fig.layout.font.color is None
