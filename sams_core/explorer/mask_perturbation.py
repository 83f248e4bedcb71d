"""Details of a perturbation on the masks page."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from sams_core.analysis import mask_words
from sams_core.analysis.effect_tables import CELL_WORDS, pearson
from sams_core.analysis.markdown import plain
from sams_core.errors import SamsError
from sams_core.explorer import mask_code
from sams_core.explorer.caching import kept
from sams_core.explorer.controls import table_to_open
from sams_core.explorer.glossary import GLOSSARY
from sams_core.explorer.mask_columns import MOVED, NEAREST, ROW
from sams_core.explorer.mask_page import MaskPage, choose
from sams_core.explorer.widgets import show_figure, show_table
from sams_core.figures.mask_details import effect_dots, gene_pairs

TABS = ("Mask and effect", "Nearest", "Genes")


def show_perturbation(page: MaskPage, name: str) -> None:
    """Tell what a perturbation is: its mask row, its nearest perturbations, its genes."""
    from sams_core.analysis.perturbation_details import mask_row

    row = mask_row(page.masks, name, page.threshold)
    told = mask_words.tell_perturbation(page.masks, row, name)
    st.markdown(told, help=GLOSSARY["effect"])
    mask, nearest_ones, genes = st.tabs(
        TABS, key="mask_perturbation_tab", on_change="rerun", bind="query-params"
    )
    if mask.open:
        with mask:
            _mask(page, name, row, told)
    if nearest_ones.open:
        with nearest_ones:
            _nearest(page, name)
    if genes.open:
        with genes:
            _genes(page, name)


def _mask(page: MaskPage, name: str, row: pd.DataFrame, told: str) -> None:
    n_shown = max(6, min(int(row["open"].sum()), 14))
    show_figure(
        effect_dots(row.head(n_shown)),
        key="mask_row_figure",
        alt=plain(told),
        name=f"{page.run.name}_{name}_effects",
        code=mask_code.row_code(name, page.threshold, n_shown),
        data=row.head(n_shown),
    )
    st.caption("Dots are the posterior mean of the effect, lines one posterior s.d. to each side.")
    shown = row if page.with_mask else row.drop(columns=["inclusion", "open", "n_others"])
    show_table(shown, key="mask_row_table", name=f"{page.run.name}_{name}_mask", column_config=ROW)


def _nearest(page: MaskPage, name: str) -> None:
    from sams_core.analysis.perturbation_details import describe_nearest

    with st.spinner("Drawing from the posterior…", show_time=False):
        table = nearest((page.run.cache_key, name, page.threshold), page)
    st.markdown(
        describe_nearest(table, name),
        help="**Cosine**: how alike two latent effects point, whatever their length, from -1 to 1.",
    )
    table_to_open(
        table,
        _open,
        key="mask_nearest",
        name=f"{page.run.name}_nearest_{name}",
        column_config=NEAREST,
    )


def _open(name: str) -> None:
    choose(row=name)


@kept(256)
def nearest(key: tuple[str, str, float], _page: MaskPage) -> pd.DataFrame:
    """Perturbations by the likeness of their effects; the key names run, row and threshold."""
    from sams_core.analysis.perturbation_details import nearest_perturbations

    _, name, threshold = key
    run = _page.run
    return nearest_perturbations(run.model(), _page.masks, run.effects(), name, threshold=threshold)


def _genes(page: MaskPage, name: str) -> None:
    from sams_core.analysis.perturbation_details import moved_genes

    try:
        genes = moved_genes(page.run.effects(), name)
    except SamsError:
        st.info(
            f"{name} was never measured alone, so there are no effects of it on genes; the Combine "
            "page predicts them.",
            icon=":material/science_off:",
        )
        return
    both = genes[(genes["model_rank"] <= 20) & (genes["data_rank"] <= 20)]
    told = (
        f"{len(both)} of the 20 genes that {name} moves most in the model are among the 20 that "
        f"move most in the data ({CELL_WORDS['all']}); over the {len(genes)} genes of either list, "
        f"effects correlate {pearson(genes['model'].to_numpy(), genes['data'].to_numpy()):.2f}."
    )
    st.markdown(told, help=f"**Effect**: {GLOSSARY['ATE']}")
    show_figure(
        gene_pairs(genes),
        key="mask_genes_figure",
        alt=told,
        name=f"{page.run.name}_{name}_genes",
        code=mask_code.genes_code(name),
        data=genes,
    )
    show_table(
        genes,
        key="mask_genes_table",
        name=f"{page.run.name}_{name}_genes",
        column_config=MOVED,
    )
