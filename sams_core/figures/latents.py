"""Figures of the latents page: maps of cells."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sams_core.analysis.latent_density import Grid
from sams_core.figures.effects import note
from sams_core.figures.latent_density import (
    DENSITY_FROM,
    MAX_CONTOURS,
    add_contours,
    add_density,
    add_mean_of,
    add_sample,
)
from sams_core.figures.style import (
    BLUE,
    BROWN,
    GOLD,
    GREEN,
    NEUTRAL,
    ORANGE,
    PURPLE,
    SKY,
    apply_style,
)

BACKGROUND = "rgba(127, 143, 153, 0.22)"
CONTROL = NEUTRAL
NUMBERS = [[0.0, BLUE], [0.5, PURPLE], [1.0, ORANGE]]
_CENTRED = [[0.0, BLUE], [0.5, "#A9B4BA"], [1.0, ORANGE]]
_EXPRESSION = [[0.0, "#A9B4BA"], [0.5, ORANGE], [1.0, "#A33B74"]]
CATEGORIES = (
    *(BLUE, ORANGE, GREEN, PURPLE, GOLD, BROWN),
    *("#6F5BB5", "#7A9A2E", "#C44E52", "#8FC1E3", "#F2B67C", "#8CD0C6", "#E3A7CF"),
    *("#E0C46C", "#A33B74", "#2C5F8A", "#8A4B12", "#0F5F59", "#C8A79B", SKY),
)
"""Colours of cells and perturbations; beyond the first six, hover and legend tell them apart."""
MAX_CATEGORIES = len(CATEGORIES)
COLORBAR = {"thickness": 12, "outlinewidth": 0, "len": 0.6, "y": 1, "yanchor": "top"}
PANELS = {
    "basal": "Basal: the cell without its perturbation",
    "full": "Full: the cell as it is",
}
"""Title of the map of each space."""
_HOVER_LIMIT = 30_000
_SELECTION = {"selected": {"marker": {"opacity": 1}}, "unselected": {"marker": {"opacity": 0.12}}}


def cells_by_category(
    basal: np.ndarray,
    full: np.ndarray | None,
    categories: pd.Series,
    *,
    control: str,
    highlight: Sequence[str] = (),
    order: Sequence[str] | None = None,
    chosen: np.ndarray | None = None,
    panels: Sequence[str] | None = None,
    height: int = 560,
) -> go.Figure:
    """Cells on both maps, coloured by category; one legend entry drives both maps.

    Above `DENSITY_FROM` cells, shades show where all cells lie, and contours where the controls and
    the first `MAX_CONTOURS` of the coloured categories do.

    Parameters
    ----------
    basal, full
        Positions (n, 2) of the same cells on the two maps; without shifts there is only one.
    categories
        One value a cell (n,); missing values are drawn as background.
    control
        The category of control cells: grey, first in the legend, never part of the background.
    highlight
        If not empty, only these and the controls are coloured, all else is background.
    order
        Categories by importance (most frequent first by default); those beyond
        `MAX_CATEGORIES` are drawn as background.
    chosen
        (n,) cells to show strongly, all others fading; by default all alike.
    panels
        Titles of the maps, by default those of `PANELS` above two maps and none above one.
    """
    maps = _maps(basal, full)
    fig = _panels(len(maps), panels)
    if len(categories) == 0:
        return note(go.Figure(), "No cells in this selection.")
    labels = categories.astype(object)
    labels[categories.isna()] = None
    counts = labels.value_counts()
    ranked = [c for c in (order or counts.index) if c in counts.index and c != control]
    ranked += [c for c in counts.index if c != control and c not in ranked]
    coloured = [c for c in ranked if c in highlight] if highlight else ranked[:MAX_CATEGORIES]
    looks = [
        (category, shade, 1.3 if highlight else 1.0)
        for shade, category in zip(itertools.cycle(CATEGORIES), coloured, strict=False)
    ]
    if control in counts.index:
        looks.insert(0, (control, CONTROL, 1.0))
    if len(labels) > DENSITY_FROM:
        _add_contours(fig, maps, labels, looks[: MAX_CONTOURS + (control in counts.index)])
    else:
        _add_points(fig, maps, labels, looks, chosen)
    _finish(fig, height)
    legend_right(fig, str(categories.name or ""))
    return fig


def cells_by_number(
    basal: np.ndarray,
    full: np.ndarray | None,
    values: tuple[np.ndarray, np.ndarray],
    conditions: pd.Series,
    *,
    title: str,
    centred: bool = False,
    expression: bool = False,
    chosen: np.ndarray | None = None,
    panels: Sequence[str] | None = None,
    height: int = 560,
) -> go.Figure:
    """Cells on both maps, coloured by a number on one scale; extreme cells lie on top.

    Above `DENSITY_FROM` cells, each place of the map has the mean of its cells.

    Parameters
    ----------
    values
        What to colour by on the basal and on the full map, (n,) each.
    conditions
        Perturbation of each cell, shown on hover.
    centred
        Use a two-sided scale around zero.
    expression
        Use a scale from grey, for nothing, to strong.
    chosen, panels
        As for `cells_by_category`.
    """
    maps = _maps(basal, full)
    fig = _panels(len(maps), panels)
    n = len(conditions)
    if n == 0:
        return note(go.Figure(), "No cells in this selection.")
    names = conditions.astype(str).to_numpy()
    for column, (points, each) in enumerate(zip(maps, values, strict=False), start=1):
        at = {"row": 1, "col": column}
        value = np.asarray(each, float)
        if n > DENSITY_FROM:
            add_mean_of(fig, points, value, at)
            add_sample(fig, points, names, at)
            continue
        rank = np.abs(value) if centred else value
        order = np.argsort(np.where(np.isfinite(rank), rank, -np.inf), kind="stable")
        fig.add_scattergl(
            x=points[order, 0],
            y=points[order, 1],
            mode="markers",
            showlegend=False,
            text=names[order] if n <= _HOVER_LIMIT else None,
            marker={"color": value[order], "coloraxis": "coloraxis", "size": marker_size(n)},
            hovertemplate="%{text}<br>%{marker.color:.3g}<extra></extra>",
            **_faded(chosen, order),
            **at,
        )
    low, high = _limits(values[: len(maps)], centred)
    fig.update_layout(
        coloraxis={
            "colorscale": _CENTRED if centred else _EXPRESSION if expression else NUMBERS,
            "cmin": low,
            "cmax": high,
            "colorbar": COLORBAR | {"title": {"text": title, "font": {"size": 12}}},
        }
    )
    return _finish(fig, height)


def add_outlines(fig: go.Figure, outlines: Sequence[tuple[int, np.ndarray]]) -> go.Figure:
    """Draw closed lines on the maps, in place; dragging draws the next one.

    Parameters
    ----------
    fig
        A figure of this module.
    outlines
        For each, the number of the map (0 for the first) and its corners (m, 2).
    """
    for panel, corners in outlines:
        suffix = "" if panel == 0 else str(panel + 1)
        way = " L ".join(f"{x:.6g},{y:.6g}" for x, y in np.asarray(corners))
        fig.add_shape(
            type="path",
            path=f"M {way} Z",
            xref=f"x{suffix}",
            yref=f"y{suffix}",
            line={"color": BLUE, "width": 2, "dash": "dot"},
        )
    fig.update_layout(dragmode="lasso")
    return fig


def marker_size(n_cells: int) -> float:
    """Marker diameter in pixels that keeps a map of ``n_cells`` readable."""
    return float(np.clip(14 - 2.4 * np.log10(max(n_cells, 1)), 2.0, 8.0))


def legend_right(fig: go.Figure, title: str) -> None:
    """Put the legend at the right of a figure, under a title."""
    fig.update_layout(
        legend={
            "orientation": "v",
            "x": 1.01,
            "y": 1,
            "yanchor": "top",
            "itemsizing": "constant",
            "title": {"text": title.replace("_", " ")},
        }
    )


def _maps(basal: np.ndarray, full: np.ndarray | None) -> list[np.ndarray]:
    return [basal] if full is None else [basal, full]


def _panels(number: int, titles: Sequence[str] | None) -> go.Figure:
    if titles is None:
        titles = tuple(PANELS.values()) if number > 1 else ()
    return make_subplots(
        rows=1, cols=number, subplot_titles=titles or None, horizontal_spacing=0.04
    )


def _limits(values: Sequence[np.ndarray], centred: bool) -> tuple[float, float]:
    both = np.concatenate([np.asarray(v, float) for v in values])
    finite = both[np.isfinite(both)]
    low, high = np.percentile(finite, [1, 99]) if finite.size else (0.0, 1.0)
    if centred:
        high = max(abs(low), abs(high))
        low = -high
    if high <= low and finite.size and finite.max() > finite.min():
        low, high = finite.min(), finite.max()
    return float(low), float(high)


def _faded(chosen: np.ndarray | None, rows: np.ndarray) -> dict[str, Any]:
    """How a trace of the cells ``rows`` lets those that are not chosen fade."""
    if chosen is None or not chosen.any():
        return {}
    return {"selectedpoints": np.flatnonzero(chosen[rows]), **_SELECTION}


def _add_points(
    fig: go.Figure,
    maps: Sequence[np.ndarray],
    labels: pd.Series,
    looks: Sequence[tuple[str, str, float]],
    chosen: np.ndarray | None,
) -> None:
    size = marker_size(len(labels))
    rest = np.flatnonzero(~labels.isin([name for name, _, _ in looks]))
    if rest.size:
        _add_cells(fig, maps, rest, "other cells", BACKGROUND, size * 0.8, chosen)
    for name, colour, scale in looks:
        rows = np.flatnonzero(labels == name)
        _add_cells(fig, maps, rows, str(name), colour, size * scale, chosen)


def _add_cells(
    fig: go.Figure,
    maps: Sequence[np.ndarray],
    rows: np.ndarray,
    name: str,
    colour: str,
    size: float,
    chosen: np.ndarray | None,
) -> None:
    for column, points in enumerate(maps, start=1):
        fig.add_scattergl(
            x=points[rows, 0],
            y=points[rows, 1],
            mode="markers",
            name=name,
            legendgroup=name,
            legendrank=2000 if colour == BACKGROUND else 1000,
            showlegend=column == 1,
            marker={"color": colour, "size": size},
            hovertemplate=f"{name}<extra></extra>",
            **_faded(chosen, rows),
            row=1,
            col=column,
        )


def _add_contours(
    fig: go.Figure,
    maps: Sequence[np.ndarray],
    labels: pd.Series,
    looks: Sequence[tuple[str, str, float]],
) -> None:
    text = labels.astype(str).to_numpy()
    for column, points in enumerate(maps, start=1):
        at = {"row": 1, "col": column}
        grid = Grid.over(points)
        add_density(fig, points, grid, at)
        for name, colour, _ in looks:
            look = {"name": str(name), "legendgroup": str(name), "showlegend": column == 1}
            chosen = np.asarray(labels == name)
            add_contours(fig, points[chosen], grid, look | {"color": colour}, at)
        add_sample(fig, points, text, at)


def _finish(fig: go.Figure, height: int) -> go.Figure:
    apply_style(fig, height=height)
    fig.update_xaxes(showticklabels=False, zeroline=False, showgrid=False, title="UMAP 1")
    fig.update_yaxes(showticklabels=False, zeroline=False, showgrid=False)
    fig.update_yaxes(title="UMAP 2", col=1)
    return fig
