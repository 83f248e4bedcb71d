"""The browser's history: one entry a page, so that the back button goes back at the first press."""

from __future__ import annotations

from functools import cache
from typing import Any

import streamlit as st

from sams_core.explorer.catalogue import DEMO_FOLDER

_SCRIPT = DEMO_FOLDER.parent / "history" / "history.js"


def steady_history() -> None:
    """Have the browser complete addresses without adding to its history; see the script."""
    _component()(key="history")


@cache
def _component() -> Any:
    return st.components.v2.component("sams_core_history", js=_SCRIPT.read_text(encoding="utf-8"))
