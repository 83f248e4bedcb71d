"""What a search found: the best pairs, the map, the table, one pair in detail, an order list."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from sams_core.analysis.combination_tables import extrapolation
from sams_core.analysis.markdown import escape, plain
from sams_core.analysis.mask_tables import has_shift
from sams_core.analysis.pair_orders import order_list, tell_order
from sams_core.analysis.pair_ranking import pair_row
from sams_core.analysis.pair_words import quantity, tell_best, tell_value, unit
from sams_core.explorer import search_columns
from sams_core.explorer.links import tell
from sams_core.explorer.run import Run
from sams_core.explorer.search_map import show_map
from sams_core.explorer.search_page import (
    FIRST_KEY,
    RANKING_KEY,
    SECOND_KEY,
    Found,
    choose,
)
from sams_core.explorer.widgets import show_figure, show_table
from sams_core.figures.search import pair_parts, pair_ranking

TABS = ("Ranking", "Map", "Table")
SHOWN = 20
"""Pairs in the ranking."""
MOST_ORDERED = 500


@st.fragment
def explore(found: Found) -> None:
    """Draw the ranking, the map and the table, with one pair in detail beside them."""
    st.markdown(tell_best(found.ranked, found.goal))
    left, right = st.columns([13, 8], gap="large")
    with right:
        row = _pick_pair(found)
    with left:
        tabs = TABS if found.request.given is None else (TABS[0], TABS[2])
        tell("search_view", tabs)
        boxes = st.tabs(tabs, key="search_view", bind="query-params", on_change="rerun")
        shown = dict(zip(tabs, boxes, strict=True))
        draw = {"Ranking": _ranking, "Map": show_map, "Table": _table}
        for name, box in shown.items():
            if box.open:
                with box:
                    draw[name](found, row)
    with right:
        _pair(found, row)


@st.fragment
def order(found: Found) -> None:
    """Offer the best pairs as a list of arms, singles and control included."""
    st.subheader("Order list", anchor=False)
    most = min(MOST_ORDERED, len(found.ranked))
    number = st.number_input(
        "Pairs to test",
        min_value=1,
        max_value=most,
        value=min(10, most),
        key="search_order",
        bind="query-params",
        help="The best of the ranking above, without the pairs that you leave out.",
        width=200,
    )
    run = found.request.run
    control = str(run.config["control"])
    arms = order_list(found.ranked, number, found.goal, digest=run.digest, control=control)
    st.markdown(tell_order(arms))
    show_table(
        arms,
        key="search_order_list",
        name=f"{found.name}_order",
        column_config=search_columns.ORDER,
    )


def _ranking(found: Found, row: pd.Series | None) -> None:
    title = quantity(found.goal)
    show_figure(
        pair_ranking(found.ranked, title, number=SHOWN),
        key=RANKING_KEY,
        alt=plain(tell_best(found.ranked, found.goal)),
        name=found.name,
        code=found.code(
            "from sams_core.figures.search import pair_ranking",
            f"fig = pair_ranking(ranked, {title!r}, number={SHOWN})",
        ),
        data=found.ranked.head(SHOWN),
        on_select=_clicked,
    )
    st.caption(
        "Click a pair to see it in detail."
        + (
            " Grey ticks: what each single does alone; diamond: their sum."
            if found.goal.has_parts
            else ""
        )
    )


def _clicked() -> None:
    points = st.session_state[RANKING_KEY]["selection"]["points"]
    if points and len(points[0].get("customdata") or []) == 2:
        choose(points[0]["customdata"])


def _table(found: Found, row: pd.Series | None) -> None:
    config = search_columns.pairs(found.goal)
    st.caption(f"{len(found.ranked):,} pairs. Click a column's head to sort, point at it for help.")
    order = [column for column in config if column in found.ranked]
    show_table(
        found.ranked[order].rename_axis("pair"),
        key="search_table",
        name=found.name,
        column_config=config,
    )


def _pick_pair(found: Found) -> pd.Series | None:
    """Ask for two perturbations: the same choice as a click, for the keyboard; else the best."""
    names = sorted({*found.ranked["first"], *found.ranked["second"]})
    keys = {FIRST_KEY: "A", SECOND_KEY: "B"}
    with st.container(horizontal=True):
        chosen = []
        for key, label in keys.items():
            tell(key, names)
            chosen.append(
                st.selectbox(
                    f"Perturbation {label}",
                    names,
                    index=None,
                    placeholder="Choose",
                    key=key,
                    bind="query-params",
                    width=130,
                    help="Choose two perturbations, or click a pair on the ranking or the map.",
                )
            )
    first, second = chosen
    if first is None or second is None:
        return found.ranked.iloc[0]
    return pair_row(found.ranked, [first, second])


def _pair(found: Found, row: pd.Series | None) -> None:
    """Tell about one pair, with the way to all that the model predicts of it."""
    if row is None:
        st.info(
            "These two are no pair of this ranking: they were left out, not yet predicted, or are "
            "the same.",
            icon=":material/search_off:",
        )
        return
    pair = [str(row["first"]), str(row["second"])]
    st.subheader(f"{escape(pair[0])} + {escape(pair[1])}", anchor=False)
    _badges(row, len(found.ranked))
    _warn_of_extrapolation(found.request.run, pair)
    if found.goal.has_parts:
        st.markdown(f"Predicted: {tell_value(row, found.goal)}.")
        title = unit(found.goal).capitalize()
        names = f"[{pair[0]!r}, {pair[1]!r}]"
        show_figure(
            pair_parts(row, title),
            key="search_pair",
            alt=plain(f"{escape(' + '.join(pair))}: {tell_value(row, found.goal)}"),
            name=f"{found.name}_{'+'.join(pair)}",
            code=found.code(
                "from sams_core.analysis.pair_ranking import pair_row\n"
                "from sams_core.figures.search import pair_parts",
                f"fig = pair_parts(pair_row(ranked, {names}), {title!r})",
            ),
            data=row.rename("value").rename_axis("what").reset_index(),
        )
    st.markdown(
        f"Over all genes its interaction is {row['interaction']:.3f} ± {row['interaction_sd']:.3f} "
        f"log2 units a gene; the nearest condition in training is {escape(row['nearest'])}, "
        f"{row['novelty']:.3f} away."
    )
    st.page_link(
        "pages/combine.py",
        label="All genes of this pair on the Combine page",
        icon=":material/add_circle:",
        query_params=[("run", found.request.run.name), *(("combine", name) for name in pair)],
    )


def _warn_of_extrapolation(run: Run, pair: list[str]) -> None:
    """Say so when a pair goes farther than anything in training."""
    masks = run.masks()
    if has_shift(masks) and (far := extrapolation(masks, run.effects(), dict.fromkeys(pair, 1.0))):
        st.warning(escape(far), icon=":material/trending_up:")


def _badges(row: pd.Series, number: int) -> None:
    cells = int(row["n_cells"])
    with st.container(horizontal=True, gap="small"):
        st.badge(f"rank {int(row['rank']):,} of {number:,}", color="gray")
        if cells:
            st.badge(f"measured in {cells:,} cells", icon=":material/check:", color="green")
        else:
            st.badge("not measured in this screen", icon=":material/help:", color="orange")
        seen = bool(row["in_training"])
        st.badge(
            f"pair {'' if seen else 'never '}seen in training",
            color="blue" if seen else "orange",
            help="Whether the model was trained on cells that carry both together.",
        )
