"""Masks as a picture: perturbations x latent dimensions, in named groups with dividers."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from sams_core.analysis.ordering import Group
from sams_core.figures.style import DIVERGING, FAINT, LINE, PURPLE, SEQUENTIAL, apply_style

HEADER_PIXELS = 26
LABELLED_ROW_PIXELS = 12
MAX_LABELLED_LATENTS = 64
WIDE_MAP_LATENTS = 6
"""Latents from which on the map is as wide as the page."""
SATURATION = 3.0
"""Largest shift, in basal s.d., that has a colour of its own; beyond, it is strong anyway."""
_HEIGHT_OF_DENSE_MAP = 1200
_MARGIN = {"l": 8, "r": 8, "t": 40, "b": 16}
_TITLE_PIXELS = 36
_PROBABILITY_HOVER = "inclusion probability %{customdata[1]:.2f}<br>"


@dataclass(frozen=True)
class View:
    """One way to look at the mask.

    Attributes
    ----------
    label
        What the control calls it.
    unit
        Title of the colour bar.
    signed
        Whether values go both ways from 0; otherwise they run from 0 to 1.
    """

    label: str
    unit: str
    signed: bool


VIEWS = {
    "probability": View("Inclusion probability", "Inclusion<br>probability", signed=False),
    "stability": View("Stability", "Share of<br>seeds open", signed=False),
    "effect": View("Signed effect", "Effect<br>(basal s.d.)", signed=True),
    "embedding": View("Embedding", "Embedding<br>(basal s.d.)", signed=True),
}


@dataclass(frozen=True)
class MaskTables:
    """What the map shows and what its hover text says; (T, L) tables share rows and columns.

    Attributes
    ----------
    values
        What is coloured; NaN leaves the page's own colour.
    probability
        Inclusion probability; None without a mask.
    effect, effect_sd
        Posterior mean and standard deviation of the effect.
    n_cells
        (T,) cells of each perturbation.
    seeds
        Words about other seeds; None where they were not compared.
    """

    values: pd.DataFrame
    probability: pd.DataFrame | None
    effect: pd.DataFrame
    effect_sd: pd.DataFrame
    n_cells: pd.Series
    seeds: pd.DataFrame | None = None


def mask_heatmap(
    tables: MaskTables,
    groups: Sequence[Group],
    latents: Sequence[str],
    view: View,
    *,
    truth: pd.DataFrame | None = None,
) -> go.Figure:
    """Draw the mask, and the simulated truth beside it when there is one.

    Parameters
    ----------
    tables
        Values and hover text.
    groups
        Named blocks of row numbers of ``tables.values``, in the order to show; a single block
        without a name draws no divider.
    latents
        Columns to show, in order.
    view
        What ``tables.values`` are.
    truth
        (T, K) true mask, columns in the order to show.

    Returns
    -------
    go.Figure
        Rows are tall enough to be labelled up to about 100 perturbations; beyond, names are in
        the hover text only.
    """
    layout = _RowLayout(groups)
    widths = [len(latents), truth.shape[1]] if truth is not None else [len(latents)]
    fig = make_subplots(
        rows=1,
        cols=len(widths),
        shared_yaxes=True,
        column_widths=[max(width, 1) for width in widths],
        horizontal_spacing=0.02,
        column_titles=["Model", "Simulated truth"] if truth is not None else None,
    )
    fig.add_trace(_model_trace(tables, layout, list(latents), view), row=1, col=1)
    if truth is not None:
        fig.add_trace(_truth_trace(truth, layout), row=1, col=2)
    titles = _TITLE_PIXELS if truth is not None else 0
    apply_style(fig, height=layout.height + titles)
    fig.update_layout(margin={**_MARGIN, "t": _MARGIN["t"] + titles})
    fig.update_annotations(yshift=38, font_size=14)
    if truth is None:
        _narrow(fig, len(latents))
    for column, width in enumerate(widths, start=1):
        fig.update_xaxes(
            side="top",
            showgrid=False,
            zeroline=False,
            showticklabels=width <= MAX_LABELLED_LATENTS // len(widths),
            tickangle=0 if width <= 24 // len(widths) else -90,
            tickfont_size=12,
            col=column,
        )
    _label_rows(fig, layout, tables.values.index)
    _divide(fig, layout, fig.layout.xaxis.domain[1] if truth is None else 1.0)
    return fig


class _RowLayout:
    """Where each row and each group's header lies on the vertical axis, in units of a row."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self.row_pixels = _row_pixels(sum(len(group.rows) for group in groups))
        header = HEADER_PIXELS / self.row_pixels
        self.rows: list[int] = []
        """Row numbers in order; -1 is a header."""
        self.edges = [0.0]
        self.headers: list[tuple[str, int, float]] = []
        """Name, number of rows and upper edge of each group."""
        self.group_of: list[str] = []
        for group in groups:
            if group.name:
                self.headers.append((group.name, len(group.rows), self.edges[-1]))
                self._append(-1, header, group.name)
            for row in group.rows:
                self._append(int(row), 1.0, group.name)
        self.plot_height = round(self.edges[-1] * self.row_pixels)
        self.height = self.plot_height + _MARGIN["t"] + _MARGIN["b"]
        self.header_height = header

    def _append(self, row: int, height: float, group: str) -> None:
        self.rows.append(row)
        self.group_of.append(group)
        self.edges.append(self.edges[-1] + height)

    def spread(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Order rows as shown, with NaN where headers are."""
        shown = np.asarray(values, dtype=np.float64)[self.rows]
        shown[np.array(self.rows) < 0] = np.nan
        return shown


def _row_pixels(n_rows: int) -> float:
    for limit, pixels in ((30, 24.0), (60, 18.0), (100, 13.0)):
        if n_rows <= limit:
            return pixels
    return max(2.0, min(11.0, _HEIGHT_OF_DENSE_MAP / n_rows))


def _model_trace(
    tables: MaskTables, layout: _RowLayout, latents: list[str], view: View
) -> go.Heatmap:
    values = layout.spread(tables.values[latents].to_numpy())
    limit = _limit(values) if view.signed else 1.0
    return go.Heatmap(
        z=np.round(values, 4),
        x=latents,
        y=layout.edges,
        zmin=-limit if view.signed else 0.0,
        zmax=limit,
        colorscale=DIVERGING if view.signed else SEQUENTIAL,
        colorbar={
            "title": {"text": view.unit, "side": "top", "font": {"size": 12}},
            "thickness": 12,
            "len": float(np.clip(layout.plot_height - 48, 60, 200)),
            "lenmode": "pixels",
            "y": 1,
            "yanchor": "top",
            "outlinewidth": 0,
        },
        hoverongaps=False,
        customdata=_hover(tables, layout, latents),
        hovertemplate=(
            "<b>%{customdata[0]}</b> · latent %{x}<br>"
            + ("" if tables.probability is None else _PROBABILITY_HOVER)
            + ("" if tables.seeds is None else "%{customdata[5]}<br>")
            + "effect %{customdata[2]:+.2f} ± %{customdata[3]:.2f} s.d.<br>"
            "%{customdata[4]}<extra></extra>"
        ),
        **_gaps(layout, len(latents)),
    )


def _hover(tables: MaskTables, layout: _RowLayout, latents: list[str]) -> NDArray[np.object_]:
    rows = np.array(layout.rows)
    hover = np.empty((len(rows), len(latents), 6 if tables.seeds is not None else 5), dtype=object)
    names = np.array([html.escape(str(name)) for name in tables.values.index], dtype=object)
    hover[:, :, 0] = names[rows][:, None]
    for place, table in enumerate((tables.probability, tables.effect, tables.effect_sd), start=1):
        if table is not None:
            hover[:, :, place] = np.round(layout.spread(table[latents].to_numpy()), 3)
    cells = tables.n_cells.to_numpy()[rows]
    hover[:, :, 4] = np.array(
        [
            f"{html.escape(group)} · {n:,} cells" if group else f"{n:,} cells"
            for group, n in zip(layout.group_of, cells, strict=True)
        ],
        dtype=object,
    )[:, None]
    if tables.seeds is not None:
        hover[:, :, 5] = tables.seeds[latents].to_numpy()[rows]
    hover[rows < 0] = None
    return hover


def _truth_trace(truth: pd.DataFrame, layout: _RowLayout) -> go.Heatmap:
    names = np.array([html.escape(str(name)) for name in truth.index], dtype=object)
    return go.Heatmap(
        z=layout.spread(truth.to_numpy()),
        x=[str(column) for column in truth.columns],
        y=layout.edges,
        zmin=0,
        zmax=1,
        colorscale=[[0.0, FAINT], [1.0, PURPLE]],
        showscale=False,
        hoverongaps=False,
        customdata=np.broadcast_to(names[layout.rows][:, None], (len(layout.rows), truth.shape[1])),
        hovertemplate="<b>%{customdata}</b> · %{x}<br>truly open: %{z}<extra></extra>",
        **_gaps(layout, truth.shape[1]),
    )


def _gaps(layout: _RowLayout, n_columns: int) -> dict[str, int]:
    return {
        "xgap": 1 if n_columns <= MAX_LABELLED_LATENTS else 0,
        "ygap": 1 if layout.row_pixels >= LABELLED_ROW_PIXELS else 0,
    }


def _limit(values: NDArray[np.float64]) -> float:
    known = np.abs(values[np.isfinite(values)])
    return float(np.clip(np.quantile(known, 0.99), 0.1, SATURATION)) if known.size else 1.0


def _narrow(fig: go.Figure, n_latents: int) -> None:
    """Keep the columns of a map with few latents from growing as wide as the page."""
    share = min(1.0, n_latents / WIDE_MAP_LATENTS)
    fig.update_xaxes(domain=[0, share])
    fig.update_traces(colorbar_x=share + 0.02, colorbar_xanchor="left")


def _label_rows(fig: go.Figure, layout: _RowLayout, names: pd.Index) -> None:
    labelled = layout.row_pixels >= LABELLED_ROW_PIXELS
    centres = [(low + high) / 2 for low, high in zip(layout.edges, layout.edges[1:], strict=False)]
    shown = [(centre, row) for centre, row in zip(centres, layout.rows, strict=True) if row >= 0]
    fig.update_yaxes(
        range=[layout.edges[-1], 0],
        showgrid=False,
        zeroline=False,
        tickmode="array",
        tickvals=[centre for centre, _ in shown] if labelled else [],
        ticktext=[html.escape(str(names[row])) for _, row in shown] if labelled else [],
        tickfont_size=12,
    )


def _divide(fig: go.Figure, layout: _RowLayout, right: float) -> None:
    for name, size, top in layout.headers:
        if top > 0:
            line = top + 0.2 * layout.header_height
            fig.add_shape(
                **{"type": "line", "xref": "paper", "yref": "y", "line_color": LINE},
                **{"x0": 0, "x1": right, "y0": line, "y1": line},
            )
        fig.add_annotation(
            text=f"<b>{html.escape(name)}</b>  {size}",
            xref="paper",
            yref="y",
            x=0,
            y=top + 0.6 * layout.header_height,
            xanchor="left",
            showarrow=False,
            font_size=13,
        )
