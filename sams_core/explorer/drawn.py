"""Which figures the page has drawn: for views to be saved, for the stage and for reports."""

from __future__ import annotations

import streamlit as st

from sams_core.explorer import report_maker
from sams_core.explorer.exports import Saved
from sams_core.explorer.state import SHOWN_KEY
from sams_core.stories import View

STAGE_HEIGHT = 430
"""Pixels that a figure on the stage is high at least, before it is enlarged."""
STAGE_SHARE = 0.72
"""Of its height on the page that a tall figure keeps, so that it can be enlarged more."""
_FIGURES, _ALONE = "drawn_figures", "drawn_alone"


def begin(view: View | None, *, presented: bool) -> None:
    """Forget what was drawn, as a page is about to be drawn anew.

    Parameters
    ----------
    view
        The saved view that is shown; None if none is.
    presented
        Whether it is on the stage.
    """
    st.session_state[_FIGURES] = {}
    st.session_state[_ALONE] = view.figure if view is not None and presented else None
    st.session_state.pop(SHOWN_KEY, None)


def figures() -> dict[str, str]:
    """Findings of the figures that were drawn last, by their keys, in the page's order."""
    return dict(st.session_state.get(_FIGURES, {}))


def note(saved: Saved, key: str) -> None:
    """Remember a figure that is about to be shown; one that fills the stage takes its shape."""
    st.session_state.setdefault(_FIGURES, {})[key] = saved.alt
    report_maker.collect(saved, key)
    if key == st.session_state.get(_ALONE):
        height = saved.fig.layout.height or STAGE_HEIGHT
        saved.fig.update_layout(height=max(STAGE_HEIGHT, round(STAGE_SHARE * height)))
