"""Figures about chosen cells: what they are and which genes set them apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from sams_core.figures.effects import note
from sams_core.figures.style import BLUE, NEUTRAL, ORANGE, apply_style

MAX_CATEGORIES = 12
MAX_GENES = 10
_BAR = 26


def composition_bars(table: pd.DataFrame) -> go.Figure:
    """Share of each category among the chosen cells, beside its share of all cells.

    Parameters
    ----------
    table
        From `sams_core.analysis.latent_chosen.composition`; its most frequent categories among
        the chosen cells are shown.
    """
    shown = table[table["chosen"] > 0].sort_values("share_chosen", ascending=False, kind="stable")
    shown = shown.head(MAX_CATEGORIES)[::-1]
    fig = go.Figure()
    if shown.empty:
        return note(fig, "No cells are chosen.")
    for name, share, count, colour in (
        ("all cells", "share_all", "all", NEUTRAL),
        ("chosen cells", "share_chosen", "chosen", BLUE),
    ):
        fig.add_bar(
            x=shown[share],
            y=shown.index,
            orientation="h",
            name=name,
            marker_color=colour,
            customdata=np.column_stack([shown[count], shown["enrichment"], shown["fdr"]]),
            hovertemplate=f"<b>%{{y}}</b><br>%{{x:.1%}} of {name} (%{{customdata[0]:,}})<br>"
            "%{customdata[1]:.2f} times the share of all cells<br>FDR %{customdata[2]:.1e}"
            "<extra></extra>",
        )
    apply_style(fig, height=90 + _BAR * max(len(shown), 3))
    fig.update_layout(bargap=0.25, bargroupgap=0.05, legend_traceorder="reversed")
    fig.update_xaxes(title="share of cells", tickformat=".0%", rangemode="tozero")
    fig.update_yaxes(type="category", showgrid=False)
    return fig


def gene_differences(table: pd.DataFrame) -> go.Figure:
    """Genes that are highest and lowest in chosen cells, against all other cells.

    Parameters
    ----------
    table
        From `sams_core.analysis.latent_chosen.top_genes`; `MAX_GENES` either way are shown.
    """
    ordered = table["difference"].sort_values(kind="stable")
    low, high = ordered[ordered < 0].head(MAX_GENES), ordered[ordered > 0].tail(MAX_GENES)
    shown = pd.concat([low, high])
    fig = go.Figure()
    if shown.empty:
        return note(fig, "No gene differs.")
    fig.add_bar(
        x=shown.to_numpy(),
        y=shown.index,
        orientation="h",
        marker_color=np.where(shown > 0, ORANGE, BLUE),
        customdata=table.loc[shown.index, ["chosen", "others"]].to_numpy(),
        hovertemplate="<b>%{y}</b><br>%{x:+.2f} log2<br>chosen %{customdata[0]:.2f}, "
        "others %{customdata[1]:.2f}<extra></extra>",
        showlegend=False,
    )
    apply_style(fig, height=70 + 20 * max(len(shown), 4))
    fig.update_layout(margin_t=8, bargap=0.25)
    fig.update_xaxes(title="chosen minus other cells, log2 (counts per 10,000 + 1)")
    fig.update_yaxes(type="category", showgrid=False)
    return fig
