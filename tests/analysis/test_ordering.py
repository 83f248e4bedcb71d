from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sams_core.analysis.ordering import (
    OPTIMAL_ORDER_LIMIT,
    UNGROUPED,
    cluster_order,
    group_by_annotation,
    group_by_sets,
    latent_order,
)

MASKS = hnp.arrays(
    np.float32,
    st.tuples(st.integers(0, 12), st.integers(0, 6)),
    elements=st.floats(0, 1, width=32),
)


@given(MASKS)
@settings(max_examples=60, deadline=None)
def test_cluster_order_is_a_permutation(values: np.ndarray) -> None:
    assert sorted(cluster_order(values)) == list(range(len(values)))


@given(MASKS)
@settings(max_examples=60, deadline=None)
def test_latent_order_is_a_permutation(values: np.ndarray) -> None:
    assert sorted(latent_order(values)) == list(range(values.shape[1]))


@pytest.mark.parametrize("copies", [1, OPTIMAL_ORDER_LIMIT // 4])
def test_equal_rows_become_neighbours(copies: int) -> None:
    kinds = np.tile(np.arange(5), 2 * copies)
    order = cluster_order(np.eye(5)[kinds])
    changes = np.count_nonzero(np.diff(kinds[order]))
    assert changes == 4


def test_shared_latents_come_first() -> None:
    mask = np.zeros((6, 5))
    mask[:, 3] = mask[:5, 1] = 1.0
    mask[0, 4] = 0.2
    assert set(latent_order(mask)[:2]) == {1, 3}


def test_annotation_groups_sort_numbers_as_numbers_and_put_missing_last() -> None:
    groups = group_by_annotation(["pathway 10", None, "pathway 2", "pathway 10"])
    assert [group.name for group in groups] == ["pathway 2", "pathway 10", UNGROUPED]
    assert [group.rows.tolist() for group in groups] == [[2], [0, 3], [1]]


def test_annotation_groups_keep_an_ordered_annotation() -> None:
    stages = pd.Categorical(["late", "early", "late"], ["early", "late"], ordered=True)
    assert [group.name for group in group_by_annotation(pd.Series(stages))] == ["early", "late"]


def test_overlapping_sets_give_a_gene_to_the_set_with_most_perturbations() -> None:
    sets = {"small": ["A", "B"], "large": ["B", "C", "D"], "absent": ["X", "Y"]}
    groups = group_by_sets(["A", "B", "C", "D", "E"], sets)
    assert [(group.name, group.rows.tolist()) for group in groups] == [
        ("large", [1, 2, 3]),
        (UNGROUPED, [0, 4]),
    ]


def test_ties_go_to_the_set_listed_first() -> None:
    groups = group_by_sets(["A", "B"], {"second": ["A", "B"], "first": ["B", "A"]})
    assert [group.name for group in groups] == ["second"]


@given(
    st.dictionaries(st.text("xyz", min_size=1), st.lists(st.sampled_from("ABCDEFGH")), max_size=5)
)
def test_every_perturbation_lands_in_exactly_one_group(sets: dict[str, list[str]]) -> None:
    names = list("ABCDEFGH")
    rows = np.concatenate([group.rows for group in group_by_sets(names, sets)])
    assert sorted(rows) == list(range(len(names)))
