"""Running a search from the page: begin, progress, cancel, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import streamlit as st

from sams_core.analysis.markdown import escape
from sams_core.analysis.pair_words import tell_part
from sams_core.errors import SamsError
from sams_core.explorer.search_jobs import Job, searches
from sams_core.explorer.search_page import LARGE, Request

if TYPE_CHECKING:
    from sams_core.analysis.pair_search import PairSearch

JOB = "search_job"
"""Where the session keeps its search; there is never more than one."""
_ASKED = "search_asked"
_GLANCE = 3.0
"""Seconds that a page waits for a small search before it shows progress."""


def find_pairs(request: Request) -> PairSearch | None:
    """Search, or take what was found before; None, with progress or a button, while there is none.

    A search for something else ends.
    """
    job: Job | None = st.session_state.get(JOB)
    if job is not None and job.key != request.key:
        job.cancel()
        job = st.session_state[JOB] = None
    kept = None if request.own else searches().kept(request.key)
    if kept is not None:
        return kept
    large = request.n_pairs > LARGE
    asked = st.session_state.pop(_ASKED, None) == request.key
    if asked or (job is None and not large):
        job = _begin(request, large)
    if job is None:
        _offer(request)
        return None
    job.look()
    with st.spinner("Predicting every pair…"):
        job.wait(0 if large else _GLANCE)
    if not job.done:
        watch(job)
        return None
    return _outcome(job, request)


@st.fragment(run_every=1.0)
def watch(job: Job) -> None:
    """Show how far a search is, with a button that cancels it."""
    job.look()
    if job.done:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.progress(job.share, text=_progress(job))
        st.button(
            "Cancel",
            icon=":material/stop_circle:",
            key="search_cancel",
            on_click=_cancel,
            args=(job,),
            help="What is finished stays on the page.",
        )


def _progress(job: Job) -> str:
    if job.started is None:
        return "Waiting for another search on this server to end…"
    left = job.seconds_left()
    if left is None:
        return "Predicting every pair…"
    words = f"{max(left, 1):.0f} seconds" if left < 100 else f"{left / 60:.0f} minutes"
    return f"{job.share:.0%} of the pairs predicted, about {words} to go"


def _cancel(job: Job) -> None:
    job.cancel()
    job.wait(5)


def _begin(request: Request, large: bool) -> Job | None:
    try:
        work = _work(request)
        shared = not (request.own or request.run.uploaded)
        job = searches().start(request.key, work, large=large, keep=shared)
    except SamsError as error:
        st.warning(str(error), icon=":material/hourglass_top:")
        return None
    st.session_state[JOB] = job
    return job


def _work(request: Request) -> Callable[..., PairSearch]:
    with st.spinner("Loading the model…"):
        model, effects = request.run.model(), request.run.effects()

    def work(progress: Callable[[float], None], cancelled: Callable[[], bool]) -> PairSearch:
        from sams_core.analysis.pair_search import search_for

        return search_for(
            request.goal,
            model,
            effects,
            perturbations=request.perturbations,
            given=request.given,
            progress=progress,
            cancelled=cancelled,
        )

    return work


def _offer(request: Request) -> None:
    """Say how much there is to search, with the button that begins."""
    st.info(
        f"{request.n_pairs:,} pairs are to be predicted. That takes a while on a small computer; "
        "stay on this page meanwhile. You can cancel at any time and keep what is finished.",
        icon=":material/travel_explore:",
    )
    _button(f"Search {request.n_pairs:,} pairs", request, primary=True)


def _outcome(job: Job, request: Request) -> PairSearch | None:
    if job.problem:
        st.error(escape(job.problem), icon=":material/error:")
        return None
    found = job.result
    if found is None or found.table.empty:
        st.info("The search was cancelled before any pair was predicted.", icon=":material/cancel:")
        _button("Search again", request)
        return None
    if not found.complete:
        st.warning(tell_part(len(found.table), found.n_pairs), icon=":material/incomplete_circle:")
        _button("Search all pairs", request)
    return found


def _button(label: str, request: Request, *, primary: bool = False) -> None:
    st.button(
        label,
        icon=":material/play_arrow:",
        type="primary" if primary else "secondary",
        key="search_begin",
        on_click=_ask,
        args=(request,),
    )


def _ask(request: Request) -> None:
    st.session_state[_ASKED] = request.key
