"""Perturbations x latent dimensions, grouped by pathway."""

from __future__ import annotations

from typing import NamedTuple

import streamlit as st

from sams_core import explorer
from sams_core.analysis import mask_tables
from sams_core.analysis.ordering import Group, latent_order, order_groups
from sams_core.explorer import GLOSSARY, Run
from sams_core.explorer.gene_sets import gene_sets
from sams_core.explorer.links import tell, tell_number
from sams_core.figures.masks import SATURATION, VIEWS, MaskTables, View, mask_heatmap

VIEW_OF = {view.label: key for key, view in VIEWS.items()}


class Choices(NamedTuple):
    """What the map shows."""

    view: View
    only_open: bool
    with_unused: bool
    with_silent: bool
    with_truth: bool


@st.cache_data(max_entries=64, show_spinner=False)
def arranged(cache_key: str, _run: Run, choice: str) -> tuple[list[Group], list[str]]:
    """Groups with their rows clustered, and all latents in clustered order."""
    masks = _run.masks()
    groups = mask_tables.grouping(masks, choice, gene_sets())
    latents = masks.var_names[latent_order(masks.X)]
    return order_groups(groups, masks.X), [str(name) for name in latents]


def controls() -> tuple[str, float]:
    """Draw what the map and the tables share: grouping and threshold."""
    choices = mask_tables.grouping_choices(masks, gene_sets())
    tell("mask_group", choices)
    tell_number("mask_threshold", 0.05, 0.95)
    left, right = st.columns(2, gap="medium")
    choice = left.selectbox(
        "Group perturbations by",
        choices,
        key="mask_group",
        bind="query-params",
        help="An annotation of the perturbations, or gene sets that contain their target genes. "
        "A gene in several sets goes to the one that holds most perturbations of this screen.",
    )
    threshold = right.slider(
        "Threshold on the inclusion probability",
        min_value=0.05,
        max_value=0.95,
        value=0.5,
        step=0.05,
        key="mask_threshold",
        bind="query-params",
        help=GLOSSARY["open"],
    )
    return choice, threshold


def view_controls(n_unused: int, n_silent: int) -> Choices:
    """Draw what only the map needs."""
    tell("mask_view", VIEW_OF)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        label = st.segmented_control(
            "Colour shows",
            list(VIEW_OF),
            default=next(iter(VIEW_OF)),
            required=True,
            key="mask_view",
            bind="query-params",
            help=f"**Inclusion probability**: {GLOSSARY['inclusion probability']}\n\n"
            f"**Signed effect**: {GLOSSARY['effect']}\n\n"
            f"**Embedding**: {GLOSSARY['embedding']}\n\n"
            f"Shifts beyond ±{SATURATION:g} all have the strongest colour.",
        )
        only_open = st.toggle(
            "Open only",
            key="mask_open",
            bind="query-params",
            help="Leave entries below the threshold blank.",
        )
        with_unused = st.toggle(
            f"Unused latents ({n_unused})",
            key="mask_unused",
            bind="query-params",
            help="Latent dimensions that no perturbation opens at this threshold are hidden "
            "unless this is on: they describe only how cells differ by themselves.",
        )
        with_silent = st.toggle(
            f"Silent rows ({n_silent})",
            value=True,
            key="mask_silent",
            bind="query-params",
            help="Perturbations that open no latent dimension at this threshold; switch off to "
            "give their room to the others.",
        )
        with_truth = "truth_mask" in masks.uns and st.toggle(
            "Simulated truth",
            value=True,
            key="mask_truth",
            bind="query-params",
            help="This screen was simulated, so the true mask is known. Latents have no order of "
            "their own: each true one is paired with the model's latent that it overlaps most.",
        )
    return Choices(VIEWS[VIEW_OF[label]], only_open, with_unused, with_silent, bool(with_truth))


@st.fragment
def mask_map(choice: str, threshold: float) -> None:
    """Draw the map with its own controls; a change of view redraws this block only."""
    groups, latents = arranged(run.cache_key, run, choice)
    used = mask_tables.used_latents(masks, latents, threshold)
    silent = mask_tables.silent_rows(masks, threshold)
    chosen = view_controls(len(latents) - len(used), int(silent.sum()))
    view = chosen.view
    shown = latents if chosen.with_unused else used
    groups = groups if chosen.with_silent else mask_tables.without_rows(groups, silent)
    finding = mask_tables.finding(masks, threshold)
    st.markdown(finding)
    if not shown or not groups:
        st.info(
            "Lower the threshold, or show unused latents and silent perturbations.",
            icon=":material/tune:",
        )
        return
    probability = mask_tables.frame(masks)
    values = {
        "probability": probability,
        "effect": mask_tables.frame(masks, "effect"),
        "embedding": mask_tables.frame(masks, "embedding_mean"),
    }[VIEW_OF[view.label]]
    if chosen.only_open:
        values = values.where(mask_tables.open_entries(masks, threshold))
    truth, compared = None, ""
    if chosen.with_truth:
        truth, match = mask_tables.match_truth(masks, shown, threshold)
        compared = (
            f"Against the **simulated truth** at this threshold: F1 **{match.f1:.2f}**. "
            f"{match.precision:.0%} of the open entries are truly open (precision), and "
            f"{match.recall:.0%} of the truly open ones are found (recall)."
        )
        st.markdown(compared, help=GLOSSARY["F1"])
    tables = MaskTables(
        values,
        probability,
        mask_tables.frame(masks, "effect"),
        mask_tables.frame(masks, "effect_sd"),
        masks.obs["n_cells"],
    )
    explorer.show_figure(
        mask_heatmap(tables, groups, shown, view, truth=truth),
        key="mask_map",
        alt=f"{view.label} of each perturbation on each latent dimension. {finding} "
        + compared.replace("**", ""),
        name=f"{run.name}_masks_{VIEW_OF[view.label]}",
    )


@st.fragment
def tables(choice: str, threshold: float) -> None:
    """Draw the same mask as two tables."""
    by_perturbation, by_latent = st.tabs(["Perturbations", "Latent dimensions"])
    with by_perturbation:
        groups, _ = arranged(run.cache_key, run, choice)
        explorer.show_table(
            mask_tables.perturbation_table(masks, groups, threshold),
            key="mask_perturbations",
            name=f"{run.name}_mask_by_perturbation",
            column_config={
                "perturbation": st.column_config.TextColumn("Perturbation", pinned=True),
                "group": st.column_config.TextColumn(
                    "Group", width=180, help="As chosen above the map."
                ),
                "n_cells": st.column_config.NumberColumn(
                    "Cells", format="localized", help="Cells with this perturbation, alone or not."
                ),
                "n_open": st.column_config.NumberColumn(
                    "Open latents", help="How many latent dimensions it shifts."
                ),
                "open_latents": st.column_config.TextColumn(
                    "Which latents",
                    width=170,
                    help="The latent dimensions it shifts, the strongest shift first.",
                ),
                "strength": st.column_config.NumberColumn(
                    "Shift",
                    format="%.2f",
                    help="Length of the whole shift, in units where unperturbed cells spread by "
                    "about 1 in each dimension.",
                ),
                "n_significant": st.column_config.NumberColumn(
                    "Genes",
                    help="Genes that differ from control cells in the data at FDR 5%.",
                ),
            },
        )
    with by_latent:
        explorer.show_table(
            mask_tables.latent_table(masks, threshold),
            key="mask_latents",
            name=f"{run.name}_mask_by_latent",
            column_config={
                "latent": st.column_config.TextColumn("Latent", pinned=True),
                "n_open": st.column_config.NumberColumn(
                    "Perturbations", help="How many perturbations shift it."
                ),
                "mean_effect": st.column_config.NumberColumn(
                    "Mean shift",
                    format="%.2f",
                    help="Mean size of their shifts, in units where unperturbed cells spread by "
                    "about 1.",
                ),
                "perturbations": st.column_config.TextColumn(
                    "Which perturbations",
                    width="large",
                    help="The perturbations that shift it, the strongest first.",
                ),
            },
        )


run = explorer.current_run()
explorer.page_header(
    "Masks",
    "Which mechanisms do these perturbations share? Each row is a perturbation, each column a "
    "latent dimension; a filled cell means that the perturbation shifts that dimension.",
)
masks = run.masks()
shared_choice, shared_threshold = controls()
mask_map(shared_choice, shared_threshold)
st.subheader("Who opens what", anchor=False)
tables(shared_choice, shared_threshold)
