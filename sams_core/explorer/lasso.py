"""The cells that a user has chosen on the map of cells, for every page that can use them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import streamlit as st

from sams_core.explorer.run import Run

LASSO_KEY = "lasso_cells"


@dataclass(frozen=True)
class ChosenCells:
    """Cells of one checkpoint.

    Attributes
    ----------
    cache_key
        Of the checkpoint and the tables in which the cells were chosen.
    names
        Of the cells, as in the table of cells, in its order.
    """

    cache_key: str
    names: tuple[str, ...]


def keep_cells(run: Run, names: Iterable[str]) -> None:
    """Keep cells for the other pages of this session, in place of those kept before.

    Parameters
    ----------
    run
        The checkpoint they belong to.
    names
        As in ``run.cells().obs_names``; with none, nothing is kept.
    """
    kept = tuple(map(str, names))
    if kept:
        st.session_state[LASSO_KEY] = ChosenCells(run.cache_key, kept)
    else:
        st.session_state.pop(LASSO_KEY, None)


def chosen_cells(run: Run) -> list[str] | None:
    """Names of the cells that were chosen in this checkpoint; None if none were.

    Cells of another checkpoint, or of tables that were prepared again since, do not count.
    """
    kept = st.session_state.get(LASSO_KEY)
    if not isinstance(kept, ChosenCells) or kept.cache_key != run.cache_key:
        return None
    return list(kept.names)
