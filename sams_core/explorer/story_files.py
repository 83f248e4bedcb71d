"""Stories as files: examples, download, upload; and the file of a report."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from sams_core.analysis.markdown import escape
from sams_core.errors import StoryError
from sams_core.explorer import catalogue, story
from sams_core.storage import file_stem
from sams_core.stories import MAX_BYTES, MAX_VIEWS, Story, read_story, write_story

EXAMPLES = catalogue.DEMO_FOLDER.parent / "stories"
_FILE = "story_file"


def example_files() -> list[Path]:
    """Return the stories that come with the app and whose checkpoints are here."""
    names = {entry.name for entry in catalogue.find() if entry.problem is None}
    return [path for path in sorted(EXAMPLES.glob("*.json")) if path.stem in names]


def examples() -> None:
    """Offer the stories that come with the app."""
    with st.container(horizontal=True):
        for path in example_files():
            example = _read(path)
            st.button(
                f"{escape(example.title)} ({len(example.views)} views)",
                icon=":material/auto_stories:",
                key=f"story_example_{path.stem}",
                on_click=story.change,
                args=(example,),
            )


def download(current: Story) -> None:
    """Offer the story as a file."""
    st.download_button(
        "Download",
        write_story(current),
        file_name=f"{file_stem(current.title)}.json",
        mime="application/json",
        key="story_download",
        on_click="ignore",
        icon=":material/download:",
        help="The story as a small JSON file: names, captions and addresses, no data.",
    )


def download_report(title: str, content: bytes) -> None:
    """Offer the report as a file."""
    st.download_button(
        "Download report",
        content,
        file_name=f"{file_stem(title)}.html",
        mime="text/html",
        type="primary",
        key="report_download",
        on_click="ignore",
        icon=":material/download:",
    )


def load() -> None:
    """Draw the popover that replaces the story by one of a file."""
    with st.popover("Load", icon=":material/upload_file:"):
        st.file_uploader(
            f"A story file, {MAX_BYTES // 1024} kB and {MAX_VIEWS} views at most",
            type="json",
            key=_FILE,
            max_upload_size=1,
            on_change=_take,
            help="It takes the place of the story that is here; Undo brings that back.",
        )
        if problem := st.session_state.get(f"{_FILE}_problem"):
            st.error(problem, icon=":material/error:")
        if story.current().views:
            st.markdown("Or an example:")
            examples()


def _take() -> None:
    file = st.session_state[_FILE]
    st.session_state.pop(f"{_FILE}_problem", None)
    if file is None:
        return
    try:
        story.change(read_story(file.getvalue(), pages=story.VIEW_PAGES, name=file.name))
    except StoryError as error:
        st.session_state[f"{_FILE}_problem"] = escape(error)


def _read(path: Path) -> Story:
    return read_story(path.read_bytes(), pages=story.VIEW_PAGES, name=path.name)
