"""Effects of many conditions on chosen genes: means over a list, and every gene of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sams_core.figures.effects import UNIT, note
from sams_core.figures.style import DATA, DIVERGING, LINE, MODEL, NEUTRAL, apply_style

_ROW = 20  # pixels
_SATURATED = 99.0  # percentile of absolute effects at which the colour is full


def effect_heatmap(
    model: pd.DataFrame, data: pd.DataFrame, *, measured_in: str = "all cells"
) -> go.Figure:
    """Effects of conditions on genes, the model's beside the measured ones on one colour scale.

    Parameters
    ----------
    model, data
        Conditions by genes in log2 units, with the same rows and columns, from
        `sams_core.analysis.effect_gene_lists.effect_matrices`. What was not measured is blank.
    measured_in
        Cells of the measurement, in words.
    """
    if model.empty:
        return note(go.Figure(), "There is no perturbation or no gene to show.")
    titles = ("Model", f"Measured in {measured_in}")
    fig = make_subplots(1, 2, shared_yaxes=True, horizontal_spacing=0.02, subplot_titles=titles)
    for column, (name, values) in enumerate((("model", model), ("measured", data)), start=1):
        fig.add_heatmap(
            z=values.to_numpy(),
            x=list(values.columns),
            y=list(values.index),
            coloraxis="coloraxis",
            hoverongaps=False,
            hovertemplate=f"<b>%{{y}}</b> on <b>%{{x}}</b><br>{name} %{{z:+.3f}}<extra></extra>",
            row=1,
            col=column,
        )
    everything = np.abs(np.concatenate([model.to_numpy().ravel(), data.to_numpy().ravel()]))
    limit = max(float(np.nanpercentile(everything, _SATURATED)), 0.05)
    apply_style(fig, height=150 + _ROW * len(model))
    fig.update_layout(
        coloraxis={
            "colorscale": DIVERGING,
            "cmin": -limit,
            "cmax": limit,
            "colorbar": {"title": {"text": "Effect,<br>log2"}, "thickness": 14},
        }
    )
    few = model.shape[1] <= 60
    fig.update_xaxes(showgrid=False, tickangle=-90, dtick=1 if few else None, type="category")
    fig.update_yaxes(showgrid=False, autorange="reversed", dtick=1, type="category")
    return fig


def list_dots(
    table: pd.DataFrame, *, of: str = "", alpha: float = 0.05, limit: int = 20
) -> go.Figure:
    """Mean effect of conditions on a list of genes: model and data side by side.

    Parameters
    ----------
    table
        From `sams_core.analysis.effect_gene_lists.gene_list_table`, in the order to show; with
        ``model`` and ``data``.
    of
        What the mean is over, for the axis, such as "12 genes".
    alpha
        Conditions in which the whole list shifts at an FDR below it are filled, the others open.
    limit
        How many conditions to show.
    """
    top = table.head(limit).iloc[::-1]
    fig = go.Figure()
    if top.empty:
        return note(fig, "There is no perturbation to show.")
    fig.add_scatter(
        x=np.column_stack([top["model"], top["data"], np.full(len(top), np.nan)]).ravel(),
        y=np.repeat(top.index.to_numpy(), 3),
        mode="lines",
        line={"color": LINE, "width": 1},
        hoverinfo="skip",
        showlegend=False,
    )
    for name, chosen, symbol in (
        (f"data, list FDR < {alpha:.0%}", top["fdr"] < alpha, "diamond"),
        (f"data, list FDR ≥ {alpha:.0%}", ~(top["fdr"] < alpha), "diamond-open"),
    ):
        part = top[chosen]
        fig.add_scatter(
            x=part["data"],
            y=part.index,
            mode="markers",
            name=name,
            marker={"symbol": symbol, "color": DATA, "size": 10},
            customdata=part[["fdr", "n_significant", "n_cells"]].to_numpy(),
            hovertemplate=(
                "<b>%{y}</b><br>data %{x:+.3f}<br>list FDR %{customdata[0]:.2g}<br>"
                "%{customdata[1]:,} significant genes<br>%{customdata[2]:,} cells<extra></extra>"
            ),
        )
    fig.add_scatter(
        x=top["model"],
        y=top.index,
        mode="markers",
        name="model",
        marker={"symbol": "circle", "color": MODEL, "size": 10},
        hovertemplate="<b>%{y}</b><br>model %{x:+.3f}<extra></extra>",
    )
    fig.add_vline(x=0, line={"color": NEUTRAL, "width": 1})
    apply_style(fig, height=110 + 24 * len(top))
    fig.update_xaxes(title=f"Mean effect on {of} ({UNIT})")
    fig.update_yaxes(categoryorder="array", categoryarray=list(top.index))
    return fig
