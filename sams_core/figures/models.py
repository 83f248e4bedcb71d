"""Figures of the models page: runs side by side, over fractions, and latents that replicate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sams_core.analysis.replication import BOTH, FIRST, NEITHER, SECOND
from sams_core.figures.effects import note
from sams_core.figures.style import (
    BLUE,
    FAINT,
    GREEN,
    GREY,
    LINE,
    ORANGE,
    PALETTE,
    PURPLE,
    apply_style,
)

_ROW_PIXELS = 26
_KINDS = {"model": ("models", GREEN), "baseline": ("baselines", GREY)}
_SYMBOLS = ("circle", "diamond", "square", "triangle-up", "x", "star", "pentagon", "cross")
_BASELINE_DASHES = ("dash", "dashdot", "longdash", "longdashdot")
ENTRIES = {
    BOTH: ("both", GREEN),
    FIRST: ("first only", BLUE),
    SECOND: ("second only", ORANGE),
}
"""What each code of a replicated mask is called, and its colour."""
_LABELLED_ROWS = 100


def score_bars(
    table: pd.DataFrame,
    scopes: Mapping[str, str],
    *,
    title: str,
    digits: int,
    direction: int,
    from_zero: bool,
) -> go.Figure:
    """One figure of every model and baseline, a panel for each scope.

    Parameters
    ----------
    table
        From `sams_core.analysis.model_tables.scope_table`.
    scopes
        Scope to its words, in the order of the panels.
    title
        Of the horizontal axis.
    digits
        Decimals to write.
    direction
        1 where higher is better, -1 where lower is, 0 for neither; says which baseline is best.
    from_zero
        Whether lengths from zero mean something; otherwise points are drawn instead of bars.

    Returns
    -------
    go.Figure
        The best baseline over all conditions is a dashed line and the ceiling a dotted one, in
        every panel.
    """
    rows = table[table["kind"].isin(_KINDS)]
    if rows.empty:
        return note(go.Figure(), "No run has this figure for these conditions.")
    order = list(dict.fromkeys(rows["name"]))[::-1]
    fig = make_subplots(
        rows=1,
        cols=len(scopes),
        shared_yaxes=True,
        horizontal_spacing=0.03,
        column_titles=list(scopes.values()) if len(scopes) > 1 else None,
    )
    for column, scope in enumerate(scopes, start=1):
        part = table[table["scope"] == scope]
        for kind, (label, colour) in _KINDS.items():
            chosen = part[part["kind"] == kind]
            _add_scores(fig, chosen, label, colour, digits, from_zero, column)
        _add_reference(fig, part, direction, order, column)
    apply_style(fig, height=112 + _ROW_PIXELS * len(order))
    fig.update_layout(
        barmode="overlay",
        margin_t=56,
        legend={"y": 1, "yanchor": "top", "yref": "container", "itemsizing": "constant"},
    )
    fig.update_annotations(font_size=13)
    fig.update_xaxes(title_text=title)
    if len(scopes) > 1:
        fig.update_xaxes(matches="x")
    fig.update_yaxes(categoryorder="array", categoryarray=order, showgrid=False)
    return fig


def fraction_lines(
    table: pd.DataFrame,
    *,
    x_title: str,
    y_title: str,
    digits: int,
    legend_below: bool = False,
    height: int = 460,
) -> go.Figure:
    """A figure over the fraction of training data, a line for each model.

    Parameters
    ----------
    table
        Columns ``name``, ``kind``, ``fraction``, ``mean`` and ``sd``, in the order of the legend.
        Baselines are thin and dashed, the ceiling dotted.
    x_title, y_title
        Of the axes.
    digits
        Decimals to write.
    legend_below
        Whether the legend lies below, for narrow figures; otherwise to the right.
    height
        In pixels.
    """
    if table.empty:
        return note(go.Figure(), "No run has this figure at a stated fraction.")
    fig = go.Figure()
    drawn: Counter[str] = Counter()
    for (name, found), part in table.groupby(["name", "kind"], sort=False):
        kind = str(found)
        place, is_model = drawn[kind], kind == "model"
        drawn[kind] += 1
        dash = "dot" if kind == "ceiling" else _BASELINE_DASHES[place % len(_BASELINE_DASHES)]
        colour = PALETTE[place % len(PALETTE)] if is_model else GREY
        fig.add_scatter(
            x=part["fraction"],
            y=part["mean"],
            name=str(name),
            mode="lines+markers",
            line={
                "color": colour,
                "width": 2.5 if is_model else 1.5,
                "dash": None if is_model else dash,
            },
            marker={"symbol": _SYMBOLS[place % len(_SYMBOLS)], "size": 9 if is_model else 6},
            error_y=_errors(part["sd"], colour) if is_model else None,
            customdata=[_spread(sd, digits) for sd in part["sd"]],
            hovertemplate=f"%{{y:,.{digits}f}}%{{customdata}}",
        )
    apply_style(fig, height=height)
    fig.update_layout(
        hovermode="x unified",
        hoverlabel_namelength=-1,
        legend={"orientation": "h", "x": 0, "y": -0.2, "yanchor": "top"}
        if legend_below
        else {"orientation": "v", "x": 1.01, "y": 1, "yanchor": "top"},
    )
    fig.update_xaxes(title=x_title, tickformat=".0%", tickvals=sorted(set(table["fraction"])))
    fig.update_yaxes(title=y_title)
    return fig


def replication_map(entries: pd.DataFrame, first: str, second: str) -> go.Figure:
    """Which of two checkpoints open each mask entry, latents of the second moved to their partners.

    Parameters
    ----------
    entries
        Codes of `sams_core.analysis.replication`, perturbations x latents, in the order to show.
    first, second
        Names of the checkpoints.
    """
    if entries.empty or (entries == NEITHER).to_numpy().all():
        return note(go.Figure(), "Neither checkpoint opens any mask entry at this threshold.")
    shades = [FAINT, *(ENTRIES[code][1] for code in (FIRST, SECOND, BOTH))]
    words = np.array(["neither", first, second, "both"], dtype=object)
    codes = entries.to_numpy()
    fig = go.Figure(
        go.Heatmap(
            z=codes,
            x=[str(name) for name in entries.columns],
            y=[str(name) for name in entries.index],
            zmin=-0.5,
            zmax=3.5,
            colorscale=[
                stop
                for code, shade in enumerate(shades)
                for stop in ((code / 4, shade), ((code + 1) / 4, shade))
            ],
            showscale=False,
            xgap=1,
            ygap=1 if len(entries) <= _LABELLED_ROWS else 0,
            customdata=words[codes],
            hovertemplate="<b>%{y}</b> · latent %{x}<br>open in %{customdata}<extra></extra>",
        )
    )
    for code, (label, colour) in ENTRIES.items():
        name = {FIRST: f"only {first}", SECOND: f"only {second}"}.get(code, label)
        number = int((codes == code).sum())
        fig.add_scatter(
            x=[None],
            y=[None],
            mode="markers",
            name=f"{name}: {number:,}",
            marker={"symbol": "square", "size": 12, "color": colour},
        )
    labelled = len(entries) <= _LABELLED_ROWS
    apply_style(fig, height=110 + int((16 if labelled else 4) * len(entries)))
    fig.update_xaxes(
        side="bottom", showgrid=False, title="Latent dimension of the first", tickangle=0
    )
    fig.update_yaxes(
        autorange="reversed", showgrid=False, showticklabels=labelled, dtick=1, tickfont_size=12
    )
    return fig


def _add_scores(
    fig: go.Figure,
    rows: pd.DataFrame,
    label: str,
    colour: str,
    digits: int,
    from_zero: bool,
    column: int,
) -> None:
    values = [f"<b>{mean:,.{digits}f}</b>{_spread(sd, digits)}{over}" for mean, sd, over in
              zip(rows["mean"], rows["sd"], rows["coverage"], strict=True)]  # fmt: skip
    shared = {
        "x": rows["mean"],
        "y": rows["name"],
        "name": label,
        "legendgroup": label,
        "showlegend": column == 1,
        "customdata": np.column_stack([values, rows["n"].astype(str)]),
        "error_x": _errors(rows["sd"], LINE if from_zero else colour),
        "hovertemplate": "<b>%{y}</b><br>%{customdata[0]} (n = %{customdata[1]})<extra></extra>",
    }
    if from_zero:
        fig.add_bar(
            **shared,
            orientation="h",
            width=0.62,
            marker_color=colour,
            text=[f"{mean:,.{digits}f}" for mean in rows["mean"]],
            textposition="inside",
            insidetextanchor="start",
            textangle=0,
            textfont={"size": 12, "color": "white"},
            constraintext="none",
            row=1,
            col=column,
        )
    else:
        marker = {"color": colour, "size": 11}
        fig.add_scatter(**shared, mode="markers", marker=marker, row=1, col=column)


def _add_reference(
    fig: go.Figure, part: pd.DataFrame, direction: int, order: Sequence[str], column: int
) -> None:
    """Draw the best baseline and the ceiling over all rows of a panel."""
    baselines = part.loc[(part["kind"] == "baseline") & (part["coverage"] == ""), "mean"]
    ceilings = part.loc[part["kind"] == "ceiling", "mean"]
    lines = []
    if len(baselines) and direction:
        best = baselines.max() if direction > 0 else baselines.min()
        lines.append(("best baseline", best, GREY, "dash"))
    if len(ceilings):
        lines.append(("ceiling", ceilings.iloc[0], PURPLE, "dot"))
    for name, value, colour, dash in lines:
        fig.add_scatter(
            x=[value] * len(order),
            y=list(order),
            mode="lines",
            name=name,
            legendgroup=name,
            showlegend=column == 1,
            line={"color": colour, "width": 2, "dash": dash},
            hovertemplate=f"{name} %{{x:,.3f}}<extra></extra>",
            row=1,
            col=column,
        )


def _errors(sd: pd.Series, colour: str) -> dict[str, object]:
    return {"type": "data", "array": sd.fillna(0), "thickness": 1.5, "width": 4, "color": colour}


def _spread(sd: float, digits: int) -> str:
    return f" ± {sd:.{digits}f}" if np.isfinite(sd) else ""
