"""“Save this view”, on every page: what is on the screen becomes the next view of the story."""

from __future__ import annotations

import re
from typing import Any

import streamlit as st

from sams_core.analysis.markdown import escape, plain
from sams_core.errors import StoryError
from sams_core.explorer import catalogue, drawn, story
from sams_core.explorer.navigation import PAGES, page_name
from sams_core.explorer.state import RUN_KEY, chosen_entry
from sams_core.stories import MAX_CAPTION, MAX_NAME, address, make_view

WHOLE = ""
"""Instead of a figure's key: the whole page."""
_NOW = "save_view_now"
_SHORT = 200
"""Characters that are read at a glance from the last row."""
_SENTENCE = re.compile(r"(?<=[.!?]) +")


def save_view(page: Any) -> None:
    """Draw the button in the sidebar; called once, by the front door."""
    name = page_name(page)
    if name == story.HERE:
        return
    with st.sidebar:
        number = len(story.current().views)
        asked = st.button(
            "Save this view",
            icon=":material/bookmark_add:",
            key="save_view",
            width="stretch",
            help="Puts what you see into your story, to present it or to make a report of it. "
            + (f"Your story has {number:,} so far: see Stories." if number else ""),
        )
    if asked:
        figures = drawn.figures()
        st.session_state[_NOW] = (name, _address(name), figures)
        _dialog()


def suggest(page: str, figure: str, figures: dict[str, str]) -> tuple[str, str]:
    """Name and caption to begin with: the page's name and the figure's finding in short."""
    caption = ""
    for sentence in _SENTENCE.split(plain(figures.get(figure, ""))):
        if caption and len(caption) + len(sentence) >= _SHORT:
            break
        caption = f"{caption} {sentence}".strip()
    return PAGES[page][0], caption[:MAX_CAPTION]


@st.dialog("Save this view", width="medium", icon=":material/bookmark_add:")
def _dialog() -> None:
    page, url, figures = st.session_state[_NOW]
    figure = st.selectbox(
        "On the stage",
        [*figures, WHOLE],
        format_func=lambda key: _label(key, figures),
        key="save_view_figure",
        help="What fills the screen when the view is presented: one figure, or the whole page "
        "without its controls. A report shows the same.",
    )
    name, caption = suggest(page, figure, figures)
    with st.form(f"save_view_{figure}", border=False):
        name = st.text_input("Name", name, max_chars=MAX_NAME)
        caption = st.text_area(
            "Caption",
            caption,
            max_chars=MAX_CAPTION,
            help="Shown below the name. It starts as what the figure finds; say it in your words.",
        )
        st.caption(f"Address: `{url}`")
        saved = st.form_submit_button("Save", type="primary", icon=":material/check:")
    if saved:
        try:
            view = make_view(name, caption, url, figure or None, pages=story.VIEW_PAGES)
            story.change(story.current().added(view))
        except StoryError as error:
            st.error(str(error), icon=":material/error:")
            return
        number = len(story.current().views)
        st.toast(
            f"“{escape(view.name)}” is view {number} of your story.", icon=":material/bookmark:"
        )
        st.rerun()


def _label(key: str, figures: dict[str, str]) -> str:
    if key == WHOLE:
        return "The whole page"
    finding = plain(figures[key])
    return f"{list(figures).index(key) + 1}. {finding[:90]}{'…' if len(finding) > 90 else ''}"


def _address(page: str) -> str:
    """Address of what is shown; names the checkpoint, which defaults leave out."""
    query = [(name, value) for name in st.query_params for value in st.query_params.get_all(name)]
    entries = catalogue.find()
    if entries and RUN_KEY not in st.query_params:
        query.insert(0, (RUN_KEY, chosen_entry(entries).name))
    return address(page, query)
