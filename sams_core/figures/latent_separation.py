"""Figure of how well each condition is told apart in the latent spaces."""

from __future__ import annotations

import plotly.graph_objects as go

from sams_core.analysis.latent_separation import Separation
from sams_core.figures.style import BLUE, FAINT, LINE, NEUTRAL, ORANGE, apply_style

_ROW = 18


def separation_dots(found: Separation) -> go.Figure:
    """Share of each condition's cells that a classifier names, from basal and from full states.

    Parameters
    ----------
    found
        From `sams_core.analysis.latent_separation.separation`.
    """
    shown = found.recall[::-1]
    fig = go.Figure()
    fig.add_bar(
        x=shown["null_high"],
        y=shown.index,
        orientation="h",
        name="shuffled labels, up to 95%",
        marker_color=LINE,
        hovertemplate="<b>%{y}</b><br>shuffled: below %{x:.1%} in 95%<extra></extra>",
    )
    for name, colour, symbol, words in (
        ("full", NEUTRAL, "circle-open", "full state (knows the shift)"),
        ("basal", ORANGE, "circle", "basal state"),
    ):
        fig.add_scatter(
            x=shown[name],
            y=shown.index,
            mode="markers",
            name=words,
            marker={"color": colour, "symbol": symbol, "size": 9},
            customdata=shown["n_cells"],
            hovertemplate="<b>%{y}</b><br>%{x:.1%} of %{customdata:,} cells named<extra></extra>",
        )
    fig.add_vline(x=found.chance, line={"color": BLUE, "width": 1.5, "dash": "dash"})
    apply_style(fig, height=110 + _ROW * max(len(shown), 4))
    fig.update_layout(bargap=0.3, legend_traceorder="reversed")
    fig.update_xaxes(title="cells whose condition is named", tickformat=".0%", range=[-0.02, 1.04])
    fig.update_yaxes(type="category", showgrid=True, gridcolor=FAINT, dtick=1)
    return fig
