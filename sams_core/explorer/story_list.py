"""The views of a story as a list: open, present, tick, move, edit and remove them."""

from __future__ import annotations

from urllib.parse import urlencode

import streamlit as st

from sams_core.analysis.markdown import escape
from sams_core.errors import StoryError
from sams_core.explorer import report_maker, story
from sams_core.explorer.navigation import PAGES
from sams_core.explorer.stage import PRESENT, path_of
from sams_core.explorer.state import RUN_KEY
from sams_core.stories import MAX_ADDRESS, MAX_CAPTION, MAX_NAME, View, make_view

_LEFT_OUT = "story_left_out"
"""Session state: addresses of views that a report leaves out."""


def title() -> None:
    """Draw the field that names the story."""
    current = story.current()
    st.session_state["story_title"] = current.title
    st.text_input(
        "Title",
        key="story_title",
        max_chars=MAX_NAME,
        on_change=_rename,
        width=240,
        help="Heads the report and names the file.",
    )


def _rename() -> None:
    text = " ".join(str(st.session_state["story_title"]).split())
    if text:
        story.change(story.current().model_copy(update={"title": text}))


def present(at: int) -> None:
    """Put the view at a place, counted from 0, on the stage."""
    view = story.current().views[at]
    story.visit(path_of(view, **{PRESENT: at + 1}))


def make_report(views: list[View]) -> None:
    """Visit these views and collect their figures."""
    steps = [
        path_of(view, **{report_maker.STEP: number}) for number, view in enumerate(views, start=1)
    ]
    back = urlencode(
        {RUN_KEY: st.session_state.get(RUN_KEY, ""), report_maker.STEP: report_maker.DONE}
    )
    visits = [*steps, f"{story.HERE}?{back}"]
    report_maker.start(story.current().title, views, visits)
    story.visit(visits[0])


def chosen() -> list[View]:
    """Views that are ticked for the report; all are, until somebody takes the tick away."""
    left_out = st.session_state.get(_LEFT_OUT, set())
    return [view for view in story.current().views if view not in left_out]


def undo() -> None:
    """Draw the button that takes back the last change."""
    if story.can_undo():
        st.button(
            "Undo",
            icon=":material/undo:",
            key="story_undo",
            on_click=story.undo,
            help="Takes back the last change of the story.",
        )


def views() -> None:
    """Draw the list.

    It is no fragment: every change goes to the browser, which keeps the story, with the page.
    """
    current = story.current()
    for at, view in enumerate(current.views):
        with st.container(border=True, key=f"story_view_{at}"):
            _view(view, at, last=at == len(current.views) - 1)


def _view(view: View, at: int, *, last: bool) -> None:
    page, icon, _ = PAGES[view.page]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.checkbox(
            f"View {at + 1} in the report",
            value=view not in st.session_state.get(_LEFT_OUT, set()),
            key=f"story_in_{at}_{hash(view)}",
            on_change=_tick,
            args=(view,),
            label_visibility="collapsed",
            width="content",
        )
        with st.container(gap="xxsmall", width="stretch"):
            st.markdown(f"**{at + 1}. {escape(view.name)}**")
            if view.caption:
                st.markdown(escape(view.caption))
            what = "one figure" if view.figure else "the whole page"
            st.caption(f":material/{icon}: {page}, {what} · `{view.url}`")
        with st.container(horizontal=True, gap="xxsmall", width="content"):
            _button("Open", "open_in_new", "open", at, _open, "Go to the page as it was saved.")
            _button("Present", "slideshow", "present", at, present, "Start here.")
            _button("Up", "arrow_upward", "up", at, _up, "One place earlier.", at == 0)
            _button("Down", "arrow_downward", "down", at, _down, "One place later.", last)
            if _button("Edit", "edit", "edit", at, None, "Name, caption and address."):
                _edit(at)
            _button("Remove", "delete", "remove", at, _remove, "Undo brings it back.")


def _button(
    label: str, icon: str, name: str, at: int, act: object, help: str, disabled: bool = False
) -> bool:
    return st.button(
        f":material/{icon}:",
        key=f"story_{name}_{at}",
        type="tertiary",
        help=f"**{label}.** {help}",
        disabled=disabled,
        on_click=act if callable(act) else None,
        args=(at,) if callable(act) else None,
    )


def _open(at: int) -> None:
    story.visit(path_of(story.current().views[at]))


def _up(at: int) -> None:
    story.change(story.current().moved(at, -1))


def _down(at: int) -> None:
    story.change(story.current().moved(at, 1))


def _remove(at: int) -> None:
    story.change(story.current().removed(at))


def _tick(view: View) -> None:
    left_out: set[View] = st.session_state.setdefault(_LEFT_OUT, set())
    left_out.symmetric_difference_update({view})


@st.dialog("Edit this view", width="medium", icon=":material/edit:")
def _edit(at: int) -> None:
    view = story.current().views[at]
    with st.form("story_edit", border=False):
        name = st.text_input("Name", view.name, max_chars=MAX_NAME)
        caption = st.text_area("Caption", view.caption, max_chars=MAX_CAPTION)
        url = st.text_input(
            "Address",
            view.url,
            max_chars=MAX_ADDRESS,
            help="Page and query: what stands behind the last / in the browser when the view is "
            "open.",
        )
        alone = view.figure is not None and st.checkbox("Show one figure only", value=True)
        saved = st.form_submit_button("Save", type="primary", icon=":material/check:")
    if saved:
        figure = view.figure if alone else None
        try:
            changed = make_view(name, caption, url, figure, pages=story.VIEW_PAGES)
        except StoryError as error:
            st.error(str(error), icon=":material/error:")
            return
        story.change(story.current().replaced(at, changed))
        st.rerun()
