"""The map of perturbations on the latents page: the space of shifts, with nearest neighbours."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from sams_core.analysis import latent_tables
from sams_core.analysis.latent_neighbours import (
    SURE,
    Likeness,
    likeness,
    nearest_edges,
    tell_edges,
)
from sams_core.analysis.markdown import escape
from sams_core.analysis.mask_tables import annotation_columns, has_mask, trained
from sams_core.explorer import card, controls, latent_code, links
from sams_core.explorer.caching import kept
from sams_core.explorer.glossary import GLOSSARY
from sams_core.explorer.latent_columns import EDGES, PERTURBATIONS
from sams_core.explorer.latent_page import LatentPage
from sams_core.explorer.widgets import show_figure, show_table
from sams_core.figures.latent_perturbations import perturbation_map

NUMBERS = {
    "open latents": "n_open",
    "significant genes": "n_significant",
    "cells measured": "n_cells",
}
MAX_NEIGHBOURS = 5


@st.fragment
def show_perturbations(page: LatentPage) -> None:
    """Draw perturbations by the likeness of their latent effects, joined to their nearest."""
    if not page.shifted:
        st.info(
            f"This {card.family_name(page.run)} has no map of perturbations: nothing in its latent "
            "space stands for one. Their effects on genes are on the Effects page.",
            icon=":material/wrong_location:",
        )
        links.to_pages("effects")
        return
    masks = trained(page.masks)
    table = latent_tables.perturbation_table(masks)
    groups = {c.replace("_", " "): c for c in annotation_columns(masks)}
    choices = groups | {word: name for word, name in NUMBERS.items() if name in table}
    colour, n_neighbours, n_labels = _pick(list(choices))
    model = page.run.model()
    edges = nearest_edges(
        _likeness(page.run.cache_key, page), model, masks, n_neighbours=n_neighbours
    )
    finding = _tell(page, table)
    told = tell_edges(edges, len(table)) if n_neighbours else ""
    show_figure(
        perturbation_map(table, colour=choices[colour], edges=edges, n_labels=n_labels),
        key="perturbation_map",
        alt=f"{finding} {told}".strip(),
        name=f"{page.run.name}_perturbation_map",
        code=_code(page, choices[colour], n_neighbours, n_labels),
        data=table.reset_index(),
    )
    if told:
        st.markdown(
            escape(told),
            help=f"{GLOSSARY['cosine']} Lines join a perturbation to its nearest ones if both "
            f"point the same way in {SURE:.0%} of posterior draws; the wider the more alike.",
        )
    st.caption(
        f"{finding} Perturbations that lie together shift the same latent dimensions by similar "
        "amounts; larger points were measured in more cells. Where a perturbation without an "
        "effect lies means nothing. Trust the lines more than the distances."
    )
    with st.expander("All perturbations as a table", icon=":material/table:"):
        show_table(
            table.drop(columns=["x", "y"]),
            key="map_table",
            name=f"{page.run.name}_perturbation_map",
            column_config=PERTURBATIONS,
        )
    if len(edges):
        with st.expander("All lines as a table", icon=":material/table:"):
            show_table(
                edges, key="edge_table", name=f"{page.run.name}_nearest_perturbations",
                column_config=EDGES,
            )  # fmt: skip


@kept(16, spinner="Comparing the perturbations' shifts…")
def _likeness(key: str, _page: LatentPage) -> Likeness:
    return likeness(_page.run.model())


def _pick(choices: list[str]) -> tuple[str, int, int]:
    """Ask for the colour, the nearest neighbours and how many names to show."""
    links.tell("map_colour", choices)
    links.tell_number("neighbours", 0, MAX_NEIGHBOURS)
    links.tell_number("map_labels", 0, 100)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        colour = controls.pick(
            "Colour perturbations by",
            choices,
            key="map_colour",
            help="A pathway or other annotation, or a count.",
        )
        n_neighbours = st.slider(
            "Nearest neighbours",
            0,
            MAX_NEIGHBOURS,
            3,
            key="neighbours",
            bind="query-params",
            width=180,
            help="How many perturbations each is joined to, by the likeness of their posterior "
            "shifts in all latent dimensions, not by how near they lie on the map.",
        )
        n_labels = st.slider(
            "Names shown",
            0,
            100,
            40,
            10,
            key="map_labels",
            bind="query-params",
            width=180,
            help="As many as fit, perturbations with most significant genes first.",
        )
    return colour, n_neighbours, n_labels


def _tell(page: LatentPage, table: pd.DataFrame) -> str:
    finding = f"{len(table):,} perturbations, placed by their average shift in latent space"
    if has_mask(page.masks):
        finding += f"; {int((table['n_open'] == 0).sum()):,} of them open no latent dimension"
    return f"{finding}."


def _code(page: LatentPage, colour: str, n_neighbours: int, n_labels: int) -> str:
    return "\n".join(
        [
            "from sams_core.analysis import latent_tables, mask_tables",
            "from sams_core.analysis.latent_neighbours import likeness, nearest_edges",
            "from sams_core.figures.latent_perturbations import perturbation_map",
            "",
            latent_code.annotated(page, colour),
            "rows = mask_tables.trained(annotated)",
            f"edges = nearest_edges(likeness(model), model, rows, n_neighbours={n_neighbours})",
            "table = latent_tables.perturbation_table(rows)",
            f"fig = perturbation_map(table, colour={colour!r}, edges=edges, n_labels={n_labels})",
        ]
    )
