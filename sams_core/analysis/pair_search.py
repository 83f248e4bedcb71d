"""Which pairs of perturbations to test: every pair's predicted effect, scored by several goals.

Each pair is predicted at the same 64 posterior draws of E and M and 8 antithetic pairs of cell
states (:mod:`sams_core.analysis.shared_draws`), so that pairs are compared on the same footing; a
single pair is predicted more closely by
:func:`sams_core.analysis.combinations.predict_combination`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from sams_core.analysis.pair_goals import Goals, interaction_columns, mean_columns
from sams_core.analysis.pair_ranking import GOAL, Goal, profile_of, training_conditions
from sams_core.analysis.shared_draws import SharedDraws, shared_draws
from sams_core.errors import ConfigError
from sams_core.perturbation_model import PerturbationModel

if TYPE_CHECKING:
    from anndata import AnnData

MAX_PAIRS = 125_000
"""Pairs that one search takes: 500 perturbations."""
_AT_ONCE = 8  # pairs whose states, of a thousand genes, stay in a core's cache


@dataclass(frozen=True)
class PairSearch:
    """Predicted effects of pairs.

    Attributes
    ----------
    table
        One row a pair, indexed by its name (``"A+B"``): ``first``, ``second``, ``in_training``,
        ``size`` (root mean square over genes of the predicted effect, log2 units); for each goal
        ``NAME`` (mean predicted effect on its genes), ``NAME_sd`` (posterior standard deviation),
        ``NAME_se`` (Monte Carlo standard error), ``NAME_first``, ``NAME_second`` (the singles),
        ``NAME_additive`` (their sum) and ``NAME_deviation_sd`` (posterior standard deviation of
        the pair minus the sum);
        ``interaction`` (root mean square over genes of prediction minus sum, noise taken off),
        ``interaction_sd`` (posterior standard deviation along the interaction),
        ``interaction_se`` (Monte Carlo standard error) and ``interaction_ratio`` (size over the
        root of the sum of their squares); ``cosine`` with the target profile, ``projection`` on it
        (1: all the way) with the same columns as a goal; ``novelty`` (root mean square difference
        from the nearest training condition's predicted effect) and ``nearest``, its name.
    n_pairs
        Pairs asked for.
    complete
        Whether all were predicted; else the search was cancelled, and the table holds some of them,
        picked at random.
    """

    table: pd.DataFrame
    n_pairs: int
    complete: bool


@torch.no_grad()
def search_pairs(
    model: PerturbationModel,
    *,
    perturbations: Sequence[str] | None = None,
    given: str | None = None,
    goals: Mapping[str, Sequence[str]] | None = None,
    towards: pd.Series | None = None,
    training: Sequence[Sequence[str]] = (),
    library_size: float | npt.ArrayLike | None = None,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> PairSearch:
    """Predict all pairs of perturbations, or one with each other, and score them.

    Parameters
    ----------
    model
        A trained model.
    perturbations
        Those to pair; by default all.
    given
        One that every pair has; by default none.
    goals
        Name of a goal to the genes whose mean effect is asked for: one gene, or a set.
    towards
        A profile to move to, by gene, log2 units against control; genes without a number do not
        count.
    training
        Perturbations of each training condition, from which novelty is a distance.
    library_size
        Counts of a cell, or sizes to average over; by default those of the training cells.
    seed
        Of every draw.
    progress
        Called with the share done, in [0, 1].
    cancelled
        Asked every few pairs; True ends the search with what it has.

    Raises
    ------
    ConfigError
        For an unknown name, a goal without a gene of the model or named like other columns, a
        profile of zeros, or more than `MAX_PAIRS` pairs.
    """
    pairs = _pairs(model.perturbation_names, perturbations, given)
    known = [members for members in training if set(members) <= set(model.perturbation_names)]
    used, place = _renumber(model.perturbation_names, pairs, known)
    sizes = model.library_sizes if library_size is None else library_size
    draws = shared_draws(model.module, used, sizes, seed=seed)
    n_paired = len({name for pair in pairs for name in pair})
    course = _Course(len(known) + n_paired + len(pairs), progress, cancelled)
    effects_of = _Conditions(draws, course)
    order = np.random.default_rng(seed).permutation(len(pairs))  # so that a part is a fair sample
    rows = np.array([[place[first], place[second]] for first, second in pairs])[order]
    columns: dict[str, npt.NDArray[np.float64]] = {}
    names: Sequence[str] = ()
    done = 0
    with suppress(_StoppedError):
        means = {"+".join(m): effects_of([place[t] for t in m]).mean((0, 1, 2)) for m in known}
        scoring = Goals.make(model.gene_names, goals or {}, towards, means, draws.control)
        names = scoring.reference_names
        singles = _Singles.make(effects_of, n_paired, scoring)
        while done < len(rows):
            part = slice(done, min(done + _AT_ONCE, len(rows)))
            course.step(part.stop - done)
            for name, values in _score(draws, singles, rows[part], scoring).items():
                columns.setdefault(name, np.empty(len(rows)))[part] = values.cpu().numpy()
            done = part.stop
        course.end()
    kept = np.argsort(order[:done])
    found = {name: values[:done][kept] for name, values in columns.items()}
    table = _table([pairs[at] for at in order[:done][kept]], found, names, known)
    return PairSearch(table, len(pairs), complete=done == len(rows))


def search_for(
    goal: Goal,
    model: PerturbationModel,
    effects: AnnData,
    *,
    perturbations: Sequence[str],
    given: str | None = None,
    progress: Callable[[float], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> PairSearch:
    """Search pairs for one goal, with novelty from all conditions that were trained on.

    Parameters
    ----------
    goal
        What pairs are wanted for.
    model, effects
        A trained model, and the effects prepared from it.
    perturbations, given, progress, cancelled
        As for :func:`search_pairs`, which says what it refuses.
    """
    return search_pairs(
        model,
        perturbations=perturbations,
        given=given,
        goals={GOAL: goal.genes} if goal.genes else None,
        towards=profile_of(effects, goal.name) if goal.kind == "towards" else None,
        training=training_conditions(effects),
        progress=progress,
        cancelled=cancelled,
    )


class _StoppedError(Exception):
    """Whoever searches wants no more."""


@dataclass
class _Course:
    """How far a search is, in conditions, and whether to go on."""

    total: int
    progress: Callable[[float], None] | None
    cancelled: Callable[[], bool] | None
    done: int = 0

    def step(self, number: int = 1) -> None:
        """Begin with the next conditions, if they are still wanted."""
        if self.cancelled is not None and self.cancelled():
            raise _StoppedError
        if self.progress is not None:
            self.progress(self.done / self.total)
        self.done += number

    def end(self) -> None:
        if self.progress is not None:
            self.progress(1.0)


@dataclass(frozen=True)
class _Conditions:
    """Effects (B, S, D, G) of a condition by the numbers of its perturbations."""

    draws: SharedDraws
    course: _Course

    def __call__(self, members: Sequence[int]) -> Tensor:
        self.course.step()
        return self.draws.effects(self.draws.contribution[list(members)].sum(0)[None])[0]


@dataclass(frozen=True)
class _Singles:
    """Effects (T, B, S, D, G) of single perturbations, and (T, B, S, D, m) for each goal."""

    effects: Tensor
    goals: Tensor

    @classmethod
    def make(cls, effects_of: _Conditions, n: int, scoring: Goals) -> _Singles:
        """Predict each perturbation alone."""
        effects = torch.stack([effects_of([t]) for t in range(n)])
        return cls(effects, effects @ scoring.weights)


def _score(
    draws: SharedDraws, singles: _Singles, rows: npt.NDArray[np.intp], scoring: Goals
) -> dict[str, Tensor]:
    """Columns of a few pairs."""
    first, second = torch.as_tensor(rows.T)
    effects = draws.effects(draws.contribution[first] + draws.contribution[second])
    columns = mean_columns(effects, singles.goals[first], singles.goals[second], scoring)
    additive = singles.effects[first] + singles.effects[second]
    return columns | interaction_columns(effects.sub_(additive))


def _pairs(
    names: pd.Index, perturbations: Sequence[str] | None, given: str | None
) -> list[tuple[str, str]]:
    chosen = list(dict.fromkeys(map(str, names if perturbations is None else perturbations)))
    for name in [*chosen, *([] if given is None else [given])]:
        if name not in names:
            raise ConfigError(f"The model knows no perturbation {name!r}: name one it has.")
    if given is not None:
        pairs = [(given, other) for other in chosen if other != given]
    else:
        pairs = [(a, b) for i, a in enumerate(chosen) for b in chosen[i + 1 :]]
    if not pairs:
        raise ConfigError("There is no pair to predict: choose two or more perturbations.")
    if len(pairs) > MAX_PAIRS:
        raise ConfigError(
            f"{len(chosen):,} perturbations make {len(pairs):,} pairs, and a search takes "
            f"{MAX_PAIRS:,}: choose fewer perturbations, or one that every pair has."
        )
    return pairs


def _renumber(
    names: pd.Index, pairs: Sequence[tuple[str, str]], training: Sequence[Sequence[str]]
) -> tuple[list[int], dict[str, int]]:
    """Numbers in the model of the perturbations in use, and each one's place among them."""
    wanted = dict.fromkeys(name for members in [*pairs, *training] for name in members)
    return names.get_indexer(pd.Index(list(wanted))).tolist(), {n: i for i, n in enumerate(wanted)}


def _table(
    pairs: Sequence[tuple[str, str]],
    columns: Mapping[str, npt.NDArray[np.float64]],
    reference_names: Sequence[str],
    training: Sequence[Sequence[str]],
) -> pd.DataFrame:
    seen = {frozenset(members) for members in training}
    table = pd.DataFrame(
        {
            "first": [first for first, _ in pairs],
            "second": [second for _, second in pairs],
            "in_training": [frozenset(pair) in seen for pair in pairs],
            **columns,
        },
        index=pd.Index(["+".join(pair) for pair in pairs], name="pair"),
    )
    if "nearest" in table:
        table["nearest"] = np.array(reference_names, object)[table["nearest"].astype(int)]
    return table
