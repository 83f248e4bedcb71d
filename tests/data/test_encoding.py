"""Combinations as perturbations of their own."""

from __future__ import annotations

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from sams_core.data import Screen, own_combinations
from tests.data.builders import labelled

NAMES = st.lists(st.sampled_from("ABCD"), min_size=0, max_size=3, unique=True)


def screen_of(labels: list[str], doses: list[str] | None = None) -> Screen:
    adata = labelled(labels)
    if doses is None:
        return Screen.from_anndata(adata, perturbation_key="perturbation")
    adata.obs["dose"] = doses
    return Screen.from_anndata(adata, perturbation_key="perturbation", dose_key="dose")


def test_every_combination_gets_a_column_after_the_singles() -> None:
    screen = screen_of(["ctrl", "A", "A+B", "B+C", "C", "A+B", "A+B+C"])
    encoded = own_combinations(screen)
    assert list(encoded.perturbation_names) == ["A", "B", "C", "A+B", "B+C", "A+B+C"]
    expected = np.zeros((7, 6), np.float32)
    for cell, column in enumerate([None, 0, 3, 4, 2, 3, 5]):
        if column is not None:
            expected[cell, column] = 1
    np.testing.assert_array_equal(encoded.dosages.toarray(), expected)
    assert encoded.dosages.dtype == np.float32


def test_doses_of_singles_stay_and_those_of_combinations_tell_conditions_apart() -> None:
    labels = ["ctrl", "A", "A+B", "A+B", "B"]
    encoded = own_combinations(screen_of(labels, ["0", "0.5", "0.5+1", "1+1", "2"]))
    assert list(encoded.perturbation_names) == ["A", "B", "A+B", "A@0.5+B"]
    np.testing.assert_array_equal(
        encoded.dosages.toarray(),
        [[0, 0, 0, 0], [0.5, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0], [0, 2, 0, 0]],
    )


def test_all_else_stays() -> None:
    adata = labelled(["ctrl", "A", "A+B", "B"])
    adata.obs["fold"] = ["train", "unused", "test", "train"]
    adata.uns |= {"simulated": True, "truth": {"mask": np.eye(2)}}
    screen = Screen.from_anndata(adata, perturbation_key="perturbation", split_key="fold")
    encoded = own_combinations(screen)
    for name in ("counts", "conditions", "split", "obs", "var", "truth", "reader", "cell_names"):
        assert getattr(encoded, name) is getattr(screen, name)
    assert encoded.simulated
    np.testing.assert_array_equal(encoded.is_control, screen.is_control)
    assert screen.n_perturbations == 2
    assert encoded.fingerprint() != screen.fingerprint()


@settings(max_examples=50, deadline=None)
@given(st.lists(NAMES, min_size=1, max_size=20))
def test_properties(cells: list[list[str]]) -> None:
    labels = ["ctrl", "A", *("+".join(cell) or "ctrl" for cell in cells)]
    screen = screen_of(labels)
    encoded = own_combinations(screen)
    dense = encoded.dosages.toarray()
    assert set(np.unique(dense)) <= {0, 1}
    np.testing.assert_array_equal(dense.sum(axis=1), ~screen.is_control)
    single = (screen.dosages > 0).sum(axis=1).A1 == 1
    assert (dense[~single, : screen.n_perturbations] == 0).all()
    rows = np.flatnonzero(~screen.is_control)
    named = encoded.perturbation_names[dense[rows].argmax(axis=1)]
    assert list(named) == list(pd.Series(screen.conditions)[rows])
    again = own_combinations(encoded)
    assert again.fingerprint() == encoded.fingerprint()
