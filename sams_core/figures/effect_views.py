"""Views of one condition's genes, model beside data: volcano, MA, and what surprises the model."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sams_core.figures.effects import QUIET, UNIT, common_limits, note
from sams_core.figures.labels import place_labels
from sams_core.figures.style import DATA, LINE, MODEL, NEUTRAL, apply_style

SMALLEST_P = 1e-38
"""Tables hold float32, in which anything much smaller is 0."""
_PANEL = 480.0  # pixels across a panel, as far as known
_INTERVAL = "rgba(46, 134, 193, 0.38)"


class _Side(NamedTuple):
    """The model or the data: columns of the table, colour and name."""

    effect: str
    p_value: str
    fdr: str
    colour: str
    name: str


class _Panel(NamedTuple):
    """One half of a figure: positions of genes, which are significant, and which to name first."""

    side: _Side
    x: pd.Series
    y: pd.Series
    significant: pd.Series
    importance: pd.Series
    x_title: str
    hover: str


def volcano(
    table: pd.DataFrame,
    *,
    alpha: float = 0.05,
    measured_in: str = "all cells",
    n_labels: int = 10,
    height: int = 520,
) -> go.Figure:
    """Effect against significance: what the model expects to be measured, beside what was.

    Parameters
    ----------
    table
        From `sams_core.analysis.effect_statistics.gene_statistics`.
    alpha
        Genes with an FDR below it are coloured.
    measured_in
        Cells of the measurement, in words.
    n_labels
        How many genes to name in each panel, the most significant first.
    """
    hover = "effect %{x:+.3f}<br>−log10 p %{y:.3g}"
    panels = []
    for side in _sides(measured_in):
        shown = table[np.isfinite(table[side.effect]) & np.isfinite(table[side.p_value])]
        x, y = shown[side.effect], -np.log10(shown[side.p_value].clip(lower=SMALLEST_P))
        panels.append(
            _Panel(side, x, y, shown[side.fdr] < alpha, y + x.abs(), f"Effect ({UNIT})", hover)
        )
    return _two_panels(panels, "−log10 p-value", alpha, n_labels, height)


def ma_plot(
    table: pd.DataFrame,
    *,
    alpha: float = 0.05,
    measured_in: str = "all cells",
    n_labels: int = 10,
    height: int = 520,
) -> go.Figure:
    """Expression in control cells against effect, in the model and in the data.

    Parameters are those of :func:`volcano`; genes with the largest effects are named.
    """
    hover = "mean in control %{x:.2f}<br>effect %{y:+.3f}"
    panels = []
    for side in _sides(measured_in):
        shown = table[np.isfinite(table[side.effect])]
        x, y = shown["mean_control"], shown[side.effect]
        title = f"Mean in control cells ({UNIT})"
        panels.append(_Panel(side, x, y, shown[side.fdr] < alpha, y.abs(), title, hover))
    return _two_panels(panels, f"Effect ({UNIT})", alpha, n_labels, height)


def _sides(measured_in: str) -> tuple[_Side, _Side]:
    return (
        _Side("model", "model_p", "model_fdr", MODEL, "Model"),
        _Side("data", "p_value", "fdr", DATA, f"Measured in {measured_in}"),
    )


def _two_panels(
    panels: list[_Panel], y_title: str, alpha: float, n_labels: int, height: int
) -> go.Figure:
    """Draw the model's points beside the data's, on the same axes."""
    if all(panel.x.empty for panel in panels):
        return note(go.Figure(), "No gene was measured well enough in these cells.")
    fig = make_subplots(1, 2, shared_yaxes=True, horizontal_spacing=0.03)
    x_range = _limits(*(panel.x for panel in panels))
    y_range = _limits(*(panel.y for panel in panels))
    for column, panel in enumerate(panels, start=1):
        for significant, colour, size in ((False, QUIET, 6), (True, panel.side.colour, 9)):
            chosen = panel.significant == significant
            fig.add_scattergl(
                x=panel.x[chosen],
                y=panel.y[chosen],
                mode="markers",
                name=f"{panel.side.effect}, FDR {'<' if significant else '≥'} {alpha:.0%}: "
                f"{int(chosen.sum()):,}",
                text=panel.x.index[chosen],
                hovertemplate=f"<b>%{{text}}</b><br>{panel.hover}<extra></extra>",
                marker={"color": colour, "size": size},
                row=1,
                col=column,
            )
        _name(fig, panel, column, x_range, y_range, n_labels, height)
        title = f"{panel.side.name}<br>{panel.x_title}"
        fig.update_xaxes(title=title, range=x_range, row=1, col=column)
    apply_style(fig, height=height)
    fig.update_yaxes(range=y_range, zeroline=True)
    fig.update_yaxes(title=y_title, row=1, col=1)
    return fig


def _name(
    fig: go.Figure,
    panel: _Panel,
    column: int,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    limit: int,
    height: int,
) -> None:
    """Name significant points of a panel, the most important first."""
    x, y = panel.x.to_numpy(), panel.y.to_numpy()
    importance = panel.importance.where(panel.significant, -1.0).to_numpy()
    order = np.argsort(-importance, kind="stable")[:limit]
    labels = [(int(i), str(panel.x.index[i])) for i in order if importance[i] >= 0]
    placed = place_labels(
        x, y, labels, x_range=x_range, y_range=y_range, size=(_PANEL, height - 110.0)
    )
    for label in placed:
        fig.add_annotation(
            x=float(x[label.index]),
            y=float(y[label.index]),
            text=label.text,
            ax=label.dx,
            ay=label.dy,
            arrowhead=0,
            arrowwidth=1,
            arrowcolor=LINE,
            standoff=4,
            font={"size": 12},
            row=1,
            col=column,
        )


def _limits(*values: pd.Series) -> tuple[float, float]:
    return common_limits(*(value.to_numpy() for value in values))


def residual_intervals(table: pd.DataFrame, *, limit: int = 25) -> go.Figure:
    """Measured effects of genes beside what the model expects to be measured.

    Parameters
    ----------
    table
        From `sams_core.analysis.effect_statistics.gene_statistics`, the most surprising gene
        first.
    limit
        How many genes to show.
    """
    top = table[np.isfinite(table["predicted_low"])].head(limit).iloc[::-1]
    fig = go.Figure()
    if top.empty:
        return note(fig, "No gene was measured well enough in these cells.")
    numbers = top[["predicted_low", "predicted_high", "ppc_p", "ppc_fdr"]].to_numpy()
    fig.add_bar(
        base=top["predicted_low"],
        x=top["predicted_high"] - top["predicted_low"],
        y=top.index,
        orientation="h",
        width=0.55,
        marker={"color": _INTERVAL, "line_width": 0},
        name="model's 90% interval for the measurement",
        hoverinfo="skip",
    )
    fig.add_scatter(
        x=top["model"],
        y=top.index,
        mode="markers",
        name="model",
        marker={"symbol": "line-ns", "size": 13, "line": {"color": MODEL, "width": 3}},
        hovertemplate="<b>%{y}</b><br>model %{x:+.3f}<extra></extra>",
    )
    for name, chosen, symbol in (
        ("measured, outside", top["outside"], "diamond"),
        ("measured, inside", ~top["outside"], "diamond-open"),
    ):
        part = top[chosen]
        fig.add_scatter(
            x=part["data"],
            y=part.index,
            mode="markers",
            name=name,
            error_x={"type": "data", "array": part["data_se"], "width": 0, "thickness": 1.5},
            marker={"symbol": symbol, "color": DATA, "size": 10},
            customdata=numbers[chosen.to_numpy()],
            hovertemplate=(
                "<b>%{y}</b><br>measured %{x:+.3f} ± %{error_x.array:.3f}<br>"
                "expected %{customdata[0]:+.3f} to %{customdata[1]:+.3f}<br>"
                "p %{customdata[2]:.2g}, FDR %{customdata[3]:.2g}<extra></extra>"
            ),
        )
    fig.add_vline(x=0, line={"color": NEUTRAL, "width": 1})
    apply_style(fig, height=120 + 24 * len(top))
    fig.update_xaxes(title=f"Effect ({UNIT})")
    fig.update_yaxes(categoryorder="array", categoryarray=list(top.index))
    return fig
