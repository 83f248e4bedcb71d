"""Perturbations x latent dimensions, grouped by pathway."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from sams_core import explorer
from sams_core.analysis import mask_tables, stability_tables
from sams_core.analysis.ordering import Group, latent_order, order_groups
from sams_core.analysis.stability import trained_again
from sams_core.explorer import GLOSSARY, Run, card, links, trust
from sams_core.explorer.columns import MASK_LATENTS, MASK_PERTURBATIONS
from sams_core.explorer.gene_sets import gene_sets
from sams_core.explorer.links import tell, tell_number
from sams_core.figures.masks import SATURATION, VIEWS, MaskTables, View, mask_heatmap

VIEW_OF = {view.label: key for key, view in VIEWS.items()}
READING = (
    "Each row is a perturbation, each column a latent dimension; a filled cell means that the "
    "perturbation shifts that dimension."
)
HOW_TO_COMPARE = (
    " Not known of this model: train it from several seeds with `sweep`, or run `compare "
    "--stability` on evaluated runs that differ in their seed alone."
)
LAYERS = {"probability": None, "effect": "effect", "embedding": "embedding_mean"}


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
    masks = mask_tables.trained(_run.masks())
    values = np.asarray(masks.X if mask_tables.has_mask(masks) else masks.layers["effect"])
    groups = mask_tables.grouping(masks, choice, gene_sets())
    latents = masks.var_names[latent_order(np.abs(values))]
    return order_groups(groups, values), [str(name) for name in latents]


def controls() -> tuple[str, float]:
    """Draw what the map and the tables share: grouping and, with a mask, threshold."""
    choices = mask_tables.grouping_choices(masks, gene_sets())
    tell("mask_group", choices)
    left, right = st.columns(2, gap="medium")
    choice = left.selectbox(
        "Group perturbations by",
        choices,
        key="mask_group",
        bind="query-params",
        help="An annotation of the perturbations, or gene sets that contain their target genes. "
        "A gene in several sets goes to the one that holds most perturbations of this screen.",
    )
    if not with_mask:
        return choice, mask_tables.OPEN_THRESHOLD
    tell_number("mask_threshold", 0.05, 0.95)
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
    offered = [label for label, key in VIEW_OF.items() if stability or key != "stability"]
    tell("mask_view", offered)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        label = st.segmented_control(
            "Colour shows",
            offered,
            default=offered[0],
            required=True,
            key="mask_view",
            bind="query-params",
            help=f"**Inclusion probability**: {GLOSSARY['inclusion probability']} "
            f"{'' if run.simulated else trust.experience()}\n\n"
            f"**Stability**: {GLOSSARY['stability']}{'' if stability else HOW_TO_COMPARE}\n\n"
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
    if stability:
        told = stability_tables.tell_stability(masks, stability)
        st.markdown(told, help=f"{GLOSSARY['stability']}\n\n**Seed**: {GLOSSARY['seed']}")
        finding = f"{finding} {told.replace('**', '')}"
        if older := stability_tables.tell_trained_again(trained_again(run.folder, stability)):
            st.caption(older)
    elif problem:
        st.caption(f"In how many seeds entries are open is not shown. {problem}")
    if not shown or not groups:
        st.info(
            "Lower the threshold, or show unused latents and silent perturbations.",
            icon=":material/tune:",
        )
        return
    values = shares if view is VIEWS["stability"] else None
    if values is None:
        values = mask_tables.frame(masks, LAYERS.get(VIEW_OF[view.label]))
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
        trust.show_calibration(masks, run.name)
    explorer.show_figure(
        mask_heatmap(hover_tables(values), groups, shown, view, truth=truth),
        key="mask_map",
        alt=f"{view.label} of each perturbation on each latent dimension. {finding} "
        + compared.replace("**", ""),
        name=f"{run.name}_masks_{VIEW_OF[view.label]}",
    )


def shift_map(choice: str) -> None:
    """Draw the shifts of a model without a mask."""
    groups, latents = arranged(run.cache_key, run, choice)
    finding = mask_tables.shift_finding(masks)
    st.markdown(finding, help=GLOSSARY["effect"])
    view = VIEWS["effect"]
    explorer.show_figure(
        mask_heatmap(hover_tables(mask_tables.frame(masks, "effect")), groups, latents, view),
        key="shift_map",
        alt=f"{view.label} of each perturbation on each latent dimension. {finding}",
        name=f"{run.name}_shifts",
    )


def hover_tables(values: pd.DataFrame) -> MaskTables:
    """Put what the hover text says beside what is coloured."""
    return MaskTables(
        values,
        mask_tables.frame(masks) if with_mask else None,
        mask_tables.frame(masks, "effect"),
        mask_tables.frame(masks, "effect_sd"),
        masks.obs["n_cells"],
        seeds,
    )


@st.fragment
def tables(choice: str, threshold: float) -> None:
    """Draw the same mask as two tables."""
    by_perturbation, by_latent = st.tabs(["Perturbations", "Latent dimensions"])
    with by_perturbation:
        perturbation_table(choice, threshold)
    with by_latent:
        explorer.show_table(
            mask_tables.latent_table(masks, threshold),
            key="mask_latents",
            name=f"{run.name}_mask_by_latent",
            column_config=MASK_LATENTS,
        )


def perturbation_table(choice: str, threshold: float) -> None:
    """List what each perturbation shifts."""
    groups, _ = arranged(run.cache_key, run, choice)
    explorer.show_table(
        mask_tables.perturbation_table(masks, groups, threshold),
        key="mask_perturbations",
        name=f"{run.name}_{'mask' if with_mask else 'shift'}_by_perturbation",
        column_config=MASK_PERTURBATIONS,
    )


run = explorer.current_run()
masks = mask_tables.trained(run.masks())
with_mask = mask_tables.has_mask(masks)
stability, problem = run.stability()
shares = None if stability is None else stability_tables.stability_frame(masks, stability)
seeds = None if stability is None else stability_tables.tell_entries(masks, stability)
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
shared_choice, shared_threshold = controls()
if with_mask:
    mask_map(shared_choice, shared_threshold)
    st.subheader("Who opens what", anchor=False)
    tables(shared_choice, shared_threshold)
else:
    shift_map(shared_choice)
    perturbation_table(shared_choice, shared_threshold)
