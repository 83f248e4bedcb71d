"""Maps of more cells than can be drawn one by one: density, contours and means on a grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from sams_core.analysis.latent_density import Grid
from sams_core.figures.style import FAINT, LINE

DENSITY_FROM = 100_000
"""Cells above which a map shows density instead of points."""
N_SAMPLE = 4_000
"""Cells that hover and a lasso find on a map of density."""
MAX_CONTOURS = 6
"""Categories beside the control whose contours are drawn: more hide one another."""
_SHADES = [[0.0, FAINT], [0.3, LINE], [1.0, "rgba(127, 143, 153, 0.95)"]]
_LEVELS = (0.15, 0.95, 0.2)


def add_density(fig: go.Figure, points: np.ndarray, grid: Grid, at: dict[str, int]) -> None:
    """Shade where cells lie, by the logarithm of their number."""
    counts = grid.counts(points)
    x, y = grid.centres
    fig.add_heatmap(
        x=x,
        y=y,
        z=np.where(counts > 0, np.log10(counts + 1), np.nan),
        customdata=counts,
        hovertemplate="%{customdata:,} cells<extra></extra>",
        colorscale=_SHADES,
        showscale=False,
        **at,
    )


def add_contours(
    fig: go.Figure, points: np.ndarray, grid: Grid, look: dict[str, Any], at: dict[str, int]
) -> None:
    """Draw contours of some cells' density: 15%, 35% ... 95% of its highest."""
    x, y = grid.centres
    start, end, size = _LEVELS
    colour = look["color"]
    fig.add_contour(
        x=x,
        y=y,
        z=grid.density(points),
        contours={"start": start, "end": end, "size": size, "coloring": "lines"},
        colorscale=[[0.0, colour], [1.0, colour]],
        line={"width": 1.5},
        showscale=False,
        hoverinfo="skip",
        **{key: value for key, value in look.items() if key != "color"},
        **at,
    )


def add_mean_of(fig: go.Figure, points: np.ndarray, values: np.ndarray, at: dict[str, int]) -> None:
    """Colour each bin of the map by the mean of its cells."""
    grid = Grid.over(points)
    x, y = grid.centres
    fig.add_heatmap(
        x=x,
        y=y,
        z=grid.mean(points, values),
        coloraxis="coloraxis",
        hovertemplate="mean %{z:.3g}<extra></extra>",
        **at,
    )


def add_sample(fig: go.Figure, points: np.ndarray, text: np.ndarray, at: dict[str, int]) -> None:
    """Put some cells on the map, unseen, so that a lasso has something to catch."""
    rows = np.random.default_rng(0).permutation(len(points))[:N_SAMPLE]
    fig.add_scattergl(
        x=points[rows, 0],
        y=points[rows, 1],
        mode="markers",
        text=text[rows],
        marker={"size": 3, "opacity": 0},
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
        **at,
    )
