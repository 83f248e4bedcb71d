"""Figures of the combine page: singles, their sum, the prediction, the measurement."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sams_core.analysis.combination_tables import detectable
from sams_core.figures.effects import (
    QUIET,
    UNIT,
    add_identity,
    common_limits,
    name_strongest,
    note,
    square,
)
from sams_core.figures.style import (
    BROWN,
    DATA,
    GOLD,
    GREEN,
    GREY,
    LINE,
    MODEL,
    PURPLE,
    SKY,
    apply_style,
)

SORTS = {
    "predicted": "Predicted shift",
    "interaction": "Deviation from the sum",
    "measured": "Measured shift",
}
_SCATTER_HOVER = [
    "predicted_sd",
    "additive_sd",
    "interaction",
    "interaction_lower",
    "interaction_upper",
]
_GAUSSIAN_90 = 1.645
_SINGLES = (
    ("triangle-right-open", GOLD),
    ("triangle-left-open", SKY),
    ("square-open", BROWN),
    ("pentagon-open", GREY),
)


def combination_dots(
    table: pd.DataFrame, singles: Sequence[str], *, sort: str = "predicted", limit: int = 20
) -> go.Figure:
    """Top genes of a combination: each single, their sum, the prediction and the measurement.

    Bars are 90 % intervals. Open markers lie over filled ones, so that dots in one place are all
    seen.

    Parameters
    ----------
    table
        From `sams_core.analysis.combination_tables.add_measurement`.
    singles
        Columns of the single perturbations.
    sort
        Column whose largest absolute values choose the genes (a key of `SORTS`).
    """
    column = sort if sort in table else "predicted"
    strength = table[column].abs().dropna().sort_values(ascending=False, kind="stable")
    top = table.loc[strength.index[:limit]]
    top = top.loc[top["predicted"].sort_values(kind="stable").index]
    fig = go.Figure()
    if top.empty:
        return note(fig, "No gene to show.")
    _add_dots(fig, top, "predicted", "model's prediction", "circle", MODEL, rank=3)
    if "measured" in top:
        _add_dots(fig, top, "measured", "measured", "x", DATA, rank=4)
    _add_dots(fig, top, "additive", "sum of singles", "diamond-open", PURPLE, rank=2)
    for single, (symbol, colour) in zip(singles, itertools.cycle(_SINGLES), strict=False):
        _add_dots(fig, top, single, f"{single} alone", symbol, colour, rank=1)
    fig.add_vline(x=0, line={"color": LINE, "width": 1})
    apply_style(fig, height=120 + 26 * len(top))
    fig.update_xaxes(title=f"Shift from control ({UNIT})")
    fig.update_yaxes(categoryorder="array", categoryarray=list(top.index))
    return fig


def interaction_scatter(table: pd.DataFrame, *, n_labels: int = 8, height: int = 480) -> go.Figure:
    """Predicted shift against the sum of the singles' shifts, one point a gene."""
    fig = go.Figure()
    shown = table[np.isfinite(table["additive"]) & np.isfinite(table["predicted"])]
    if shown.empty:
        return note(fig, "No gene to show.")
    limits = common_limits(shown["additive"], shown["predicted"])
    add_identity(fig, limits, "prediction = sum")
    beyond = detectable(shown)
    for name, chosen, colour, symbol in (
        ("within uncertainty", ~beyond, QUIET, "circle"),
        ("beyond", beyond, GREEN, "diamond"),
    ):
        part = shown[chosen]
        fig.add_scattergl(
            x=part["additive"],
            y=part["predicted"],
            mode="markers",
            text=part.index,
            name=f"{name}: {len(part):,}",
            customdata=part[_SCATTER_HOVER].to_numpy(),
            marker={"color": colour, "symbol": symbol, "size": 6 if colour == QUIET else 9},
            hovertemplate=(
                "<b>%{text}</b><br>prediction %{y:+.3f} ± %{customdata[0]:.3f}<br>"
                "sum of singles %{x:+.3f} ± %{customdata[1]:.3f}<br>"
                "deviation %{customdata[2]:+.3f}<br>"
                "90 % interval %{customdata[3]:+.3f} to %{customdata[4]:+.3f}<extra></extra>"
            ),
        )
    name_strongest(fig, shown["additive"], shown["predicted"], limits, n_labels, side=0.62 * height)
    return square(
        fig, limits, f"Sum of the singles ({UNIT})", f"Model's prediction ({UNIT})", height=height
    )


def _add_dots(
    fig: go.Figure,
    top: pd.DataFrame,
    column: str,
    name: str,
    symbol: str,
    colour: str,
    *,
    rank: int,
) -> None:
    low, high = _interval(top, column)
    fig.add_scatter(
        x=top[column],
        y=top.index,
        mode="markers",
        name=name,
        legendrank=rank,
        customdata=np.column_stack([low, high]),
        marker={
            "symbol": symbol,
            "color": colour,
            "size": 12,
            "line": {"width": 2, "color": colour},
        },
        error_x={
            "type": "data",
            "symmetric": False,
            "array": high - top[column],
            "arrayminus": top[column] - low,
            "width": 0,
            "thickness": 1.5,
            "color": colour,
        },
        hovertemplate=(
            f"<b>%{{y}}</b><br>{name} %{{x:+.3f}}<br>90 % interval %{{customdata[0]:+.3f}} to "
            "%{customdata[1]:+.3f}<extra></extra>"
        ),
    )


def _interval(table: pd.DataFrame, column: str) -> tuple[pd.Series, pd.Series]:
    """90 % interval; that of a measured mean is taken for Gaussian."""
    if f"{column}_lower" in table:
        return table[f"{column}_lower"], table[f"{column}_upper"]
    half = _GAUSSIAN_90 * table[f"{column}_se"]
    return table[column] - half, table[column] + half
