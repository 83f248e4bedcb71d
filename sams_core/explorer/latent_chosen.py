"""Cells chosen with a lasso on the latents page: what they are, their genes, and the cells."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import pandas as pd
import streamlit as st

from sams_core.analysis import latent_chosen, latent_tables
from sams_core.analysis.latent_expression import Space, has_counts, tell_counts
from sams_core.analysis.markdown import escape
from sams_core.explorer import controls, links
from sams_core.explorer.caching import kept
from sams_core.explorer.glossary import GLOSSARY
from sams_core.explorer.lasso import chosen_cells, keep_cells
from sams_core.explorer.latent_columns import COMPOSITION, GENES
from sams_core.explorer.latent_page import GET_COUNTS, LatentPage
from sams_core.explorer.run import Run
from sams_core.explorer.widgets import download_csv, show_figure, show_table
from sams_core.figures.latent_chosen import composition_bars, gene_differences

TABS = ("What they are", "Top genes", "The cells")
_MANY = 2_000


def invite(run: Run, key: str) -> None:
    """Say how to choose cells, or which are chosen still."""
    kept = chosen_cells(run)
    if kept is None:
        st.info(
            "Draw a lasso or a box around cells, with the buttons above the map: what they are, "
            "their top genes and a download of them come here. Combine can start from them.",
            icon=":material/lasso_select:",
        )
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"{len(kept):,} cells are still chosen for Combine.", width="content")
        st.button(
            "Forget them", key="forget_cells", on_click=keep_cells, args=(run, ()),
            icon=":material/deselect:", type="tertiary",
        )  # fmt: skip


def show_chosen(
    page: LatentPage,
    chosen: np.ndarray,
    among: np.ndarray,
    space: Space,
    *,
    on_clear: Callable[[], None],
) -> None:
    """Tell about chosen cells.

    Parameters
    ----------
    page
        The visit.
    chosen, among
        (n,) which cells are chosen, and among which.
    space
        On whose map they were chosen.
    on_clear
        Called to choose no cells.
    """
    n = int(chosen.sum())

    def clear() -> None:
        on_clear()
        keep_cells(page.run, ())

    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader(f"{n:,} chosen cells", anchor="chosen", width="content")
        st.button("Choose none", key="clear_lasso", on_click=clear, icon=":material/deselect:")
        if n:
            st.page_link("pages/combine.py", label="Use them in Combine", icon=":material/merge:")
    if n == 0:
        st.info("No cell lies inside: draw another outline.", icon=":material/lasso_select:")
        return
    st.markdown(_tell(chosen, among, space, page.shifted))
    what, genes, cells = st.tabs(TABS, key="chosen_tab", on_change="rerun", bind="query-params")
    if what.open:
        with what:
            _composition(page, chosen, among)
    if genes.open:
        with genes:
            _genes(page, chosen, among, space)
    if cells.open:
        with cells:
            _cells(page, chosen)


def _tell(chosen: np.ndarray, among: np.ndarray, space: Space, shifted: bool) -> str:
    n, of = int(chosen.sum()), int(among.sum())
    where = f" on the {space} map" if shifted else ""
    few = f" With fewer than {latent_chosen.FEW} cells, shares and means are rough."
    return f"{n / of:.1%} of the {of:,} cells shown, chosen{where}." + (
        few if n < latent_chosen.FEW else ""
    )


def _composition(page: LatentPage, chosen: np.ndarray, among: np.ndarray) -> None:
    names = [name for name in latent_tables.colour_choices(page.cells, page.masks)
             if name not in (latent_tables.LATENT, latent_tables.GENE)]  # fmt: skip
    names = latent_chosen.composition_columns(page.cells, names)
    choices = {name.replace("_", " "): name for name in names}
    links.tell("composition", choices)
    by = controls.pick(
        "Count them by",
        list(choices),
        key="composition",
        help="The perturbation, the part of the screen (train, val, test), or any annotation.",
    )
    values = latent_tables.cell_values(page.cells, page.masks, choices[by], control=page.control)
    table = latent_chosen.composition(values[among].rename(by), chosen[among])
    finding = latent_chosen.tell_composition(table, by)
    st.markdown(escape(finding), help=f"{GLOSSARY['enrichment of cells']} {GLOSSARY['FDR']}")
    left, right = st.columns([2, 3], gap="medium")
    with left:
        show_figure(
            composition_bars(table),
            key="composition_figure",
            alt=finding,
            name=f"{page.run.name}_chosen_cells_by_{by}",
            code=_table_code(table, "latent_chosen", "composition_bars"),
            data=table.reset_index(),
        )
    with right:
        show_table(
            table,
            key="composition_table",
            name=f"{page.run.name}_chosen_cells_by_{by}",
            column_config=COMPOSITION,
        )


def _table_code(table: pd.DataFrame, module: str, function: str) -> str:
    """Python that draws a figure from its table, written out."""
    columns = {name: values.tolist() for name, values in table.items()}
    return (
        f"import pandas as pd\n\nfrom sams_core.figures.{module} import {function}\n\n"
        f"table = pd.DataFrame(\n    {columns!r},\n    index={table.index.tolist()!r},\n)\n"
        f"fig = {function}(table)"
    )


def _genes(page: LatentPage, chosen: np.ndarray, among: np.ndarray, space: Space) -> None:
    table = _gene_table((page.run.cache_key, _digest(chosen, among), space), page, chosen, among)
    if not has_counts(page.cells):
        st.info(
            f"{escape(tell_counts(page.cells))} Shown is what the model expects in the cells. "
            f"{GET_COUNTS}",
            icon=":material/info:",
        )
    finding = latent_chosen.tell_genes(table)
    st.markdown(
        escape(finding),
        help="Difference of means of log2(counts per 10,000 + 1). The same counts placed the cells "
        "on the map, so that p-values would be too small: none is given.",
    )
    left, right = st.columns([2, 3], gap="medium")
    name = f"{page.run.name}_chosen_cells_genes"
    drawn = pd.concat([table.nlargest(10, "difference"), table.nsmallest(10, "difference")])
    drawn = drawn[~drawn.index.duplicated()]
    with left:
        show_figure(
            gene_differences(table),
            key="chosen_genes_figure",
            alt=finding,
            name=name,
            code=_table_code(drawn, "latent_chosen", "gene_differences"),
            data=drawn.reset_index(),
        )
    with right:
        show_table(table, key="chosen_genes_table", name=name, column_config=GENES)


@kept(32, spinner="Comparing the cells' genes…")
def _gene_table(
    key: tuple[str, str, Space], _page: LatentPage, _chosen: np.ndarray, _among: np.ndarray
) -> pd.DataFrame:
    if has_counts(_page.cells):
        return latent_chosen.top_genes(_page.cells, _chosen, among=_among)
    return latent_chosen.top_expected_genes(
        _page.run.model(), _page.cells, _chosen, key[2], among=_among
    )


def _digest(*masks: np.ndarray) -> str:
    return hashlib.sha256(b"".join(np.packbits(mask).tobytes() for mask in masks)).hexdigest()


def _cells(page: LatentPage, chosen: np.ndarray) -> None:
    table = latent_chosen.cell_table(
        page.cells, page.masks, chosen, page.annotations, control=page.control
    )
    shown = table[[name for name in table if not str(name).startswith(("basal_", "full_"))]]
    st.dataframe(shown.head(_MANY), key="chosen_cells", alt="Chosen cells", placeholder="–")
    if len(shown) > _MANY:
        st.caption(f"The first {_MANY:,} of {len(shown):,} cells; the file has all.")
    download_csv(table, key="chosen_cells", name=f"{page.run.name}_chosen_cells")
