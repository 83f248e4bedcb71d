"""Inclusion probabilities are held against a known mask."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import binom
from sklearn.calibration import calibration_curve

from sams_core.analysis.calibration import (
    CONFIDENT,
    EDGES,
    Calibration,
    calibrate,
    reliability_table,
    tell_calibration,
    wilson,
)
from sams_core.analysis.metrics import match_masks

PROBABILITY = st.one_of(st.sampled_from([0.0, 0.1, 0.5, 0.9, 0.99, 1.0]), st.floats(0, 1, width=32))
SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(1, 5))


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    t, k, l = draw(SHAPES)  # noqa: E741
    return draw(arrays(np.int8, (t, k), elements=st.integers(0, 1))), draw(
        arrays(np.float32, (t, l), elements=PROBABILITY.map(np.float32))
    )


def diagonal(n: int, n_real: int, probability: float) -> Calibration:
    """One latent, n entries at one probability, n_real of them true."""
    truth = np.arange(n)[:, None] < n_real
    return calibrate(truth, np.full((n, 1), probability))


def test_bins_by_hand() -> None:
    truth = np.array([[1, 0], [1, 0], [0, 1], [0, 1]])
    probability = np.array(
        [[0.02, 0.95, 0.0], [0.05, 0.995, 0.6], [0.9, 0.1, 0.3], [0.4, 0.5, 0.0]]
    )  # the true latents are 1 and 0
    found = calibrate(truth, probability)
    rows = found.bins.drop(columns="mean_probability").to_numpy().tolist()
    assert rows == [[0, 0.1, 4, 0], [0.1, 0.5, 3, 1], [0.5, 0.9, 2, 0], [0.9, 0.99, 2, 2],
                    [0.99, 1, 1, 1]]  # fmt: skip
    means = [0.07 / 4, 0.8 / 3, 0.55, 0.925, 0.995]
    np.testing.assert_allclose(found.bins["mean_probability"], means, rtol=1e-6)
    gaps = [0.07, abs(1 - 0.8), 1.1, 0.15, 0.005]
    assert found.ece == pytest.approx(sum(gaps) / 12, rel=1e-6)
    assert found.n_unpaired == 0


def test_the_lower_bound_belongs_to_a_bin_in_tables_of_float32() -> None:
    for lower, upper in pairwise(EDGES):
        for kind in (np.float32, np.float64):
            bins = calibrate([[1]], np.full((1, 1), lower, kind)).bins
            assert bins[["lower", "upper"]].to_numpy().tolist() == [[lower, upper]]


def test_error_is_that_of_sklearn_where_its_bins_are_ours() -> None:
    rng = np.random.default_rng(0)
    probability = rng.choice([0.05, 0.3, 0.7, 0.93, 0.995], (200, 1))
    truth = rng.random((200, 1)) < probability**2
    shares, means = calibration_curve(truth[:, 0], probability[:, 0], n_bins=10_000)
    weights = np.unique(probability, return_counts=True)[1]
    expected = np.average(np.abs(shares - means), weights=weights)
    assert calibrate(truth, probability).ece == pytest.approx(expected, abs=1e-6)


@given(problems(), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_permuted_latents_change_nothing(
    problem: tuple[np.ndarray, np.ndarray], random: object
) -> None:
    truth, probability = problem
    rng = np.random.default_rng(random.getrandbits(32))  # type: ignore[attr-defined]
    found = calibrate(truth, probability)
    permuted = calibrate(
        truth[:, rng.permutation(truth.shape[1])],
        probability[:, rng.permutation(probability.shape[1])],
    )
    pd.testing.assert_frame_equal(found.bins, permuted.bins)
    assert found.n_unpaired == permuted.n_unpaired


@given(problems())
@settings(max_examples=200, deadline=None)
def test_every_entry_is_counted_once_and_hits_are_those_of_f1(
    problem: tuple[np.ndarray, np.ndarray],
) -> None:
    truth, probability = problem
    found = calibrate(truth, probability)
    bins = found.bins
    assert bins["n"].sum() == probability.size
    assert bins["n_real"].sum() + found.n_unpaired == truth.sum()
    assert bins["mean_probability"].between(bins["lower"] - 1e-6, bins["upper"] + 1e-6).all()
    is_open = probability >= 0.5
    hits = bins.loc[bins["lower"] >= 0.5, "n_real"].sum()
    assert hits == pytest.approx(match_masks(truth, is_open).precision * is_open.sum())
    assert 0 <= found.ece <= 1


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_calibrated_probabilities_have_a_small_error(seed: int) -> None:
    """Each bin's real entries lie within binomial bounds of what was claimed."""
    rng = np.random.default_rng(seed)
    claims = rng.choice([0.01, 0.05, 0.3, 0.95, 0.995], (500, 3), p=[0.6, 0.1, 0.1, 0.1, 0.1])
    truth = rng.random(claims.shape) < claims
    found = calibrate(truth, claims)
    n, n_real = found.bins["n"].to_numpy(), found.bins["n_real"].to_numpy()
    expected = n * found.bins["mean_probability"].to_numpy()
    low, high = binom.interval(1 - 1e-9, n, expected / n)
    assert (low - 1 <= n_real).all()  # claims within a bin differ: not quite binomial
    assert (n_real <= high + 1).all()
    assert found.ece <= np.maximum(expected - low + 1, high + 1 - expected).sum() / claims.size
    assert found.ece < 0.05


def test_over_confident_probabilities_have_a_large_error() -> None:
    assert diagonal(100, 60, 0.95).ece == pytest.approx(0.35)


@pytest.mark.parametrize(
    ("truth", "probability"),
    [
        (np.zeros((3, 2)), np.zeros((3, 2))),
        (np.ones((3, 2)), np.zeros((3, 4))),
        (np.ones((3, 4)), np.zeros((3, 1))),
    ],
)
def test_closed_masks_are_counted(truth: np.ndarray, probability: np.ndarray) -> None:
    found = calibrate(truth, probability)
    assert found.bins["n"].tolist() == [probability.size]
    assert "No entry is reported at 0.9 or above" in tell_calibration(found)
    assert found.ece == found.bins["n_real"].sum() / probability.size


def test_a_mask_without_entries_has_no_error() -> None:
    found = calibrate(np.zeros((0, 2)), np.zeros((0, 3)))
    assert np.isnan(found.ece)
    assert found.summary() == {"bins": [], "n_unpaired": 0, "ece": None}
    assert reliability_table(found).empty


def test_wilson_is_the_closed_form() -> None:
    z, k, n = 1.959963984540054, 128, 130
    p = k / n
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert wilson(k, n) == pytest.approx((middle - half, middle + half))
    table = reliability_table(diagonal(n, k, 0.97))
    assert table.index.tolist() == ["0.9 to 0.99"]
    assert table[["low", "high"]].to_numpy()[0] == pytest.approx((middle - half, middle + half))


@pytest.mark.parametrize(
    ("n_real", "probability", "said"),
    [
        (128, 0.97, None),
        (128, 0.9995, "over-confident"),
        (130, 0.92, "under-confident"),
        (130, 1.0, None),
        (0, 0.95, "over-confident"),
    ],
)
def test_words_say_how_far_to_believe(n_real: int, probability: float, said: str | None) -> None:
    words = tell_calibration(diagonal(130, n_real, probability))
    assert words.startswith(f"Of the 130 entries reported at 0.9 or above, {n_real} are real (")
    assert ("confident" in words) == (said is not None)
    assert (said or "") in words
    assert ("stability" in words) == (said is not None)
    assert "paired with the true ones by the truth itself" in words


def test_words_give_the_interval_and_pool_both_confident_bins() -> None:
    truth = np.ones((130, 1))
    truth[:2] = 0
    claims = np.where(np.arange(130) % 2, 0.96, 0.995)[:, None]
    assert "130 entries reported at 0.9 or above, 128 are real (98%; 95–100%)." in tell_calibration(
        calibrate(truth, claims)
    )
    assert CONFIDENT in EDGES


def test_words_for_a_single_entry() -> None:
    assert "One entry is reported at 0.9 or above; it is real." in tell_calibration(
        diagonal(1, 1, 0.95)
    )


@given(problems())
@settings(max_examples=50, deadline=None)
def test_the_summary_survives_json(problem: tuple[np.ndarray, np.ndarray]) -> None:
    found = calibrate(*problem)
    summary = json.loads(json.dumps(found.summary(), allow_nan=False))
    again = Calibration.from_summary(summary)
    pd.testing.assert_frame_equal(again.bins, found.bins)
    assert again.ece == pytest.approx(found.ece, abs=1e-12)
    assert summary["ece"] == pytest.approx(found.ece, abs=1e-12)
