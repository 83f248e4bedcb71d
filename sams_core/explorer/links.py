"""Words about a page's address: what it asks for that is not there."""

from __future__ import annotations

from collections.abc import Collection

import streamlit as st


def tell(key: str, options: Collection[str]) -> None:
    """Say so when the address asks for a value that is not among ``options``.

    Call it before the widget that is bound to ``key``; the widget itself falls back to its default.
    """
    unknown = [value for value in st.query_params.get_all(key) if value and value not in options]
    if unknown:
        names = ", ".join(f"“{value[:40]}”" for value in unknown[:3])
        st.warning(
            f"The link asks for {names}, which this checkpoint does not have.",
            icon=":material/link_off:",
        )
