"""Details of a latent dimension on the masks page."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from sams_core.analysis import mask_words
from sams_core.analysis.latent_enrichment import LatentEnrichment, latent_enrichment, tell_cells
from sams_core.explorer import mask_code
from sams_core.explorer.caching import kept
from sams_core.explorer.controls import table_to_open
from sams_core.explorer.glossary import GLOSSARY
from sams_core.explorer.mask_columns import ENRICHED, OPENERS, RESPONSE
from sams_core.explorer.mask_page import MaskPage, choose
from sams_core.explorer.widgets import show_figure, show_table
from sams_core.figures.latents import cells_by_number
from sams_core.figures.mask_details import gene_bars

TABS = ("Genes", "Perturbations", "Gene sets", "Cells")
_ENRICHED_COLUMNS = ["set", "fdr", "overlap", "set_size", "expected", "members", "odds_ratio"]


class LatentDetails(NamedTuple):
    """What is known of one latent dimension.

    Attributes
    ----------
    openers
        Perturbations that open it.
    step
        Their typical effect, which genes respond to.
    response
        Of every gene to the step.
    told
        The response in words.
    up, down
        Genes that it clearly moves.
    """

    openers: pd.DataFrame
    step: float
    response: pd.DataFrame
    told: str
    up: pd.DataFrame
    down: pd.DataFrame


def show_latent(page: MaskPage, latent: str) -> None:
    """Tell what a latent dimension is: its genes, its perturbations, their gene sets, its cells."""
    with st.spinner("Asking the model which genes move along it…"):
        key = (page.run.cache_key, latent, page.threshold)
        found = latent_details(key, page)
        tests = _tests(page, found) if page.with_own_sets else _cached_tests(key, page, found)
    told = mask_words.tell_latent(
        found.openers, latent, found.up, found.down, tests, masked=page.with_mask
    )
    st.markdown(told, help=f"{GLOSSARY['latent dimension']} {GLOSSARY['effect']}")
    genes, perturbations, sets, cells = st.tabs(
        TABS, key="mask_latent_tab", on_change="rerun", bind="query-params"
    )
    name = f"{page.run.name}_{latent}"
    if genes.open:
        with genes:
            _genes(page, found, latent, name)
    if perturbations.open:
        with perturbations:
            _perturbations(page, found, name)
    if sets.open:
        with sets:
            _gene_sets(found, tests, name)
    if cells.open:
        with cells:
            _cells(page, found, latent, name)


@kept(128)
def latent_details(key: tuple[str, str, float], _page: MaskPage) -> LatentDetails:
    """Gather what the model knows of a dimension; the key names run, latent and threshold."""
    from sams_core.analysis.latent_dimension import (
        basal_states,
        describe_response,
        latent_response,
        openers,
        top_genes,
    )

    _, latent, threshold = key
    run, masks = _page.run, _page.masks
    model = run.model()
    found = openers(masks, latent, threshold)
    step = mask_words.typical_step(found)
    states = basal_states(model, cells=run.cells())
    response = latent_response(model, states, latent, step=step)
    up, down = top_genes(response, "up"), top_genes(response, "down")
    return LatentDetails(
        found,
        step,
        response,
        describe_response(response, latent, step, states.source),
        up,
        down,
    )


@kept(128)
def _cached_tests(
    key: tuple[str, str, float], _page: MaskPage, _found: LatentDetails
) -> LatentEnrichment:
    return _tests(_page, _found)


def _tests(page: MaskPage, found: LatentDetails) -> LatentEnrichment:
    genes = page.run.config["genes"]
    return latent_enrichment(page.masks, found.openers, found.up, found.down, genes, page.sets)


def _genes(page: MaskPage, found: LatentDetails, latent: str, name: str) -> None:
    st.markdown(
        found.told,
        help="The decoder's response: cells are moved along this dimension alone, by the mean "
        "effect of the perturbations that push most, and expression is compared before and "
        f"after. **Log2**: +1 is about a doubling. {GLOSSARY['basal']}",
    )
    by_size = found.response["change"].abs().sort_values(ascending=False, kind="stable")
    response = found.response.loc[by_size.index]
    show_figure(
        gene_bars(found.up, found.down),
        key="mask_response_figure",
        alt=found.told,
        name=f"{name}_genes",
        code=mask_code.response_code(latent, page.threshold),
        data=response,
    )
    st.caption("Bars are means over cells; thin lines span 90% of cells.")
    show_table(
        response,
        key="mask_response_table",
        name=f"{name}_genes",
        column_config=RESPONSE,
    )


def _perturbations(page: MaskPage, found: LatentDetails, name: str) -> None:
    if found.openers.empty:
        st.info("No perturbation opens it at this threshold.", icon=":material/tune:")
        return
    table_to_open(
        found.openers if page.with_mask else found.openers.drop(columns="inclusion"),
        _open,
        key="mask_openers",
        name=f"{name}_perturbations",
        column_config=OPENERS,
    )


def _open(name: str) -> None:
    choose(row=name)


def _gene_sets(found: LatentDetails, tests: LatentEnrichment, name: str) -> None:
    st.caption(
        "Are genes of a gene set found more often than by chance? One-sided Fisher test.",
        help=f"**FDR**: {GLOSSARY['FDR']} **Background**: all that could have been found.",
    )
    for key, title, test in (
        ("perturbations", "Perturbations that open it", tests.perturbations),
        ("lowered", f"{len(found.down)} genes that the step lowers", tests.lowered),
        ("raised", f"{len(found.up)} genes that the step raises", tests.raised),
    ):
        st.markdown(f"##### {title}")
        if test is None:
            st.markdown("There is no list to test: none opens it, or every one shifts it.")
            continue
        st.markdown(test.finding)
        if len(test.table):
            others = [column for column in test.table if column not in _ENRICHED_COLUMNS]
            show_table(
                test.table[[*_ENRICHED_COLUMNS, *others]],
                key=f"mask_enriched_{key}",
                name=f"{name}_gene_sets_{key}",
                column_config=ENRICHED,
            )


def _cells(page: MaskPage, found: LatentDetails, latent: str, name: str) -> None:
    cells = page.run.cells()
    at = [str(each) for each in page.masks.var_names].index(latent)
    openers = list(found.openers.index) if page.with_mask else []
    told = tell_cells(cells, at, openers, str(page.run.config["control"]))
    st.markdown(told, help=GLOSSARY["UMAP"])
    position = np.asarray(cells.obsm["z"])[:, at]
    show_figure(
        cells_by_number(
            np.asarray(cells.obsm["X_umap"]),
            None,
            (position, position),
            cells.obs["condition"].astype(str),
            title=latent,
            centred=True,
            height=440,
        ),
        key="mask_latent_cells",
        alt=f"Cells on the map of the full latent space, coloured by {latent}. {told}",
        name=f"{name}_cells",
        code=mask_code.cells_code(latent, at),
    )
