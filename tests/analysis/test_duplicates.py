from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from sams_core.analysis.differential import (
    DifferentialExpression,
    differential_expression,
    group_statistics,
)
from sams_core.analysis.duplicates import split_halves, technical_duplicate
from sams_core.analysis.metrics import pearson


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**16), groups=st.integers(1, 6))
def test_halves_share_nothing_and_are_even_in_every_group(seed: int, groups: int) -> None:
    rng = np.random.default_rng(seed)
    codes, cells = rng.integers(groups, size=60), rng.random(60) < 0.6
    first, second = split_halves(codes, cells, seed=seed)
    assert not (first & second).any()
    np.testing.assert_array_equal(first | second, cells)
    sizes = [np.bincount(codes[half], minlength=groups) for half in (first, second)]
    assert np.abs(sizes[0] - sizes[1]).max() <= 1
    again, _ = split_halves(codes, cells, seed=seed)
    np.testing.assert_array_equal(first, again)


def test_halves_differ_between_seeds_and_are_fair() -> None:
    codes, cells = np.zeros(9, int), np.ones(9, bool)
    firsts = np.array([split_halves(codes, cells, seed=seed)[0] for seed in range(2000)])
    assert np.abs(firsts.mean(axis=0) - 0.5).max() < 4 * 0.5 / np.sqrt(2000)
    assert set(firsts.sum(axis=1)) == {4, 5}


def _effects(
    counts: sparse.csr_matrix, groups: pd.Categorical, cells: np.ndarray
) -> DifferentialExpression:
    statistics = group_statistics(counts, groups, cells=cells)
    return differential_expression(statistics, "control", pd.Index(["seen", "unseen"]))


def test_the_duplicate_of_pure_noise_agrees_with_nothing() -> None:
    """Without any effect no agreement is left: neither cells nor controls are shared."""
    found, ranks = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        counts = sparse.csr_matrix(rng.poisson(5, size=(240, 40)).astype(np.uint8))
        names = np.array(["control", "seen", "unseen"])[np.arange(240) % 3]
        groups = pd.Categorical(names)
        train = (np.arange(240) < 120) & (names != "unseen")
        test = ~train
        first, second = split_halves(np.asarray(groups.codes), test, seed=seed)
        measurements = [_effects(counts, groups, cells) for cells in (train, test, first, second)]
        got = technical_duplicate(*measurements)
        np.testing.assert_array_equal(got.measured[0], measurements[1].effect[0])
        np.testing.assert_array_equal(got.predicted[0], measurements[0].effect[0])
        np.testing.assert_array_equal(got.measured[1], measurements[2].effect[1])
        np.testing.assert_array_equal(got.fdr[1], measurements[2].fdr[1])
        np.testing.assert_array_equal(got.predicted[1], measurements[3].effect[1])
        ranks.append(got.retrieval_rank)
        found.append([pearson(got.measured[row], got.predicted[row]) for row in range(2)])
    assert np.mean(found, axis=0) == pytest.approx([0, 0], abs=4 / np.sqrt(60 * 40))
    # With one other candidate a rank is 0 or 1; ranking among `measured` gives 0.99 for the unseen.
    assert np.mean(ranks, axis=0) == pytest.approx([0.5, 0.5], abs=4 * 0.5 / np.sqrt(60))
