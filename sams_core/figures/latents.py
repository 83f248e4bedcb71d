"""Figures of the latents page: maps of cells and of perturbations."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sams_core.figures.effects import marker_sizes, note
from sams_core.figures.labels import name_points
from sams_core.figures.style import (
    BLUE,
    BROWN,
    GOLD,
    GREEN,
    LINE,
    NEUTRAL,
    ORANGE,
    PURPLE,
    SKY,
    apply_style,
)

BACKGROUND = "rgba(127, 143, 153, 0.22)"
CONTROL = NEUTRAL
_HOVER_LIMIT = 30_000
_NUMBERS = [[0.0, BLUE], [0.5, PURPLE], [1.0, ORANGE]]
_CENTRED = [[0.0, BLUE], [0.5, "#A9B4BA"], [1.0, ORANGE]]
CATEGORIES = (
    *(BLUE, ORANGE, GREEN, PURPLE, GOLD, BROWN),
    *("#6F5BB5", "#7A9A2E", "#C44E52", "#8FC1E3", "#F2B67C", "#8CD0C6", "#E3A7CF"),
    *("#E0C46C", "#A33B74", "#2C5F8A", "#8A4B12", "#0F5F59", "#C8A79B", SKY),
)
"""Colours of cells and perturbations; beyond the first six, hover and legend tell them apart."""
MAX_CATEGORIES = len(CATEGORIES)
_COLORBAR = {"thickness": 12, "outlinewidth": 0, "len": 0.6, "y": 1, "yanchor": "top"}
_FEW_STEPS = 8
_PANELS = ("Basal: the cell without its perturbation", "Full: the cell as it is")


def cells_by_category(
    basal: np.ndarray,
    full: np.ndarray | None,
    categories: pd.Series,
    *,
    control: str,
    highlight: Sequence[str] = (),
    order: Sequence[str] | None = None,
    height: int = 560,
) -> go.Figure:
    """Cells on both maps, coloured by category; one legend entry drives both maps.

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
    """
    maps = _maps(basal, full)
    fig = _panels(len(maps))
    if len(categories) == 0:
        return note(go.Figure(), "No cells in this selection.")
    labels = categories.astype(object)
    labels[categories.isna()] = None
    counts = labels.value_counts()
    ranked = [c for c in (order or counts.index) if c in counts.index and c != control]
    ranked += [c for c in counts.index if c != control and c not in ranked]
    coloured = [c for c in ranked if c in highlight] if highlight else ranked[:MAX_CATEGORIES]
    size = marker_size(len(labels))
    rest = ~labels.isin([*coloured, control])
    if rest.any():
        _add_cells(fig, maps, rest.to_numpy(), "other cells", BACKGROUND, size * 0.8)
    if control in counts.index:
        _add_cells(fig, maps, (labels == control).to_numpy(), str(control), CONTROL, size)
    for colour, category in zip(itertools.cycle(CATEGORIES), coloured, strict=False):
        chosen = (labels == category).to_numpy()
        _add_cells(fig, maps, chosen, str(category), colour, size * (1.3 if highlight else 1))
    _finish(fig, height)
    _legend_right(fig, str(categories.name or ""))
    return fig


def cells_by_number(
    basal: np.ndarray,
    full: np.ndarray | None,
    values: tuple[np.ndarray, np.ndarray],
    conditions: pd.Series,
    *,
    title: str,
    centred: bool = False,
    height: int = 560,
) -> go.Figure:
    """Cells on both maps, coloured by a number on one scale.

    Parameters
    ----------
    values
        What to colour by on the basal and on the full map, (n,) each.
    conditions
        Perturbation of each cell, shown on hover.
    centred
        Use a two-sided scale around zero.
    """
    maps = _maps(basal, full)
    fig = _panels(len(maps))
    if len(conditions) == 0:
        return note(go.Figure(), "No cells in this selection.")
    both = np.concatenate([np.asarray(v, float) for v in values])
    finite = both[np.isfinite(both)]
    low, high = np.percentile(finite, [1, 99]) if finite.size else (0.0, 1.0)
    if centred:
        high = max(abs(low), abs(high))
        low = -high
    hover = conditions.astype(str).to_numpy() if len(conditions) <= _HOVER_LIMIT else None
    for column, (points, value) in enumerate(zip(maps, values, strict=False), start=1):
        fig.add_scattergl(
            x=points[:, 0],
            y=points[:, 1],
            mode="markers",
            showlegend=False,
            text=hover,
            marker={"color": value, "coloraxis": "coloraxis", "size": marker_size(len(points))},
            hovertemplate="%{text}<br>%{marker.color:.3g}<extra></extra>",
            row=1,
            col=column,
        )
    fig.update_layout(
        coloraxis={
            "colorscale": _CENTRED if centred else _NUMBERS,
            "cmin": float(low),
            "cmax": float(high),
            "colorbar": _COLORBAR | {"title": {"text": title, "font": {"size": 12}}},
        }
    )
    return _finish(fig, height)


def perturbation_map(
    table: pd.DataFrame, *, colour: str, n_labels: int = 40, height: int = 600
) -> go.Figure:
    """Perturbations by the likeness of their latent effects; marker area grows with cells.

    Parameters
    ----------
    table
        From `sams_core.analysis.latent_tables.perturbation_table`.
    colour
        A column of it: a number is shown on a scale, anything else as categories.
    n_labels
        How many perturbations to name, those with most significant genes first.
    """
    fig = go.Figure()
    shown = table[np.isfinite(table["x"]) & np.isfinite(table["y"])]
    if shown.empty:
        return note(fig, "No perturbation to show.")
    size = marker_sizes(shown["n_cells"], shown["n_cells"].max(), len(shown))
    if pd.api.types.is_numeric_dtype(shown[colour]):
        fig.add_scatter(**_map_points(shown, size), showlegend=False)
        fig.data[0].marker.update(
            color=shown[colour],
            colorscale=_NUMBERS,
            showscale=True,
            colorbar=_COLORBAR
            | {"title": {"text": _TITLES.get(colour, colour), "font": {"size": 12}}}
            | ({"dtick": 1} if shown[colour].max() <= _FEW_STEPS else {}),
        )
    else:
        groups = shown[colour].astype(object).where(shown[colour].notna(), "in no group")
        shades = itertools.cycle(CATEGORIES)
        for name in sorted(groups.unique(), key=lambda name: (name == "in no group", str(name))):
            part = shown[groups == name]
            fig.add_scatter(**_map_points(part, size[groups == name]), name=str(name))
            fig.data[-1].marker.color = NEUTRAL if name == "in no group" else next(shades)
    x_range, y_range = _padded(shown["x"].to_numpy()), _padded(shown["y"].to_numpy())
    name_points(
        fig,
        shown["x"].to_numpy(),
        shown["y"].to_numpy(),
        [str(name) for name in shown.index],
        shown["n_significant"].to_numpy(),
        x_range=x_range,
        y_range=y_range,
        limit=n_labels,
        size=(850.0, height - 100.0),
    )
    apply_style(fig, height=height)
    _legend_right(fig, colour)
    fig.update_xaxes(
        title="UMAP 1", showticklabels=False, zeroline=False, showgrid=False, range=x_range
    )
    fig.update_yaxes(
        title="UMAP 2", showticklabels=False, zeroline=False, showgrid=False, range=y_range
    )
    return fig


def marker_size(n_cells: int) -> float:
    """Marker diameter in pixels that keeps a map of ``n_cells`` readable."""
    return float(np.clip(14 - 2.4 * np.log10(max(n_cells, 1)), 2.0, 8.0))


_HOVER_COLUMNS = ["n_cells", "n_significant", "n_open", "open_latents"]
_TITLES = {"n_open": "open latents", "n_significant": "significant<br>genes", "n_cells": "cells"}


def _maps(basal: np.ndarray, full: np.ndarray | None) -> list[np.ndarray]:
    return [basal] if full is None else [basal, full]


def _panels(number: int) -> go.Figure:
    titles = _PANELS if number > 1 else None
    return make_subplots(rows=1, cols=number, subplot_titles=titles, horizontal_spacing=0.04)


def _add_cells(
    fig: go.Figure,
    maps: Sequence[np.ndarray],
    chosen: np.ndarray,
    name: str,
    colour: str,
    size: float,
) -> None:
    for column, points in enumerate(maps, start=1):
        fig.add_scattergl(
            x=points[chosen, 0],
            y=points[chosen, 1],
            mode="markers",
            name=name,
            legendgroup=name,
            legendrank=2000 if colour == BACKGROUND else 1000,
            showlegend=column == 1,
            marker={"color": colour, "size": size},
            hovertemplate=f"{name}<extra></extra>",
            row=1,
            col=column,
        )


def _finish(fig: go.Figure, height: int) -> go.Figure:
    apply_style(fig, height=height)
    fig.update_xaxes(showticklabels=False, zeroline=False, showgrid=False, title="UMAP 1")
    fig.update_yaxes(showticklabels=False, zeroline=False, showgrid=False)
    fig.update_yaxes(title="UMAP 2", col=1)
    return fig


def _legend_right(fig: go.Figure, title: str) -> None:
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


def _map_points(part: pd.DataFrame, size: pd.Series) -> dict[str, object]:
    return {
        "x": part["x"],
        "y": part["y"],
        "mode": "markers",
        "text": part.index,
        "customdata": part.reindex(columns=_HOVER_COLUMNS).to_numpy(),
        "hovertemplate": (
            "<b>%{text}</b><br>%{customdata[0]:,} cells<br>%{customdata[1]} significant genes<br>"
            + ("%{customdata[2]} open latents: %{customdata[3]}" if "n_open" in part else "")
            + "<extra></extra>"
        ),
        "marker": {
            "size": size,
            "opacity": 0.85,
            "line": {"width": 1, "color": LINE},
        },
    }


def _padded(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    margin = 0.08 * max(high - low, 1e-6)
    return low - margin, high + margin
