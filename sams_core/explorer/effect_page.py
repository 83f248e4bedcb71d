"""What the blocks of the effects page share: the checkpoint's effects, gene sets, and openings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd
import streamlit as st

from sams_core.analysis import effect_tables
from sams_core.analysis.effect_gene_lists import sets_of_screen
from sams_core.analysis.effect_statistics import control_cells
from sams_core.explorer import controls, links
from sams_core.explorer.own_gene_sets import own_gene_sets
from sams_core.explorer.run import Run

if TYPE_CHECKING:
    from anndata import AnnData

VIEW_KEY = "effects_view"
VIEWS = ("One perturbation", "One gene", "Gene list", "All perturbations")
CONDITION_KEY = "condition"
GENE_KEY = "gene"
_OPENED = "effects_opened"


class Picked(NamedTuple):
    """A gene set and its genes in the screen, or a choice that is none."""

    name: str
    genes: list[str] | None


@dataclass(frozen=True)
class EffectPage:
    """One visit of the effects page.

    Attributes
    ----------
    run
        The checkpoint.
    table
        Its effects; read-only.
    collections
        Collections of gene sets, each set's name to its genes.
    """

    run: Run
    table: AnnData
    collections: Mapping[str, Mapping[str, Sequence[str]]]

    @cached_property
    def fits(self) -> pd.DataFrame:
        """How well each condition is predicted."""
        return effect_tables.fit_table(self.table)

    def pick_sets(self, label: str, first: Sequence[str], *, key: str, help: str) -> Picked:
        """Ask for a gene set, or for one of the choices that come ``first``.

        The user's own sets come with a popover beside it.
        """
        chooser = st.container(width=250)
        own = own_gene_sets(f"choose one under “{label}”.")
        collections = ({} if own is None else {own.label: own.sets}) | dict(self.collections)
        sets = sets_of_screen(collections, self.genes)
        options = [*first, *sets]
        with chooser:
            links.tell(key, options)
            name = controls.pick(label, options, key=key, help=help, width=250)
        return Picked(name, sets.get(name))

    @cached_property
    def conditions(self) -> list[str]:
        """Names in the table's order."""
        return [str(name) for name in self.table.obs_names]

    @cached_property
    def genes(self) -> list[str]:
        """Symbols in the table's order."""
        return effect_tables.gene_names(self.table).tolist()

    def n_control(self, cells: effect_tables.Cells) -> int:
        """Control cells among all or among held-out cells."""
        splits = self.run.metrics().get("splits") or {}
        return control_cells(self.table, cells, int(splits.get("test", 0)))


def open_condition(page: EffectPage, condition: str) -> None:
    """Show one condition in the first view; only in callbacks."""
    # A value that was never set before does not reach the address when a button sets it.
    st.session_state.setdefault(CONDITION_KEY, effect_tables.strongest_condition(page.table))
    st.session_state[CONDITION_KEY] = condition
    st.session_state[VIEW_KEY] = VIEWS[0]
    st.session_state[_OPENED] = True


def open_gene(page: EffectPage, gene: str) -> None:
    """Show one gene in the second view; only in callbacks."""
    st.session_state.setdefault(GENE_KEY, effect_tables.most_moved_gene(page.table))
    st.session_state[GENE_KEY] = gene
    st.session_state[VIEW_KEY] = VIEWS[1]
    st.session_state[_OPENED] = True


def follow() -> None:
    """Draw the whole page again if a button in this fragment has opened another view."""
    if st.session_state.pop(_OPENED, False):
        st.rerun()
