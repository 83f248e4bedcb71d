"""Genes of a predicted combination: the strongest, the volcano, all as a table."""

from __future__ import annotations

import streamlit as st

from sams_core.analysis import combination_tables, effect_tables
from sams_core.analysis.combination_genes import (
    QUANTITIES,
    describe_prediction,
    evidence,
    top_genes,
)
from sams_core.analysis.markdown import escape
from sams_core.explorer import columns, controls, links
from sams_core.explorer.combine_page import CombinePage
from sams_core.explorer.widgets import show_figure, show_table
from sams_core.figures import combine, combine_views, effects

SORTS = {words: column for column, words in combine.SORTS.items()}


@st.fragment
def show_genes(page: CombinePage) -> None:
    """Show the singles, their sum, the prediction and the measurement, gene by gene."""
    links.tell("combine_genes", SORTS)
    options = [words for words, column in SORTS.items() if column in page.table]
    left, right = st.columns([6, 5], gap="medium")
    with left:
        sort = SORTS[
            controls.pick(
                "List genes by",
                options,
                key="combine_genes",
                width=230,
                help="The figure lists the 20 genes with the largest of these.",
            )
        ]
        finding = describe_prediction(page.table)
        show_figure(
            combine.combination_dots(page.table, page.chosen, sort=sort),
            key="combination_dots",
            alt=f"{page.name}: {finding}",
            name=f"{page.file}_genes",
            code=page.code(
                f"fig = combine.combination_dots(table, list(doses), sort={sort!r})",
                imports="from sams_core.figures import combine",
            ),
            data=page.table.reset_index(),
        )
        st.caption(
            f"Bars are 90% intervals of the mean over cells, in {escape(page.asked.cells.words)}; "
            "single cells spread much more. Those of single perturbations and of their sum are the "
            "posterior's alone."
        )
    with right:
        if page.condition is None:
            _not_measured(page)
        else:
            _measured(page, page.condition)


def _not_measured(page: CombinePage) -> None:
    st.subheader("Prediction against the sum", anchor=False)
    finding = combination_tables.describe_interaction(page.table)
    show_interaction_scatter(page, "genes_interaction_scatter", finding)
    st.caption(
        f"{escape(page.name)} was not measured in this screen: nothing here can be checked against "
        "data yet."
    )


def show_interaction_scatter(page: CombinePage, key: str, finding: str) -> None:
    """Show the prediction against the sum of the singles."""
    show_figure(
        combine.interaction_scatter(page.table),
        key=key,
        alt=f"{page.name}: {finding}",
        name=f"{page.file}_interaction",
        code=page.code(
            "fig = combine.interaction_scatter(table)",
            imports="from sams_core.figures import combine",
        ),
        data=page.table.reset_index(),
    )


def _measured(page: CombinePage, condition: str) -> None:
    words = effect_tables.CELL_WORDS[page.measured_in]
    finding = combination_tables.describe_measurement(
        page.table, page.effects.obs.loc[condition], words
    )
    st.subheader("Prediction against the measurement", anchor=False)
    show_figure(
        effects.effect_scatter(
            combination_tables.as_effects(page.table),
            x_title=f"Measured in {words}",
            y_title="Model's prediction",
            height=520,
        ),
        key="combination_measured",
        alt=f"{page.name}: {finding}",
        name=f"{page.file}_measured",
        code=page.code(
            "fig = effect_scatter(\n"
            f"    as_effects(table), x_title={f'Measured in {words}'!r},\n"
            '    y_title="Model\'s prediction", height=520,\n'
            ")",
            imports="from sams_core.analysis.combination_tables import as_effects\n"
            "from sams_core.figures.effects import effect_scatter",
        ),
        data=combination_tables.as_effects(page.table).reset_index(),
    )
    st.markdown(escape(finding))


@st.fragment
def show_volcano(page: CombinePage) -> None:
    """Show each gene's shift beside its uncertainty."""
    quantity = QUANTITIES[pick_quantity("combine_volcano")]
    table = evidence(page.table, quantity)
    raised, lowered = (top_genes(page.table, quantity, sign)[:3] for sign in (1, -1))
    number = int(table["certain"].sum())
    finding = (
        f"{number:,} of {len(table):,} genes go beyond their uncertainty"
        f"{'' if not raised else f'; raised most: {effect_tables.listed(raised)}'}"
        f"{'' if not lowered else f'; lowered most: {effect_tables.listed(lowered)}'}."
    )
    st.markdown(escape(finding))
    show_figure(
        combine_views.volcano(table, quantity),
        key="combination_volcano",
        alt=f"{page.name}: {finding}",
        name=f"{page.file}_{quantity}_volcano",
        code=page.code(
            f'fig = volcano(evidence(table, "{quantity}"), "{quantity}")',
            imports="from sams_core.analysis.combination_genes import evidence\n"
            "from sams_core.figures.combine_views import volcano",
        ),
        data=table.reset_index(),
    )
    st.caption(
        "Height is the size of the shift divided by its standard deviation, from the posterior and "
        f"the sampling; above the dashed line the 90% interval leaves out 0. Coloured genes also "
        f"move by at least {combination_tables.NEGLIGIBLE:g} log2 units."
    )


def pick_quantity(key: str) -> str:
    """Ask what to show of each gene: a key of `QUANTITIES`."""
    links.tell(key, QUANTITIES)
    return st.segmented_control(
        "Show",
        list(QUANTITIES),
        default=next(iter(QUANTITIES)),
        required=True,
        key=key,
        bind="query-params",
    )


@st.fragment
def show_all(page: CombinePage) -> None:
    """List every gene with all that was predicted and measured."""
    show_table(
        combination_tables.in_reading_order(page.table),
        key="combine_table",
        name=f"{page.file}_prediction",
        column_config=columns.combination(page.table.columns, page.chosen),
    )
    st.caption("The CSV also has the intervals and standard deviations of every column.")
