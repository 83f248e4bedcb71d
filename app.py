"""The front door: page settings, navigation and the checkpoint picker."""

from __future__ import annotations

import streamlit as st

from sams_core import explorer

st.set_page_config(
    page_title="sams_core explorer",
    page_icon="assets/logo_icon.svg",
    layout="wide",
)
st.logo("assets/logo.svg", size="large", icon_image="assets/logo_icon.svg")

page = st.navigation(
    [
        st.Page(
            "pages/start.py",
            title="Start",
            icon=":material/home:",
            help="What is loaded, how good the model is, and where to go next.",
            default=True,
        ),
        st.Page(
            "pages/masks.py",
            title="Masks",
            icon=":material/grid_on:",
            help="Which latent dimensions each perturbation shifts, grouped by pathway.",
        ),
        st.Page(
            "pages/effects.py",
            title="Effects",
            icon=":material/compare_arrows:",
            help="The model's effect on every gene beside the effect measured in the data.",
        ),
        st.Page(
            "pages/latents.py",
            title="Latents",
            icon=":material/scatter_plot:",
            help="Maps of cells and of perturbations in the model's latent space.",
        ),
        st.Page(
            "pages/combine.py",
            title="Combine",
            icon=":material/add_circle:",
            help="What two or more perturbations would do together.",
        ),
    ]
)
explorer.sidebar()
page.run()
