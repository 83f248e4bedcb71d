"""The map of perturbations: the space of shifts, with edges between nearest neighbours."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sams_core.figures.effects import marker_sizes, note
from sams_core.figures.labels import name_points
from sams_core.figures.latents import CATEGORIES, COLORBAR, NUMBERS, legend_right
from sams_core.figures.style import LINE, NEUTRAL, apply_style

_HOVER_COLUMNS = ["n_cells", "n_significant", "n_open", "open_latents"]
_TITLES = {"n_open": "open latents", "n_significant": "significant<br>genes", "n_cells": "cells"}
_FEW_STEPS = 8
_WIDTHS = ((0.5, 1.0), (0.8, 2.0), (1.01, 3.5))
"""Up to which cosine an edge is how wide, in pixels."""


def perturbation_map(
    table: pd.DataFrame,
    *,
    colour: str,
    edges: pd.DataFrame | None = None,
    n_labels: int = 40,
    height: int = 600,
) -> go.Figure:
    """Perturbations by the likeness of their latent effects; marker area grows with cells.

    Parameters
    ----------
    table
        From `sams_core.analysis.latent_tables.perturbation_table`.
    colour
        A column of it: a number is shown on a scale, anything else as categories.
    edges
        Pairs to join, from `sams_core.analysis.latent_neighbours.nearest_edges`.
    n_labels
        How many perturbations to name, those with most significant genes first.
    """
    fig = go.Figure()
    shown = table[np.isfinite(table["x"]) & np.isfinite(table["y"])]
    if shown.empty:
        return note(fig, "No perturbation to show.")
    if edges is not None:
        known = edges["first"].isin(shown.index) & edges["second"].isin(shown.index)
        _add_edges(fig, shown, edges[known])
    size = marker_sizes(shown["n_cells"], shown["n_cells"].max(), len(shown))
    if pd.api.types.is_numeric_dtype(shown[colour]):
        fig.add_scatter(**_map_points(shown, size), showlegend=False)
        fig.data[-1].marker.update(
            color=shown[colour],
            colorscale=NUMBERS,
            showscale=True,
            colorbar=COLORBAR
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
    legend_right(fig, colour)
    fig.update_xaxes(
        title="UMAP 1", showticklabels=False, zeroline=False, showgrid=False, range=x_range
    )
    fig.update_yaxes(
        title="UMAP 2", showticklabels=False, zeroline=False, showgrid=False, range=y_range
    )
    return fig


def _add_edges(fig: go.Figure, table: pd.DataFrame, edges: pd.DataFrame) -> None:
    """Join perturbations by lines, the wider the more alike, whose middles can be hovered."""
    low = -1.01
    for high, width in _WIDTHS:
        part = edges[(edges["cosine"] >= low) & (edges["cosine"] < high)]
        low = high
        if part.empty:
            continue
        ends = [table.loc[part[end], ["x", "y"]].to_numpy() for end in ("first", "second")]
        gap = np.full(len(part), np.nan)
        fig.add_scatter(
            x=np.column_stack([ends[0][:, 0], ends[1][:, 0], gap]).ravel(),
            y=np.column_stack([ends[0][:, 1], ends[1][:, 1], gap]).ravel(),
            mode="lines",
            line={"color": LINE, "width": width},
            hoverinfo="skip",
            showlegend=False,
        )
        middle = (ends[0] + ends[1]) / 2
        fig.add_scatter(
            x=middle[:, 0],
            y=middle[:, 1],
            mode="markers",
            marker={"size": 7, "opacity": 0},
            customdata=part[["first", "second", "cosine"]].to_numpy(),
            hovertemplate="%{customdata[0]} and %{customdata[1]}<br>cosine %{customdata[2]:.2f}"
            "<extra></extra>",
            showlegend=False,
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
