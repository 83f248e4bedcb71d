"""A trained model's predictions beside cells that it did not see, to calibrate its intervals by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from sams_core.analysis.combination_draws import combination_draws
from sams_core.analysis.condition_effects import condition_dosages
from sams_core.analysis.differential import group_statistics
from sams_core.analysis.interval_calibration import (
    Basis,
    IntervalScale,
    along_sum,
    sum_of_singles,
)
from sams_core.analysis.interval_errors import (
    MIN_CONDITIONS,
    POSTERIOR,
    ErrorModel,
    FloatArray,
    fit_error_model,
)
from sams_core.data.screen import Screen
from sams_core.perturbation_model import PerturbationModel

MIN_CELLS = 10
"""Cells outside training that a condition needs to be measured."""
MAX_CONDITIONS = 80
"""Held-out conditions that are predicted; of more, a random sample."""
RESPONDING = 0.1
"""Genes predicted to move by so much, log2 units, judge intervals: others hardly can be wrong."""
MIN_GENES = 20
"""Genes of largest predicted effect that judge in any case."""

_PRIOR_CELLS = 5.0  # by which a variance of few cells is drawn to the control's


@dataclass(frozen=True)
class _Measured:
    """Mean expression of conditions in cells outside training, and its variance."""

    mean: dict[str, FloatArray]
    variance: dict[str, FloatArray]
    control: str

    def effect(self, name: str) -> tuple[FloatArray, FloatArray]:
        """Effect of a condition and its variance: (G,) each."""
        return (
            self.mean[name] - self.mean[self.control],
            self.variance[name] + self.variance[self.control],
        )

    def interaction(self, name: str, singles: Sequence[str]) -> tuple[FloatArray, FloatArray]:
        """Deviation of a combination from the sum of its singles, and its variance."""
        others = len(singles) - 1
        mean = self.mean[name] + others * self.mean[self.control]
        variance = self.variance[name] + others**2 * self.variance[self.control]
        for single in singles:
            mean, variance = mean - self.mean[single], variance + self.variance[single]
        return mean, variance


def calibrate_intervals(
    model: PerturbationModel,
    screen: Screen,
    *,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> IntervalScale:
    """Calibrate a model's intervals by test and validation cells.

    Combinations that training did not see are taken where ten or more were measured; else those
    that it saw; else single perturbations, which say nothing of interactions.

    Parameters
    ----------
    model
        A trained model.
    screen
        The screen it was trained on.
    seed
        Of the draws, and of the sample of conditions.
    progress
        Called with the share done.

    Returns
    -------
    The posterior alone where there are too few conditions, or where combinations are perturbations
    of their own to the model.
    """
    measured, unseen, seen = _measurements(model, screen)
    if measured is None or model.record.combinations == "own":
        return IntervalScale()
    report = progress or (lambda share: None)
    if len(unseen) >= MIN_CONDITIONS:
        return _by_combinations(model, measured, unseen, "unseen_combinations", seed, report)
    if len(seen) >= MIN_CONDITIONS:
        return _by_combinations(model, measured, seen, "seen_combinations", seed, report)
    return _by_singles(model, measured, seed, report)


@dataclass
class _Residuals:
    """Residuals of one quantity, gathered condition by condition."""

    parts: list[tuple[FloatArray, ...]]

    def add(
        self,
        measured: tuple[FloatArray, FloatArray],
        centre: FloatArray,
        posterior_sd: FloatArray,
        additive: FloatArray,
        interaction: FloatArray,
    ) -> None:
        """Add a condition: measurement with its variance, and what was predicted."""
        mean, variance = measured
        columns = (mean - centre, np.sqrt(variance), posterior_sd, additive, interaction)
        self.parts.append(np.broadcast_arrays(*map(np.atleast_1d, columns)))

    def fit(self) -> ErrorModel | None:
        """Fit the variance of errors; None for too few conditions."""
        if len(self.parts) < MIN_CONDITIONS:
            return None
        residual, noise, posterior_sd, additive, interaction = (
            np.concatenate(each) for each in zip(*self.parts, strict=True)
        )
        condition = np.repeat(np.arange(len(self.parts)), [part[0].size for part in self.parts])
        return fit_error_model(residual, noise, posterior_sd, additive, interaction, condition)


def _by_combinations(
    model: PerturbationModel,
    measured: _Measured,
    found: Sequence[str],
    basis: Basis,
    seed: int,
    report: Callable[[float], None],
) -> IntervalScale:
    effect, deviation, share = _Residuals([]), _Residuals([]), _Residuals([])
    for done, name in enumerate(_sample(found, seed), 1):
        singles = name.split("+")
        draws = combination_draws(model, singles, seed=seed)
        predicted, parted = draws[-1].mean(0), draws[-1] - draws[:-1].sum(0)
        interaction, direction = parted.mean(0), sum_of_singles(draws)
        genes = _responding(np.maximum(np.abs(predicted), np.abs(direction)))
        both = direction[genes], interaction[genes]
        mean, variance = measured.effect(name)
        sd = draws[-1].std(0, ddof=1)
        effect.add((mean[genes], variance[genes]), predicted[genes], sd[genes], *both)
        if all(single in measured.mean for single in singles):
            mean, variance = measured.interaction(name, singles)
            sd = parted.std(0, ddof=1)
            deviation.add((mean[genes], variance[genes]), both[1], sd[genes], *both)
            if direction.any():  # there is a sum to go along
                values = along_sum(draws, direction)
                weight = direction / (direction @ direction)
                none, one = np.zeros(1), np.ones(1)
                noisy = weight @ mean, weight**2 @ variance
                share.add(noisy, values.mean(keepdims=True), values.std(ddof=1), one, none)
        report(done / min(len(found), MAX_CONDITIONS))
    fitted = effect.fit()
    assert fitted is not None
    return IntervalScale(fitted, deviation.fit() or fitted, share.fit() or POSTERIOR, basis=basis)


def _by_singles(
    model: PerturbationModel, measured: _Measured, seed: int, report: Callable[[float], None]
) -> IntervalScale:
    known = [str(name) for name in model.perturbation_names if str(name) in measured.mean]
    if len(known) < MIN_CONDITIONS:
        return IntervalScale()
    names = _sample(known, seed)
    effect = _Residuals([])
    for start in range(0, len(names), 2):
        pair = names[start : start + 2] if start + 2 <= len(names) else names[-2:]
        draws = combination_draws(model, pair, seed=seed)
        for name, drawn in zip(pair, draws[:-1], strict=True):
            if name not in names[start : start + 2]:
                continue
            genes = _responding(np.abs(predicted := drawn.mean(0)))
            mean, variance = measured.effect(name)
            effect.add(
                (mean[genes], variance[genes]),
                predicted[genes], drawn.std(0, ddof=1)[genes], predicted[genes], np.zeros(1),
            )  # fmt: skip
        report(min(1.0, (start + 2) / len(names)))
    fitted = effect.fit()
    assert fitted is not None
    return IntervalScale(fitted, fitted, basis="singles")


def _measurements(
    model: PerturbationModel, screen: Screen
) -> tuple[_Measured | None, list[str], list[str]]:
    """Conditions measured outside training, and which combinations training saw or not."""
    outside = np.isin(model.split, ("test", "val"))
    statistics = group_statistics(screen.counts, screen.conditions, cells=outside)
    enough = statistics.n_cells >= MIN_CELLS
    control = list(statistics.groups).index(screen.control)
    if not enough[control]:
        return None, [], []
    n = statistics.n_cells[:, None].astype(np.float64)
    spread = statistics.variance[control]
    variance = (n - 1) * statistics.variance + _PRIOR_CELLS * spread
    variance /= (n - 1 + _PRIOR_CELLS) * n
    conditions, dosages = condition_dosages(screen)
    members = {
        str(name): "+".join(map(str, screen.perturbation_names[row != 0]))
        for name, row in zip(conditions, dosages, strict=True)
        if np.isin(row, (0, 1)).all()
    } | {screen.control: screen.control}
    rows = {
        members[str(name)]: row
        for row, name in enumerate(statistics.groups)
        if enough[row] and str(name) in members
    }
    trained = {
        members[str(name)]
        for name in pd.unique(np.asarray(screen.conditions)[model.split == "train"])
        if str(name) in members
    }
    combined = [name for name in rows if "+" in name and name != screen.control]
    return (
        _Measured(
            {name: statistics.mean[row] for name, row in rows.items()},
            {name: variance[row] for name, row in rows.items()},
            screen.control,
        ),
        [name for name in combined if name not in trained],
        [name for name in combined if name in trained],
    )


def _responding(size: FloatArray) -> npt.NDArray[np.bool_]:
    """Genes by whose predicted effect intervals are judged."""
    count = min(MIN_GENES, size.size)
    return np.asarray(size >= min(RESPONDING, np.partition(size, -count)[-count]))


def _sample(names: Sequence[str], seed: int) -> list[str]:
    """At most :data:`MAX_CONDITIONS` names, in their order."""
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(names))[:MAX_CONDITIONS])
    return [names[i] for i in chosen]
