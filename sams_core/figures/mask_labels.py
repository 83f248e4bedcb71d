"""Names, dividers and frames of a mask map."""

from __future__ import annotations

import html

import pandas as pd
import plotly.graph_objects as go

from sams_core.figures.mask_layout import MAX_LABELLED_LATENTS, RowLayout, Strips, shorten
from sams_core.figures.mask_views import Beside, Chosen
from sams_core.figures.style import LINE, PURPLE


def label(
    fig: go.Figure,
    layout: RowLayout,
    strips: Strips,
    names: pd.Index,
    latents: list[str],
    beside: Beside | None,
) -> None:
    """Write the names of rows and of latents inside the plot."""
    shown = [(at, row) for at, row in zip(layout.centres, layout.rows, strict=True) if row >= 0]
    first = fig.layout.xaxis.domain or (0.0, 1.0)
    fig.update_yaxes(
        range=[layout.edges[-1], -strips.rows],
        showgrid=False,
        zeroline=False,
        automargin=False,
        fixedrange=True,
    )
    fig.update_layout(
        yaxis={
            "anchor": "free",
            "position": first[0] + strips.share * (first[1] - first[0]),
            "tickmode": "array",
            "tickvals": [at for at, _ in shown] if layout.labelled else [],
            "ticktext": [shorten(str(names[row]), strips.characters) for _, row in shown]
            if layout.labelled
            else [],
            "tickfont_size": 12,
            "ticklabelstandoff": 6,
        }
    )
    columns = [latents] if beside is None else [latents, [str(c) for c in beside.values.columns]]
    top = layout.plot_height / max(layout.plot_height + strips.pixels, 1)
    for number, texts in enumerate(columns):
        readable = len(texts) <= MAX_LABELLED_LATENTS and strips.pixels > 0
        fig.update_layout(
            {
                f"xaxis{number + 1 if number else ''}": {
                    "side": "top",
                    "anchor": "free",
                    "position": top,
                    "range": [-0.5 - (0 if number else strips.columns), len(texts) - 0.5],
                    "showgrid": False,
                    "zeroline": False,
                    "automargin": False,
                    "fixedrange": True,
                    "tickmode": "array",
                    "tickvals": list(range(len(texts))) if readable else [],
                    "ticktext": [html.escape(text) for text in texts] if readable else [],
                    "tickangle": 0 if strips.level else -90,
                    "tickfont_size": 12,
                    "ticklabelstandoff": 4,
                }
            }
        )


def divide(fig: go.Figure, layout: RowLayout) -> None:
    """Name the groups, with a line between them."""
    for name, size, top in layout.headers:
        if top > 0:
            line = top + 0.2 * layout.header_height
            fig.add_shape(
                **{"type": "line", "xref": "paper", "yref": "y", "line_color": LINE},
                **{"x0": 0, "x1": 1, "y0": line, "y1": line},
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


def frame(
    fig: go.Figure,
    layout: RowLayout,
    strips: Strips,
    names: pd.Index,
    latents: list[str],
    chosen: Chosen,
) -> None:
    """Frame the chosen row and latent."""
    boxes = []
    at = {str(names[row]): place for place, row in enumerate(layout.rows) if row >= 0}
    if chosen.latent in latents:
        column = latents.index(chosen.latent)
        boxes.append((column - 0.5, column + 0.5, -strips.rows, layout.edges[-1]))
    if chosen.row in at:
        place = at[chosen.row]
        left, right = -0.5 - strips.columns, len(latents) - 0.5
        boxes.append((left, right, layout.edges[place], layout.edges[place + 1]))
    for x0, x1, y0, y1 in boxes:
        fig.add_shape(
            **{"type": "rect", "xref": "x", "yref": "y", "line": {"color": PURPLE, "width": 2}},
            **{"x0": x0, "x1": x1, "y0": y0, "y1": y1},
        )
