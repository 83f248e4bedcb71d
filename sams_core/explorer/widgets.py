"""The pieces every page is made of: header, figure, table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

# Not public, but nothing public stands for the theme's ink in a figure that may change themes.
from streamlit.elements.lib.streamlit_plotly_theme import GRAY_90 as INK

from sams_core.analysis.markdown import escape
from sams_core.explorer import drawn
from sams_core.explorer.exports import Saved, Table, offer, table_csv
from sams_core.explorer.glossary_list import page_words
from sams_core.explorer.state import SIMULATED_KEY, current_run
from sams_core.figures.finish import finished
from sams_core.storage import file_stem


def page_header(title: str, lead: str) -> None:
    """Write the page's name, one plain sentence on what it answers, and what is loaded.

    Parameters
    ----------
    title
        The page's name.
    lead
        One sentence: the question that the page answers.
    """
    run = current_run()
    header(title, lead, screen=run.title, simulated=run.simulated)


def header(title: str, lead: str, *, screen: str | None, simulated: bool) -> None:
    """Write the top of a page about a screen, or about none yet, whatever the sidebar points to.

    Parameters
    ----------
    title, lead
        As for :func:`page_header`.
    screen
        The screen's name.
    simulated
        Whether it was simulated.
    """
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.title(title, anchor=False, width="content")
        if screen is not None:
            name = escape(screen).replace("\\[", "[").replace("\\]", "]")  # badges escape brackets
            st.badge(name, icon=":material/science:", color="gray")
        if simulated:
            st.badge("Simulated screen", icon=":material/casino:", color="orange")
    if simulated:
        st.markdown(
            ":orange[**Simulated:** a computer made these cells from a known truth. Wherever this "
            "page says measured, it means read from simulated cells.]"
        )
    st.markdown(lead)
    page_words(title)


def show_figure(
    fig: go.Figure,
    *,
    key: str,
    alt: str,
    name: str,
    code: str | None = None,
    data: Table = None,
    on_select: Callable[..., None] | Literal["ignore"] = "ignore",
    selection_mode: Iterable[Literal["points", "box", "lasso"]] = ("points",),
) -> None:
    """Show a plotly figure with the house's tool bar.

    Parameters
    ----------
    fig
        The figure.
    key
        Unique on the page.
    alt
        One sentence that states the finding, for readers who do not see the figure.
    name
        File name, without ending, of what is saved of it.
    code
        Python that ends in ``fig = ...`` and makes the figure from ``folder`` (of the checkpoint),
        its tables ``masks``, ``effects`` and ``cells``, and its ``model``, none of which it
        defines; see `sams_core.explorer.snippets`.
    data
        What the figure shows, as a table or what makes it; by default it is read from the traces.
    on_select
        Called when points are selected; ``st.session_state[key]`` then holds the selection.
    selection_mode
        How points can be selected: "points" (clicks), "box" and "lasso".
    """
    simulated = bool(st.session_state.get(SIMULATED_KEY))
    saved = Saved(fig, alt, _file_name(name), code, data, simulated)
    drawn.note(saved, key)
    with st.container(gap=None):
        st.plotly_chart(
            _Finished(finished(saved.fig, ink=INK, simulated=simulated)),
            key=key,
            alt=alt,
            on_select=on_select,
            selection_mode=selection_mode,
            config={"displaylogo": False, "modeBarButtonsToRemove": ["autoScale2d"]},
        )
        offer(saved, key=key)


class _Finished(go.Figure):
    """A finished figure, which Streamlit takes as it is; a dictionary it would check at length."""

    def __init__(self, spec: dict[str, Any]) -> None:
        object.__setattr__(self, "_spec", spec)

    def to_dict(self) -> dict[str, Any]:
        return dict(self.__dict__["_spec"])


def show_table(
    df: pd.DataFrame,
    *,
    key: str,
    name: str,
    column_config: dict[str, Any] | None = None,
) -> None:
    """Show a table with a button that downloads all of it as CSV.

    Parameters
    ----------
    df
        The table; its index is shown and saved when it has a name.
    key
        Unique on the page.
    name
        File name, without ending, of the CSV.
    column_config
        As for :func:`streamlit.dataframe`.
    """
    named = df.index.name is not None
    st.dataframe(
        df,
        key=key,
        hide_index=not named,
        column_config=column_config,
        placeholder="–",
        alt=name.replace("_", " "),
    )
    download_csv(df, key=key, name=name)


def download_csv(df: pd.DataFrame, *, key: str, name: str) -> None:
    """Offer a table as a file; its index is saved when it has a name."""
    st.download_button(
        "Download CSV",
        lambda: table_csv(df),
        file_name=f"{_file_name(name)}.csv",
        mime="text/csv",
        key=f"{key}_csv",
        on_click="ignore",
        icon=":material/download:",
        help=f"All {len(df):,} rows of this table, with every column.",
    )


def _file_name(name: str) -> str:
    """Turn a name into a safe one that tells simulated data from measured."""
    simulated = st.session_state.get(SIMULATED_KEY) and "simulated" not in name
    return file_stem(f"simulated_{name}" if simulated else name)
