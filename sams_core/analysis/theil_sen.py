"""Theil and Sen's estimator of two coefficients without an intercept, for many data sets at once.

Every pair of observations determines both coefficients; the estimate is the spatial median of
these solutions (Dang, Peng, Wang & Zhang 2008), as in scikit-learn's ``TheilSenRegressor``, which
solves one pair at a time.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

MAX_SUBSETS = 10_000
"""Pairs of observations that are looked at; of more, so many are drawn."""

_SINGULAR = 1e-10
_ITERATIONS = 300
_TOLERANCE = 1e-6


def fit_pairs(x1: FloatArray, x2: FloatArray, y: FloatArray, *, seed: int = 0) -> FloatArray:
    """Fit ``y ~ c1 x1 + c2 x2`` in each row.

    Parameters
    ----------
    x1, x2, y : (m, n) arrays
        m data sets of n observations.
    seed
        Of the pairs of observations, which all data sets share.

    Returns
    -------
    (m, 2) array
    """
    i, j = _subsets(x1.shape[1], seed)
    return np.array([_spatial_median(_solve(*row, i, j)) for row in zip(x1, x2, y, strict=True)])


def _subsets(n: int, seed: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    if n * (n - 1) // 2 <= MAX_SUBSETS:
        first, second = np.triu_indices(n, 1)
        return first, second
    generator = np.random.default_rng(seed)
    i = generator.integers(0, n, MAX_SUBSETS)
    return i, (i + generator.integers(1, n, MAX_SUBSETS)) % n


def _solve(
    x1: FloatArray,
    x2: FloatArray,
    y: FloatArray,
    i: npt.NDArray[np.intp],
    j: npt.NDArray[np.intp],
) -> FloatArray:
    """Coefficients from each pair; the shortest ones where a pair leaves them open: (s, 2)."""
    determinant = x1[i] * x2[j] - x1[j] * x2[i]
    square = x1[i] ** 2 + x2[i] ** 2 + x1[j] ** 2 + x2[j] ** 2
    regular = np.abs(determinant) > _SINGULAR * square
    by = np.where(regular, determinant, 1.0)
    solutions = np.stack([(y[i] * x2[j] - y[j] * x2[i]) / by, (x1[i] * y[j] - x1[j] * y[i]) / by])
    normal = np.stack([x1[i] * y[i] + x1[j] * y[j], x2[i] * y[i] + x2[j] * y[j]])
    shortest = normal / np.where(square > 0, square, 1.0)  # M'y / |M|^2 for a matrix of rank 1
    return np.where(regular, solutions, shortest).T


def _spatial_median(points: FloatArray) -> FloatArray:
    """Point with the least sum of distances, by Weiszfeld's iteration: (s, 2) to (2,)."""
    centre = np.median(points, axis=0)
    for _ in range(_ITERATIONS):
        distance = np.hypot(*(points - centre).T)
        weight = 1 / np.maximum(distance, 1e-12)
        moved = weight @ points / weight.sum()
        if np.abs(moved - centre).max() < _TOLERANCE:
            return moved
        centre = moved
    return centre
