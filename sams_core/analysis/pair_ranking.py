"""Pairs of a search, ranked by what somebody wants of them, beside what was measured."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from scipy.stats import norm

from sams_core.analysis.mask_tables import trained

if TYPE_CHECKING:
    from anndata import AnnData

    from sams_core.analysis.interval_calibration import ErrorModel
    from sams_core.analysis.pair_search import PairSearch

Kind = Literal["raise", "lower", "towards", "interaction", "novelty"]
GOAL = "goal"
"""What the goal is called in a search's table, whatever its genes are called."""
PROJECTION = "projection"
"""Column of the way towards a profile; its statistics are those of a goal."""
LEVEL = 0.90
"""Probability of intervals."""
ENOUGH_GENES = 10
"""Significant genes from which on a profile to move to is made of them alone."""
_QUANTILE = float(norm.ppf(0.5 + LEVEL / 2))


@dataclass(frozen=True)
class Goal:
    """What pairs are wanted for.

    Attributes
    ----------
    kind
        Raise or lower genes, move towards a profile, interact, or be unlike training.
    name
        Of the gene, of the gene set, or of the condition to move to; empty otherwise.
    genes
        Names, as the model has them, of the genes to raise or lower.
    """

    kind: Kind
    name: str = ""
    genes: tuple[str, ...] = ()

    @property
    def column(self) -> str:
        """Column of the search that is wanted, or not."""
        if self.kind in ("raise", "lower"):
            return GOAL
        return PROJECTION if self.kind == "towards" else self.kind

    @property
    def targets(self) -> set[str]:
        """Names of perturbations that act on the wanted genes directly."""
        return {self.name, *self.genes} if self.column == GOAL else set()

    @property
    def has_parts(self) -> bool:
        """Whether singles have the quantity, too, so that it has an additive expectation."""
        return self.column in (GOAL, PROJECTION)

    @property
    def sign(self) -> int:
        """-1 where less is better."""
        return -1 if self.kind == "lower" else 1


RANKINGS: dict[Kind, dict[str, str]] = {
    "raise": {"Cautious: lower end of interval": "lower", "Prediction": "value"},
    "lower": {"Cautious: upper end of interval": "upper", "Prediction": "value"},
    "towards": {
        "Cautious: lower end of interval": "lower",
        "Prediction": "value",
        "Likeness of the profile": "cosine",
    },
    "interaction": {
        "Cautious: lower end of interval": "lower",
        "Size over its uncertainty": "interaction_ratio",
        "Size": "value",
    },
    "novelty": {"Distance from training": "value"},
}
"""By what pairs can be ranked, in words and as a column of `rank_pairs`."""


def candidates(masks: AnnData, goal: Goal) -> list[str]:
    """Perturbations that the model learned of; without those of the condition to move to.

    A pair with one of them would be near the profile by what it is made of.
    """
    target = set(goal.name.split("+")) if goal.kind == "towards" else set()
    names = (str(name) for name in trained(masks).obs_names)
    return [name for name in names if name not in target]


def default_gene(effects: AnnData) -> int:
    """Number of the gene that most conditions change at an FDR of 5%."""
    return int((np.asarray(effects.layers["fdr"]) < 0.05).sum(axis=0).argmax())


def training_conditions(effects: AnnData) -> list[list[str]]:
    """Perturbations of each condition that training cells have."""
    seen = effects.obs["seen_in_training"].astype(bool).to_numpy()
    return [str(name).split("+") for name in effects.obs_names[seen]]


def profile_of(effects: AnnData, condition: str) -> pd.Series:
    """Measured effect of a condition, by gene: what a pair may be wanted to move to.

    Genes that do not differ from control at an FDR of 5% are left out (NaN), as long as
    `ENOUGH_GENES` remain: they are noise.
    """
    row = effects.obs_names.get_loc(condition)
    values = np.asarray(effects.layers["data_ate"])[row].astype(float)
    significant = np.asarray(effects.layers["fdr"])[row] < 0.05
    if significant.sum() >= ENOUGH_GENES:
        values = np.where(significant, values, np.nan)
    return pd.Series(values, effects.var_names.astype(str))


def rank_pairs(
    search: PairSearch,
    goal: Goal,
    by: str,
    effects: AnnData,
    *,
    error: ErrorModel | None = None,
    skip: Collection[str] = (),
) -> pd.DataFrame:
    """Rank the pairs of a search.

    Parameters
    ----------
    search
        Of :func:`sams_core.analysis.pair_search.search_pairs`, with the goal's genes as a goal
        named `GOAL`, or its profile.
    goal
        What is wanted.
    by
        A column of the result: a value of `RANKINGS`.
    effects
        The checkpoint's effects, for measurements.
    error
        How much wider than the posterior's intervals of an effect on a gene have to be; that of
        a gene set is widened like a gene's, as if its genes were wrong together.
    skip
        "measured" leaves out pairs that were measured, "seen" those seen in training, "direct"
        those with a perturbation of a gene that is wanted.

    Returns
    -------
    DataFrame
        The best first, indexed by the pair's name: ``rank``; ``first``, ``second``; ``value``;
        where the model states an uncertainty ``sd``, ``lower`` and ``upper`` (ends of the 90%
        interval, which allows for the Monte Carlo error, too); for goals that
        singles have ``alone_first``, ``alone_second``, ``additive`` (their sum), ``deviation``
        (value minus sum), ``deviation_sd`` and ``gain`` (how much better the pair is than the
        better single); ``cosine`` with a profile; ``interaction``, ``interaction_sd``,
        ``interaction_ratio``; ``novelty``, ``nearest``; ``in_training``, ``n_cells`` (measured
        with both) and ``measured`` (the value in the data).
    """
    table = search.table
    found = pd.DataFrame({"first": table["first"], "second": table["second"]})
    found["value"] = table[goal.column].astype(float)
    _add_interval(found, table, goal, error)
    if goal.has_parts:
        _add_parts(found, table, goal)
    others = ("cosine", "interaction", "interaction_sd", "interaction_ratio", "novelty", "nearest")
    for column in (*others, "in_training"):
        if column in table:
            found[column] = table[column]
    found = _add_measurement(found, goal, effects)
    if "measured" in skip:
        found = found[found["n_cells"] == 0]
    if "seen" in skip:
        found = found[~found["in_training"].astype(bool)]
    if "direct" in skip:
        found = found[~found[["first", "second"]].isin(goal.targets).any(axis=1)]
    ranked = found.sort_values(by, ascending=goal.sign < 0, kind="stable", na_position="last")
    ranked.insert(0, "rank", np.arange(1, len(ranked) + 1))
    return ranked


def best_partners(ranked: pd.DataFrame, number: int) -> list[str]:
    """Perturbations of the best pairs, the best first, at most ``number`` of them."""
    names = ranked[["first", "second"]].to_numpy().ravel()
    return [str(name) for name in pd.unique(names)[:number]]


def pair_row(ranked: pd.DataFrame, pair: Sequence[str]) -> pd.Series | None:
    """Row of two perturbations in either order; None where they are no pair of the table."""
    names = ("+".join(pair), "+".join(reversed(pair)))
    rows = (ranked.index.get_loc(name) for name in names if name in ranked.index)
    return next((ranked.iloc[row] for row in rows if isinstance(row, int)), None)


def measured_pairs(ranked: pd.DataFrame) -> list[frozenset[str]]:
    """Pairs of a ranking that the screen has cells of."""
    found = ranked[ranked["n_cells"] > 0]
    return [frozenset(pair) for pair in zip(found["first"], found["second"], strict=True)]


def _add_interval(
    found: pd.DataFrame, table: pd.DataFrame, goal: Goal, error: ErrorModel | None
) -> None:
    if goal.kind == "novelty":
        return
    found["sd"] = table[f"{goal.column}_sd"]
    if error is not None and goal.column == GOAL:
        additive = table[f"{GOAL}_additive"]
        found["sd"] = error.sd(found["sd"], additive, found["value"] - additive)
    reach = _QUANTILE * np.hypot(found["sd"], table[f"{goal.column}_se"])
    found["lower"], found["upper"] = found["value"] - reach, found["value"] + reach
    if not goal.has_parts:  # the size of an interaction
        found["lower"] = found["lower"].clip(lower=0)


def _add_parts(found: pd.DataFrame, table: pd.DataFrame, goal: Goal) -> None:
    alone = table[[f"{goal.column}_first", f"{goal.column}_second"]]
    found["alone_first"], found["alone_second"] = (alone[column] for column in alone)
    found["additive"] = table[f"{goal.column}_additive"]
    found["deviation"] = found["value"] - found["additive"]
    found["deviation_sd"] = table[f"{goal.column}_deviation_sd"]
    best = (goal.sign * alone).max(axis=1)
    found["gain"] = goal.sign * found["value"] - best


def _add_measurement(found: pd.DataFrame, goal: Goal, effects: AnnData) -> pd.DataFrame:
    """Add ``n_cells``, and ``measured`` where the data have the goal's quantity."""
    pairs = {
        frozenset(str(name).split("+")): row
        for row, name in enumerate(effects.obs_names)
        if str(name).count("+") == 1
    }
    keys = zip(found["first"], found["second"], strict=True)
    rows = np.array([pairs.get(frozenset(pair), -1) for pair in keys], dtype=int)
    has = rows >= 0
    cells = effects.obs["n_cells"].to_numpy(int)
    found = found.assign(n_cells=np.where(has, cells[rows], 0) if len(cells) else 0)
    if goal.has_parts:
        values = np.full(len(found), np.nan)
        values[has] = measured_values(effects, goal)[rows[has]]
        found["measured"] = values
    return found


def measured_values(effects: AnnData, goal: Goal) -> np.ndarray:
    """The goal's quantity in the data, of every measured condition: (C,)."""
    data = np.asarray(effects.layers["data_ate"], dtype=float)
    if goal.column == GOAL:
        columns = effects.var_names.get_indexer(pd.Index(goal.genes))
        return np.asarray(data[:, columns[columns >= 0]].mean(axis=1))
    target = profile_of(effects, goal.name).fillna(0.0).to_numpy()
    return np.asarray(data @ target / np.square(target).sum())
