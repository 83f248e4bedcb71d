"""Figures of the effects page: model against data, for one condition, one gene or all."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sams_core.figures.labels import name_points
from sams_core.figures.style import DATA, GREEN, LINE, MODEL, NEUTRAL, apply_style

UNIT = "log2 of counts per 10,000"
QUIET = "rgba(127, 143, 153, 0.5)"

_HOVER = (
    "<b>%{text}</b><br>model %{y:+.3f} ± %{customdata[0]:.3f}<br>"
    "data %{x:+.3f} ± %{customdata[1]:.3f}<br>FDR %{customdata[2]:.2g}<extra></extra>"
)
_FIT_HOVER = (
    "<b>%{text}</b><br>model %{y:.2f}, ceiling %{x:.2f}<br>%{customdata[0]:,} held-out cells<br>"
    "%{customdata[1]} significant genes<extra></extra>"
)


def effect_scatter(
    table: pd.DataFrame,
    *,
    alpha: float = 0.05,
    n_labels: int = 10,
    x_title: str = "Measured effect",
    y_title: str = "Model's effect",
    height: int = 520,
) -> go.Figure:
    """Model effect against measured effect, one point a gene.

    Parameters
    ----------
    table
        From `sams_core.analysis.effect_tables.condition_table`, or from
        `sams_core.analysis.effect_statistics.gene_statistics`: then genes outside their predictive
        interval are ringed. Genes without a measurement are left out.
    alpha
        Genes with an FDR below it are coloured.
    n_labels
        How many genes to name, by the larger of the two effects; names without a free place are
        left out.
    """
    shown = table[np.isfinite(table["data"]) & np.isfinite(table["model"])]
    fig = go.Figure()
    if shown.empty:
        return note(fig, "No cells were measured for this comparison.")
    significant = shown["fdr"] < alpha
    limits = common_limits(shown["data"], shown["model"])
    add_identity(fig, limits, "model = data")
    for name, chosen, colour, size in (
        (f"FDR ≥ {alpha:.0%}", ~significant, QUIET, 6),
        (f"FDR < {alpha:.0%}", significant, GREEN, 9),
    ):
        part = shown[chosen]
        fig.add_scattergl(
            x=part["data"],
            y=part["model"],
            mode="markers",
            name=f"{name}: {len(part):,}",
            text=part.index,
            customdata=part[["model_se", "data_se", "fdr"]].to_numpy(),
            hovertemplate=_HOVER,
            marker={"color": colour, "size": size},
        )
    if "outside" in shown:
        _add_rings(fig, shown[shown["outside"]])
    name_strongest(fig, shown["data"], shown["model"], limits, n_labels, side=0.62 * height)
    return square(fig, limits, f"{x_title} ({UNIT})", f"{y_title} ({UNIT})", height=height)


def fit_scatter(table: pd.DataFrame, *, n_labels: int = 15, height: int = 500) -> go.Figure:
    """Correlation the model reaches against the ceiling, one point a condition.

    Parameters
    ----------
    table
        From `sams_core.analysis.effect_tables.fit_table`; conditions without a score are left out.
    n_labels
        How many conditions to name, those with most significant genes first.
    """
    shown = table[np.isfinite(table["pearson"]) & np.isfinite(table["ceiling"])]
    fig = go.Figure()
    if shown.empty:
        return note(fig, "No condition has enough held-out cells to be scored.")
    limits = common_limits(shown["pearson"], shown["ceiling"])
    add_identity(fig, limits, "model = ceiling")
    for name, seen, colour, symbol in (
        ("seen in training", True, MODEL, "circle"),
        ("not seen in training", False, DATA, "diamond"),
    ):
        part = shown[shown["seen_in_training"] == seen]
        if part.empty:
            continue
        fig.add_scatter(
            x=part["ceiling"],
            y=part["pearson"],
            mode="markers",
            name=f"{name}: {len(part):,}",
            text=part.index,
            customdata=part[["n_cells_test", "n_significant"]].to_numpy(),
            hovertemplate=_FIT_HOVER,
            marker={
                "color": colour,
                "symbol": symbol,
                "opacity": 0.8,
                "size": marker_sizes(
                    part["n_significant"], shown["n_significant"].max(), len(shown)
                ),
            },
        )
    name_points(
        fig,
        shown["ceiling"].to_numpy(),
        shown["pearson"].to_numpy(),
        [str(name) for name in shown.index],
        shown["n_significant"].to_numpy(),
        x_range=limits,
        y_range=limits,
        limit=n_labels,
        size=(0.7 * height, 0.7 * height),
    )
    return square(
        fig,
        limits,
        "Ceiling: training cells against held-out cells (Pearson)",
        "Model against held-out cells (Pearson)",
        height=height,
    )


def gene_dots(table: pd.DataFrame, *, gene: str, alpha: float = 0.05, limit: int = 25) -> go.Figure:
    """Effects of the perturbations that move one gene most: model and data side by side.

    Parameters
    ----------
    table
        From `sams_core.analysis.effect_tables.gene_table`, strongest first.
    alpha
        Data points with an FDR below it are filled, the others open.
    limit
        How many perturbations to show.
    """
    top = table.head(limit)
    top = top.loc[top["model"].sort_values(kind="stable").index]
    fig = go.Figure()
    if top.empty:
        return note(fig, "No perturbation to show.")
    significant = top["fdr"] < alpha
    fig.add_scatter(
        x=np.column_stack([top["model"], top["data"], np.full(len(top), np.nan)]).ravel(),
        y=np.repeat(top.index.to_numpy(), 3),
        mode="lines",
        line={"color": LINE, "width": 1},
        hoverinfo="skip",
        showlegend=False,
    )
    for name, chosen, symbol in (
        (f"data, FDR < {alpha:.0%}", significant, "diamond"),
        (f"data, FDR ≥ {alpha:.0%}", ~significant, "diamond-open"),
    ):
        fig.add_scatter(
            **_dots(top[chosen], "data", name, symbol, DATA),
            hovertemplate=(
                "<b>%{y}</b><br>data %{x:+.3f} ± %{error_x.array:.3f}<br>"
                "FDR %{customdata[0]:.2g}<br>%{customdata[1]:,} cells<extra></extra>"
            ),
        )
    fig.add_scatter(
        **_dots(top, "model", "model", "circle", MODEL),
        hovertemplate="<b>%{y}</b><br>model %{x:+.3f} ± %{error_x.array:.3f}<extra></extra>",
    )
    fig.add_vline(x=0, line={"color": NEUTRAL, "width": 1})
    apply_style(fig, height=110 + 24 * len(top))
    fig.update_xaxes(title=f"Effect on {gene} ({UNIT})")
    fig.update_yaxes(categoryorder="array", categoryarray=list(top.index))
    return fig


def common_limits(*values: pd.Series | np.ndarray) -> tuple[float, float]:
    """Return one range for both axes that holds every finite value and zero, with a margin."""
    stacked = np.concatenate([np.asarray(v, float).ravel() for v in values])
    stacked = np.append(stacked[np.isfinite(stacked)], 0.0)
    low, high = float(stacked.min()), float(stacked.max())
    margin = 0.08 * max(high - low, 0.1)
    return low - margin, high + margin


def add_identity(fig: go.Figure, limits: tuple[float, float], name: str) -> None:
    """Draw the line on which both axes agree."""
    fig.add_scatter(
        x=limits,
        y=limits,
        mode="lines",
        line={"color": LINE, "dash": "dash", "width": 1.5},
        name=name,
        hoverinfo="skip",
    )


def name_strongest(
    fig: go.Figure,
    x: pd.Series,
    y: pd.Series,
    limits: tuple[float, float],
    limit: int,
    *,
    side: float,
) -> None:
    """Name the genes farthest from zero on either axis; ``side`` of the plot in pixels."""
    name_points(
        fig,
        x.to_numpy(),
        y.to_numpy(),
        [str(name) for name in x.index],
        np.maximum(x.abs().to_numpy(), y.abs().to_numpy()),
        x_range=limits,
        y_range=limits,
        limit=limit,
        size=(side, side),
    )


def square(
    fig: go.Figure, limits: tuple[float, float], x_title: str, y_title: str, *, height: int
) -> go.Figure:
    """Style a figure whose two axes have the same unit: same range, same length."""
    apply_style(fig, height=height)
    span = limits[1] - limits[0]
    step = next(s for s in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, span) if span / s <= 10)
    shared = {"range": limits, "constrain": "domain", "zeroline": True, "dtick": step}
    fig.update_xaxes(title=x_title, **shared)
    fig.update_yaxes(title=y_title, scaleanchor="x", constraintoward="top", **shared)
    return fig


def _add_rings(fig: go.Figure, outside: pd.DataFrame) -> None:
    """Ring the genes that the model did not expect to be measured so."""
    fig.add_scattergl(
        x=outside["data"],
        y=outside["model"],
        mode="markers",
        name=f"outside 90% interval: {len(outside):,}",
        text=outside.index,
        customdata=outside[["predicted_low", "predicted_high", "ppc_p"]].to_numpy(),
        hovertemplate=(
            "<b>%{text}</b><br>measured %{x:+.3f}, expected %{customdata[0]:+.3f} to "
            "%{customdata[1]:+.3f}<br>p %{customdata[2]:.2g}<extra></extra>"
        ),
        marker={"symbol": "circle-open", "color": DATA, "size": 14, "line": {"width": 1.5}},
    )


def marker_sizes(amount: pd.Series, largest: float, number: int) -> pd.Series:
    """Marker diameters in pixels whose area grows with ``amount``; smaller when there are many."""
    spread = 17.0 if number <= 80 else 8.0
    return 6 + spread * np.sqrt(amount.clip(lower=0) / max(float(largest), 1.0))


def note(fig: go.Figure, text: str, *, height: int = 160) -> go.Figure:
    """Say ``text`` in an otherwise empty figure."""
    fig.add_annotation(text=text, showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper")
    apply_style(fig, height=height)
    fig.update_xaxes(visible=False)
    fig.update_yaxes(visible=False)
    return fig


def _dots(
    part: pd.DataFrame, column: str, name: str, symbol: str, colour: str
) -> dict[str, object]:
    return {
        "x": part[column],
        "y": part.index,
        "mode": "markers",
        "name": name,
        "marker": {"symbol": symbol, "color": colour, "size": 10},
        "error_x": {"type": "data", "array": part[f"{column}_se"], "width": 0, "thickness": 1.5},
        "customdata": part[["fdr", "n_cells"]].to_numpy(),
    }
