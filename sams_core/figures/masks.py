"""Masks as a picture: perturbations x latent dimensions, in named groups, to be clicked."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from sams_core.analysis.ordering import Group
from sams_core.figures.mask_labels import divide, frame, label
from sams_core.figures.mask_layout import MAX_LABELLED_LATENTS, RowLayout, Strips
from sams_core.figures.mask_views import SATURATION, SCALES, Beside, Chosen, MaskTables, Scale, View
from sams_core.figures.style import FAINT, LINE, PURPLE, apply_style

CELL, ROW, LATENT = "cell", "row", "latent"
"""What a clickable point stands for: the first entry of its ``customdata``."""
_MARGIN = {"l": 8, "r": 8, "t": 30, "b": 16}
_TITLE_PIXELS = 36
_SHORTEST_BAR = 120
"""Pixels of the colour bar with its title."""
_REACH = 400
"""Pixels from a point's middle within which it answers; the nearest point does."""
_PROBABILITY_HOVER = "inclusion probability %{customdata[3]:.2f}<br>"


def mask_heatmap(
    tables: MaskTables,
    groups: Sequence[Group],
    latents: Sequence[str],
    view: View,
    *,
    beside: Beside | None = None,
    chosen: Chosen | None = None,
    scale: Scale | None = None,
    width: int = 860,
) -> go.Figure:
    """Draw the mask, and a second one beside it if given.

    Every cell, row name and latent name lies under an invisible point, which answers to clicks
    (a heatmap does not): its ``customdata`` begins with `CELL`, `ROW` or `LATENT`, the row's name
    and the latent's name.

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
    beside
        A second map.
    chosen
        What to frame.
    scale
        Colours, by default the first of `SCALES`.
    width
        Of the narrowest plot that the figure may be shown in, in pixels.

    Returns
    -------
    go.Figure
        Rows are tall enough to be labelled up to about 100 perturbations; beyond, names are in
        the hover text only.
    """
    layout = RowLayout(groups)
    n_maps = 1 if beside is None else 2
    strips = Strips(layout, list(tables.values.index), latents, width // n_maps)
    colours = scale or next(iter(SCALES.values()))
    model = _model_trace(tables, layout, list(latents), view, colours)
    if beside is None:
        fig = go.Figure(model)
    else:
        fig = _two_panels(len(latents) + strips.columns, beside)
        fig.add_trace(model, row=1, col=1)
        fig.add_trace(_second_trace(beside, layout, model), row=1, col=2)
    fig.add_traces(_points(tables, layout, strips, list(latents)))
    titles = 0 if beside is None else _TITLE_PIXELS
    plot_height = layout.plot_height + strips.pixels
    top, bottom = _MARGIN["t"] + titles, _MARGIN["b"] + max(0, _SHORTEST_BAR - plot_height)
    apply_style(fig, height=plot_height + top + bottom)
    fig.update_layout(
        margin={**_MARGIN, "t": top, "b": bottom},
        hoverdistance=_REACH,
        hovermode="closest",
        dragmode=False,
        showlegend=False,
    )
    fig.update_annotations(yshift=8, font_size=14)
    label(fig, layout, strips, tables.values.index, list(latents), beside)
    divide(fig, layout)
    frame(fig, layout, strips, tables.values.index, list(latents), chosen or Chosen())
    return fig


def _two_panels(width: float, beside: Beside) -> go.Figure:
    return make_subplots(
        rows=1,
        cols=2,
        shared_yaxes=True,
        column_widths=[max(width, 1), max(beside.values.shape[1], 1)],
        horizontal_spacing=0.02,
        column_titles=["Model", html.escape(beside.title)],
    )


def _model_trace(
    tables: MaskTables, layout: RowLayout, latents: list[str], view: View, scale: Scale
) -> go.Heatmap:
    values = layout.spread(tables.values[latents].to_numpy())
    limit = _limit(values) if view.signed else 1.0
    return go.Heatmap(
        z=np.round(values, 4),
        x=list(range(len(latents))),
        y=layout.edges,
        zmin=-limit if view.signed else 0.0,
        zmax=limit,
        colorscale=scale.signed if view.signed else scale.sequential,
        colorbar={
            "title": {"text": view.unit, "side": "top", "font": {"size": 12}},
            "thickness": 12,
            "len": float(np.clip(layout.plot_height - 48, _SHORTEST_BAR, 200)),
            "lenmode": "pixels",
            "y": 1,
            "yanchor": "top",
            "outlinewidth": 0,
        },
        hoverinfo="skip",
        **_gaps(layout, len(latents)),
    )


def _second_trace(beside: Beside, layout: RowLayout, model: go.Heatmap) -> go.Heatmap:
    names = np.array([html.escape(str(name)) for name in beside.values.index], dtype=object)
    shape = (len(layout.rows), beside.values.shape[1])
    hover = np.empty((*shape, 2), dtype=object)
    hover[:, :, 0] = names[layout.rows][:, None]
    hover[:, :, 1] = [html.escape(str(column)) for column in beside.values.columns]
    same = {"zmin": model.zmin, "zmax": model.zmax, "colorscale": model.colorscale}
    binary = {"zmin": 0, "zmax": 1, "colorscale": [[0.0, FAINT], [1.0, PURPLE]]}
    return go.Heatmap(
        z=layout.spread(beside.values.to_numpy(np.float64)),
        x=list(range(shape[1])),
        y=layout.edges,
        showscale=False,
        hoverongaps=False,
        customdata=hover,
        hovertemplate="<b>%{customdata[0]}</b> · %{customdata[1]}<br>"
        + html.escape(beside.words)
        + (": %{z}" if beside.binary else " %{z:.2f}")
        + "<extra></extra>",
        **(binary if beside.binary else same),
        **_gaps(layout, shape[1]),
    )


def _points(
    tables: MaskTables, layout: RowLayout, strips: Strips, latents: list[str]
) -> list[go.Scattergl]:
    """Invisible points on the first map's cells, on its row names and on its latent names."""
    shown = [row for row in layout.rows if row >= 0]
    y = layout.centres[layout.is_row]
    names = tables.values.index.astype(str)[shown]
    columns = np.arange(len(latents))
    traces = [
        _invisible(
            np.tile(columns, len(y)),
            np.repeat(y, len(latents)),
            _cell_data(tables, layout, latents),
            "<b>%{customdata[6]}</b> · latent %{customdata[2]}<br>"
            + ("" if tables.probability is None else _PROBABILITY_HOVER)
            + "effect %{customdata[4]:+.2f}"
            + ("" if tables.effect_sd is None else " ± %{customdata[5]:.2f}")
            + " s.d.<br>%{customdata[7]}"
            + ("" if tables.seeds is None else "<br>%{customdata[8]}"),
        )
    ]
    # Spaced like columns, so that the nearest point is that of the cell or name pointed at.
    before = np.arange(-1, -strips.columns - 0.5, -1) if strips.columns >= 0.5 else np.array([-1])
    before = before if layout.labelled else before[:0]
    if len(before):
        data = [[ROW, name, None, html.escape(name)] for name in names for _ in before]
        points = np.tile(before, len(y)), np.repeat(y, len(before))
        traces.append(_invisible(*points, data, "<b>%{customdata[3]}</b>"))
    if strips.shows_latents:
        data = [[LATENT, None, name, html.escape(name)] for name in latents]
        above = np.full(len(latents), -strips.rows / 2)
        traces.append(_invisible(columns, above, data, "<b>latent %{customdata[3]}</b>"))
    headers = [
        (html.escape(name), n, top + layout.header_height / 2) for name, n, top in layout.headers
    ]
    if headers:
        everywhere = np.concatenate([before[::-1], columns])
        texts = [[None, None, None, f"{name}: {n:,}"] for name, n, _ in headers for _ in everywhere]
        y = np.repeat([at for *_, at in headers], len(everywhere))
        points = np.tile(everywhere, len(headers)), y
        traces.append(_invisible(*points, texts, "<b>%{customdata[3]}</b>"))
    return traces


def _invisible(x: NDArray[Any], y: NDArray[Any], data: Any, hover: str) -> go.Scattergl:
    hidden = {"marker": {"opacity": 0}}
    return go.Scattergl(
        x=x,
        y=y,
        mode="markers",
        marker={"opacity": 0, "size": 8, "color": LINE},
        selected=hidden,
        unselected=hidden,
        customdata=data,
        hovertemplate=f"{hover}<extra></extra>",
        xaxis="x",
        yaxis="y",
    )


def _cell_data(tables: MaskTables, layout: RowLayout, latents: list[str]) -> NDArray[np.object_]:
    rows = np.array([row for row in layout.rows if row >= 0])
    groups = [g for g, row in zip(layout.group_of, layout.rows, strict=True) if row >= 0]
    data = np.empty((len(rows), len(latents), 8 + (tables.seeds is not None)), dtype=object)
    data[:, :, 0] = CELL
    data[:, :, 1] = tables.values.index.astype(str).to_numpy()[rows][:, None]
    data[:, :, 2] = latents
    for place, table in enumerate((tables.probability, tables.effect, tables.effect_sd), start=3):
        if table is not None:
            data[:, :, place] = np.round(table[latents].to_numpy(np.float64)[rows], 3)
    data[:, :, 6] = np.array([html.escape(name) for name in data[:, 0, 1]], dtype=object)[:, None]
    cells = tables.n_cells.to_numpy()[rows]
    data[:, :, 7] = np.array(
        [
            f"{html.escape(group)} · {n:,} cells" if group else f"{n:,} cells"
            for group, n in zip(groups, cells, strict=True)
        ],
        dtype=object,
    )[:, None]
    if tables.seeds is not None:
        data[:, :, 8] = tables.seeds[latents].to_numpy()[rows]
    return data.reshape(-1, data.shape[2])


def _gaps(layout: RowLayout, n_columns: int) -> dict[str, int]:
    return {
        "xgap": 1 if n_columns <= MAX_LABELLED_LATENTS else 0,
        "ygap": 1 if layout.labelled else 0,
    }


def _limit(values: NDArray[np.float64]) -> float:
    known = np.abs(values[np.isfinite(values)])
    return float(np.clip(np.quantile(known, 0.99), 0.1, SATURATION)) if known.size else 1.0
