from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.decomposition import PCA

from sams_core.analysis.cell_space import (
    draw_cells,
    e_distance,
    e_distances,
    fit_cell_space,
)
from sams_core.analysis.evaluation_effects import measure
from tests.support.tiny import tiny_screen


def _counts(seed: int, n: int = 300, genes: int = 30) -> sparse.csr_matrix:
    rng = np.random.default_rng(seed)
    rate = rng.lognormal(size=genes) * rng.lognormal(size=(n, 1))
    return sparse.csr_matrix(rng.poisson(rate).astype(np.uint16))


def test_e_distance_matches_brute_force() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 3)), rng.normal(size=(5, 3)) + 1

    def mean(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
        return float(np.mean([np.sqrt(((a - b) ** 2).sum()) for a, b in pairs]))

    between = mean([(a, b) for a in x for b in y])
    within_x = mean([(x[i], x[j]) for i in range(7) for j in range(7) if i != j])
    within_y = mean([(y[i], y[j]) for i in range(5) for j in range(5) if i != j])
    assert e_distance(x, y) == pytest.approx(2 * between - within_x - within_y)
    assert np.isnan(e_distance(x[:1], y))
    np.testing.assert_allclose(e_distances([x, y], iter([y, x])), [e_distance(x, y)] * 2)


def test_e_distance_is_unbiased_at_no_difference() -> None:
    rng = np.random.default_rng(1)
    found = [e_distance(rng.normal(size=(10, 4)), rng.normal(size=(6, 4))) for _ in range(2000)]
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(2000)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_e_distance_ignores_order_shift_and_rotation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(9, 3)), rng.normal(size=(8, 3)) + 0.5
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    plain = e_distance(x, y)
    assert e_distance(y, x) == pytest.approx(plain)
    assert e_distance(rng.permutation(x) @ turn + 3, y @ turn + 3) == pytest.approx(plain)


def test_space_is_the_pca_of_log_normalised_cells() -> None:
    counts = _counts(2)
    dense = counts.toarray().astype(float)
    log = np.log2(1e4 * dense / dense.sum(axis=1, keepdims=True) + 1)
    space = fit_cell_space(counts, n_components=5)
    expected = PCA(5, svd_solver="full").fit(log)
    signs = np.sign((space.components * expected.components_).sum(axis=1))
    np.testing.assert_allclose(space.components * signs[:, None], expected.components_, atol=1e-6)
    np.testing.assert_allclose(space.project(counts) * signs, expected.transform(log), atol=1e-6)
    effect = np.random.default_rng(3).normal(size=(2, 30))
    moved = expected.transform(log[:1] + effect) - expected.transform(log[:1])
    np.testing.assert_allclose(space.shift(effect) * signs, moved, atol=1e-6)
    assert space.describe() == (
        "first 5 principal components of log2(1e4 x / sum(x) + 1), from 300 training cells"
    )


def test_space_of_few_cells_and_genes() -> None:
    assert len(fit_cell_space(_counts(4, n=6)).components) == 5
    assert len(fit_cell_space(_counts(4, genes=9)).components) == 8
    some = fit_cell_space(_counts(5), n_components=3, max_cells=100, seed=1)
    again = fit_cell_space(_counts(5), n_components=3, max_cells=100, seed=1)
    assert some.n_cells == 100
    np.testing.assert_array_equal(some.components, again.components)


def test_drawn_cells() -> None:
    cells = np.arange(50, 80)
    np.testing.assert_array_equal(draw_cells(cells, 30, np.random.default_rng(0)), cells)
    drawn = draw_cells(cells, 10, np.random.default_rng(0))
    assert np.isin(drawn, cells).all()
    assert (np.diff(drawn) > 0).all()


def test_evaluation_measures_in_the_space_of_all_training_cells() -> None:
    """Not of the few that an E-distance is computed from."""
    screen = tiny_screen(n_control=260)
    split = np.where(np.arange(screen.n_cells) % 4 == 0, "test", "train").astype(object)
    train = np.flatnonzero(split == "train")
    space = measure(screen, split).space
    assert space.n_cells == len(train) > 300
    expected = fit_cell_space(screen.counts[train])
    np.testing.assert_allclose(space.components, expected.components)
