from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from sams_core.analysis.mask_groups import (
    MAX_ENTRIES,
    MAX_GROUPS,
    N_CLUSTERS,
    arrange,
    average_names,
    averages,
    groups_to_average,
    is_too_large,
    likeness_groups,
    sums,
    tell_overlap,
)
from sams_core.analysis.mask_tables import NO_GROUPING
from sams_core.analysis.ordering import Group, natural_order


def table(effect: np.ndarray) -> ad.AnnData:
    n_rows, n_latents = effect.shape
    masks = ad.AnnData(
        (np.abs(effect) > 0.5).astype(np.float32),
        obs=pd.DataFrame(index=[f"P{number}" for number in range(n_rows)]),
        var=pd.DataFrame(index=[f"z{number}" for number in range(n_latents)]),
        layers={"effect": effect.astype(np.float32)},
    )
    masks.uns["has_mask"] = True
    return masks


def test_numbers_inside_names_count_as_numbers() -> None:
    names = ["z10", "z2", "z1", "a"]
    assert [names[at] for at in natural_order(names)] == ["a", "z1", "z2", "z10"]


def test_rows_keep_their_group_in_every_order() -> None:
    effect = np.random.default_rng(0).normal(size=(12, 11))
    groups = [Group("a", np.array([11, 2, 5, 10])), Group("b", np.array([0, 1, 3, 4, 6, 7, 8, 9]))]
    for order in ("Likeness", "Name", "Strength"):
        found, latents = arrange(table(effect), groups, order)
        assert [group.name for group in found] == ["a", "b"]
        for before, after in zip(groups, found, strict=True):
            assert sorted(before.rows) == sorted(after.rows)
        assert sorted(latents) == sorted(f"z{number}" for number in range(11))


def test_name_and_strength_order_rows_and_latents() -> None:
    effect = np.zeros((12, 11))
    effect[np.arange(11), np.arange(11)] = np.arange(11)
    masks, everyone = table(effect), [Group("", np.random.default_rng(0).permutation(12))]
    rows, latents = arrange(masks, everyone, "Name")
    assert rows[0].rows.tolist() == list(range(12))
    assert latents[-2:] == ["z9", "z10"]
    rows, latents = arrange(masks, everyone, "Strength")
    assert rows[0].rows[:3].tolist() == [10, 9, 8]
    assert latents[:3] == ["z10", "z9", "z8"]


def test_averages_and_sums_match_pandas_and_leave_nan_out() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(6, 3)), columns=["z0", "z1", "z2"])
    frame.iloc[0, 0] = np.nan
    frame.iloc[3:, 2] = np.nan
    groups = [
        Group("a", np.array([2, 0])),
        Group("b", np.array([5, 3, 4, 1])),
        Group("c", np.array([4])),
    ]
    means = averages(frame, groups)
    assert list(means.index) == ["a (2)", "b (4)", "c (1)"] == average_names(groups)
    for number, group in enumerate(groups):
        np.testing.assert_allclose(means.iloc[number], frame.iloc[group.rows].mean())
    cells = sums(pd.Series([1, 2, 4, 8, 16, 32]), groups)
    assert cells.tolist() == [5, 58, 16]


def test_a_map_is_too_large_beyond_the_stated_number_of_entries() -> None:
    assert not is_too_large(MAX_ENTRIES // 10, 10)
    assert is_too_large(MAX_ENTRIES // 10 + 1, 10)


def test_small_groups_are_put_together_and_none_is_lost() -> None:
    n_groups = MAX_GROUPS + 20
    sizes = np.where(np.arange(n_groups) % 3 == 0, 5, 2)
    rows = np.split(np.arange(sizes.sum()), np.cumsum(sizes)[:-1])
    groups = [Group(f"g{number}", part) for number, part in enumerate(rows)]
    found = groups_to_average(table(np.zeros((int(sizes.sum()), 2))), groups)
    assert len(found) == MAX_GROUPS
    assert found[-1].name == "21 smaller groups"
    assert sorted(np.concatenate([group.rows for group in found])) == list(range(sizes.sum()))
    assert {"g0", "g3"} <= {group.name for group in found}


def test_without_groups_perturbations_fall_into_clusters_of_like_effects() -> None:
    rng = np.random.default_rng(0)
    centre = 10 * np.eye(N_CLUSTERS)
    kind = rng.permutation(np.repeat(np.arange(N_CLUSTERS), 4))
    effect = centre[kind] + rng.normal(0, 0.1, (len(kind), N_CLUSTERS))
    found = groups_to_average(table(effect), [Group("", np.arange(len(kind)))])
    assert len(found) == N_CLUSTERS
    assert all(len(np.unique(kind[group.rows])) == 1 and len(group.rows) == 4 for group in found)
    assert len(likeness_groups(effect, np.arange(5))) == 1


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ("sets", "2 perturbations are in several sets"),
        ("apart", ""),
        (NO_GROUPING, ""),
        ("pathway", ""),
    ],
)
def test_perturbations_in_several_sets_are_counted(choice: str, told: str) -> None:
    sets = {
        "sets": {"one": ["A", "B", "X"], "two": ["A", "B", "C"], "three": ["A", "X"]},
        "apart": {"one": ["A"], "two": ["B"]},
    }
    assert tell_overlap(["A", "B", "C", "D"], choice, sets).startswith(told)
    assert bool(tell_overlap(["A", "B", "C", "D"], choice, sets)) is bool(told)
