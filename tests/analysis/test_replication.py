"""Latents of two checkpoints are matched."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sams_core.analysis.replication import BOTH, FIRST, SECOND, match_latents
from sams_core.errors import ConfigError


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(0, 4))
def test_permuted_and_mirrored_latents_are_found_again(
    seed: int, n_latent: int, n_more: int
) -> None:
    rng = np.random.default_rng(seed)
    names = [f"P{i}" for i in range(12)]
    mask = (rng.random((12, n_latent)) < 0.3).astype(float)
    mask[rng.integers(12, size=n_latent), np.arange(n_latent)] = 1
    effects = rng.normal(0, 1, mask.shape) + 3 * rng.choice([-1, 1], mask.shape)
    order, sign = rng.permutation(n_latent), rng.choice([-1, 1], n_latent)
    rows = rng.permutation(12)
    first = frame(mask, names), frame(effects, names)
    second = (
        frame(np.hstack([mask[:, order], np.zeros((12, n_more))]), names).iloc[rows],
        frame(np.hstack([(effects * sign)[:, order], np.ones((12, n_more))]), names).iloc[rows],
    )
    match = match_latents(first[0], second[0], first[1], second[1])
    assert match.replicated == 1
    np.testing.assert_allclose(match.overlap, 1)
    assert match.partners.tolist() == [f"z{np.flatnonzero(order == i)[0]}" for i in range(n_latent)]
    assert match.signs.tolist() == sign.tolist()


def frame(values: np.ndarray, names: list[str]) -> pd.DataFrame:
    return pd.DataFrame(values, index=names, columns=[f"z{i}" for i in range(values.shape[1])])


def test_effects_decide_between_equal_overlaps_and_the_rest_is_named() -> None:
    names = ["A", "B", "C", "D"]
    first = frame(np.array([[1, 0], [1, 0], [0, 0], [0, 0.9]]), names)
    second = frame(np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0.7], [0, 0, 0]]), names)
    effects = frame(np.array([[1, 9], [5, 9], [9, 9], [1, 9]]), names)
    second_effects = frame(np.array([[1, 9, 9], [9, -5, 9], [9, 9, 2], [9, 9, 9]]), names)
    match = match_latents(first, second, effects, second_effects)
    assert match.partners.tolist() == ["z1", None]
    assert match.signs.tolist() == [-1, 0]
    assert match.overlap.iloc[0] == pytest.approx(5 / np.sqrt(26))
    assert match.entries.columns.tolist() == ["z0", "z1", "z0 (second)", "z2 (second)"]
    assert match.entries.to_numpy().tolist() == [
        [FIRST, 0, SECOND, 0],
        [BOTH, 0, 0, 0],
        [0, 0, 0, SECOND],
        [0, FIRST, 0, 0],
    ]
    assert match.replicated == pytest.approx(1 / 5)


def test_runs_without_a_common_perturbation_cannot_be_matched() -> None:
    with pytest.raises(ConfigError, match="no perturbation in common"):
        match_latents(frame(np.ones((1, 1)), ["A"]), frame(np.ones((1, 1)), ["B"]))
    nothing = frame(np.zeros((1, 1)), ["A"])
    assert np.isnan(match_latents(nothing, nothing).replicated)
