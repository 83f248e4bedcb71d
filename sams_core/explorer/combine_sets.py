"""Gene sets among the genes that a combination moves."""

from __future__ import annotations

import streamlit as st

from sams_core.analysis.combination_genes import QUANTITIES, Quantity, gene_set_tests
from sams_core.analysis.enrichment import Enrichment
from sams_core.analysis.markdown import escape
from sams_core.explorer.caching import kept
from sams_core.explorer.combine_genes import pick_quantity
from sams_core.explorer.combine_page import Asked, CombinePage
from sams_core.explorer.gene_sets import gene_sets
from sams_core.explorer.glossary import GLOSSARY
from sams_core.explorer.mask_columns import ENRICHED
from sams_core.explorer.own_gene_sets import own_gene_sets
from sams_core.explorer.widgets import show_table

_SHOWN = ["set", "fdr", "overlap", "set_size", "expected", "members", "odds_ratio"]


@st.fragment
def show_gene_sets(page: CombinePage) -> None:
    """Test gene sets among the genes that are raised and those that are lowered."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        quantity = QUANTITIES[pick_quantity("combine_sets")]
        own = own_gene_sets()
    collections = gene_sets()
    if own is None:
        tests = _cached((page.run.cache_key, page.asked, quantity), page, collections)
    else:
        tests = gene_set_tests(page.table, quantity, collections | {own.label: own.sets})
    st.caption(
        "Are genes of a set found more often among the moved genes than by chance? One-sided "
        "Fisher test; the background is all assayed genes.",
        help=f"**FDR**: {GLOSSARY['FDR']} Corrected by Benjamini and Hochberg over all sets "
        "tested. Moved genes: beyond their uncertainty, at most 50 in each direction.",
    )
    for name, test in tests.items():
        st.markdown(f"##### {test.n_chosen} genes that are {name}")
        st.markdown(escape(test.finding))
        if len(test.table):
            others = [column for column in test.table if column not in _SHOWN]
            show_table(
                test.table[[*_SHOWN, *others]],
                key=f"combine_sets_{name}",
                name=f"{page.file}_{quantity}_gene_sets_{name}",
                column_config=ENRICHED,
            )


@kept(128)
def _cached(
    key: tuple[str, Asked, Quantity],
    _page: CombinePage,
    _collections: dict[str, dict[str, list[str]]],
) -> dict[str, Enrichment]:
    return gene_set_tests(_page.table, key[2], _collections)
