"""The story of this session: changed step by step, taken back, kept by the browser."""

from __future__ import annotations

import time

import streamlit as st

from sams_core.errors import StoryError
from sams_core.explorer.navigation import PAGES
from sams_core.stories import Story, read_story, write_story

HERE = "stories"
VIEW_PAGES = tuple(name for name in PAGES if name != HERE)
"""Pages that a view can show."""
_STORY, _PAST, _WANTED = "story", "story_past", "story_wanted"
_MAX_PAST = 20


def current() -> Story:
    """Return the story as it stands."""
    found: Story = st.session_state.get(_STORY) or Story()
    return found


def change(new: Story) -> None:
    """Replace the story; `undo` brings back the one before."""
    past: list[Story] = st.session_state.setdefault(_PAST, [])
    past.append(current())
    del past[:-_MAX_PAST]
    st.session_state[_STORY] = new


def undo() -> None:
    """Take back the last change."""
    if can_undo():
        st.session_state[_STORY] = st.session_state[_PAST].pop()


def can_undo() -> bool:
    """Whether there is a change to take back."""
    return bool(st.session_state.get(_PAST))


def to_keep() -> str | None:
    """What the browser shall keep; None while it has not said yet what it kept before."""
    if _STORY not in st.session_state:
        return None
    story = current()
    return write_story(story) if story.views else ""


def take_kept(text: str) -> None:
    """Take up what the browser kept, unless this session has a story already."""
    if _STORY in st.session_state:
        return
    try:
        st.session_state[_STORY] = read_story(text, pages=VIEW_PAGES, name="kept by the browser")
    except StoryError:
        st.session_state[_STORY] = Story()


def visit(path: str) -> None:
    """Have the browser go to an address of the app with the next full run."""
    st.session_state[_WANTED] = {"path": path, "token": str(time.time_ns())}


def wanted() -> dict[str, str] | None:
    """Where `visit` wants to go, told once."""
    found: dict[str, str] | None = st.session_state.pop(_WANTED, None)
    return found
