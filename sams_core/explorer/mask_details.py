"""The details of the masks page: what was chosen on the map, in words, figures and tables."""

from __future__ import annotations

import streamlit as st

from sams_core.analysis import mask_words
from sams_core.analysis.markdown import escape
from sams_core.explorer.glossary import GLOSSARY
from sams_core.explorer.links import tell
from sams_core.explorer.mask_latent import show_latent
from sams_core.explorer.mask_page import LATENT_KEY, PERTURBATION_KEY, MaskPage, choose
from sams_core.explorer.mask_perturbation import show_perturbation
from sams_core.figures.mask_views import Chosen

ABOUT_KEY = "mask_about"
ABOUT = ("Latent dimension", "Perturbation")
"""What the details can be about."""


def pick_details(page: MaskPage) -> Chosen:
    """Ask what to tell about: the same choice as a click on the map, for the keyboard."""
    tell(LATENT_KEY, page.latents)
    tell(PERTURBATION_KEY, page.perturbations)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        latent = st.selectbox(
            "Latent dimension",
            page.latents,
            index=None,
            placeholder="Search, or click the map",
            key=LATENT_KEY,
            bind="query-params",
            width=210,
            help=f"{GLOSSARY['latent dimension']} The most shared come first.",
        )
        perturbation = st.selectbox(
            "Perturbation",
            page.perturbations,
            index=None,
            placeholder="Search, or click the map",
            key=PERTURBATION_KEY,
            bind="query-params",
            width=210,
            help=GLOSSARY["perturbation"],
        )
    return Chosen(perturbation, latent)


def show_details(page: MaskPage, chosen: Chosen) -> None:
    """Tell about the chosen latent dimension or perturbation, or what to do to choose one."""
    if chosen.row is None and chosen.latent is None:
        _invite(page)
        return
    about = ABOUT[0] if chosen.row is None else ABOUT[1]
    if chosen.row is not None and chosen.latent is not None:
        seeds = None if page.seeds is None else str(page.seeds.at[chosen.row, chosen.latent])
        st.markdown(
            mask_words.tell_entry(page.masks, chosen.row, chosen.latent, page.threshold, seeds),
            help=f"{GLOSSARY['inclusion probability']} {GLOSSARY['effect']}",
        )
        about = st.segmented_control(
            "Tell me about",
            ABOUT,
            default=ABOUT[0],
            required=True,
            key=ABOUT_KEY,
            bind="query-params",
            label_visibility="collapsed",
        )
    if about == ABOUT[1] and chosen.row is not None:
        st.subheader(f"Perturbation {escape(chosen.row)}", anchor="details")
        show_perturbation(page, chosen.row)
    elif chosen.latent is not None:
        st.subheader(f"Latent dimension {escape(chosen.latent)}", anchor="details")
        show_latent(page, chosen.latent)


def _invite(page: MaskPage) -> None:
    st.info(
        "Click a cell, a perturbation's name or a latent dimension on the map, or choose one "
        "above: its genes, its perturbations and the gene sets that they share come here.",
        icon=":material/ads_click:",
    )
    if page.latents:
        first = page.latents[0]
        st.button(
            f"Start with {first}, the most shared" if page.with_mask else f"Start with {first}",
            icon=":material/arrow_forward:",
            on_click=choose,
            kwargs={"latent": first},
            key="mask_start",
        )
