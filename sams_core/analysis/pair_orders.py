"""Pairs to test as a list that a laboratory can order from."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sams_core.analysis.pair_ranking import Goal
from sams_core.analysis.pair_words import quantity

PAIR, SINGLE, CONTROL = "pair", "single", "control"
"""Kinds of arms."""


def order_list(
    ranked: pd.DataFrame, n_pairs: int, goal: Goal, *, digest: str, control: str
) -> pd.DataFrame:
    """Arms of an experiment that tests the best pairs: pairs, each single once, and the control.

    Parameters
    ----------
    ranked
        From `sams_core.analysis.pair_ranking.rank_pairs`.
    n_pairs
        Pairs to test, the best first; all where there are fewer.
    goal
        What they were ranked for.
    digest
        Of the model.
    control
        Label of the control condition.

    Returns
    -------
    DataFrame
        One row an arm: ``arm`` (`PAIR`, `SINGLE` or `CONTROL`), ``perturbation_a``,
        ``perturbation_b``, ``rank``, ``score`` with ``lower`` and ``upper`` (ends of the 90%
        interval) and ``additive`` as far as they are defined, ``seen_in_training``,
        ``cells_measured``, ``goal`` (what the score is) and ``model_digest``.
    """
    best = ranked.head(n_pairs)
    pairs = pd.DataFrame(
        {
            "arm": PAIR,
            "perturbation_a": best["first"],
            "perturbation_b": best["second"],
            "rank": best["rank"],
            "score": best["value"],
            "lower": best.get("lower", np.nan),
            "upper": best.get("upper", np.nan),
            "additive": best.get("additive", np.nan),
            "seen_in_training": best["in_training"],
            "cells_measured": best["n_cells"],
        }
    )
    names = pd.unique(best[["first", "second"]].to_numpy().ravel())
    singles = pd.DataFrame({"arm": SINGLE, "perturbation_a": names})
    if goal.has_parts:
        ends = [
            best.set_index(end)[f"alone_{end}"].rename_axis("name") for end in ("first", "second")
        ]
        alone = pd.concat(ends)
        singles["score"] = alone[~alone.index.duplicated()].reindex(names).to_numpy()
    last = pd.DataFrame({"arm": [CONTROL], "perturbation_a": [control]})
    arms = pd.concat([pairs, singles, last], ignore_index=True)
    arms["rank"] = arms["rank"].astype("Int64")
    arms["cells_measured"] = arms["cells_measured"].astype("Int64")
    arms["seen_in_training"] = arms["seen_in_training"].astype("boolean")
    return arms.assign(goal=f"{goal.kind}: {quantity(goal)}", model_digest=digest)


def tell_order(arms: pd.DataFrame) -> str:
    """Say how many arms an order needs, and of which kind."""
    number = arms["arm"].value_counts()
    n_pairs, n_singles = int(number.get(PAIR, 0)), int(number.get(SINGLE, 0))
    return (
        f"**{len(arms):,} arms**: {n_pairs:,} pair{'' if n_pairs == 1 else 's'}, the {n_singles:,} "
        "single perturbations that they are made of, each once, and the control. Without the "
        "singles and the control an interaction cannot be told."
    )
