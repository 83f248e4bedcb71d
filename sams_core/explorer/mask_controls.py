"""The controls of the mask map, and what they choose."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from sams_core.analysis import mask_groups, mask_tables
from sams_core.analysis.evaluation_files import MASKED_FAMILIES
from sams_core.analysis.markdown import escape
from sams_core.analysis.ordering import Group
from sams_core.explorer import catalogue, trust
from sams_core.explorer.glossary import GLOSSARY
from sams_core.explorer.links import tell
from sams_core.explorer.mask_page import ALL_GROUPS, GROUP_KEY, MaskPage
from sams_core.explorer.run import Run
from sams_core.explorer.state import open_entry
from sams_core.figures.mask_views import (
    SATURATION,
    SCALES,
    VIEWS,
    Scale,
    View,
)

VIEW_OF = {view.label: key for key, view in VIEWS.items()}
LAYERS = {"probability": None, "effect": "effect", "embedding": "embedding_mean"}
ROWS = ("Perturbations", "Group averages")
MAX_LATENTS_BESIDE = 12
"""Latents up to which the map leaves room for the details at its side."""
NOTHING_BESIDE = "Nothing"
_HOW_TO_COMPARE = (
    " Not known of this model: train it from several seeds with `sweep`, or run `compare "
    "--stability` on evaluated runs that differ in their seed alone."
)
_AVERAGED = (
    "An average over the group's perturbations: how many of them shift a dimension, and how far. "
    "Click a group's name to see its perturbations one by one."
)


@dataclass(frozen=True)
class MapChoices:
    """What the map shows.

    Attributes
    ----------
    view, scale
        What is coloured, and how.
    only_open, with_truth
        Whether closed entries are blank, and whether the simulated truth lies beside.
    groups, latents
        Rows and columns to show, in order.
    averaged
        Whether rows are averages of groups.
    other
        Another checkpoint to show beside.
    """

    view: View
    scale: Scale
    only_open: bool
    with_truth: bool
    groups: list[Group]
    latents: list[str]
    averaged: bool
    other: Run | None

    @property
    def leaves_room(self) -> bool:
        """Whether details fit at the map's side."""
        narrow = len(self.latents) <= MAX_LATENTS_BESIDE
        alone = self.other is None and not self.with_truth and not self.averaged
        return narrow and alone


def map_controls(page: MaskPage) -> MapChoices:
    """Draw what only the map needs."""
    groups, latents = page.arranged
    used = mask_tables.used_latents(page.masks, latents, page.threshold)
    silent = mask_tables.silent_rows(page.masks, page.threshold)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        view = _pick_view(page) if page.with_mask else VIEWS["effect"]
        rows = st.container(width="content")
        options = st.popover("View options", icon=":material/tune:")
    only_open = with_unused = with_truth = False
    with_silent = True
    with options:
        if page.with_mask:
            only_open, with_unused, with_silent, with_truth = _toggles(
                page, len(latents) - len(used), int(silent.sum())
            )
        scale, other = _colours_and_comparison(page)
        place = st.container()
    shown = latents if with_unused or not page.with_mask else used
    groups = groups if with_silent else mask_tables.without_rows(groups, silent)
    groups, averaged = _pick_rows(page, groups, len(shown), rows, place)
    with_truth = with_truth and not averaged and other is None
    return MapChoices(view, scale, only_open, with_truth, groups, shown, averaged, other)


def show_group(name: str) -> None:
    """Have the map show one group, or `ALL_GROUPS`; only in callbacks."""
    st.session_state[GROUP_KEY] = name


def _pick_view(page: MaskPage) -> View:
    offered = [label for label, key in VIEW_OF.items() if page.stability[0] or key != "stability"]
    tell("mask_view", offered)
    experience = "" if page.run.simulated else trust.experience()
    label = st.segmented_control(
        "Colour shows",
        offered,
        default=offered[0],
        required=True,
        key="mask_view",
        bind="query-params",
        help=f"**Inclusion probability**: {GLOSSARY['inclusion probability']} {experience}\n\n"
        f"**Stability**: {GLOSSARY['stability']}"
        f"{'' if page.stability[0] else _HOW_TO_COMPARE}\n\n"
        f"**Signed effect**: {GLOSSARY['effect']}\n\n"
        f"**Embedding**: {GLOSSARY['embedding']}\n\n"
        f"Shifts beyond ±{SATURATION:g} all have the strongest colour.",
    )
    return VIEWS[VIEW_OF[label]]


def _toggles(page: MaskPage, n_unused: int, n_silent: int) -> tuple[bool, bool, bool, bool]:
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
    with_truth = "truth_mask" in page.masks.uns and st.toggle(
        "Simulated truth",
        value=True,
        key="mask_truth",
        bind="query-params",
        help="This screen was simulated, so the true mask is known. Latents have no order of "
        "their own: each true one is paired with the model's latent that it overlaps most.",
    )
    return only_open, with_unused, with_silent, bool(with_truth)


def _pick_rows(
    page: MaskPage,
    groups: list[Group],
    n_latents: int,
    place: DeltaGenerator,
    place_of_group: DeltaGenerator,
) -> tuple[list[Group], bool]:
    """Ask whether to average, and for one group; large maps are averaged anyway."""
    n_rows = sum(len(group.rows) for group in groups)
    large = mask_groups.is_too_large(n_rows, n_latents)
    tell("mask_rows", ROWS)
    averaged = large or ROWS[1] == place.segmented_control(
        "Rows are",
        ROWS,
        default=ROWS[0],
        required=True,
        key="mask_rows",
        bind="query-params",
        help=f"**Group averages**: {_AVERAGED}",
    )
    listed = mask_groups.groups_to_average(page.masks, groups) if averaged else groups
    names = [group.name for group in listed]
    only = _pick_group(names, place_of_group)
    if only is None:
        if large:
            st.info(_too_many(n_rows, n_latents), icon=":material/zoom_in_map:")
        return listed, averaged
    rows = listed[names.index(only)].rows
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"Only **{escape(only)}** is shown.", width="content")
        st.button(
            "Show all groups",
            icon=":material/arrow_back:",
            type="tertiary",
            key="mask_all_groups",
            on_click=show_group,
            args=(ALL_GROUPS,),
        )
    if not mask_groups.is_too_large(len(rows), n_latents):
        return [Group(only, rows)], False
    st.info(_too_many(len(rows), n_latents), icon=":material/zoom_in_map:")
    return mask_groups.groups_to_average(page.masks, [Group("", rows)]), True


def _pick_group(names: list[str], place: DeltaGenerator) -> str | None:
    """Ask for one of several groups; None for all."""
    if len(names) < 2:
        return None
    tell(GROUP_KEY, [ALL_GROUPS, *names])
    only = place.selectbox(
        "Show group",
        [ALL_GROUPS, *names],
        key=GROUP_KEY,
        bind="query-params",
        help="All groups, or the perturbations of one of them.",
    )
    return str(only) if only in names else None


def _too_many(n_rows: int, n_latents: int) -> str:
    return (
        f"{n_rows:,} perturbations x {n_latents:,} latent dimensions are more than the "
        f"{mask_groups.MAX_ENTRIES:,} entries that can be told apart, so the map shows the "
        "average of each group. Click a group's name, or choose it under View options, to see its "
        "perturbations."
    )


def _colours_and_comparison(page: MaskPage) -> tuple[Scale, Run | None]:
    """Ask for colours, and for a checkpoint to compare with."""
    tell("mask_scale", SCALES)
    scale = st.selectbox(
        "Colours",
        list(SCALES),
        key="mask_scale",
        bind="query-params",
        help="For probabilities, and for shifts down and up. All can be told apart with the "
        "common kinds of colour blindness.",
    )
    others = _others(page) if page.with_mask else []
    names = [NOTHING_BESIDE, *(entry.name for entry in others)]
    tell("mask_compare", names)
    name = st.selectbox(
        "Compare with",
        names,
        key="mask_compare",
        bind="query-params",
        disabled=not others,
        help="Another checkpoint with a mask on the same screen, drawn beside this one. Its "
        "latent dimensions are matched to this one's by what they do to perturbations and "
        "genes; “−” before a name means that it acts in the opposite direction. The Models "
        "page tells more.",
    )
    if not others:
        st.caption("No other checkpoint here has a mask on this screen: train another seed.")
    picked = next((entry for entry in others if entry.name == name), None)
    return SCALES[scale], None if picked is None else open_entry(picked)


def _others(page: MaskPage) -> list[catalogue.Entry]:
    entries = [
        entry
        for entry in catalogue.find()
        if entry.problem is None and entry.family in MASKED_FAMILIES
    ]
    own = next((entry.fingerprint for entry in entries if entry.name == page.run.name), None)
    return [e for e in entries if e.fingerprint == own and e.name != page.run.name]
