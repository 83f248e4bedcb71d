"""One gene on the effects page: which perturbations move it."""

from __future__ import annotations

import streamlit as st

from sams_core.analysis import effect_tables
from sams_core.analysis.markdown import escape
from sams_core.explorer import controls, effect_code, links
from sams_core.explorer.columns import EFFECTS
from sams_core.explorer.effect_page import (
    CONDITION_KEY,
    GENE_KEY,
    EffectPage,
    follow,
    open_condition,
)
from sams_core.explorer.widgets import show_figure
from sams_core.figures.effects import gene_dots


@st.fragment
def one_gene(page: EffectPage) -> None:
    """Look up which perturbations move one gene."""
    follow(page, CONDITION_KEY)
    links.tell(GENE_KEY, page.genes)
    links.tell("gene_fdr", controls.FDR_WORDS)
    links.tell_number("gene_top", 5, 60)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        gene = controls.pick(
            "Gene",
            page.genes,
            key=GENE_KEY,
            default=effect_tables.most_moved_gene(page.table),
            help="Type to search. It opens on the gene that the most perturbations change.",
        )
        all_cells = pick_all_cells("gene_all_cells")
        alpha = controls.pick_fdr("gene_fdr")
        limit = pick_limit("gene_top")
    cells: effect_tables.Cells = "all" if all_cells else "held-out"
    shown = effect_tables.gene_table(page.table, gene, cells=cells)
    finding = effect_tables.describe_gene(shown, gene, alpha)
    name = f"{page.run.name}_{gene}_perturbations"
    st.markdown(escape(finding))
    show_figure(
        gene_dots(shown, gene=gene, alpha=alpha, limit=limit),
        key="gene_dots",
        alt=finding,
        name=name,
        code=effect_code.one_gene(gene, cells, alpha=alpha, limit=limit),
        data=shown,
    )
    st.caption("Bars are one standard error: from sampling for the model, from cells for the data.")
    controls.table_to_open(
        shown,
        open_condition,
        key="gene_table",
        name=name,
        column_config=EFFECTS,
    )


def pick_all_cells(key: str) -> bool:
    """Ask whether to measure in all cells instead of held-out ones."""
    return st.toggle(
        "Use all cells",
        value=True,
        key=key,
        bind="query-params",
        help="All cells measure most precisely; switch off for held-out cells only, the fair "
        "test of the model.",
    )


def pick_limit(key: str) -> int:
    """Ask how many perturbations to draw."""
    return st.slider(
        "Perturbations shown",
        *(5, 60, 20, 5),
        key=key,
        bind="query-params",
        width=200,
        help="Those with the largest effect in the model or in the data.",
    )
