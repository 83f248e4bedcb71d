"""What the blocks of the search page share: what is searched for, and what was found."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from sams_core.analysis.pair_ranking import GOAL, Goal
from sams_core.explorer.run import Run

if TYPE_CHECKING:
    from sams_core.analysis.pair_search import PairSearch

FIRST_KEY, SECOND_KEY = "search_a", "search_b"
RANKING_KEY, MAP_KEY = "search_ranking", "search_map"
LARGE = 3_000
"""Pairs from which on a search is begun by a button only."""


@dataclass(frozen=True)
class Request:
    """What is searched for.

    Attributes
    ----------
    run
        The checkpoint.
    goal
        What pairs are wanted for.
    perturbations
        Those to pair.
    everything
        Whether these are all that the model learned of.
    given
        One that every pair has.
    own
        Whether the goal comes from a user's own file: then nothing of it is kept.
    """

    run: Run
    goal: Goal
    perturbations: tuple[str, ...]
    everything: bool
    given: str | None
    own: bool

    @property
    def key(self) -> Hashable:
        """Equal for requests with the same result."""
        target = self.goal.name if self.goal.kind == "towards" else ""
        genes = tuple(sorted(set(self.goal.genes)))
        return self.run.cache_key, self.perturbations, self.given, genes, target

    @property
    def n_pairs(self) -> int:
        """Pairs to predict."""
        number = len(self.perturbations)
        if self.given is not None:
            return number - (self.given in self.perturbations)
        return number * (number - 1) // 2


@dataclass(frozen=True)
class Found:
    """What a search found, ranked as chosen.

    Attributes
    ----------
    request
        What was searched for.
    search
        All pairs.
    ranked
        Pairs that are not left out, the best first.
    by
        Column of ``ranked`` that it is sorted by.
    skip
        What was left out.
    """

    request: Request
    search: PairSearch
    ranked: pd.DataFrame
    by: str
    skip: tuple[str, ...]

    @property
    def goal(self) -> Goal:
        """What pairs are wanted for."""
        return self.request.goal

    @property
    def name(self) -> str:
        """Start of the names of files."""
        goal = "_".join(part for part in (self.goal.kind, self.goal.name) if part)
        return f"{self.request.run.name}_pairs_{goal}"

    def code(self, imports: str, ending: str) -> str | None:
        """Python that ends in a figure of ``ranked``; None for a search that was cancelled.

        Parameters
        ----------
        imports
            Lines that the ending needs.
        ending
            Lines that make ``fig`` from ``ranked``.
        """
        if not self.search.complete:
            return None
        request, goal = self.request, self.goal
        listed = "candidates(masks, goal)"
        if not request.everything:
            listed = repr(list(request.perturbations))
        uses = ", ".join(["Goal", *(["candidates"] if request.everything else []), "rank_pairs"])
        scale, error = "", ""
        if goal.column == GOAL:
            imports = (
                f"from sams_core.analysis.interval_calibration import interval_scale\n{imports}"
            )
            scale = (
                'metrics = json.loads((folder / "explorer" / "metrics.json").read_text())\n'
                "error = interval_scale(metrics).effect\n"
            )
            error = " error=error,"
        given = "" if request.given is None else f"    given={request.given!r},\n"
        return (
            f"{'import json' if scale else ''}\n\n"
            f"from sams_core.analysis.pair_ranking import {uses}\n"
            "from sams_core.analysis.pair_search import search_for\n"
            f"{imports}\n\n"
            f"goal = Goal({goal.kind!r}, {goal.name!r}, {goal.genes!r})\n"
            "search = search_for(\n    goal,\n    model,\n    effects,\n"
            f"    perturbations={listed},\n{given})\n"
            f"{scale}"
            f"ranked = rank_pairs(search, goal, {self.by!r}, effects,{error} skip={self.skip!r})\n"
            f"{ending}\n"
        )


def choose(pair: Sequence[str]) -> None:
    """Have the page tell about a pair; only in callbacks."""
    st.session_state[FIRST_KEY], st.session_state[SECOND_KEY] = map(str, pair)
