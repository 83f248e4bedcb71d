"""Effects of conditions, measured and predicted, and the scores of every predictor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sams_core.analysis import cell_space
from sams_core.analysis.baselines import baseline_predictions
from sams_core.analysis.cell_space import CellSpace, draw_cells, e_distances, fit_cell_space
from sams_core.analysis.combination_scores import condition_scopes, score_predictions
from sams_core.analysis.condition_effects import MIN_TEST_CELLS, condition_dosages
from sams_core.analysis.differential import (
    DifferentialExpression,
    differential_expression,
    group_statistics,
)
from sams_core.analysis.duplicates import split_halves, technical_duplicate
from sams_core.analysis.normalisations import raw_mean_effects
from sams_core.data.screen import Screen

FloatArray = npt.NDArray[np.float64]
Cells = list[FloatArray]
"""Cells of each of C conditions in a space: (n, k) each."""

MAX_CELLS = 300
"""Cells of a condition, measured or predicted, that an E-distance is computed from at most."""


@dataclass(frozen=True)
class Measured:
    """What some cells say of every condition.

    Attributes
    ----------
    expression
        Effects in log2 units, with their tests.
    mean_counts
        (C, G) effects in counts per cell.
    cells
        A sample of each condition's cells.
    """

    expression: DifferentialExpression
    mean_counts: FloatArray
    cells: Cells


@dataclass(frozen=True)
class Prediction:
    """What is predicted of every condition; NaN rows, and conditions without cells, are not.

    Attributes
    ----------
    expression, mean_counts
        (C, G) effects in log2 units, and in counts per cell.
    cells
        Cells of each condition.
    """

    expression: FloatArray
    mean_counts: FloatArray
    cells: Iterable[FloatArray]


@dataclass(frozen=True)
class Measurements:
    """The data's side of an evaluation.

    Attributes
    ----------
    conditions
        Names of the C conditions but the control.
    dosages
        (C, T) dose of each of the screen's perturbations.
    space
        Where cells are compared.
    train, test, first_half, second_half
        What training cells, test cells and the halves of the test cells say.
    control_cells
        A sample of the control training cells in the space.
    """

    conditions: pd.Index
    dosages: npt.NDArray[np.float32]
    space: CellSpace
    train: Measured
    test: Measured
    first_half: Measured
    second_half: Measured
    control_cells: FloatArray

    @property
    def seen(self) -> npt.NDArray[np.bool_]:
        """(C,) conditions with training cells."""
        return self.train.expression.n_cells > 0

    @property
    def scored(self) -> npt.NDArray[np.bool_]:
        """(C,) conditions with enough test cells to be scored."""
        return self.test.expression.n_cells >= MIN_TEST_CELLS

    @property
    def scopes(self) -> dict[str, npt.NDArray[np.bool_]]:
        """(C,) conditions by scope, scopes without any left out."""
        scopes = condition_scopes(self.dosages, self.seen, self.scored)
        return {name: chosen for name, chosen in scopes.items() if chosen.any()}


def measure(screen: Screen, split: npt.NDArray[np.object_], *, seed: int = 0) -> Measurements:
    """Measure every condition's effects on training and on test cells.

    Parameters
    ----------
    screen
        n cells.
    split
        (n,) name of each cell's split.
    seed
        Of the halves and of samples of cells.
    """
    conditions, dosages = condition_dosages(screen)
    train, test = split == "train", split == "test"
    sample = draw_cells(np.flatnonzero(train), cell_space.MAX_CELLS, np.random.default_rng(seed))
    space = fit_cell_space(screen.counts[sample], seed=seed)
    rng = np.random.default_rng(seed)

    def place(cells: npt.NDArray[np.intp]) -> FloatArray:
        return space.project(screen.counts[draw_cells(cells, MAX_CELLS, rng)])

    def of(cells: npt.NDArray[np.bool_]) -> Measured:
        statistics = group_statistics(screen.counts, screen.conditions, cells=cells)
        mean_counts = raw_mean_effects(
            screen.counts, screen.conditions, screen.control, conditions, cells=cells
        )
        by_condition = [np.flatnonzero(cells & (names == condition)) for condition in conditions]
        return Measured(
            differential_expression(statistics, screen.control, conditions),
            mean_counts,
            [place(rows) for rows in by_condition],
        )

    names = np.asarray(screen.conditions)
    halves = split_halves(np.asarray(screen.conditions.codes), test, seed=seed)
    return Measurements(
        conditions, dosages, space, of(train), of(test), of(halves[0]), of(halves[1]),
        place(np.flatnonzero(train & (names == screen.control))),
    )  # fmt: skip


def score_model(data: Measurements, prediction: Prediction) -> list[dict[str, Any]]:
    """Score the model's prediction in every scope: rows of an evaluation."""
    return _score(data, prediction, "model", "model")


def score_baselines(data: Measurements, *, seed: int = 0) -> list[dict[str, Any]]:
    """Score every baseline in every scope.

    Effects come from training cells; a baseline's cells are control training cells moved by its
    effect.

    Parameters
    ----------
    data
        What was measured.
    seed
        Of folds.
    """
    rows = []
    train = data.train
    mean_counts = baseline_predictions(train.mean_counts, data.dosages, seed=seed)
    for name, effects in baseline_predictions(
        train.expression.effect, data.dosages, seed=seed
    ).items():
        cells = (data.control_cells + shift for shift in data.space.shift(effects))
        rows += _score(data, Prediction(effects, mean_counts[name], cells), name, "baseline")
    return rows


def score_ceiling(data: Measurements) -> list[dict[str, Any]]:
    """Score the technical duplicate in every scope."""
    seen = data.seen
    judged = [data.test if known else data.first_half for known in seen]
    other = [data.train if known else data.second_half for known in seen]
    duplicate = technical_duplicate(
        data.train.expression,
        data.test.expression,
        data.first_half.expression,
        data.second_half.expression,
    )
    return score_predictions(
        duplicate.measured,
        duplicate.predicted,
        data.scopes,
        predictor="technical_duplicate",
        kind="ceiling",
        fdr=duplicate.fdr,
        measured_mean=np.array([side.mean_counts[row] for row, side in enumerate(judged)]),
        predicted_mean=np.array([side.mean_counts[row] for row, side in enumerate(other)]),
        e_distances=e_distances(
            [side.cells[row] for row, side in enumerate(judged)],
            [side.cells[row] for row, side in enumerate(other)],
        ),
        retrieval_rank=duplicate.retrieval_rank,
    )


def _score(
    data: Measurements, prediction: Prediction, predictor: str, kind: str
) -> list[dict[str, Any]]:
    test = data.test
    return score_predictions(
        np.where(data.scored[:, None], test.expression.effect, np.nan),
        prediction.expression,
        data.scopes,
        predictor=predictor,
        kind=kind,
        fdr=test.expression.fdr,
        measured_mean=test.mean_counts,
        predicted_mean=prediction.mean_counts,
        e_distances=e_distances(test.cells, prediction.cells),
    )
