"""Intervals that cover measurements as often as they say, from conditions held out of training.

The posterior of E and M says how well a perturbation's place in latent space is known, given the
decoder. The decoder itself is a point estimate, and its error is in no posterior interval. So the
error of a prediction is given the variance ::

    factor^2 (sd^2 + a additive^2 + e excess^2 + f shortfall^2 + constant)

with the posterior's sd, the sum of the singles' effects, and what the prediction has beyond that
sum or short of it; and never less than the posterior's. Shares and constant are fitted by weighted
least squares to squared residuals on held-out cells, less the variance of the measurement.

The factor is conformal, with the shares fitted to other conditions (cross-conformal prediction,
Vovk 2015; genes within conditions that weigh the same: Lee, Barber & Willett 2023,
"Distribution-free inference with hierarchical data"). With K conditions, the level is
``0.9 (K + 1) / K`` and z its normal quantile. A residual r whose measurement has standard error se
has the score ``sqrt(max(0, r^2 / z^2 - se^2) / variance)``: the smallest factor at which a normal
interval, widened by the measurement's noise, has it. The factor is the quantile of the scores at
the level, or 1 if it is larger, times ``z / 1.645``. Without noise that is the conformal quantile;
noise is taken off as far as it is normal. What follows holds on average over conditions like the K,
not for each kind of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls
from scipy.stats import norm

FloatArray = npt.NDArray[np.float64]

LEVEL = 0.9
"""Share of the truth that an interval is to cover."""
Z = float(norm.ppf(0.5 + LEVEL / 2))
MIN_CONDITIONS = 10
"""With fewer conditions no finite interval is known to cover 90 %."""

_FOLDS = 10
_REWEIGHTINGS = 8
_OUTLIER = 4.0  # residuals beyond so many standard deviations count as this many in the fit


@dataclass(frozen=True)
class ErrorModel:
    """Variance of a prediction's error.

    Attributes
    ----------
    factor
        By which standard deviations are multiplied last.
    additive, excess, shortfall
        Shares of the squares of the sum of the singles' effects and of the interaction, where it
        goes the way of that sum and where it goes against it. A response that grows is harder to
        extrapolate than one that levels off.
    constant
        Variance that every prediction has.
    n_conditions
        Conditions that it was fitted to; 0 for the posterior alone.
    """

    factor: float = 1.0
    additive: float = 0.0
    excess: float = 0.0
    shortfall: float = 0.0
    constant: float = 0.0
    n_conditions: int = 0

    def sd(
        self, posterior_sd: npt.ArrayLike, additive: npt.ArrayLike, interaction: npt.ArrayLike
    ) -> FloatArray:
        """Standard deviation of the error.

        Parameters
        ----------
        posterior_sd, additive, interaction
            Posterior standard deviation of the quantity, sum of the singles' effects, and
            predicted deviation from it, in one unit and of shapes that broadcast.
        """
        posterior = np.square(np.asarray(posterior_sd, np.float64))
        shares = np.array([self.additive, self.excess, self.shortfall, self.constant])
        features = _features(np.asarray(additive), np.asarray(interaction))
        variance = self.factor**2 * (posterior + features @ shares)
        return np.asarray(np.sqrt(np.maximum(variance, posterior)))


POSTERIOR = ErrorModel()
"""The posterior's own variance."""


def fit_error_model(
    residual: FloatArray,
    noise: FloatArray,
    posterior_sd: FloatArray,
    additive: FloatArray,
    interaction: FloatArray,
    condition: npt.NDArray[np.intp],
) -> ErrorModel | None:
    """Fit the variance of errors to residuals of held-out conditions.

    Parameters
    ----------
    residual : (N,) array
        Measurement minus prediction, of genes in conditions.
    noise : (N,) array
        Standard errors of the measurements.
    posterior_sd, additive, interaction : (N,) arrays
        As in :meth:`ErrorModel.sd`.
    condition : (N,) array
        Number of the condition of each.

    Returns
    -------
    None for fewer than :data:`MIN_CONDITIONS` conditions.
    """
    n_conditions = np.unique(condition).size
    if n_conditions < MIN_CONDITIONS:
        return None
    known = np.stack([residual**2, noise**2, posterior_sd**2], axis=1)
    columns = np.concatenate([known, _features(additive, interaction)], axis=1)
    level = LEVEL * (n_conditions + 1) / n_conditions
    z = float(norm.ppf(0.5 + level / 2))
    fold = np.unique(condition, return_inverse=True)[1] % _FOLDS
    score = np.empty(len(columns))
    for part in range(_FOLDS):
        inside = fold == part
        shares = _fit_shares(columns[~inside], condition[~inside])
        squares, noises, posterior, *features = columns[inside].T
        variance = posterior + np.transpose(features) @ shares
        excess = np.maximum(squares / z**2 - noises, 0.0)
        score[inside] = np.sqrt(excess / np.maximum(variance, np.finfo(float).tiny))
    factor = max(1.0, weighted_quantile(score, condition, level)) * z / Z
    shares = _fit_shares(columns, condition)
    names = ("additive", "excess", "shortfall", "constant")
    fitted = dict(zip(names, shares.tolist(), strict=True))
    return ErrorModel(factor, n_conditions=n_conditions, **fitted)


def _features(additive: FloatArray, interaction: FloatArray) -> FloatArray:
    """Squares of the sum, of what goes beyond it and of what falls short, and 1: (..., 4)."""
    additive, interaction = np.broadcast_arrays(additive, interaction)
    square, beyond = np.square(interaction), additive * interaction > 0
    parts = [np.square(additive), square * beyond, square * ~beyond, np.ones_like(square)]
    return np.stack(parts, axis=-1).astype(np.float64)


def weighted_quantile(score: FloatArray, condition: npt.NDArray[np.intp], level: float) -> float:
    """Smallest score that a share ``level`` of the scores does not exceed.

    Parameters
    ----------
    score : (N,) array
        Scores.
    condition : (N,) array
        Condition of each; conditions weigh the same, whatever their number of scores.
    level
        In (0, 1].
    """
    _, place, count = np.unique(condition, return_inverse=True, return_counts=True)
    order = np.argsort(score, kind="stable")
    weight = np.cumsum((1.0 / count[place])[order]) / count.size
    return float(score[order[np.searchsorted(weight, level * (1 - 1e-12))]])


def _fit_shares(columns: FloatArray, condition: npt.NDArray[np.intp]) -> FloatArray:
    """Non-negative coefficients of features, weighted by the precision of squared residuals.

    Columns are the squared residual, the variances of measurement and posterior, and features.
    """
    _, place, count = np.unique(condition, return_inverse=True, return_counts=True)
    observed, base, features = columns[:, 0], columns[:, 1] + columns[:, 2], columns[:, 3:]
    shares = np.zeros(features.shape[1])
    shares[-1] = max(float(np.mean(observed - base)), 0.0)
    floor = 1e-12 + 1e-6 * float(np.mean(observed))
    for _ in range(_REWEIGHTINGS):
        expected = base + features @ shares + floor
        squares = np.minimum(observed, _OUTLIER**2 * expected)
        weight = 1 / (expected * np.sqrt(count[place]))
        shares, _ = nnls(features * weight[:, None], (squares - base) * weight)
    return np.asarray(shares)
