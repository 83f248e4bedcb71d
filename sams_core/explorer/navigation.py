"""The pages of the app, all of them entered by the front door."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import streamlit as st

PAGES = {
    "start": ("Start", "home", "What is loaded, how good the model is, and where to go next."),
    "masks": (
        "Masks",
        "grid_on",
        "Which latent dimensions each perturbation shifts, grouped by pathway.",
    ),
    "effects": (
        "Effects",
        "compare_arrows",
        "The model's effect on every gene beside the effect measured in the data.",
    ),
    "latents": (
        "Latents",
        "scatter_plot",
        "Maps of cells and of perturbations in the model's latent space.",
    ),
    "combine": ("Combine", "add_circle", "What two or more perturbations would do together."),
    "search": ("Search", "travel_explore", "Which pairs of perturbations are worth testing."),
    "models": (
        "Models",
        "leaderboard",
        "Checkpoints side by side, with simple baselines and the data's own ceiling.",
    ),
    "stories": (
        "Stories",
        "auto_stories",
        "Views worth showing, in order: to present, to send, to make a report of.",
    ),
    "open": (
        "Open",
        "folder_open",
        "Open a trained model of your own, or see what a screen holds before training on it.",
    ),
}
"""Name of the file in ``pages/``: title, icon and what the page answers; the first opens first."""

# Streamlit writes chosen names in white, which the dark theme's accent is too bright for.
# Plotly's camera saves what the theme shows; `exports` presses it for what is to be printed.
_STYLE = """<style>
[data-tag] * { color: light-dark(#FFFFFF, #11181D) !important; }
.modebar-btn[data-title^="Download plot"], .st-key-history { display: none !important; }
</style>"""


def navigation() -> st.Page:
    """Tell Streamlit the pages, draw the links to them, and return the one that is asked for."""
    # Without an icon of its own, Streamlit would fetch the page's from the internet.
    st.set_page_config(page_icon="assets/logo_icon.svg", layout="wide")
    st.html(_STYLE)
    return st.navigation(
        [
            st.Page(
                f"pages/{name}.py",
                title=title,
                icon=f":material/{icon}:",
                help=help,
                default=number == 0,
            )
            for number, (name, (title, icon, help)) in enumerate(PAGES.items())
        ]
    )


def page_name(page: Any) -> str:
    """Name of the file in ``pages/`` of a page that `navigation` returned."""
    return next(name for name, (title, _, _) in PAGES.items() if title == page.title)


_INSIDE = ContextVar("inside the front door", default=False)


@contextmanager
def front_door() -> Iterator[None]:
    """Mark that ``app.py`` runs the page within."""
    token = _INSIDE.set(True)
    try:
        yield
    finally:
        _INSIDE.reset(token)


def enter_by_the_front_door() -> None:
    """Start again with ``app.py`` if a page runs without it.

    A fresh server that is asked for a page by its address runs the page's file alone, without the
    sidebar: Streamlit takes a folder named ``pages`` for its older kind of app until
    ``st.navigation`` has been called once.
    """
    if not _INSIDE.get():
        navigation()
        st.rerun()
