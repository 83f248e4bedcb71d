"""Many cells on a map as a grid: how many lie where, and the mean of a number there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

N_BINS = 200
_SMOOTH = 4.0


@dataclass(frozen=True)
class Grid:
    """Equal bins over a map.

    Attributes
    ----------
    x, y
        (B + 1,) edges.
    """

    x: npt.NDArray[np.float64]
    y: npt.NDArray[np.float64]

    @classmethod
    def over(cls, points: npt.NDArray[np.floating], n_bins: int = N_BINS) -> Grid:
        """A grid that just holds all (n, 2) points."""
        low, high = points.min(axis=0).astype(float), points.max(axis=0).astype(float)
        high = np.where(high > low, high, low + 1.0)
        return cls(*(np.linspace(low[axis], high[axis], n_bins + 1) for axis in (0, 1)))

    @property
    def centres(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Middles of the bins along either axis."""
        return (self.x[:-1] + self.x[1:]) / 2, (self.y[:-1] + self.y[1:]) / 2

    def counts(self, points: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Points in each bin, (B, B): rows go along y."""
        return self._total(points, None)

    def mean(
        self, points: npt.NDArray[np.floating], values: npt.NDArray[np.floating]
    ) -> npt.NDArray[np.float64]:
        """Mean of the points' finite values in each bin; NaN without any."""
        finite = np.isfinite(values)
        counts = self.counts(points[finite])
        total = self._total(points[finite], np.asarray(values, float)[finite])
        return np.divide(total, counts, out=np.full_like(total, np.nan), where=counts > 0)

    def density(self, points: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Smoothed counts as a share of their highest, in [0, 1]."""
        smooth = ndimage.gaussian_filter(self.counts(points), _SMOOTH)
        highest = smooth.max()
        return np.asarray(smooth / highest if highest > 0 else smooth)

    def _total(
        self, points: npt.NDArray[np.floating], weights: npt.NDArray[np.float64] | None
    ) -> npt.NDArray[np.float64]:
        found = np.histogram2d(points[:, 1], points[:, 0], bins=(self.y, self.x), weights=weights)
        return np.asarray(found[0])
