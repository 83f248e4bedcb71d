"""Controls that several pages share, bound to the page's address."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from sams_core.analysis.effect_tables import MIN_HELD_OUT_CELLS
from sams_core.explorer.glossary import GLOSSARY
from sams_core.explorer.widgets import download_csv

FDRS = (1, 5, 10, 20)
FDR_WORDS = tuple(f"{percent}%" for percent in FDRS)
CELLS = {"Automatic": "auto", "Held-out cells": "held-out", "All cells": "all"}


def pick(
    label: str,
    options: Sequence[str],
    *,
    key: str,
    help: str,
    default: str | None = None,
    width: int = 260,
) -> str:
    """Ask for one of many names, bound to ``key`` in the address."""
    return st.selectbox(
        label,
        options,
        index=0 if default is None else list(options).index(default),
        key=key,
        bind="query-params",
        help=help,
        width=width,
    )


def pick_fdr(key: str) -> float:
    """Ask for the significance threshold, as a fraction."""
    percent = st.select_slider(
        "Significant at FDR",
        FDRS,
        value=5,
        format_func=lambda value: f"{value}%",
        key=key,
        bind="query-params",
        help=GLOSSARY["FDR"],
        width=200,
    )
    return percent / 100


def pick_cells(key: str) -> str:
    """Ask which cells to hold the model against: a value of `CELLS`."""
    choice = st.segmented_control(
        "Compare with",
        list(CELLS),
        default="Automatic",
        required=True,
        key=key,
        bind="query-params",
        help="Held-out cells are the fair test. Automatic uses them when at least "
        f"{MIN_HELD_OUT_CELLS} were measured, otherwise all cells.",
    )
    return CELLS[choice]


def table_to_open(
    table: pd.DataFrame,
    on_open: Callable[[str], None],
    *,
    key: str,
    name: str,
    column_config: dict[str, Any],
) -> None:
    """Show a table whose rows can be opened, and offer all of it as CSV.

    Parameters
    ----------
    table
        Indexed by the names to open.
    on_open
        Called with the name in the row whose button was clicked.
    key
        Unique on the page.
    name
        File name, without ending, of the CSV.
    column_config
        As for :func:`streamlit.dataframe`.
    """
    button = f"{key}_open"

    def clicked() -> None:
        on_open(str(table.index[st.session_state[button].row]))

    column = st.column_config.ButtonColumn(
        "", key=button, on_click=clicked, type="tertiary", pinned=True
    )
    st.dataframe(
        table.assign(open="Open"),
        key=key,
        placeholder="–",
        alt=name.replace("_", " "),
        column_order=["open", *table.columns],
        column_config=column_config | {"open": column},
    )
    download_csv(table, key=key, name=name)
