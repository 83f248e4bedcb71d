"""Making a report: the app visits each view in turn, and keeps the figures that it draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import streamlit as st
from plotly.io import to_json

from sams_core.explorer import exports
from sams_core.explorer.run import Run
from sams_core.explorer.state import SHOWN_KEY
from sams_core.report import Checkpoint, ReportFigure, ReportView, write_report
from sams_core.report_style import INK
from sams_core.stories import View

STEP = "report"
DONE = "done"
MAX_BYTES = 150 * 2**20
"""Of all figures of a report together."""
MAX_TABLE_BYTES = 2 * 2**20
_MAKING, _MADE = "report_making", "report_made"


@dataclass
class Making:
    """A report that is being made.

    Attributes
    ----------
    title
        Of the report.
    views
        What to visit, in order.
    visits
        Addresses of all of them, and of where to go at last.
    at
        Number of the view that is being visited, from 1; None before the first.
    """

    title: str
    views: Sequence[View]
    visits: Sequence[str]
    at: int | None = None
    figures: dict[int, dict[str, ReportFigure]] = field(default_factory=dict)
    full: bool = False

    @property
    def size(self) -> int:
        """Characters of all figures and their tables."""
        kept = (figure for figures in self.figures.values() for figure in figures.values())
        return sum(len(figure.spec) + len(figure.table or "") for figure in kept)


def start(title: str, views: Sequence[View], visits: Sequence[str]) -> None:
    """Begin with no figure; the next full run goes to the first of ``visits``."""
    st.session_state[_MAKING] = Making(title, views, visits)


def cancel() -> None:
    """Give up the report that is being made."""
    st.session_state.pop(_MAKING, None)


def arrive(page: str) -> Making | None:
    """Take note that a page is about to run; return the report that it is run for, if any.

    A report that was made is forgotten on any page but the one that offers it.
    """
    if st.query_params.get(STEP) != DONE:
        st.session_state.pop(_MADE, None)
    making: Making | None = st.session_state.get(_MAKING)
    if making is None or st.query_params.get(STEP) == DONE:
        return None
    step = st.query_params.get(STEP, "")
    number = int(step) if step.isdecimal() and len(step) < 4 else 0
    if not (1 <= number <= len(making.views) and making.views[number - 1].page == page):
        if making.at is not None:  # somebody went elsewhere
            cancel()
        return None
    making.at = number
    making.figures[number] = {}
    return making


def tell_progress(making: Making) -> None:
    """Say how far the report is, and offer to give it up."""
    number = making.at or 1
    with st.container(horizontal=True, vertical_alignment="center", key="report_progress"):
        st.progress(
            (number - 1) / len(making.views),
            text=f"Making the report: view {number} of {len(making.views)}",
        )
        st.button("Cancel", on_click=cancel, key="report_cancel", width="content")


def collect(saved: exports.Saved, key: str) -> None:
    """Keep a figure for the report that is being made, if there is one and the view wants it."""
    making: Making | None = st.session_state.get(_MAKING)
    if making is None or making.at is None:
        return
    view = making.views[making.at - 1]
    if view.figure not in (None, key):
        return
    figure = _figure(saved, st.session_state.get(SHOWN_KEY))
    figures = making.figures.setdefault(making.at, {})
    figures[key] = figure  # drawn again, it takes its own place
    if making.size > MAX_BYTES:
        del figures[key]
        making.full = True


def finish() -> tuple[str, bytes] | None:
    """Put the report together once every view was visited; its title and its file."""
    making: Making | None = st.session_state.get(_MAKING)
    if making is not None and st.query_params.get(STEP) == DONE:
        html = write_report(
            making.title,
            [_view(making, number) for number in range(1, len(making.views) + 1)],
            made=datetime.now(UTC),
        )
        st.session_state[_MADE] = (making.title, html.encode())
        cancel()
    made: tuple[str, bytes] | None = st.session_state.get(_MADE)
    return made


def _view(making: Making, number: int) -> ReportView:
    view = making.views[number - 1]
    figures = making.figures.get(number)
    problem = None
    if figures is None:
        problem = "The view was not reached."
    elif not figures and making.full:
        problem = f"Left out: the report would grow beyond {MAX_BYTES // 2**20} MB."
    elif not figures:
        problem = (
            "The page drew no such figure: the checkpoint, or something that the address asks for, "
            "may be missing here, or a search was still under way. Open the view in the explorer "
            "to see what the page says."
        )
    else:
        asked = dict(view.query).get("run")
        checkpoints = (figure.checkpoint for figure in figures.values())
        shown = {checkpoint.name for checkpoint in checkpoints if checkpoint is not None}
        if asked and shown and shown != {asked}:
            problem = (
                f"The view is of the checkpoint {asked}, which is not here; the figures below are "
                f"of {', '.join(sorted(shown))}."
            )
    drawn = tuple((figures or {}).values())
    return ReportView(view.name, view.caption, view.url, drawn, problem)


def _figure(saved: exports.Saved, run: Run | None) -> ReportFigure:
    spec = saved.spec(INK)
    # Every figure would carry the app's template once more.
    spec["layout"].pop("template", None)
    table = exports.csv(saved)
    return ReportFigure(
        spec=str(to_json(spec, validate=False)),
        alt=saved.alt,
        file=saved.file,
        code=None if saved.code is None else exports.script(saved.code),
        table=table if len(table) <= MAX_TABLE_BYTES else None,
        checkpoint=None if run is None else _checkpoint(run),
    )


def _checkpoint(run: Run) -> Checkpoint:
    config = run.config
    return Checkpoint(
        name=run.name,
        title=run.title,
        digest=run.digest,
        seed=int(config["seed"]),
        family=str(config["family"]),
        simulated=run.simulated,
        citation=config.get("citation"),
        versions=dict(config.get("versions", {})),
    )
