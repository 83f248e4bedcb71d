"""Perturbations x latent dimensions, grouped by pathway; what each of them is, at a click."""

from __future__ import annotations

import streamlit as st

from sams_core import explorer
from sams_core.analysis import mask_groups, mask_tables
from sams_core.explorer import GLOSSARY, card, links
from sams_core.explorer.columns import MASK_LATENTS, MASK_PERTURBATIONS
from sams_core.explorer.gene_sets import gene_sets
from sams_core.explorer.links import tell, tell_number
from sams_core.explorer.mask_controls import map_controls
from sams_core.explorer.mask_details import pick_details, show_details
from sams_core.explorer.mask_map import show_finding, show_map
from sams_core.explorer.mask_page import MaskPage
from sams_core.explorer.own_gene_sets import own_gene_sets

READING = (
    "Each row is a perturbation, each column a latent dimension; a filled cell means that the "
    "perturbation shifts that dimension. Click anything to see what it is."
)


def controls() -> MaskPage:
    """Draw what the map and the tables share: grouping, order and, with a mask, threshold."""
    places = st.container(horizontal=True, vertical_alignment="bottom")
    with places:
        grouped, ordered, cut = (st.container(width=width) for width in (270, 130, 220))
        own = own_gene_sets()
    sets = gene_sets() | ({} if own is None else {own.label: own.sets})
    choices = mask_tables.grouping_choices(masks, sets)
    tell("mask_group", choices)
    tell("mask_order", mask_groups.ORDERS)
    choice = grouped.selectbox(
        "Group perturbations by",
        choices,
        key="mask_group",
        bind="query-params",
        help="An annotation of the perturbations, or gene sets that contain their target genes. "
        "A gene in several sets goes to the one that holds most perturbations of this screen.",
    )
    order = ordered.selectbox(
        "Order by",
        mask_groups.ORDERS,
        key="mask_order",
        bind="query-params",
        help="Rows within their group, and latent dimensions. **Likeness**: similar ones are "
        "neighbours (clustering). **Strength**: the longest shift first.",
    )
    threshold = mask_tables.OPEN_THRESHOLD
    if with_mask:
        tell_number("mask_threshold", 0.05, 0.95)
        threshold = cut.slider(
            "Threshold on inclusion",
            min_value=0.05,
            max_value=0.95,
            value=0.5,
            step=0.05,
            key="mask_threshold",
            bind="query-params",
            help=GLOSSARY["open"],
        )
    if overlap := mask_groups.tell_overlap(list(map(str, masks.obs_names)), choice, sets):
        st.caption(overlap)
    return MaskPage(run, masks, sets, own is not None, choice, order, threshold)


@st.fragment
def mask_and_details(page: MaskPage) -> None:
    """Draw the map with its own controls, and what is chosen on it beside or below."""
    choices = map_controls(page)
    show_finding(page)
    if not choices.latents or not choices.groups:
        st.info(
            "Lower the threshold, or show unused latents and silent perturbations.",
            icon=":material/tune:",
        )
        return
    if choices.leaves_room:
        drawn, told = st.columns([9, 11], gap="large")
        with told:
            chosen = pick_details(page)
        with drawn:
            show_map(page, choices, chosen)
        with told:
            show_details(page, chosen)
        return
    chosen = pick_details(page)
    if chosen.row or chosen.latent:
        st.markdown("[:material/south: Details are below the map](#details)")
    show_map(page, choices, chosen)
    show_details(page, chosen)


@st.fragment
def tables(page: MaskPage) -> None:
    """Draw the same mask as two tables."""
    if not page.with_mask:
        perturbation_table(page)
        return
    by_perturbation, by_latent = st.tabs(
        ["Perturbations", "Latent dimensions"],
        key="mask_table",
        bind="query-params",
        on_change="rerun",
    )
    if by_perturbation.open:
        with by_perturbation:
            perturbation_table(page)
    if by_latent.open:
        with by_latent:
            explorer.show_table(
                mask_tables.latent_table(masks, page.threshold),
                key="mask_latents",
                name=f"{run.name}_mask_by_latent",
                column_config=MASK_LATENTS,
            )


def perturbation_table(page: MaskPage) -> None:
    """List what each perturbation shifts."""
    explorer.show_table(
        mask_tables.perturbation_table(masks, page.arranged[0], page.threshold),
        key="mask_perturbations",
        name=f"{run.name}_{'mask' if page.with_mask else 'shift'}_by_perturbation",
        column_config=MASK_PERTURBATIONS,
    )


run = explorer.current_run()
masks = mask_tables.trained(run.masks())
with_mask = mask_tables.has_mask(masks)
explorer.page_header(
    "Masks", f"Which mechanisms do these perturbations share? {READING if with_mask else ''}"
)
if not mask_tables.has_shift(masks):
    st.info(
        f"This {card.family_name(run)} has neither masks nor shifts: its networks are told what "
        "was done to a cell, and nothing in its latent space stands for a perturbation. What it "
        "predicts is on the Effects page, and its map of cells on the Latents page.",
        icon=":material/grid_off:",
    )
    links.to_pages("effects", "latents")
    st.stop()
if not with_mask:
    st.info(
        f"This {card.family_name(run)} has no mask: every perturbation shifts all latent "
        "dimensions, so it does not say which mechanisms perturbations share. Shown are the shifts "
        "themselves: rows are perturbations, columns latent dimensions.",
        icon=":material/grid_off:",
    )
if n_left_out := run.masks().n_obs - masks.n_obs:
    st.caption(
        f"{n_left_out:,} perturbations are left out, as no training cell has them: the model "
        "learned nothing of them."
    )
visit = controls()
mask_and_details(visit)
st.subheader("Who opens what" if with_mask else "All perturbations", anchor=False)
tables(visit)
