"""A gene list on the effects page: which perturbations move it, and a heatmap of its genes."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from sams_core.analysis import effect_gene_lists, effect_tables
from sams_core.analysis.markdown import escape, plain
from sams_core.explorer import controls, links
from sams_core.explorer.caching import kept
from sams_core.explorer.effect_code import GeneListCode
from sams_core.explorer.effect_columns import LISTS
from sams_core.explorer.effect_gene import pick_all_cells, pick_limit
from sams_core.explorer.effect_page import CONDITION_KEY, EffectPage, Picked, follow, open_condition
from sams_core.explorer.glossary import GLOSSARY
from sams_core.explorer.widgets import show_figure
from sams_core.figures.effect_lists import effect_heatmap, list_dots

MOST_MOVED, PASTED = "Most moved genes", "Pasted list"
MAX_TEXT = 8000
MAX_COLUMNS = 100
FIGURES = ("Heatmap", "Mean effects")
SORTS = {
    "Mean effect": ("model", "data"),
    "Size, any direction": ("model_size", "data_size"),
}


@st.fragment
def gene_list(page: EffectPage) -> None:
    """Look up which perturbations move a list of genes."""
    follow(page, CONDITION_KEY)
    links.tell("genes_sort", SORTS)
    links.tell("genes_fdr", controls.FDR_WORDS)
    links.tell_number("genes_top", 5, 60)
    notices = st.container(gap=None)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        picked = page.pick_sets(
            "Genes",
            [MOST_MOVED, PASTED],
            key="genes_from",
            notices=notices,
            help="The genes that most perturbations change, your own list, or a gene set; type to "
            "search.",
        )
        sort = controls.pick(
            "Rank by",
            list(SORTS),
            key="genes_sort",
            help="**Mean effect**: genes that rise and genes that fall cancel. **Size, any "
            "direction**: root mean square, for lists that hold both.",
            width=190,
        )
        all_cells = pick_all_cells("genes_all_cells")
        alpha = controls.pick_fdr("genes_fdr")
        limit = pick_limit("genes_top")
    genes = _genes(page, picked)
    if not genes:
        return
    code = GeneListCode(genes, "all" if all_cells else "held-out", alpha, SORTS[sort])
    with st.spinner("Comparing perturbations…", show_time=False):
        if picked.private:
            table = _tabulate(page, code)
        else:
            key = (page.run.cache_key, tuple(genes), code.cells, alpha)
            table = _cached_table(key, page, code)
    table = effect_gene_lists.by_size(table, code.sort)
    _show(page, table, code, limit)


@kept(64)
def _cached_table(
    key: tuple[str, tuple[str, ...], str, float], _page: EffectPage, _code: GeneListCode
) -> pd.DataFrame:
    return _tabulate(_page, _code)


def _tabulate(page: EffectPage, code: GeneListCode) -> pd.DataFrame:
    return effect_gene_lists.gene_list_table(
        page.table, code.genes, cells=code.cells, alpha=code.alpha
    )


def _genes(page: EffectPage, picked: Picked) -> list[str]:
    """The list's genes; says which words of a pasted list are none."""
    if picked.genes is not None:
        return picked.genes
    if picked.name == MOST_MOVED:
        return effect_gene_lists.most_moved_genes(page.table)
    text = st.text_area(
        "Gene symbols",
        key="genes",
        bind="query-params",
        max_chars=MAX_TEXT,
        height=90,
        placeholder="STAT1, IRF1, GBP2 …",
        help="Paste a column or a line: spaces, commas, semicolons, tabs or lines between symbols. "
        "Ctrl+Enter, or a click elsewhere, looks them up.",
    )
    found = effect_gene_lists.parse_genes(text or "", page.genes)
    if found.unknown:
        st.warning(
            f"{len(found.unknown):,} of {len(found.genes) + len(found.unknown):,} names are not "
            f"among this screen's {len(page.genes):,} genes and are left out: "
            f"{effect_tables.listed(map(escape, found.unknown))}.",
            icon=":material/help:",
        )
    if not found.genes:
        example = ", ".join(effect_gene_lists.most_moved_genes(page.table, limit=3))
        st.info(
            f"Paste the symbols of the genes that you look for, for example {escape(example)}.",
            icon=":material/content_paste:",
        )
    return found.genes


def _show(page: EffectPage, table: pd.DataFrame, code: GeneListCode, limit: int) -> None:
    told = effect_gene_lists.describe_gene_list(table, len(code.genes), code.alpha)
    st.markdown(told, help=GLOSSARY["rank-sum test"])
    name = f"{page.run.name}_{len(code.genes)}_genes"
    words = effect_tables.CELL_WORDS[code.cells]
    links.tell("genes_plot", FIGURES)
    plot = st.segmented_control(
        "Figure",
        FIGURES,
        default=FIGURES[0],
        required=True,
        key="genes_plot",
        bind="query-params",
        label_visibility="collapsed",
    )
    if plot == FIGURES[0]:
        _heatmap(page, table, code._replace(genes=code.genes[:MAX_COLUMNS]), limit, words, name)
    else:
        of = f"{len(code.genes):,} gene{'s' if len(code.genes) > 1 else ''}"
        show_figure(
            list_dots(table, of=of, alpha=code.alpha, limit=limit),
            key="list_dots",
            alt=plain(told),
            name=f"{name}_perturbations",
            code=code.dots(of=of, alpha=code.alpha, limit=limit),
            data=table,
        )
        st.caption("A filled diamond: the list as a whole differs from all other genes.")
    controls.table_to_open(
        table,
        open_condition,
        key="list_table",
        name=f"{name}_perturbations",
        column_config=LISTS,
    )


def _heatmap(
    page: EffectPage, table: pd.DataFrame, code: GeneListCode, limit: int, words: str, name: str
) -> None:
    conditions = [str(condition) for condition in table.index[:limit]]
    model, data = effect_gene_lists.effect_matrices(
        page.table, conditions, code.genes, cells=code.cells
    )
    agreement = effect_tables.pearson(model.to_numpy().ravel(), data.to_numpy().ravel())
    show_figure(
        effect_heatmap(model, data, measured_in=words),
        key="effect_heatmap",
        alt=f"Effects of {len(model):,} perturbations on {model.shape[1]:,} genes: model and data "
        f"correlate {effect_tables.two_digits(agreement)}.",
        name=f"{name}_heatmap",
        code=code.heatmap(limit, words),
        data=pd.concat({"model": model, "measured": data}, axis=1),
    )
    st.caption(
        f"The first {len(model):,} perturbations of the table below; similar ones are neighbours, "
        f"and so are similar genes. Over all entries model and data correlate "
        f"{effect_tables.two_digits(agreement)}."
    )
