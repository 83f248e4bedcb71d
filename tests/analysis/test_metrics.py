from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sams_core.analysis.metrics import (
    effect_agreement,
    match_masks,
    mean_correlation_coefficient,
    mean_cross_jaccard,
    mean_pairwise_jaccard,
    pearson,
    r_squared,
)


@pytest.fixture(scope="module")
def stored(shared_fixtures: Path) -> dict[str, np.ndarray]:
    with np.load(shared_fixtures / "data_and_metrics.npz") as arrays:
        return dict(arrays)


def test_effect_scores_equal_the_stored_numbers(stored: dict[str, np.ndarray]) -> None:
    got = effect_agreement(stored["atem_data"], stored["atem_model"])
    assert got.pearson == pytest.approx(float(stored["atem_ATE_pearsonr"]), abs=1e-12)
    assert got.r2 == pytest.approx(float(stored["atem_ATE_r2"]), abs=1e-12)
    assert got.pearson_top20_pooled == pytest.approx(
        float(stored["atem_ATE_pearsonr_top20"]), abs=1e-12
    )
    assert got.r2_top20_pooled == pytest.approx(float(stored["atem_ATE_r2_top20"]), abs=1e-12)


def test_mask_match_equals_the_stored_numbers(stored: dict[str, np.ndarray]) -> None:
    got = match_masks(stored["mask_true"], stored["mask_est"])
    np.testing.assert_array_equal(got.columns, stored["mask_idx"])
    assert got.precision == pytest.approx(float(stored["mask_precision"]))
    assert got.recall == pytest.approx(float(stored["mask_recall"]))
    assert got.f1 == pytest.approx(float(stored["mask_f1"]))


def test_latent_match_equals_the_stored_number(stored: dict[str, np.ndarray]) -> None:
    got = mean_correlation_coefficient(stored["mcc_x"], stored["mcc_y"])
    assert got == pytest.approx(float(stored["mcc"]), abs=1e-12)


def test_scores_by_condition_match_scipy() -> None:
    rng = np.random.default_rng(0)
    data, model = rng.normal(size=(4, 50)), rng.normal(size=(4, 50))
    got = effect_agreement(data, model)
    for row in range(4):
        top = np.argsort(-np.abs(data[row]))[:20]
        whole = stats.pearsonr(data[row], model[row]).statistic
        assert got.by_condition[row] == pytest.approx(whole)
        few = stats.pearsonr(data[row, top], model[row, top]).statistic
        assert got.by_condition_top20[row] == pytest.approx(few)
    assert got.pearson_top20 == pytest.approx(got.by_condition_top20.mean())
    assert got.rmse == pytest.approx(np.sqrt(((data - model) ** 2).mean()))


def test_conditions_without_a_measurement_take_no_part() -> None:
    rng = np.random.default_rng(1)
    data, model = rng.normal(size=(3, 30)), rng.normal(size=(3, 30))
    data[1] = np.nan
    got, rest = effect_agreement(data, model), effect_agreement(data[[0, 2]], model[[0, 2]])
    assert got.pearson == rest.pearson
    assert got.rmse == rest.rmse
    assert np.isnan(got.by_condition[1])
    assert np.isnan(effect_agreement(data[[1]], model[[1]]).rmse)


def test_perfect_and_empty_masks() -> None:
    truth = np.eye(4, 3)
    assert match_masks(truth, truth[:, [2, 0, 1]]).f1 == 1
    nothing = match_masks(truth, np.zeros((4, 5)))
    assert (nothing.precision, nothing.recall, nothing.f1) == (0, 0, 0)
    fewer = match_masks(truth, truth[:, :2])
    assert fewer.precision == 1
    assert fewer.recall == pytest.approx(2 / 3)
    assert sorted(fewer.columns) == [-1, 0, 1]


def test_jaccard_by_hand() -> None:
    rows = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]])
    assert mean_pairwise_jaccard(rows[:2]) == pytest.approx(1 / 3)
    assert mean_pairwise_jaccard(rows) == pytest.approx(1 / 9)
    assert np.isnan(mean_pairwise_jaccard(rows[:1]))
    assert mean_cross_jaccard(rows[:1], rows[1:]) == pytest.approx(1 / 6)


def test_undefined_scores() -> None:
    assert np.isnan(pearson(np.ones(5), np.arange(5.0)))
    assert np.isnan(pearson(np.ones(1), np.ones(1)))
    assert np.isnan(r_squared(np.ones(5), np.arange(5.0)))
    assert np.isnan(r_squared(np.ones(0), np.ones(0)))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**16), shift=st.floats(-3, 3), scale=st.floats(0.1, 10))
def test_pearson_ignores_order_shift_and_scale(seed: int, shift: float, scale: float) -> None:
    rng = np.random.default_rng(seed)
    data, model = rng.normal(size=(3, 25)), rng.normal(size=(3, 25))
    rows, genes = rng.permutation(3), rng.permutation(25)
    plain = effect_agreement(data, model)
    moved = effect_agreement(data[rows][:, genes], (scale * model + shift)[rows][:, genes])
    assert moved.pearson == pytest.approx(plain.pearson)
    assert moved.pearson_top20 == pytest.approx(plain.pearson_top20)
    np.testing.assert_allclose(moved.by_condition, plain.by_condition[rows])


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**16), latents=st.integers(1, 8))
def test_mask_match_ignores_order_of_latents(seed: int, latents: int) -> None:
    rng = np.random.default_rng(seed)
    truth, found = rng.random((12, 4)) < 0.3, rng.random((12, latents)) < 0.3
    plain = match_masks(truth, found)
    moved = match_masks(truth[:, rng.permutation(4)], found[:, rng.permutation(latents)])
    assert moved.f1 == pytest.approx(plain.f1)
    assert 0 <= plain.f1 <= 1


def test_a_condition_without_a_predicted_change_counts_as_zero() -> None:
    measured = np.array([[1.0, -2.0, 0.5, 3.0], [0.3, 0.1, -0.2, 0.4]])
    predicted = np.array([[0.8, -1.0, 0.9, 2.0], [0.0, 0.0, 0.0, 0.0]])
    got = effect_agreement(measured, predicted)
    first = np.corrcoef(measured[0], predicted[0])[0, 1]
    assert got.pearson_top20 == pytest.approx((first + 0) / 2)
    assert np.isnan(got.by_condition_top20[1])
    assert np.isnan(effect_agreement(measured, np.zeros_like(measured)).pearson_top20)
