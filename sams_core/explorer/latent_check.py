"""The check of the latents page: whether the basal space still tells perturbations apart."""

from __future__ import annotations

import streamlit as st

from sams_core.analysis.latent_separation import (
    MIN_CELLS,
    Separation,
    separation,
    tell_separation,
)
from sams_core.analysis.markdown import escape
from sams_core.explorer.caching import kept
from sams_core.explorer.glossary import GLOSSARY
from sams_core.explorer.latent_columns import RECALL
from sams_core.explorer.latent_page import LatentPage
from sams_core.explorer.widgets import show_figure, show_table
from sams_core.figures.latent_separation import separation_dots


@st.fragment
def show_check(page: LatentPage) -> None:
    """Say whether a classifier can name a cell's perturbation from its basal state."""
    found = _separation(page.run.cache_key, page)
    if found is None:
        st.info(
            f"There is nothing to tell apart: fewer than two conditions have {MIN_CELLS} cells "
            "here. Prepare the checkpoint with more cells (`--max-cells`).",
            icon=":material/info:",
        )
        return
    told = tell_separation(found)
    text = escape(told)
    if found.separates:
        st.warning(text, icon=":material/call_split:")
    else:
        st.success(text, icon=":material/check_circle:")
    show_figure(
        separation_dots(found),
        key="separation",
        alt=told,
        name=f"{page.run.name}_basal_check",
        code="from sams_core.analysis.latent_separation import separation\n"
        "from sams_core.figures.latent_separation import separation_dots\n\n"
        f"fig = separation_dots(separation(cells, {page.control!r}))",
        data=found.recall.reset_index(),
    )
    st.caption(_method(page, found), help=GLOSSARY["basal check"])
    with st.expander("Every condition as a table", icon=":material/table:"):
        show_table(
            found.recall,
            key="recall_table",
            name=f"{page.run.name}_basal_check",
            column_config=RECALL,
        )


@kept(16, spinner="Training a classifier on the basal states…")
def _separation(key: str, _page: LatentPage) -> Separation | None:
    return separation(_page.cells, _page.control)


def _method(page: LatentPage, found: Separation) -> str:
    left_out = (
        f" {found.n_left_out:,} conditions are left out: too few cells, or beyond the largest "
        f"{len(found.recall)}."
        if found.n_left_out
        else ""
    )
    full = (
        f" The full state knows the shift, as the model is told each cell's perturbation: it names "
        f"{found.accuracy['full']:.0%}, which is no achievement."
        if page.shifted
        else ""
    )
    return (
        f"Linear discriminant analysis in five folds on {found.n_cells:,} cells, conditions "
        f"weighing alike; {len(found.null)} shuffles. The dashed line is guessing.{full}{left_out}"
    )
