"""What one can take along from a figure: a file that opens offline, its numbers, its Python."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.elements.lib.streamlit_plotly_theme import GRAY_90 as INK

from sams_core.explorer.snippets import complete
from sams_core.explorer.state import SHOWN_KEY


class Saved(NamedTuple):
    """A figure as `show_figure` shows it; ``file`` is a file name without ending."""

    fig: go.Figure
    alt: str
    file: str
    code: str | None
    data: pd.DataFrame | None


@st.fragment
def offer(saved: Saved, *, key: str) -> None:
    """Draw the popover below a figure; nothing in it is made before it is asked for."""
    box = st.popover(
        "Save / Python",
        key=popover_key(key),
        icon=":material/download:",
        type="tertiary",
        on_change="rerun",
    )
    if box.open:
        with box:
            _contents(saved, key)


def popover_key(key: str) -> str:
    """Key of the popover of the figure with this key; True in the session state opens it."""
    return f"{key}_save"


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
    fig = go.Figure(saved.fig).update_layout(template="plotly_white")
    page = str(fig.to_html(include_plotlyjs=True, full_html=True, config={"displaylogo": False}))
    return page.replace(INK, "#0F1A21")


def csv(saved: Saved) -> str:
    """Return the figure's table, or else what its traces hold."""
    from sams_core.figures.traces import trace_table

    table = trace_table(saved.fig) if saved.data is None else saved.data
    return str(table.to_csv(index=table.index.name is not None))
