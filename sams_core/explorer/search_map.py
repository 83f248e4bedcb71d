"""The map of pairs on the search page, and what a click on it does."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from sams_core.analysis.markdown import escape, plain
from sams_core.analysis.pair_maps import map_of
from sams_core.analysis.pair_ranking import Goal, measured_pairs
from sams_core.analysis.pair_words import quantity, unit
from sams_core.explorer.controls import pick
from sams_core.explorer.links import tell
from sams_core.explorer.search_page import MAP_KEY, Found, choose
from sams_core.explorer.widgets import show_figure
from sams_core.figures.search_map import READABLE, MapView, pair_map


def views(goal: Goal) -> dict[str, MapView]:
    """What a map can be coloured by, by the name that the control gives it."""
    interaction = {
        "Interaction": MapView("interaction", "Interaction (log2 units)", signed=False),
        "Interaction over its sd": MapView(
            "interaction_ratio", "Interaction over its sd", signed=False
        ),
        "Novelty": MapView("novelty", "Distance from training (log2 units)", signed=False),
    }
    if not goal.has_parts:
        return interaction
    words = unit(goal)
    return {
        "Predicted": MapView("value", f"Predicted ({words})", signed=True),
        "Beyond the sum": MapView("deviation", f"Predicted minus sum ({words})", signed=True),
        **interaction,
    }


def show_map(found: Found, row: pd.Series | None) -> None:
    """Draw perturbations x perturbations; a click on a cell chooses the pair."""
    offered = views(found.goal)
    tell("search_colour", offered)
    n_names = len({*found.ranked["first"], *found.ranked["second"]})
    with st.container(horizontal=True, vertical_alignment="bottom"):
        label = pick(
            "Colour shows",
            list(offered),
            key="search_colour",
            help="**Predicted**: what pairs are ranked for. **Beyond the sum**: predicted minus "
            "the sum of the singles. **Interaction**: the same over all genes, as a size.",
            width=210,
        )
        everything = n_names <= READABLE or st.toggle(
            f"All {n_names:,} perturbations",
            key="search_map_all",
            bind="query-params",
            help=f"Otherwise the map shows the {READABLE} perturbations of the best pairs, whose "
            "names can be read.",
        )
    limit = n_names if everything else READABLE
    values = map_of(found.ranked, offered[label].column, limit)
    pair = [] if row is None else [str(row["first"]), str(row["second"])]
    measured = measured_pairs(found.ranked)
    show_figure(
        pair_map(
            values,
            offered[label],
            marked=measured,
            chosen=pair,
        ),
        key=MAP_KEY,
        alt=plain(_finding(values, label, found.goal)),
        name=f"{found.name}_map",
        code=found.code(*_code(found, offered[label], limit, pair)),
        data=values.rename_axis("perturbation").reset_index(),
        on_select=partial(_clicked, [str(name) for name in values.index]),
    )
    st.caption(
        "Click a cell to see the pair. Perturbations with similar rows are neighbours."
        + (" Dots mark pairs that were measured." if len(measured) else "")
    )


def _finding(values: pd.DataFrame, label: str, goal: Goal) -> str:
    z = values.to_numpy(float)
    text = f"{label} of {len(values):,} x {len(values):,} perturbations, clustered."
    if not np.isfinite(z).any():
        return text
    at, beside = (int(i) for i in np.unravel_index(int(np.nanargmax(np.abs(z))), z.shape))
    return (
        f"{text} Strongest: {escape(values.index[at])} + {escape(values.index[beside])}, "
        f"{z[at, beside]:.2f}. {quantity(goal)}."
    )


def _code(found: Found, view: MapView, limit: int, pair: list[str]) -> tuple[str, str]:
    imports = (
        "from sams_core.analysis.pair_maps import map_of\n"
        "from sams_core.analysis.pair_ranking import measured_pairs\n"
        "from sams_core.figures.search_map import MapView, pair_map"
    )
    ending = (
        f"fig = pair_map(\n    map_of(ranked, {view.column!r}, {limit}),\n    {view!r},\n"
        "    marked=measured_pairs(ranked),\n"
        f"    chosen={pair!r},\n)"
    )
    return imports, ending


def _clicked(names: list[str]) -> None:
    """Choose the pair whose cell was clicked."""
    points = st.session_state[MAP_KEY]["selection"]["points"]
    if not points:
        return
    row, column = round(float(points[0]["y"])), round(float(points[0]["x"]))
    if 0 <= row < len(names) and 0 <= column < len(names):
        choose((names[row], names[column]))
