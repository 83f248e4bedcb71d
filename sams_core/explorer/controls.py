"""Controls that several pages share, bound to the page's address."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from sams_core.analysis.effect_tables import MIN_HELD_OUT_CELLS
from sams_core.explorer.glossary import GLOSSARY
from sams_core.explorer.links import tell

FDRS = (1, 5, 10, 20)
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
    """Ask for one of many names; a name in the address that is not there is told and ignored."""
    tell(key, options)
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
