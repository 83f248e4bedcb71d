"""Links to pages, and words about an address that asks for what is not there."""

from __future__ import annotations

from collections.abc import Collection

import streamlit as st

from sams_core.analysis.markdown import escape
from sams_core.explorer.navigation import PAGES


def to_pages(*names: str) -> None:
    """Draw links to pages, named as their files in ``pages/``."""
    with st.container(horizontal=True):
        for name in names:
            title, icon, _ = PAGES[name]
            st.page_link(f"pages/{name}.py", label=title, icon=f":material/{icon}:")


def tell(key: str, options: Collection[str]) -> None:
    """Say so when the address asks for a value that is not among ``options``.

    Call it before the widget that is bound to ``key``; the widget itself falls back to its default.
    """
    unknown = [value for value in st.query_params.get_all(key) if value and value not in options]
    if unknown:
        names = ", ".join(f"“{escape(value[:40])}”" for value in unknown[:3])
        st.warning(
            f"The link asks for {names}, which this checkpoint does not have.",
            icon=":material/link_off:",
        )


def tell_number(key: str, low: float, high: float) -> None:
    """Say so when the address asks for something other than a number from ``low`` to ``high``."""
    for value in st.query_params.get_all(key):
        if value and not _between(value, low, high):
            st.warning(
                f"The link asks for “{escape(value[:40])}” where a number from {low:g} to "
                f"{high:g} is needed; what is shown may differ.",
                icon=":material/link_off:",
            )


def _between(text: str, low: float, high: float) -> bool:
    try:
        return low <= float(text) <= high
    except ValueError:
        return False
