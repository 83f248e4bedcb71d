"""The model's terms where they are needed: a line under a page's title, a list in the sidebar."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from sams_core.analysis.markdown import escape
from sams_core.analysis.score_names import METRICS, SCORES
from sams_core.explorer.glossary import FIGURES, GLOSSARY

SEARCH_KEY = "glossary_search"
PAGE_WORDS: dict[str, tuple[str, ...]] = {
    "Start": ("perturbation", "SAMS-VAE", "mask", "latent dimension", "ATE", "ceiling"),
    "Masks": ("mask", "latent dimension", "inclusion probability", "open", "effect"),
    "Effects": ("ATE", "log-fold-change", "FDR", "held-out cells", "ceiling"),
    "Latents": ("latent dimension", "basal", "full latent", "shift", "UMAP"),
    "Combine": ("ATE", "additive expectation", "shift", "library size", "held-out cells"),
    "Search": ("additive expectation", "interaction", "90% interval", "perturbation"),
    "Models": ("checkpoint", "seed", "ATE", "IWELBO", "Pearson", "ceiling"),
    "Open": ("screen", "checkpoint", "bundle", "control"),
}
"""What a newcomer has to know on each page."""


def entries() -> dict[str, str]:
    """Every term and figure with its meaning, from A to Z."""
    figures = {
        (SCORES | METRICS)[name].title: words
        for name, words in FIGURES.items()
        if name in SCORES | METRICS and not words.startswith("The same")
    }
    found = figures | GLOSSARY
    return {term: found[term] for term in sorted(found, key=str.casefold)}


def matching(query: str, terms: Mapping[str, str]) -> dict[str, str]:
    """Entries with every word of the query, those that have it in the term first."""
    wanted = query.casefold().split()
    found = {
        term: words
        for term, words in terms.items()
        if all(word in f"{term} {words}".casefold() for word in wanted)
    }
    in_term = [term for term in found if all(word in term.casefold() for word in wanted)]
    return {term: found[term] for term in dict.fromkeys([*in_term, *found])}


def page_words(title: str) -> None:
    """Write the words of a page under its title, each with its meaning on hover or focus."""
    terms = [term for term in PAGE_WORDS.get(title, ()) if term in GLOSSARY]
    if not terms:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="page_words"):
        st.caption("Words on this page", width="content")
        for term in terms:
            st.badge(term, color="gray", help=GLOSSARY[term])


@st.fragment
def glossary_popover() -> None:
    """Draw the whole list, with a search."""
    with st.popover("Glossary", icon=":material/menu_book:", width="stretch"):
        query = st.text_input(
            "Search the glossary",
            key=SEARCH_KEY,
            type="search",
            live=True,
            placeholder="mask, ATE, IWELBO …",
            help="Finds terms, and words in their meaning.",
        )
        found = matching(query or "", entries())
        if not found:
            st.markdown(f"No entry has “{escape(query)}”. Try a shorter word, such as “mask”.")
            return
        with st.container(height=420, border=False):
            st.markdown("\n\n".join(f"**{term}**: {words}" for term, words in found.items()))
