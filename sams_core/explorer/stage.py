"""The stage: saved views one after another, large and without the app around them.

The browser's part is ``assets/stage``: it catches the keys, goes from view to view by the address,
and keeps the story, so that a reload finds it again. Which view is presented is in the address,
``present=2`` for the second.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import streamlit as st

from sams_core.explorer import catalogue, report_maker, story
from sams_core.explorer.drawn import begin
from sams_core.explorer.navigation import PAGES, page_name
from sams_core.explorer.state import RUN_KEY, chosen_entry
from sams_core.stories import View

PRESENT = "present"
_ASSETS = catalogue.DEMO_FOLDER.parent / "stage"
_THEME = (
    "--st-text-color", "--st-gray-text-color", "--st-orange-text-color", "--st-primary-color",
    "--st-background-color", "--st-secondary-background-color", "--st-font", "--st-heading-font",
)  # fmt: skip


def stage(page: Any) -> None:
    """Put up the stage for a page that is about to run; called once, by the front door."""
    here = page_name(page)
    entries = catalogue.find()
    entry = chosen_entry(entries) if entries else None
    current = story.current()
    number = _present(len(current.views))
    view = current.views[number - 1] if number and current.views else None
    making = report_maker.arrive(here)
    begin(view, presented=number is not None)
    with st.container(key="stage"):
        _mount(
            key="stage_component",
            on_kept_change=_take_kept,
            data={
                "here": _path(here),
                "present": number,
                "views": [_slide(each, at) for at, each in enumerate(current.views, start=1)],
                "story": story.to_keep(),
                "go": story.wanted(),
                "visits": [] if making is None else making.visits,
                "visit": None if making is None else making.at,
                "screen": "" if entry is None else f"{entry.title} · {entry.digest[:8]}",
                "simulated": bool(entry and entry.simulated),
                "notice": _notice(view, entry),
                "theme": _THEME,
            },
        )
    if making is not None:
        report_maker.tell_progress(making)


def _mount(**arguments: Any) -> None:
    st.components.v2.component(
        "sams_core_stage",
        css=(_ASSETS / "stage.css").read_text(encoding="utf-8"),
        js=(_ASSETS / "stage.js").read_text(encoding="utf-8"),
        isolate_styles=False,
    )(**arguments)


def _present(n_views: int) -> int | None:
    """Which view the address presents, from 1; None where it presents none."""
    try:
        number = int(st.query_params.get(PRESENT, ""))
    except ValueError:
        return None
    return min(max(number, 1), max(n_views, 1))


def _path(page: str) -> str:
    """Write a page's place in addresses: the first page has none."""
    return "" if page == next(iter(PAGES)) else page


def path_of(view: View, **own: int | str) -> str:
    """Address of a view, with parameters of the stage's own."""
    query = urlencode([*view.query, *own.items()])
    return _path(view.page) + (f"?{query}" if query else "")


def _slide(view: View, number: int) -> dict[str, str | None]:
    return {
        "name": view.name,
        "caption": view.caption,
        "figure": view.figure,
        "path": path_of(view, **{PRESENT: number}),
    }


def _notice(view: View | None, entry: catalogue.Entry | None) -> str:
    """Say so when what is shown is not what the view was saved of."""
    if view is None:
        return "This browser keeps no story: load its file on the Stories page. Escape leaves."
    asked = dict(view.query).get(RUN_KEY)
    if asked is None or (entry is not None and entry.name == asked):
        return ""
    shown = "nothing" if entry is None else entry.name
    return f"This view is of the checkpoint {asked}, which is not here; shown is {shown}."


def _take_kept() -> None:
    """Take up the story that the browser kept."""
    story.take_kept(str(st.session_state["stage_component"].kept or ""))
