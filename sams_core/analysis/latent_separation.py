"""Whether a latent space still tells perturbations apart: a classifier against chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from sams_core.analysis.effect_tables import listed
from sams_core.analysis.latent_expression import STATES, Space

if TYPE_CHECKING:
    from anndata import AnnData

MIN_CELLS = 10
"""Cells that a condition needs to take part: at least two in each fold."""
MAX_CELLS = 3_000
"""Cells that take part at most, of each condition the same number at most."""
MAX_CONDITIONS = 60
"""Conditions that take part at most: those with most cells, the control always."""
N_FOLDS = 5
N_SHUFFLES = 50
ALPHA = 0.05


@dataclass(frozen=True)
class Separation:
    """How well a classifier names the condition of cells that it has not seen.

    Attributes
    ----------
    accuracy
        Of each space ("basal", "full"): share of cells whose condition is named, conditions
        weighing alike.
    null
        (S,) accuracies in the basal space after shuffling which cell has which condition.
    chance
        One over the number of conditions.
    p_value
        Share of shuffles that reach the basal accuracy, counting the real labels as one.
    recall
        By condition: ``n_cells`` that took part, ``basal`` and ``full`` (share of its cells that
        are named), ``null_high`` (95 % quantile of the shuffled basal recalls), the best first.
    n_cells
        Cells that took part.
    n_left_out
        Conditions with too few cells, or beyond `MAX_CONDITIONS`.
    """

    accuracy: dict[Space, float]
    null: npt.NDArray[np.float64]
    chance: float
    p_value: float
    recall: pd.DataFrame
    n_cells: int
    n_left_out: int

    @property
    def separates(self) -> bool:
        """Whether the basal space tells conditions apart better than shuffled labels."""
        return self.p_value < ALPHA


def separation(
    cells: AnnData, control: str, *, n_shuffles: int = N_SHUFFLES, seed: int = 0
) -> Separation | None:
    """Cross-validated accuracy of linear discriminant analysis on the states of the cells.

    Conditions weigh alike, however many cells they have. The classifier never sees the cells that
    it is judged on: there are five folds, over which each condition is spread evenly. The null
    repeats this on the basal states with shuffled conditions.

    Parameters
    ----------
    cells
        The checkpoint's table of cells.
    control
        Its control condition.
    n_shuffles
        Of the null.
    seed
        Of the draws, folds and shuffles.

    Returns
    -------
    None with fewer than two conditions of `MIN_CELLS` cells.
    """
    labels = cells.obs["condition"].astype(str).to_numpy()
    counts = pd.Series(labels).value_counts()
    kept = counts[counts >= MIN_CELLS].index
    kept = kept[np.argsort(kept != control, kind="stable")][:MAX_CONDITIONS]
    if len(kept) < 2:
        return None
    generator = np.random.default_rng(seed)
    each = MAX_CELLS // len(kept)
    rows = np.concatenate(
        [generator.permutation(np.flatnonzero(labels == name))[:each] for name in kept]
    )
    codes = pd.Categorical(labels[rows], categories=kept).codes.astype(int)
    folds = _folds(codes, generator)
    states = {space: np.asarray(cells.obsm[key], float)[rows] for space, key in STATES.items()}
    recall = {space: _recall(values, codes, folds) for space, values in states.items()}
    null = np.array(
        [
            _recall(states["basal"], shuffled, _folds(shuffled, generator))
            for shuffled in (generator.permutation(codes) for _ in range(n_shuffles))
        ]
    )
    accuracy = {space: float(values.mean()) for space, values in recall.items()}
    reached = int((null.mean(axis=1) >= accuracy["basal"]).sum())
    table = pd.DataFrame(
        {
            "n_cells": np.bincount(codes, minlength=len(kept)),
            "basal": recall["basal"],
            "full": recall["full"],
            "null_high": np.quantile(null, 0.95, axis=0),
        },
        index=pd.Index(kept.astype(str), name="condition"),
    )
    return Separation(
        accuracy=accuracy,
        null=null.mean(axis=1),
        chance=1 / len(kept),
        p_value=(1 + reached) / (1 + n_shuffles),
        recall=table.sort_values(["basal", "full"], ascending=False, kind="stable"),
        n_cells=len(rows),
        n_left_out=len(counts) - len(kept),
    )


def tell_separation(found: Separation) -> str:
    """Say in words whether the basal space still holds the perturbations."""
    basal = found.accuracy["basal"]
    low, high = np.quantile(found.null, [0.025, 0.975])
    numbers = (
        f"From a cell's basal state, a classifier names the right one of {len(found.recall)} "
        f"conditions for {basal:.1%} of cells that it has not seen; guessing gives "
        f"{found.chance:.1%}, and shuffled labels gave {low:.1%} to {high:.1%}"
    )
    if not found.separates:
        return (
            f"The basal space does not tell perturbations apart, as it should. {numbers}. What "
            "perturbations do is in their shifts."
        )
    above = found.recall[found.recall["basal"] > found.recall["null_high"]]
    best = [f"{name} ({share:.0%})" for name, share in above["basal"].items()]
    who = f" Named most often: {listed(best, limit=4)}." if best else ""
    strength = "clearly" if basal > 2 * found.chance else "a little"
    return (
        f"The basal space still tells perturbations apart, {strength}. {numbers} "
        f"(p = {found.p_value:.2g}).{who} So the shifts do not hold all that sets these "
        "cells apart: something is left in the basal states, be it part of the effect or a trace "
        "of what the encoder is told."
    )


def _folds(codes: npt.NDArray[np.int_], generator: np.random.Generator) -> npt.NDArray[np.int_]:
    """(n,) fold of each cell; every condition is spread evenly."""
    fold = np.empty(len(codes), int)
    for code in np.unique(codes):
        rows = generator.permutation(np.flatnonzero(codes == code))
        fold[rows] = np.arange(len(rows)) % N_FOLDS
    return fold


def _recall(
    values: npt.NDArray[np.float64], codes: npt.NDArray[np.int_], folds: npt.NDArray[np.int_]
) -> npt.NDArray[np.float64]:
    """(C,) share of each condition's cells whose condition a held-out prediction names."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    n_conditions = int(codes.max()) + 1
    priors = np.full(n_conditions, 1 / n_conditions)
    predicted = np.empty_like(codes)
    for fold in range(N_FOLDS):
        held_out = folds == fold
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=1e-3, priors=priors)
        model.fit(values[~held_out], codes[~held_out])
        predicted[held_out] = model.predict(values[held_out])
    right = np.bincount(codes[predicted == codes], minlength=n_conditions)
    return np.asarray(right / np.bincount(codes, minlength=n_conditions))
