"""The map of pairs: perturbations x perturbations, to be clicked."""

from __future__ import annotations

import html
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from sams_core.figures.mask_layout import shorten
from sams_core.figures.style import DIVERGING, LINE, PURPLE, SEQUENTIAL, apply_style

READABLE = 50
"""Perturbations whose names can be read."""
_HOVER_DIGITS = 3
_DENSE_MAP = 640
"""Height in pixels of a map without names."""
_SMALLEST_FRAME = 5
"""Pixels from the middle of the chosen pair to its frame, at least."""
_REACH = 400
"""Pixels from a point's middle within which it answers; the nearest point does."""


@dataclass(frozen=True)
class MapView:
    """What a map of pairs is coloured by.

    Attributes
    ----------
    column
        Of the ranked table.
    title
        Of the colour bar; ``<br>`` breaks lines.
    signed
        Whether values go both ways from 0.
    """

    column: str
    title: str
    signed: bool


def pair_map(
    values: pd.DataFrame,
    view: MapView,
    *,
    marked: Collection[frozenset[str]] = (),
    chosen: Sequence[str] = (),
) -> go.Figure:
    """Draw perturbations x perturbations, coloured by what each pair does.

    Every pair's cell lies under an invisible point, which answers to clicks (a heatmap does not):
    its ``x`` and ``y`` are the numbers of its column and row.

    Parameters
    ----------
    values
        Symmetric (T, T), in the order to show; NaN, such as the diagonal, is no pair.
    view
        What they are.
    marked
        Pairs to mark with a dot: those that were measured.
    chosen
        Two perturbations whose pair is framed.
    """
    names = [str(name) for name in values.index]
    z = values.to_numpy(np.float64)
    pixels = _row_pixels(len(names))
    fig = go.Figure(_cells(z, view))
    points = np.argwhere(np.isfinite(z))
    fig.add_trace(_points(points, z, names, view))
    dots = [at for at in points.tolist() if frozenset((names[at[0]], names[at[1]])) in marked]
    if dots:
        rows, columns = np.array(dots).T
        fig.add_trace(
            go.Scatter(
                x=columns,
                y=rows,
                mode="markers",
                marker={"size": 5, "color": "white", "line": {"color": "black", "width": 1}},
                hoverinfo="skip",
            )
        )
    apply_style(fig, height=round(pixels * len(names)) + 190)
    fig.update_layout(showlegend=False, dragmode=False, hovermode="closest", hoverdistance=_REACH)
    _name_axes(fig, names, labelled=len(names) <= READABLE)
    _frame(fig, names, chosen, max(0.5, _SMALLEST_FRAME / pixels))
    return fig


def _row_pixels(n: int) -> float:
    if n > READABLE:
        return _DENSE_MAP / n
    return 24.0 if n <= 30 else 15.0


def _cells(z: NDArray[np.float64], view: MapView) -> go.Heatmap:
    known = np.abs(z[np.isfinite(z)])
    limit = max(float(np.quantile(known, 0.99)), 1e-6) if known.size else 1.0
    labelled = len(z) <= READABLE
    return go.Heatmap(
        z=np.round(z, 4),
        zmin=-limit if view.signed else 0.0,
        zmax=limit,
        colorscale=DIVERGING if view.signed else SEQUENTIAL,
        colorbar={
            "title": {"text": view.title, "side": "right", "font": {"size": 12}},
            "orientation": "h",
            "thickness": 12,
            "len": 0.6,
            "x": 0,
            "xanchor": "left",
            "y": 1.0,
            "yanchor": "bottom",
            "outlinewidth": 0,
        },
        hoverinfo="skip",
        xgap=1 if labelled else 0,
        ygap=1 if labelled else 0,
    )


def _points(
    points: NDArray[np.intp], z: NDArray[np.float64], names: list[str], view: MapView
) -> go.Scattergl:
    safe = [html.escape(name) for name in names]
    rows, columns = points.T if len(points) else np.zeros((2, 0), int)
    hidden = {"marker": {"opacity": 0}}
    form = f"+.{_HOVER_DIGITS}f" if view.signed else f".{_HOVER_DIGITS}f"
    words = view.title.replace("<br>", " ")
    return go.Scattergl(
        x=columns,
        y=rows,
        text=[f"{safe[row]} + {safe[column]}" for row, column in points],
        customdata=np.round(z[rows, columns], 4),
        mode="markers",
        marker={"opacity": 0, "size": 8, "color": LINE},
        selected=hidden,
        unselected=hidden,
        hovertemplate=f"<b>%{{text}}</b><br>{words}: %{{customdata:{form}}}<extra></extra>",
    )


def _name_axes(fig: go.Figure, names: list[str], *, labelled: bool) -> None:
    """Names of perturbations on both axes, where there is room for them."""
    ticks: dict[str, Any] = {"tickmode": "array", "tickvals": [], "ticktext": []}
    if labelled:
        ticks["tickvals"] = list(range(len(names)))
        ticks["ticktext"] = [shorten(name, 14) for name in names]
    shared = {**ticks, "showgrid": False, "zeroline": False, "fixedrange": True}
    fig.update_yaxes(range=[len(names) - 0.5, -0.5], **shared)
    fig.update_xaxes(range=[-0.5, len(names) - 0.5], tickangle=-90, **shared)


def _frame(fig: go.Figure, names: list[str], chosen: Sequence[str], half: float) -> None:
    if len(chosen) != 2 or not set(chosen) <= set(names):
        return
    row, column = (names.index(name) for name in chosen)
    for x, y in ((column, row), (row, column)):
        fig.add_shape(
            **{"type": "rect", "x0": x - half, "x1": x + half, "y0": y - half, "y1": y + half},
            line={"color": PURPLE, "width": 2},
        )
