"""Maps of cells and of perturbations in the model's latent space."""

from __future__ import annotations

import streamlit as st

from sams_core import explorer
from sams_core.explorer.gene_sets import gene_sets
from sams_core.explorer.latent_cells import show_cells
from sams_core.explorer.latent_check import show_check
from sams_core.explorer.latent_page import LatentPage
from sams_core.explorer.latent_perturbations import show_perturbations

LEADS = {
    True: "The model splits each cell into a basal part, the cell without its perturbation, and "
    "the shift that the perturbation adds.",
    False: "This model tells its networks what was done to a cell, so that a cell's place in "
    "latent space is what else there is to it; no perturbation shifts it.",
}
READING = {
    True: "**Basal** is what the model takes each cell to be without its perturbation. A good "
    "basal map mixes the perturbations: whatever still sets them apart there is not explained by "
    "the perturbations' shifts (see Basal check). **Full** adds the shift: perturbations with a "
    "strong effect move away from the controls. On a map, near is alike; how far apart two groups "
    "lie says little.",
    False: "A good map mixes the perturbations: whatever still sets them apart there is what the "
    "networks did not learn from being told (see Basal check). On a map, near is alike; how far "
    "apart two groups lie says little.",
}
VIEWS = {"Cells": show_cells, "Perturbations": show_perturbations, "Basal check": show_check}

page = LatentPage(explorer.current_run(), gene_sets())
explorer.page_header("Latents", f"Where do cells go? {LEADS[page.shifted]}")
tabs = st.tabs(list(VIEWS), key="latents_view", bind="query-params", on_change="rerun")
for tab, (name, draw) in zip(tabs, VIEWS.items(), strict=True):
    if tab.open:
        with tab:
            draw(page)
            if name == "Cells":
                with st.expander("How to read these maps", icon=":material/help:"):
                    st.markdown(READING[page.shifted])
