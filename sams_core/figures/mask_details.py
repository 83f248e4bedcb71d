"""Figures of the masks page's details: genes along a dimension, effects of a perturbation."""

from __future__ import annotations

import html
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sams_core.figures.effects import note
from sams_core.figures.style import BLUE, DATA, LINE, MODEL, NEUTRAL, ORANGE, apply_style

ROW_PIXELS = 21
_AROUND = 96


def gene_bars(up: pd.DataFrame, down: pd.DataFrame, *, limit: int = 10) -> go.Figure:
    """Genes that a step along a latent dimension raises and lowers, the largest change first.

    Parameters
    ----------
    up, down
        From `sams_core.analysis.latent_dimension.top_genes`: ``change`` (log2), ``lower`` and
        ``upper`` (5% and 95% of cells), which the thin lines show.
    limit
        Genes of each.
    """
    shown = pd.concat([up.head(limit), down.head(limit).iloc[::-1]])
    if shown.empty:
        return note(go.Figure(), "No gene moves clearly along this dimension.")
    change = shown["change"]
    fig = go.Figure(
        go.Bar(
            x=change,
            y=_safe(shown.index),
            orientation="h",
            marker_color=np.where(change > 0, ORANGE, BLUE),
            error_x={
                "type": "data",
                "array": shown["upper"] - change,
                "arrayminus": change - shown["lower"],
                "width": 0,
                "thickness": 1.5,
                "color": NEUTRAL,
            },
            customdata=shown[["lower", "upper"]].to_numpy(),
            hovertemplate="<b>%{y}</b><br>%{x:+.2f} on average, %{customdata[0]:+.2f} to "
            "%{customdata[1]:+.2f} in 90% of cells<extra></extra>",
        )
    )
    return _finish(fig, len(shown), "Change of expression (log2)")


def effect_dots(row: pd.DataFrame) -> go.Figure:
    """Effects of one perturbation on the latent dimensions, with their posterior s.d.

    Parameters
    ----------
    row
        Of `sams_core.analysis.perturbation_details.mask_row` the latent dimensions to show.
    """
    fig = go.Figure()
    for is_open, name, colour in ((True, "open", MODEL), (False, "closed", NEUTRAL)):
        part = row[row["open"] == is_open]
        if part.empty:
            continue
        fig.add_scatter(
            x=part["effect"],
            y=_safe(part.index),
            mode="markers",
            name=name,
            marker={"size": 10, "color": colour, "symbol": "circle" if is_open else "circle-open"},
            error_x={"type": "data", "array": part["effect_sd"], "width": 0, "thickness": 1.5},
            customdata=part["inclusion"],
            hovertemplate="<b>latent %{y}</b><br>effect %{x:+.2f} ± %{error_x.array:.2f} s.d.<br>"
            "inclusion probability %{customdata:.2f}<extra></extra>",
        )
    _finish(fig, len(row), "Effect (basal s.d.)", list(_safe(row.index)))
    return fig.update_layout(showlegend=True, margin_t=40)


def gene_pairs(genes: pd.DataFrame, *, limit: int = 20) -> go.Figure:
    """The genes that a perturbation moves most, in the model and in the data.

    Parameters
    ----------
    genes
        From `sams_core.analysis.perturbation_details.moved_genes`; its first rows are shown.
    limit
        Genes at most.
    """
    shown = genes.head(limit)
    if shown.empty:
        return note(go.Figure(), "No gene to show.")
    names = _safe(shown.index)
    fig = go.Figure()
    for name, row in zip(names, shown.itertuples(), strict=True):
        fig.add_shape(
            **{"type": "line", "x0": row.model, "x1": row.data, "y0": name, "y1": name},
            **{"line": {"color": LINE, "width": 1.5}, "layer": "below"},
        )
    for column, label, symbol, colour in (
        ("data", "measured", "diamond", DATA),
        ("model", "model", "circle", MODEL),
    ):
        fig.add_scatter(
            x=shown[column],
            y=names,
            mode="markers",
            name=label,
            marker={"size": 10, "color": colour, "symbol": symbol},
            customdata=np.column_stack([shown[f"{column}_rank"], shown["fdr"]]),
            hovertemplate=f"<b>%{{y}}</b><br>{label} %{{x:+.2f}}, rank %{{customdata[0]:.0f}}<br>"
            "FDR in the data %{customdata[1]:.1e}<extra></extra>",
        )
    _finish(fig, len(shown), "Effect (log2)", list(names))
    return fig.update_layout(showlegend=True, margin_t=40)


def _safe(names: pd.Index) -> list[str]:
    return [html.escape(str(name)) for name in names]


def _finish(fig: go.Figure, n_rows: int, title: str, order: list[str] | None = None) -> go.Figure:
    apply_style(fig, height=_AROUND + ROW_PIXELS * n_rows)
    axis: dict[str, Any] = {"autorange": "reversed", "tickfont_size": 12, "dtick": 1}
    if order is not None:
        axis |= {"categoryorder": "array", "categoryarray": order}
    fig.update_yaxes(**axis)
    fig.update_xaxes(title=title, zeroline=True)
    return fig.update_layout(showlegend=False, bargap=0.35, margin_t=12)
