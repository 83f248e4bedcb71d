"""Opens one page of the explorer, for a process that has imported nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from streamlit import config, logger
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).resolve().parents[1]
EMPTY = "an empty page"
EMPTY_SCRIPT = ROOT / "benchmarks" / "empty_page.py"
FIRST = "start"
"""The page that the app opens with."""
RUN = "norman2019_k562"
"""The embedded checkpoint that is opened: it has combinations."""
PATIENCE = 120
"""Seconds that a page may take."""


config.set_option("logger.level", "error")  # Streamlit tells on and on that there is no server
logger.set_log_level("ERROR")


def opening(page: str) -> Callable[[], None]:
    """Return what opens a page."""

    def run() -> None:
        open_page(page)

    return run


def open_page(page: str) -> AppTest:
    """Open a page on the embedded checkpoints, or the empty one.

    Raises
    ------
    RuntimeError
        If the page shows an exception or an error.
    """
    if page == EMPTY:
        return sound(AppTest.from_file(str(EMPTY_SCRIPT), default_timeout=PATIENCE).run())
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE)
    app.query_params["run"] = RUN
    if page != FIRST:
        app.switch_page(f"pages/{page}.py")
    return sound(app.run())


def sound(app: AppTest) -> AppTest:
    """Return the app as it is, or raise RuntimeError if it shows an exception or an error."""
    if app.exception or app.error:
        raise RuntimeError(
            f"A page shows: {[shown.value for shown in (*app.exception, *app.error)]}"
        )
    return app
