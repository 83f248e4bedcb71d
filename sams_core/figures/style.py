"""Colours and layout that every figure shares; readable on a light and on a dark page.

Backgrounds are transparent and text takes the page's colour. All colours stand out from both
pages by 3:1 at least, and the palette keeps apart for the common kinds of colour blindness.
"""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

BLUE = "#2E86C1"
ORANGE = "#D06A1C"
GREEN = "#1F9188"
PURPLE = "#B0649A"
GOLD = "#B9851A"
SKY = "#4C9DB8"
GREY = "#7F8F99"
BROWN = "#9A6A5B"

PALETTE: tuple[str, ...] = (BLUE, ORANGE, GREEN, PURPLE, GOLD, SKY, BROWN, GREY)
"""Categories, in the order to use them."""

MODEL = BLUE
"""What the model predicts."""
DATA = ORANGE
"""What was measured."""
NEUTRAL = GREY
"""What is not the point: control cells, genes that do not change."""

FAINT = "rgba(127, 143, 153, 0.12)"
LINE = "rgba(127, 143, 153, 0.55)"

SEQUENTIAL: list[list[Any]] = [
    [0.0, FAINT],
    [0.25, "rgba(31, 145, 136, 0.30)"],
    [1.0, "rgba(31, 145, 136, 1)"],
]
"""From nothing (nearly the page itself) to full, for probabilities."""

DIVERGING: list[list[Any]] = [
    [0.0, "rgba(46, 134, 193, 1)"],
    [0.4, "rgba(46, 134, 193, 0.28)"],
    [0.5, FAINT],
    [0.6, "rgba(208, 106, 28, 0.28)"],
    [1.0, "rgba(208, 106, 28, 1)"],
]
"""Down, nothing, up; use with ``zmid=0`` and symmetric limits."""

FONT_SIZE = 13


def apply_style(fig: go.Figure, *, height: int = 420) -> go.Figure:
    """Give a figure the house's look, in place.

    Parameters
    ----------
    fig
        Any figure.
    height
        In pixels; the width follows the page.

    Returns
    -------
    go.Figure
        The same figure.
    """
    fig.update_layout(
        height=height,
        colorway=list(PALETTE),
        paper_bgcolor="rgba(0, 0, 0, 0)",
        plot_bgcolor="rgba(0, 0, 0, 0)",
        font_size=FONT_SIZE,
        margin={"l": 8, "r": 8, "t": 40, "b": 8},
        hoverlabel={"font_size": FONT_SIZE, "align": "left"},
        legend={"title_text": "", "orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
    )
    fig.update_xaxes(automargin=True, gridcolor=FAINT, zerolinecolor=LINE, ticks="")
    fig.update_yaxes(automargin=True, gridcolor=FAINT, zerolinecolor=LINE, ticks="")
    return fig
