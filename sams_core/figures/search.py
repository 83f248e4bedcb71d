"""Pairs of perturbations as pictures: the best of a ranking, and one pair's parts."""

from __future__ import annotations

import html
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sams_core.figures.mask_layout import shorten
from sams_core.figures.style import DATA, GREY, MODEL, PURPLE, apply_style

_ROW_PIXELS = 26
_LONGEST_NAME = 32
_HOVER_DIGITS = 3


def pair_ranking(ranked: pd.DataFrame, title: str, *, number: int = 20) -> go.Figure:
    """Draw the best pairs of a ranking, the best on top, with what each single does alone.

    Parameters
    ----------
    ranked
        From `sams_core.analysis.pair_ranking.rank_pairs`.
    title
        Of the horizontal axis: what is predicted.
    number
        Pairs shown.

    Returns
    -------
    go.Figure
        Points carry the pair's two names as ``customdata``, so that a click can open it.
    """
    best = ranked.head(number)
    fig = go.Figure()
    if "alone_first" in best:
        _add_parts(fig, best)
    reach = {}
    if "lower" in best:
        reach = {
            "error_x": {
                "type": "data",
                "symmetric": False,
                "array": _rounded(best["upper"] - best["value"]),
                "arrayminus": _rounded(best["value"] - best["lower"]),
                "thickness": 2,
                "width": 0,
                "color": MODEL,
            }
        }
    label = "Predicted, with 90% interval" if reach else "Predicted"
    fig.add_trace(_dots(best, "value", label, {"color": MODEL, "size": 10}, **reach))
    if "measured" in best and best["measured"].notna().any():
        marker = {"color": DATA, "size": 9, "symbol": "x"}
        fig.add_trace(_dots(best, "measured", "Measured", marker))
    apply_style(fig, height=_ROW_PIXELS * len(best) + 110)
    names = [f"{row['first']} + {row['second']}" for _, row in best.iterrows()]
    fig.update_layout(hovermode="closest", dragmode=False, margin_t=50)
    fig.update_xaxes(title_text=html.escape(title), zeroline="alone_first" in best, showgrid=True)
    fig.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(best))),
        ticktext=[
            f"{rank}. {shorten(name, _LONGEST_NAME)}"
            for rank, name in zip(best["rank"], names, strict=True)
        ],
        range=[len(best) - 0.5, -0.5],
        zeroline=False,
    )
    return fig


def pair_parts(row: pd.Series, title: str) -> go.Figure:
    """Draw what each single of a pair does, their sum, the prediction and the measurement.

    Parameters
    ----------
    row
        Of a table of `sams_core.analysis.pair_ranking.rank_pairs` whose singles are known.
    title
        Of the horizontal axis.
    """
    bars = [
        (f"{row['first']} alone", row["alone_first"], GREY, "circle"),
        (f"{row['second']} alone", row["alone_second"], GREY, "circle"),
        ("Sum of the two", row["additive"], PURPLE, "diamond-open"),
        ("Predicted together", row["value"], MODEL, "circle"),
    ]
    if np.isfinite(row["measured"]):
        bars.append(("Measured together", row["measured"], DATA, "x"))
    fig = go.Figure()
    for place, (_, value, colour, symbol) in enumerate(bars):
        x = [0, round(float(value), 4)]
        fig.add_trace(
            go.Scatter(
                x=x,
                y=[place, place],
                mode="lines+markers",
                line={"color": colour, "width": 2},
                marker={"color": colour, "symbol": symbol, "size": [0, 11]},
                hovertemplate=f"{value:+.{_HOVER_DIGITS}f}<extra></extra>",
            )
        )
    fig.add_trace(
        go.Scatter(
            x=_rounded(row[["lower", "upper"]]),
            y=[3, 3],
            mode="lines",
            line={"color": MODEL, "width": 6},
            opacity=0.35,
            hovertemplate="end of the 90% interval: %{x:+.3f}<extra></extra>",
        )
    )
    apply_style(fig, height=36 * len(bars) + 70)
    fig.update_layout(showlegend=False, dragmode=False, margin_t=8, hovermode="closest")
    fig.update_xaxes(title_text=html.escape(title), zeroline=True)
    fig.update_yaxes(
        tickmode="array",
        tickvals=list(range(len(bars))),
        ticktext=[shorten(name, 24) for name, *_ in bars],
        range=[len(bars) - 0.5, -0.5],
        zeroline=False,
        showgrid=False,
    )
    return fig


def _add_parts(fig: go.Figure, best: pd.DataFrame) -> None:
    """Put each single alone and their sum beside the predictions."""
    tick = {"color": GREY, "size": 11, "symbol": "line-ns", "line": {"color": GREY, "width": 2}}
    for number, column in enumerate(("alone_first", "alone_second")):
        trace = _dots(best, column, "Each alone", tick)
        fig.add_trace(trace.update(showlegend=number == 0, legendgroup="alone"))
    marker = {"color": PURPLE, "size": 9, "symbol": "diamond-open", "line": {"width": 2}}
    fig.add_trace(_dots(best, "additive", "Sum of the two", marker))


def _dots(
    best: pd.DataFrame, column: str, label: str, marker: dict[str, Any], **extra: Any
) -> go.Scatter:
    names = best[["first", "second"]].astype(str)
    which = names["first"].map(html.escape) + " + " + names["second"].map(html.escape)
    if column.startswith("alone_"):
        which = names[column.removeprefix("alone_")].map(html.escape) + " alone"
    solid = {"marker": {"opacity": 1}}
    return go.Scatter(
        x=_rounded(best[column]),
        y=list(range(len(best))),
        mode="markers",
        name=label,
        marker=marker,
        text=which.tolist(),
        customdata=names.to_numpy(object),
        selected=solid,
        unselected=solid,
        hovertemplate=f"<b>%{{text}}</b><br>{label}: %{{x:.{_HOVER_DIGITS}f}}<extra></extra>",
        **extra,
    )


def _rounded(values: pd.Series) -> list[float]:
    return [round(float(value), 4) for value in values]
