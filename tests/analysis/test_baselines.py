from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import svd
from sklearn.model_selection import KFold

from sams_core.analysis.baselines import (
    BASELINES,
    baseline_effects,
    baseline_predictions,
    single_effects,
)
from sams_core.analysis.bilinear import PENALTIES, ridge_bilinear
from sams_core.analysis.metrics import effect_agreement


def _screen(seed: int, n_singles: int = 8, n_genes: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Dosages of all singles and pairs, and effects that add up."""
    rng = np.random.default_rng(seed)
    pairs = [(i, j) for i in range(n_singles) for j in range(i)]
    doses = np.zeros((n_singles + len(pairs), n_singles))
    doses[np.arange(n_singles), np.arange(n_singles)] = 1
    for row, pair in enumerate(pairs, start=n_singles):
        doses[row, list(pair)] = 1
    singles = rng.normal(size=(n_singles, n_genes))
    return doses, doses @ singles


def test_no_change_has_no_correlation_but_an_error() -> None:
    rng = np.random.default_rng(2)
    train, test = rng.normal(size=(3, 30)), rng.normal(size=(3, 30))
    scores = effect_agreement(test, baseline_effects(train)["no_change"]).summary()
    assert scores["pearson"] is None
    assert scores["pearson_top20"] is None
    assert scores["rmse"] == pytest.approx(np.sqrt((test**2).mean()))


def test_perturbed_mean_averages_training_effects_of_singles() -> None:
    train = np.array([[1.0, 3.0], [3.0, 5.0], [100.0, 100.0], [np.nan, np.nan]])
    single = np.array([True, True, False, True])
    got = baseline_effects(train, single)["perturbed_mean"]
    np.testing.assert_allclose(got, [[2.0, 4.0]] * 4)
    only_doubles = baseline_effects(train[[2]], single[[2]])["perturbed_mean"]
    np.testing.assert_allclose(only_doubles, [[100.0, 100.0]])


def test_baselines_by_hand() -> None:
    doses = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, 0, 1], [0.5, 2, 0]])
    train = np.array([[1.0, 2.0], [3.0, -2.0], [np.nan] * 2, [9.0, 9.0], [np.nan] * 2, [0.0, 0.0]])
    got = baseline_predictions(train, doses)
    assert tuple(got) == BASELINES
    np.testing.assert_allclose(got["no_change"], 0)
    np.testing.assert_allclose(got["perturbed_mean"], [[2.0, 0.0]] * 6)
    matching = np.array([[1, 2], [3, -2], [2, 0], [2, 0], [1.5, 1], [3.25, -1.5]])
    np.testing.assert_allclose(got["matching_mean"], matching)
    added = np.array([[1, 2], [3, -2], [4, 0], [6.5, -3]])
    np.testing.assert_allclose(got["additive"][[0, 1, 3, 5]], added)
    assert np.isnan(got["additive"][[2, 4]]).all()
    assert np.isnan(got["ridge_bilinear"][[2, 4]]).all()


def test_single_effects_fit_a_line_through_the_origin() -> None:
    doses = np.array([[0.5, 0], [2.0, 0], [0, 1.0], [1.0, 1.0]])
    train = np.array([[1.0, 0.2], [3.0, 1.0], [5.0, 5.0], [7.0, 7.0]])
    train[2] = np.nan
    got = single_effects(train, doses)
    expected = np.linalg.lstsq(doses[:2, :1], train[:2], rcond=None)[0]
    np.testing.assert_allclose(got[:1], expected)
    assert np.isnan(got[1]).all()


def test_ridge_bilinear_is_additive_where_combinations_are() -> None:
    doses, effects = _screen(0)
    train = effects.copy()
    train[-10:] = np.nan
    got = baseline_predictions(train, doses)
    np.testing.assert_allclose(got["additive"], effects)
    np.testing.assert_allclose(got["ridge_bilinear"], effects, atol=0.02)


def test_ridge_bilinear_learns_that_combinations_fall_short() -> None:
    """Where pairs do half of what their singles add up to, it must beat the sum."""
    doses, effects = _screen(1, n_singles=10, n_genes=40)
    pair = doses.sum(axis=1) == 2
    effects[pair] *= 0.5
    train = effects.copy()
    held_out = np.flatnonzero(pair)[::2]
    train[held_out] = np.nan
    got = baseline_predictions(train, doses)
    error = {name: np.mean((got[name][held_out] - effects[held_out]) ** 2) for name in BASELINES}
    assert error["ridge_bilinear"] < 0.6 * error["additive"]


def test_ridge_bilinear_equals_its_normal_equations() -> None:
    """Against the closed form at the penalty that brute force over held-out pairs prefers."""
    doses, effects = _screen(2, n_singles=6, n_genes=15)
    rng = np.random.default_rng(3)
    train = effects + rng.normal(scale=1.5, size=effects.shape)
    measured = train[:6]
    genes = svd(measured)[2][:4]
    embedding = doses @ (measured @ genes.T)

    def closed_form(penalty: float, rows: np.ndarray) -> np.ndarray:
        x, y = embedding - embedding[rows].mean(axis=0), train @ genes.T
        y = y - y[rows].mean(axis=0)
        gram = x[rows].T @ x[rows] + penalty * np.eye(4)
        weights = np.linalg.solve(gram, x[rows].T @ y[rows])
        return train[rows].mean(axis=0) + x @ weights @ genes

    everyone, pairs = np.arange(len(doses)), np.arange(6, len(doses))
    errors = np.zeros(len(PENALTIES))
    for _, fold in KFold(5, shuffle=True, random_state=0).split(pairs):
        rows = np.setdiff1d(everyone, pairs[fold])
        for i, penalty in enumerate(PENALTIES):
            missed = (closed_form(penalty, rows) - train)[pairs[fold]] @ genes.T
            errors[i] += np.mean(missed**2)
    best = PENALTIES[errors.argmin()]
    assert best > PENALTIES[0], "noisy pairs should be shrunk"
    got = ridge_bilinear(train, doses, measured, n_components=4)
    np.testing.assert_allclose(got, closed_form(best, everyone), atol=1e-8)


def test_ridge_bilinear_on_singles_alone_gives_their_leading_part() -> None:
    rng = np.random.default_rng(4)
    train = rng.normal(size=(6, 20))
    got = ridge_bilinear(train, np.eye(6), train, n_components=3)
    genes = svd(train)[2][:3]
    centred = train - train.mean(axis=0)
    np.testing.assert_allclose(got, train.mean(axis=0) + centred @ genes.T @ genes, atol=0.02)


def test_too_little_to_learn_from() -> None:
    doses = np.array([[1.0, 1.0], [1.0, 0.0]])
    got = baseline_predictions(np.array([[1.0, 2.0], [np.nan] * 2]), doses)
    assert np.isnan(got["additive"]).all()
    assert np.isnan(got["ridge_bilinear"]).all()
    np.testing.assert_allclose(got["matching_mean"], [[1.0, 2.0]] * 2)
    nothing = baseline_predictions(np.full((2, 2), np.nan), doses)
    assert np.isnan(nothing["perturbed_mean"]).all()
    np.testing.assert_allclose(nothing["no_change"], 0)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_baselines_follow_permutations(seed: int) -> None:
    rng = np.random.default_rng(seed)
    doses, effects = _screen(seed, n_singles=5, n_genes=9)
    train = effects + rng.normal(scale=0.3, size=effects.shape)
    train[rng.integers(len(train), size=4)] = np.nan
    rows, genes = rng.permutation(len(doses)), rng.permutation(9)
    perturbations = rng.permutation(5)
    plain = baseline_predictions(train, doses)
    moved = baseline_predictions(train[rows][:, genes], doses[rows][:, perturbations])
    for name in ("no_change", "perturbed_mean", "matching_mean", "additive"):
        np.testing.assert_allclose(moved[name], plain[name][rows][:, genes], atol=1e-9)
    same_order = baseline_predictions(train[:, genes], doses[:, perturbations])
    np.testing.assert_allclose(
        same_order["ridge_bilinear"], plain["ridge_bilinear"][:, genes], atol=1e-6
    )


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_test_cells_are_not_looked_at(seed: int) -> None:
    """A condition unseen in training cannot move any prediction."""
    rng = np.random.default_rng(seed)
    doses, effects = _screen(seed, n_singles=4, n_genes=6)
    train = effects + rng.normal(scale=0.3, size=effects.shape)
    train[-2:] = np.nan
    whole, fewer = baseline_predictions(train, doses), baseline_predictions(train[:-2], doses[:-2])
    for name in BASELINES:
        np.testing.assert_allclose(whole[name][:-2], fewer[name], atol=1e-9)
