"""Random splits: seeded, stratified, and never without training cells."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sams_core.data import Screen, random_split
from sams_core.errors import ConfigError
from tests.data.builders import labelled, tiny


def screen_of(sizes: list[int]) -> Screen:
    labels = [f"P{i}" for i, size in enumerate(sizes) for _ in range(size)]
    return Screen.from_anndata(labelled(["ctrl", *labels]), perturbation_key="perturbation")


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=6),
    st.floats(0, 0.9),
    st.floats(0, 0.9),
    st.integers(0, 1000),
)
def test_properties(sizes: list[int], test: float, val: float, seed: int) -> None:
    screen = screen_of(sizes)
    split = random_split(screen, test=test, val=val, seed=seed)
    assert split.shape == (screen.n_cells,)
    assert set(split) <= {"train", "val", "test"}
    np.testing.assert_array_equal(split, random_split(screen, test=test, val=val, seed=seed))
    for condition in screen.conditions.categories:
        mine = split[np.asarray(screen.conditions == condition)]
        assert (mine == "train").any()
        n_test = (mine == "test").sum()
        assert abs(n_test - mine.size * test) <= 1
        assert abs((mine == "val").sum() - (mine.size - n_test) * val) <= 1


def test_default_shares() -> None:
    split = random_split(screen_of([500, 500, 500]), seed=3)
    shares = {name: np.mean(split == name) for name in ("train", "val", "test")}
    assert shares == pytest.approx({"train": 0.64, "val": 0.16, "test": 0.2}, abs=0.005)


def test_small_conditions_are_not_biased() -> None:
    split = random_split(screen_of([4] * 300), seed=0)
    assert np.mean(split == "test") == pytest.approx(0.2, abs=0.03)
    assert np.mean(split == "val") == pytest.approx(0.16, abs=0.03)


def test_seeds_differ_and_shares_of_zero_hold() -> None:
    screen = screen_of([100])
    assert (random_split(screen, seed=0) != random_split(screen, seed=1)).any()
    assert set(random_split(screen, test=0, val=0, seed=0)) == {"train"}


@pytest.mark.parametrize(("test", "val"), [(1.0, 0.2), (-0.1, 0.2), (0.2, 1.5)])
def test_shares_out_of_range(test: float, val: float) -> None:
    screen = Screen.from_anndata(tiny(), perturbation_key="perturbation")
    with pytest.raises(ConfigError, match="at least 0 and below 1"):
        random_split(screen, test=test, val=val, seed=0)
