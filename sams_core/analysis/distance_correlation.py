"""Distance correlation (Szekely, Rizzo & Bakirov 2007) of effects, row by row."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

FloatArray = npt.NDArray[np.float64]


def univariate(x: FloatArray, y: FloatArray) -> FloatArray:
    """Distance correlation of each row of x with that of y, over columns: two (m, n) to (m,)."""
    from dcor import distance_correlation  # compiles and takes seconds to import

    return np.array([distance_correlation(a, b) for a, b in zip(x, y, strict=True)])


def bivariate(x1: FloatArray, x2: FloatArray, *ys: FloatArray) -> list[FloatArray]:
    """Distance correlation of the points (x1, x2) with each y: (m, n) arrays to (m,) each.

    dcor takes some six times as long for points of more than one dimension.
    """
    found = np.array([_of_points(*row) for row in zip(x1, x2, *ys, strict=True)])
    return list(found.T)


def _of_points(x1: FloatArray, x2: FloatArray, *ys: FloatArray) -> list[float]:
    points = np.stack([x1, x2], axis=1)
    distances = cdist(points, points)
    variance = _covariance(distances, distances)
    found = []
    for y in ys:
        of_y = np.abs(y[:, None] - y)
        scale = np.sqrt(variance * _covariance(of_y, of_y))
        across = max(_covariance(distances, of_y), 0.0)
        found.append(float(np.sqrt(across / scale)) if scale > 0 else 0.0)
    return found


def _covariance(a: FloatArray, b: FloatArray) -> float:
    """Mean product of two distance matrices centred by rows and columns."""
    rows = a.mean(0), b.mean(0)
    centred = np.vdot(a, b) / a.size - 2 * np.mean(rows[0] * rows[1])
    return float(centred + rows[0].mean() * rows[1].mean())
