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
    from streamlit.delta_generator import DeltaGenerator

VIEW_KEY = "effects_view"
VIEWS = ("One perturbation", "One gene", "Gene list", "All perturbations")
CONDITION_KEY = "condition"
GENE_KEY = "gene"
_OPENED = "effects_opened"


class Picked(NamedTuple):
    """A gene set and its genes in the screen, or a choice that is none.

    Attributes
    ----------
    name
        The choice.
    genes
        The set's genes in the screen.
    private
        Whether it comes from the user's own file, of which nothing is cached.
    """

    name: str
    genes: list[str] | None
    private: bool


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

    def pick_sets(
        self, label: str, first: Sequence[str], *, key: str, help: str, notices: DeltaGenerator
    ) -> Picked:
        """Ask for a gene set, or for one of the choices that come ``first``.

        The user's own sets come with a popover beside it; words about a bad address go to
        ``notices``.
        """
        chooser = st.container(width=250)
        own = own_gene_sets(f"choose one under “{label}”.")
        private = sets_of_screen({} if own is None else {own.label: own.sets}, self.genes)
        shared = sets_of_screen({"yours": private, **self.collections}, self.genes)
        options = [*first, *shared]
        with notices:
            links.tell(key, options)
        with chooser:
            name = controls.pick(label, options, key=key, help=help, width=250)
        return Picked(name, shared.get(name), name in private)

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


def open_condition(condition: str) -> None:
    """Show one condition in the first view; only in callbacks."""
    _open(CONDITION_KEY, condition, VIEWS[0])


def open_gene(gene: str) -> None:
    """Show one gene in the second view; only in callbacks."""
    _open(GENE_KEY, gene, VIEWS[1])


def _open(key: str, value: str, view: str) -> None:
    st.session_state[key] = value
    st.session_state[VIEW_KEY] = view
    st.session_state[_OPENED] = True


def follow(page: EffectPage, *keys: str) -> None:
    """Draw the whole page again if a button in this fragment has opened another view.

    Parameters
    ----------
    page
        The page.
    *keys
        What buttons in this fragment choose in other views. A value that was never set before does
        not reach the address when a button sets it.
    """
    if st.session_state.pop(_OPENED, False):
        st.rerun()
    for key in keys:
        known, first = {
            CONDITION_KEY: (page.conditions, effect_tables.strongest_condition),
            GENE_KEY: (page.genes, effect_tables.most_moved_gene),
        }[key]
        asked = st.query_params.get(key)
        st.session_state.setdefault(key, asked if asked in known else first(page.table))
