"""Cells on a grid."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sams_core.analysis.latent_density import Grid


@pytest.fixture
def points() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)


def test_every_point_is_in_one_bin(points: np.ndarray) -> None:
    grid = Grid.over(points, 20)
    counts = grid.counts(points)
    assert counts.sum() == 500
    x, y = grid.centres
    heaviest = np.unravel_index(counts.argmax(), counts.shape)
    near = (abs(points[:, 0] - x[heaviest[1]]) <= np.diff(x)[0] / 2 + 1e-6) & (
        abs(points[:, 1] - y[heaviest[0]]) <= np.diff(y)[0] / 2 + 1e-6
    )
    assert near.sum() == counts.max()


def test_means_are_scipys(points: np.ndarray) -> None:
    values = np.random.default_rng(1).normal(size=500)
    values[:50] = np.nan
    grid = Grid.over(points, 12)
    known = np.isfinite(values)
    expected = stats.binned_statistic_2d(
        points[known, 1], points[known, 0], values[known], bins=[grid.y, grid.x]
    ).statistic
    np.testing.assert_allclose(grid.mean(points, values), expected)


def test_density_is_highest_where_points_are(points: np.ndarray) -> None:
    grid = Grid.over(points, 40)
    few = np.full((30, 2), 0.5) + np.random.default_rng(2).normal(0, 0.02, (30, 2))
    density = grid.density(few)
    x, y = grid.centres
    row, column = np.unravel_index(density.argmax(), density.shape)
    assert density.max() == 1
    assert (x[column], y[row]) == pytest.approx((0.5, 0.5), abs=0.3)
    assert not grid.density(points[:0]).any()


def test_points_in_one_place() -> None:
    assert Grid.over(np.ones((5, 2)), 4).counts(np.ones((5, 2))).sum() == 5
