"""More figures of the combine page: evidence, parts of a deviation, scores, where cells land."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sams_core.figures.effects import QUIET, UNIT, note
from sams_core.figures.labels import name_points
from sams_core.figures.latents import marker_size
from sams_core.figures.style import (
    BROWN,
    DATA,
    GREEN,
    LINE,
    MODEL,
    NEUTRAL,
    PURPLE,
    apply_style,
)

BACKGROUND = "rgba(127, 143, 153, 0.28)"
_TITLES = {"predicted": "Predicted shift from control", "interaction": "Deviation from the sum"}
_EVIDENCE_HOVER = (
    "<b>%{text}</b><br>%{x:+.3f}, 90 % interval %{customdata[0]:+.3f} to %{customdata[1]:+.3f}<br>"
    "%{y:.1f} times its s.d.<extra></extra>"
)


def volcano(
    table: pd.DataFrame, quantity: str, *, n_labels: int = 14, height: int = 520
) -> go.Figure:
    """Each gene's shift, and how large it is beside its uncertainty.

    Parameters
    ----------
    table
        From `sams_core.analysis.combination_genes.evidence`.
    quantity
        ``"predicted"`` or ``"interaction"``.
    n_labels
        How many genes to name.
    """
    shown = table[np.isfinite(table["shift"]) & (table["ratio"] > 0)]
    fig = go.Figure()
    if shown.empty:
        return note(fig, "No gene to show.")
    for name, chosen, colour, symbol, size in (
        ("within uncertainty, or small", ~shown["certain"], QUIET, "circle", 6),
        ("beyond", shown["certain"], GREEN, "diamond", 9),
    ):
        part = shown[chosen]
        fig.add_scattergl(
            x=part["shift"],
            y=part["ratio"],
            mode="markers",
            name=f"{name}: {len(part):,}",
            text=part.index,
            customdata=part[["lower", "upper"]].to_numpy(),
            marker={"color": colour, "symbol": symbol, "size": size},
            hovertemplate=_EVIDENCE_HOVER,
        )
    widest = max(float(shown["shift"].abs().max()), 0.1) * 1.15
    low, high = np.log10(max(float(shown["ratio"].min()), 0.05)), np.log10(shown["ratio"].max())
    y_range = (float(low) - 0.1, float(high) + 0.25)
    name_points(
        fig,
        shown["shift"].to_numpy(),
        np.log10(shown["ratio"].to_numpy()),  # where annotations of a logarithmic axis are
        [str(name) for name in shown.index],
        shown["shift"].abs().to_numpy(),
        x_range=(-widest, widest),
        y_range=y_range,
        limit=n_labels,
        size=(640.0, height - 110.0),
    )
    apply_style(fig, height=height)
    fig.add_hline(y=1.645, line={"color": LINE, "dash": "dash", "width": 1.5})
    fig.update_xaxes(title=f"{_TITLES[quantity]} ({UNIT})", range=(-widest, widest), zeroline=True)
    fig.update_yaxes(title="Size in standard deviations", type="log", range=y_range, dtick=1)
    return fig


def deviation_parts(table: pd.DataFrame, *, limit: int = 15) -> go.Figure:
    """Genes with the largest deviation from the sum, and the two parts that it is made of.

    Parameters
    ----------
    table
        A prediction of a combination.
    limit
        How many genes to show.
    """
    size = table["interaction"].abs().sort_values(ascending=False, kind="stable")
    top = table.loc[size.index[:limit]]
    top = top.loc[top["interaction"].sort_values(kind="stable").index]
    fig = go.Figure()
    if top.empty:
        return note(fig, "No gene to show.")
    for column, name, colour in (("scale", "scale", BROWN), ("network", "network", PURPLE)):
        fig.add_bar(
            x=top[column],
            y=top.index,
            orientation="h",
            name=name,
            marker={"color": colour},
            hovertemplate=f"<b>%{{y}}</b><br>{name} %{{x:+.3f}}<extra></extra>",
        )
    fig.add_scatter(
        x=top["interaction"],
        y=top.index,
        mode="markers",
        name="deviation, 90 % interval",
        marker={"color": MODEL, "symbol": "circle", "size": 10},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": top["interaction_upper"] - top["interaction"],
            "arrayminus": top["interaction"] - top["interaction_lower"],
            "thickness": 2,
            "width": 5,
            "color": MODEL,
        },
        hovertemplate="<b>%{y}</b><br>deviation %{x:+.3f}<extra></extra>",
    )
    apply_style(fig, height=120 + 26 * len(top))
    fig.update_layout(barmode="relative", bargap=0.35)
    fig.update_xaxes(title=f"Deviation from the sum ({UNIT})", zeroline=True)
    fig.update_yaxes(categoryorder="array", categoryarray=list(top.index))
    return fig


def landing_map(
    umap: np.ndarray, landing: pd.DataFrame, measured: np.ndarray | None, *, height: int = 560
) -> go.Figure:
    """Where cells come from and where they would land, over all cells of the map.

    Parameters
    ----------
    umap
        (n, 2) places of the measured cells.
    landing
        ``cells`` of `sams_core.analysis.combination_landing.Landing`.
    measured
        (n,) which measured cells carry the combination; None where none was measured.
    """
    fig = go.Figure()
    size = marker_size(len(umap))
    shown = [("all measured cells", umap, BACKGROUND, "circle", size)]
    if measured is not None and measured.any():
        shown.append(("measured with the combination", umap[measured], DATA, "x", 7.0))
    starts, ends = landing[["from_x", "from_y"]].to_numpy(), landing[["x", "y"]].to_numpy()
    shown += [
        ("before", starts, NEUTRAL, "circle-open", 6.0),
        ("with the combination, predicted", ends, MODEL, "diamond", 7.0),
    ]
    for name, points, colour, symbol, diameter in shown:
        fig.add_scattergl(
            x=points[:, 0],
            y=points[:, 1],
            mode="markers",
            name=f"{name}: {len(points):,}",
            marker={"color": colour, "symbol": symbol, "size": diameter},
            hovertemplate=f"{name}<extra></extra>",
        )
    if len(landing):
        _add_arrow(fig, np.median(starts, axis=0), np.median(ends, axis=0))
    apply_style(fig, height=height)
    fig.update_layout(legend={"itemsizing": "constant"})
    fig.update_xaxes(showticklabels=False, zeroline=False, showgrid=False, title="UMAP 1")
    fig.update_yaxes(showticklabels=False, zeroline=False, showgrid=False, title="UMAP 2")
    return fig


def _add_arrow(fig: go.Figure, start: np.ndarray, end: np.ndarray) -> None:
    fig.add_annotation(
        x=end[0], y=end[1], ax=start[0], ay=start[1],
        xref="x", yref="y", axref="x", ayref="y",
        text="", showarrow=True, arrowhead=2, arrowsize=1.2, arrowwidth=3, arrowcolor=MODEL,
    )  # fmt: skip
