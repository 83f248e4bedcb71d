from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, stats

from sams_core.analysis.differential import differential_expression, group_statistics
from sams_core.analysis.predictive_check import check_draws, join_checks


def _replicates(
    rng: np.random.Generator, n: int, shift_sd: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Effects of a toy model: a bimodal masked shift a gene, and the noise of 30 and 90 cells."""
    shape = (n, 4, 500)
    shift = rng.normal(2, shift_sd, size=shape) * (rng.random(shape) < 0.4)
    noise = rng.normal(size=shape) / np.sqrt(30) - rng.normal(size=shape) / np.sqrt(90)
    return shift, shift + noise


def test_p_values_of_the_models_own_data_are_uniform() -> None:
    rng = np.random.default_rng(0)
    measured = _replicates(rng, 1)[1][0]
    got = check_draws(_replicates(rng, 199)[1], measured)
    assert stats.kstest(got.p_value.ravel(), "uniform").pvalue > 0.01
    coverage, surprising = got.summary()["coverage_90"], got.summary()["share_p_below_0.05"]
    assert coverage == pytest.approx(0.9, abs=4 * np.sqrt(0.9 * 0.1 / 2000))
    assert surprising == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 2000))
    assert got.summary()["n"] == 2000


def test_a_wrong_model_is_found_out() -> None:
    rng = np.random.default_rng(1)
    measured = _replicates(rng, 1, shift_sd=3.0)[1][0]
    summary = check_draws(_replicates(rng, 199)[1], measured).summary()
    assert summary["coverage_90"] is not None
    assert summary["coverage_90"] < 0.8
    without_cells = check_draws(_replicates(rng, 199)[0], measured).summary()
    assert without_cells["share_p_below_0.05"] is not None
    assert without_cells["share_p_below_0.05"] > 0.15


def test_counts_from_the_model_pass_its_check() -> None:
    """Effects computed from gamma-Poisson cells, as the data's are, with as many cells each."""
    rng = np.random.default_rng(2)
    rate = rng.lognormal(1, 1, size=120)

    def effects() -> np.ndarray:
        shift = np.exp(rng.normal(0, 0.3, size=120))
        cells = np.repeat([0, 1], [80, 25])
        mean = np.where(cells[:, None] == 1, rate * shift, rate)
        counts = rng.poisson(rng.gamma(4, mean / 4))
        groups = pd.Categorical(np.array(["control", "a"])[cells])
        statistics = group_statistics(sparse.csr_matrix(counts), groups)
        return differential_expression(statistics, "control").effect

    draws = np.stack([effects() for _ in range(200)])
    checks = [check_draws(np.delete(draws, i, axis=0), draws[i]) for i in range(0, 200, 10)]
    got = join_checks(checks)
    assert got.p_value.shape == (20, 120)
    coverage = got.summary()["coverage_90"]
    assert coverage == pytest.approx(0.9, abs=0.03)
    assert got.p_value.mean() == pytest.approx(0.5, abs=0.04)


def test_draws_by_hand() -> None:
    draws = np.arange(1.0, 20.0)[:, None, None]  # (19, 1, 1)
    got = check_draws(draws, np.array([[19.5]]))
    assert got.p_value.item() == pytest.approx(2 * 0.5 / 20)
    assert (got.lower.item(), got.upper.item()) == pytest.approx((1, 19))
    assert not got.inside.item()
    assert check_draws(draws, np.array([[10.0]])).p_value.item() == pytest.approx(1)
    silent = check_draws(np.zeros((30, 1, 1)), np.zeros((1, 1)))
    assert silent.p_value.item() == pytest.approx(1)
    assert silent.inside.item()


def test_what_was_not_measured_is_not_checked() -> None:
    rng = np.random.default_rng(5)
    measured = rng.normal(size=(2, 3))
    measured[1] = np.nan
    got = check_draws(rng.normal(size=(50, 2, 3)), measured)
    for values in (got.p_value, got.lower, got.upper, got.mean):
        assert np.isnan(values[1]).all()
        assert np.isfinite(values[0]).all()
    assert got.summary()["n"] == 3
    nothing = check_draws(np.zeros((50, 1, 3)), np.full((1, 3), np.nan))
    assert nothing.summary() == {"coverage_90": None, "share_p_below_0.05": None, "n": 0}


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**16), blocks=st.integers(1, 4))
def test_blocks_joined_are_the_whole_and_sign_does_not_matter(seed: int, blocks: int) -> None:
    rng = np.random.default_rng(seed)
    draws, measured = rng.normal(size=(25, 4, 6)), rng.normal(size=(4, 6))
    whole = check_draws(draws, measured)
    parts = np.array_split(np.arange(4), blocks)
    joined = join_checks([check_draws(draws[:, rows], measured[rows]) for rows in parts])
    np.testing.assert_array_equal(joined.p_value, whole.p_value)
    np.testing.assert_array_equal(joined.inside, whole.inside)
    flipped = check_draws(-draws, -measured)
    np.testing.assert_allclose(flipped.p_value, whole.p_value)
    np.testing.assert_allclose(flipped.lower, -whole.upper)
    assert ((whole.p_value > 0) & (whole.p_value <= 1)).all()
