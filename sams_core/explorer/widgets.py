"""The pieces every page is made of: header, figure, table."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Literal

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

# Not public, but nothing public stands for the theme's ink in a figure that may change themes.
from streamlit.elements.lib.streamlit_plotly_theme import GRAY_90 as INK

from sams_core.explorer.exports import Saved, offer
from sams_core.explorer.state import IMAGE_FORMATS, IMAGE_KEY, SIMULATED_KEY, current_run
from sams_core.storage import file_stem

SMALL = 12
"""Pixels of the smallest type in a figure."""
_STAMP = {
    "text": "<span style='font-weight: 400'>simulated screen</span>",
    "font": {"size": SMALL, "color": INK},
    "x": 1,
    "xanchor": "right",
    "y": 0,
    "yanchor": "bottom",
    "yref": "container",
    "pad": {"b": 4, "r": 8},
}
_STAMP_PIXELS = 28
_HEIGHT = 420


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
            st.badge(screen, icon=":material/science:", color="gray")
        if simulated:
            st.badge("Simulated screen", icon=":material/casino:", color="orange")
    if simulated:
        st.markdown(
            ":orange[**Simulated:** a computer made these cells from a known truth. Wherever this "
            "page says measured, it means read from simulated cells.]"
        )
    st.markdown(lead)


def show_figure(
    fig: go.Figure,
    *,
    key: str,
    alt: str,
    name: str,
    code: str | None = None,
    data: pd.DataFrame | None = None,
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
        File name, without ending, of the image that the camera button saves.
    code
        Python that ends in ``fig = ...`` and makes the figure from ``folder`` (of the checkpoint),
        its tables ``masks``, ``effects`` and ``cells``, and its ``model``, none of which it
        defines; see `sams_core.explorer.snippets`.
    data
        What the figure shows, as a table; by default it is read from the figure's traces.
    on_select
        Called when points are selected; ``st.session_state[key]`` then holds the selection.
    selection_mode
        How points can be selected: "points" (clicks), "box" and "lasso".
    """
    finish(fig, simulated=bool(st.session_state.get(SIMULATED_KEY)))
    kind = str(st.session_state.get(IMAGE_KEY) or IMAGE_FORMATS[0]).lower()
    file = _file_name(name)
    st.plotly_chart(
        fig,
        key=key,
        alt=alt,
        on_select=on_select,
        selection_mode=selection_mode,
        config={
            "displaylogo": False,
            "modeBarButtonsToRemove": ["autoScale2d"],
            "toImageButtonOptions": {"format": kind, "filename": file, "scale": 3},
        },
    )
    offer(Saved(fig, alt, file, code, data), key=key)


def finish(fig: go.Figure, *, simulated: bool) -> None:
    """Give a figure, in place, what every figure of the app has: readable type, and a stamp."""
    _ink(fig)
    if simulated:
        _stamp(fig)


def _stamp(fig: go.Figure) -> None:
    """Say in the lower right corner, below the axis titles, that the screen is simulated."""
    fig.update_layout(
        title=_STAMP,
        height=(fig.layout.height or _HEIGHT) + _STAMP_PIXELS,
        margin_b=(fig.layout.margin.b or 0) + _STAMP_PIXELS,
    )


def _ink(fig: go.Figure) -> None:
    """Write text in the page's strongest grey and never tiny; Streamlit's own is fainter."""
    text = {"color": INK}
    small = text | {"size": SMALL}
    colorbar = {"tickfont": small, "title": {"font": small}}
    axes = (axis.plotly_name for axis in (*fig.select_xaxes(), *fig.select_yaxes()))
    scales = (scale.plotly_name for scale in fig.select_coloraxes())
    fig.update_layout(  # at once, and annotations anew: plotly takes its time over every change
        {"font": text, "legend": {"font": small, "title": {"font": small}}}
        | {"hoverlabel": {"font": text}}
        | {name: {"tickfont": small, "title": {"font": text}} for name in axes}
        | {name: {"colorbar": colorbar} for name in scales}
    )
    annotations = [annotation.to_plotly_json() for annotation in fig.layout.annotations]
    fig.layout.annotations = [
        annotation | {"font": annotation.get("font", {}) | text} for annotation in annotations
    ]
    for trace in fig.data:
        if trace.type == "heatmap":
            trace.update(colorbar=colorbar)
        elif "marker" in trace and trace.marker.showscale:
            trace.update(marker_colorbar=colorbar)


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
        df.to_csv(index=df.index.name is not None).encode(),
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
