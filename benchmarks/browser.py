"""Opening the explorer's pages in Chromium, from the click to the last chart drawn.

*Cold* is the first visit to a fresh server with an empty browser cache; *warm* is another visit by
the same browser to a server that has shown the page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser

from benchmarks.measure import interleaved
from benchmarks.opening import EMPTY, EMPTY_SCRIPT, FIRST, ROOT, RUN
from benchmarks.pages import title_of
from benchmarks.report import Row
from sams_core.explorer.navigation import PAGES
from tests.browser.chromium import PATIENCE, STATE, View, browser, executable, view
from tests.support.server import serve

QUIET = 400
"""Milliseconds without a change after which a page counts as drawn; not counted themselves."""
DRAWN = f"""() => {{
  const {{script, headings, waiting, stale, undrawn}} = ({STATE})();
  const quiet = script === 'notRunning' && headings && !waiting && !stale && !undrawn;
  const now = performance.now();
  window.__drawn = quiet ? (window.__drawn ?? now) : undefined;
  return window.__drawn !== undefined && now - window.__drawn > {QUIET} ? window.__drawn : null;
}}"""
"""Milliseconds from the start of the navigation until the page was drawn, once it stays so."""


def browser_rows(quick: bool) -> list[Row]:
    """Every page cold and warm, in the quick run one and two of them; none without Chromium."""
    if executable() is None:
        return []
    visited = {"cold": [FIRST], "warm": [FIRST, "combine"]} if quick else {}
    cold, warm = (visited.get(how, list(PAGES)) for how in ("cold", "warm"))
    with browser() as running:
        repeats = 1 if quick else 3
        first = {page: cold_seconds(running, page, repeats) for page in (EMPTY, *cold)}
        again = warm_seconds(running, warm, 3 if quick else 7)
    return [
        Row(f"{title_of(page)} page, {how}, Chromium", "ms", 1e3 * seconds[page],
            floor=1e3 * seconds[EMPTY])
        for how, pages, seconds in (("cold", cold, first), ("warm", warm, again))
        for page in pages
    ]  # fmt: skip


def cold_seconds(running: Browser, page: str, repeats: int) -> float:
    """Median seconds of the first visit to a page on a fresh server."""
    times = []
    for _ in range(repeats):
        with serve(_script(page)) as url, view(running, url) as shown:
            times.append(visit(shown, page))
    return median(times)


def warm_seconds(running: Browser, pages: Sequence[str], repeats: int) -> dict[str, float]:
    """Median seconds of another visit to pages and to the empty one."""
    with (
        serve() as app,
        serve(EMPTY_SCRIPT) as empty,
        view(running, app) as in_app,
        view(running, empty) as in_empty,
    ):
        calls = {page: _visiting(in_app, page) for page in pages}
        calls[EMPTY] = _visiting(in_empty, EMPTY)
        return {page: median(times) for page, times in interleaved(calls, repeats, 1).items()}


def visit(shown: View, page: str) -> float:
    """Open a page; returns the seconds until it was drawn.

    Raises
    ------
    RuntimeError
        If the page shows an error.
    """
    shown.page.goto(shown.url + _path(page))
    drawn = shown.page.wait_for_function(DRAWN, polling=20, timeout=PATIENCE).json_value()
    if errors := shown.errors():
        raise RuntimeError(f"{page} is not sound: {errors}")
    return float(drawn) / 1e3


def _visiting(shown: View, page: str) -> Callable[[], float]:
    return lambda: visit(shown, page)


def _script(page: str) -> Path:
    return EMPTY_SCRIPT if page == EMPTY else ROOT / "app.py"


def _path(page: str) -> str:
    if page == EMPTY:
        return "/"
    return f"/?run={RUN}" if page == FIRST else f"/{page}?run={RUN}"
