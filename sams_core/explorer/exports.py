"""What one can take along from a figure: images, a page that opens offline, numbers, Python."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from sams_core.explorer.catalogue import DEMO_FOLDER
from sams_core.explorer.snippets import complete
from sams_core.explorer.state import SHOWN_KEY
from sams_core.figures.finish import PRINT_INK, finished

PRINT_MILLIMETRES = 180
"""Width of a journal's page: figures are saved no wider, so that their type keeps its size."""
PRINT_DPI = 300
_CSS_DPI = 96
_ASSETS = DEMO_FOLDER.parent / "save_image"


Table = pd.DataFrame | Callable[[], pd.DataFrame] | None
"""What a figure shows, or what makes that table, if it is more than is in its traces."""


class Saved(NamedTuple):
    """A figure as `show_figure` shows it; ``file`` is a file name without ending."""

    fig: go.Figure
    alt: str
    file: str
    code: str | None
    data: Table
    simulated: bool = False

    def spec(self, ink: str = PRINT_INK) -> dict[str, Any]:
        """Describe the figure for plotly's JavaScript, with text in one colour."""
        return finished(self.fig, ink=ink, simulated=self.simulated)


@st.fragment
def offer(saved: Saved, *, key: str) -> None:
    """Draw what a figure can be saved as; nothing is made before it is asked for."""
    with st.container(
        horizontal=True, horizontal_alignment="right", gap="small", key=f"{key}_take_along"
    ):
        _images()(
            key=f"{key}_images",
            width="content",
            data={
                "figure": key,
                "file": saved.file,
                "ink": PRINT_INK,
                "width": round(PRINT_MILLIMETRES / 25.4 * _CSS_DPI),
                "scale": PRINT_DPI / _CSS_DPI,
            },
        )
        box = st.popover(
            "HTML, CSV, Python",
            key=popover_key(key),
            type="tertiary",
            on_change="rerun",
        )
    if box.open:
        with box:
            _contents(saved, key)


def popover_key(key: str) -> str:
    """Key of the popover of the figure with this key; True in the session state opens it."""
    return f"{key}_save"


@cache
def _images() -> Any:
    """Register the buttons that have the browser write a figure as an image."""
    return st.components.v2.component(
        "sams_core_images",
        html="<nav></nav>",
        css=(_ASSETS / "buttons.css").read_text(encoding="utf-8"),
        js=(_ASSETS / "buttons.js").read_text(encoding="utf-8"),
    )


def _contents(saved: Saved, key: str) -> None:
    with st.container(horizontal=True):
        st.download_button(
            "HTML",
            lambda: html(saved),
            file_name=f"{saved.file}.html",
            mime="text/html",
            key=f"{key}_html",
            on_click="ignore",
            icon=":material/public:",
            help="The interactive figure in one file of 5 MB; it opens in any browser, offline.",
        )
        st.download_button(
            "CSV",
            lambda: csv(saved),
            file_name=f"{saved.file}.csv",
            mime="text/csv",
            key=f"{key}_csv",
            on_click="ignore",
            icon=":material/table:",
            help="The numbers that the figure shows.",
        )
    if saved.code is not None:
        st.markdown("**Python** that makes this figure again")
        st.code(script(saved.code), language="python", height=320)


def script(code: str) -> str:
    """Return the whole script for a figure of the checkpoint that is shown."""
    return f"{complete(code, st.session_state.get(SHOWN_KEY))}fig.show()\n"


def html(saved: Saved) -> str:
    """Return a page of its own, with all that it needs inside."""
    spec = saved.spec()
    spec["layout"]["template"] = "plotly_white"
    fig = go.Figure(spec)
    return str(fig.to_html(include_plotlyjs=True, full_html=True, config={"displaylogo": False}))


def csv(saved: Saved) -> str:
    """Return the figure's table, or else what its traces hold."""
    from sams_core.figures.traces import trace_table

    data = saved.data() if callable(saved.data) else saved.data
    return table_csv(trace_table(saved.fig) if data is None else data)


def table_csv(table: pd.DataFrame) -> str:
    """Write a table as CSV, with its index when that has a name."""
    return str(table.to_csv(index=table.index.name is not None))
