"""Views worth showing, in order: present them, take them along, make a report of them."""

from __future__ import annotations

import streamlit as st

from sams_core import explorer
from sams_core.analysis.markdown import escape
from sams_core.explorer import report_maker, story, story_files, story_list
from sams_core.explorer.navigation import enter_by_the_front_door

STARTED = "Choose **Save this view** in the sidebar of any page to put what you see into a story, "
STARTED += "or begin with an example:"


def actions() -> None:
    """Draw what can be done with the whole story."""
    current = story.current()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        story_list.title()
        st.button(
            "Present",
            type="primary",
            icon=":material/slideshow:",
            key="story_present",
            on_click=story_list.present,
            args=(0,),
            help="Fills the window with one view after another. → or Page Down goes on, ← or Page "
            "Up goes back, Escape leaves; ⛶ at the lower right is full screen.",
        )
        chosen = story_list.chosen()
        st.button(
            "Make report",
            icon=":material/description:",
            key="story_report",
            disabled=not chosen,
            on_click=story_list.make_report,
            args=(chosen,),
            help="Visits the views that are ticked and writes their figures into one HTML file, "
            "interactive and offline, with the checkpoint, its seed and versions, and the Python "
            "that makes each figure again.",
        )
        story_files.download(current)
        story_files.load()
        story_list.undo()


def report() -> None:
    """Offer the report that was made last."""
    made = report_maker.finish()
    if made is None:
        return
    title, content = made
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        st.markdown(
            f":material/task: The report of **{escape(title)}** is ready: {len(content) / 1e6:.1f} "
            "MB in one file."
        )
        story_files.download_report(title, content)


enter_by_the_front_door()
explorer.header(
    "Stories",
    "Views worth showing, in order. Present them on a projector, or save them as a report that "
    "opens anywhere.",
    screen=None,
    simulated=False,
)
report()
if story.current().views:
    actions()
    story_list.views()
    st.caption(
        "The story stays in this browser until you remove its views; no copy of it is kept on the "
        "server. Download it to keep it or to send it."
    )
else:
    st.info(STARTED, title="No view is saved yet", icon=":material/bookmark_add:")
    story_files.examples()
    with st.container(horizontal=True):
        story_files.load()
        story_list.undo()
