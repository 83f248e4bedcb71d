"""Splits: seeded, stratified, nested, and never without what they promise."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sams_core.data import Screen, SplitConfig, make_split, random_split, summarise
from sams_core.data.annotations import SPLITS
from sams_core.data.splits import check_split
from sams_core.errors import ConfigError
from sams_core.record import SPLIT_NAMES
from sams_core.settings import validated
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


KINDS = ("random", "ood_combinations", "data_efficiency")
PERTURBATIONS = "ABCDEF"
COMBINATIONS = st.sets(
    st.sets(st.sampled_from(PERTURBATIONS), min_size=2, max_size=3).map(frozenset),
    min_size=1,
    max_size=12,
)
SHARES = st.floats(0.05, 0.9)


def combinatorial(
    combinations: set[frozenset[str]], singles: str = PERTURBATIONS, cells_each: int = 6
) -> Screen:
    conditions = ["ctrl", *singles, *sorted("+".join(sorted(pair)) for pair in combinations)]
    labels = [name for name in conditions for _ in range(cells_each)]
    return Screen.from_anndata(labelled(labels, n_genes=3), perturbation_key="perturbation")


def pairs(n: int, singles: str = PERTURBATIONS, cells_each: int = 6) -> Screen:
    chosen = [frozenset({a, b}) for a in PERTURBATIONS for b in PERTURBATIONS if a < b][:n]
    return combinatorial(set(chosen), singles, cells_each)


def recipe(kind: str, **changes: Any) -> SplitConfig:
    """Recipe of a kind, without what that kind does not read."""
    unread = {KINDS[0]: {"holdout", "fraction"}, KINDS[2]: {"holdout"}}.get(kind, set())
    read = {name: value for name, value in changes.items() if name not in unread}
    return SplitConfig.model_validate({"kind": kind, **read})


def names_by_condition(screen: Screen, split: np.ndarray) -> dict[str, set[str]]:
    names = pd.Series(split).groupby(np.asarray(screen.conditions)).agg(set)
    return {str(name): parts for name, parts in names.items()}


def held_out(screen: Screen, config: SplitConfig) -> set[str]:
    found = names_by_condition(screen, make_split(screen, config))
    return {name for name, parts in found.items() if parts == {"test"}}


@settings(max_examples=60, deadline=None)
@given(
    COMBINATIONS,
    st.lists(st.sampled_from(PERTURBATIONS), min_size=1, unique=True).map("".join),
    st.integers(1, 7),
    st.sampled_from(KINDS),
    SHARES,
    SHARES,
    st.floats(0.01, 1),
    st.floats(0, 1),
    st.integers(0, 1000),
)
def test_a_cell_has_one_name_and_held_out_combinations_only_test(
    combinations: set[frozenset[str]],
    singles: str,
    cells_each: int,
    kind: str,
    test: float,
    val: float,
    holdout: float,
    fraction: float,
    seed: int,
) -> None:
    screen = combinatorial(combinations, singles, cells_each)
    config = recipe(kind, test=test, val=val, holdout=holdout, fraction=fraction, seed=seed)
    split = make_split(screen, config)
    assert split.shape == (screen.n_cells,)
    assert set(split) <= {"train", "val", "test", "unused"}
    np.testing.assert_array_equal(split, make_split(screen, config))
    at_random = random_split(screen, test=test, val=val, seed=seed)
    single = np.diff(screen.dosages.indptr) == 1
    np.testing.assert_array_equal(split[single], at_random[single])
    assert "unused" not in split[screen.is_control]
    if kind == "random":
        np.testing.assert_array_equal(split, at_random)
        return
    if cells_each > 1:
        assert (split[screen.is_control] == "test").any()
    if kind == "data_efficiency":
        rest = ~screen.is_control
        np.testing.assert_array_equal((split == "test")[rest], (at_random == "test")[rest])
        return
    parts = [names for name, names in names_by_condition(screen, split).items() if name.count("+")]
    only_test = sum(names == {"test"} for names in parts)
    unused = sum(names == {"unused"} for names in parts)
    training = sum("train" in names and "unused" not in names for names in parts)
    n = len(combinations)
    assert only_test == max(1, round(holdout * n))
    assert training == round(fraction * (n - only_test))
    assert only_test + unused + training == n


@settings(max_examples=40, deadline=None)
@given(
    COMBINATIONS,
    st.sampled_from(KINDS[1:]),
    st.floats(0.05, 1),
    st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted),
    st.integers(0, 1000),
)
def test_what_trains_at_a_fraction_trains_at_every_larger_one(
    combinations: set[frozenset[str]],
    kind: str,
    holdout: float,
    fractions: list[float],
    seed: int,
) -> None:
    screen = combinatorial(combinations)
    less, more = (
        make_split(screen, recipe(kind, holdout=holdout, fraction=fraction, seed=seed))
        for fraction in fractions
    )
    for name in ("train", "val", "test"):
        assert set(np.flatnonzero(less == name)) <= set(np.flatnonzero(more == name))
    if kind == "ood_combinations":
        few, many = (
            held_out(screen, recipe(kind, holdout=share, fraction=fractions[0], seed=seed))
            for share in (holdout, 1.0)
        )
        assert few <= many == {name for name in screen.conditions.categories if "+" in name}


def test_the_held_out_set_depends_on_the_seed_alone() -> None:
    screen = pairs(14)
    sets = [
        held_out(screen, recipe(KINDS[1], fraction=fraction, test=test, val=test, seed=seed))
        for fraction, test, seed in ((0, 0.2, 0), (1, 0.2, 0), (0.5, 0.4, 0), (1, 0.2, 1))
    ]
    assert sets[0] == sets[1] == sets[2] != sets[3]
    assert len(sets[0]) == 7


def test_combinations_of_measured_singles_are_held_out_first() -> None:
    screen = pairs(15, singles="ABCD")
    additive = {f"{a}+{b}" for a in "ABCD" for b in "ABCD" if a < b}
    for seed in range(20):
        assert held_out(screen, recipe(KINDS[1], holdout=0.2, seed=seed)) < additive
        assert held_out(screen, recipe(KINDS[1], holdout=0.4, seed=seed)) == additive
        assert held_out(screen, recipe(KINDS[1], holdout=0.6, seed=seed)) > additive


def test_which_of_the_others_train_is_not_the_order_of_holding_out() -> None:
    """Pairs without both singles are last to be held out, but not last to train."""
    screen = pairs(15, singles="ABCD")
    additive = {f"{a}+{b}" for a in "ABCD" for b in "ABCD" if a < b}
    trained = []
    for seed in range(200):
        config = recipe(KINDS[1], holdout=0.2, fraction=0.25, seed=seed)
        found = names_by_condition(screen, make_split(screen, config))
        trained += [name for name, names in found.items() if "+" in name and "train" in names]
    assert len(trained) == 3 * 200
    assert np.mean([name in additive for name in trained]) == pytest.approx(3 / 12, abs=0.06)


def test_doses_of_a_pair_are_held_out_together() -> None:
    labels = ["ctrl", "A", "B", "C", *["A+B", "A+B", "A+C", "A+C", "B+C", "B+C"]] * 8
    adata = labelled(labels)
    adata.obs["dose"] = ["0", "1", "1", "1", *["1+1", "0.5+2"] * 3] * 8
    screen = Screen.from_anndata(adata, perturbation_key="perturbation", dose_key="dose")
    pair = adata.obs["perturbation"].to_numpy()
    for seed in range(10):
        split = make_split(screen, recipe(KINDS[1], holdout=0.3, seed=seed))
        found = pd.Series(split).groupby(pair).agg(set)
        assert (found[["A+B", "A+C", "B+C"]] == {"test"}).sum() == 1


def test_data_efficiency_keeps_the_share_asked_in_every_combination() -> None:
    screen = pairs(10, cells_each=100)
    whole = make_split(screen, recipe(KINDS[2], seed=4))
    np.testing.assert_array_equal(whole, random_split(screen, seed=4))
    split = make_split(screen, recipe(KINDS[2], fraction=0.3, seed=4))
    for condition in screen.conditions.categories:
        mine = np.asarray(screen.conditions == condition)
        for name in ("train", "val"):
            before, after = ((part[mine] == name).sum() for part in (whole, split))
            assert abs(after - before * (0.3 if "+" in condition else 1)) <= 1


def test_few_cells_are_thinned_without_bias() -> None:
    screen = pairs(15, cells_each=4)
    kept = []
    for seed in range(30):
        before, after = (
            (make_split(screen, recipe(KINDS[2], fraction=f, seed=seed)) == "train").sum()
            for f in (1.0, 0.3)
        )
        unchanged = (random_split(screen, seed=seed) == "train")[: 7 * 4].sum()
        kept.append((after - unchanged) / (before - unchanged))
    assert np.mean(kept) == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_a_screen_without_combinations_is_refused(kind: str) -> None:
    with pytest.raises(ConfigError, match=f"no combinations.*'{kind}'.*use the split 'random'"):
        make_split(screen_of([5, 5]), recipe(kind))


def test_recipes_are_checked_and_survive_json() -> None:
    config = recipe("ood_combinations", fraction=0.25, seed=7)
    assert SplitConfig.model_validate(json.loads(json.dumps(config.model_dump()))) == config
    for bad in ({"holdout": 0}, {"fraction": 1.5}, {"test": 1}, {"seed": -1}, {"kind": "pairs"}):
        with pytest.raises(ConfigError, match=next(iter(bad))):
            validated(SplitConfig, bad)
    with pytest.raises(ConfigError, match=r"test = 0 cannot.*control cells.*above 0"):
        validated(SplitConfig, {"kind": "ood_combinations", "test": 0})
    assert validated(SplitConfig, {"test": 0}).test == 0


@pytest.mark.parametrize(
    ("kind", "name", "cure"),
    [
        ("random", "holdout", "the kind 'ood_combinations'"),
        ("random", "fraction", "the kind 'ood_combinations' or 'data_efficiency'"),
        ("data_efficiency", "holdout", "the kind 'ood_combinations'"),
    ],
)
def test_a_share_that_the_kind_does_not_read_is_refused(kind: str, name: str, cure: str) -> None:
    with pytest.raises(ConfigError) as raised:
        validated(SplitConfig, {"kind": kind, name: 0.25})
    assert str(raised.value) == (
        f"{name} = 0.25 cannot be used: a split of kind '{kind}' does not read it, so leave it out "
        f"or choose {cure}."
    )


def test_the_kind_that_is_meant_where_none_is_named_reads_no_fraction() -> None:
    with pytest.raises(ConfigError, match="kind 'random' does not read it"):
        validated(SplitConfig, {"fraction": 0.25})


@pytest.mark.parametrize("kind", KINDS)
def test_recorded_recipes_are_read_though_they_hold_shares_that_nothing_reads(kind: str) -> None:
    config = SplitConfig.model_validate({"kind": kind})
    assert SplitConfig(**config.model_dump()) == config
    assert config.model_dump().keys() >= {"holdout", "fraction"}


def test_unused_cells_are_known_wherever_splits_are() -> None:
    assert SPLIT_NAMES == SPLITS
    adata = labelled(["ctrl", "A", "A+B", "B"])
    adata.obs["fold"] = ["train", "Unused", "test", "train"]
    screen = Screen.from_anndata(adata, perturbation_key="perturbation", split_key="fold")
    assert screen.split is not None
    assert list(screen.split) == ["train", "unused", "test", "train"]
    assert list(screen.split.categories) == list(SPLITS)
    assert "unused 1" in summarise(screen).to_text()
    again = Screen.from_anndata(
        screen.to_anndata(), perturbation_key="perturbation", split_key="split"
    )
    assert list(again.split or []) == list(screen.split)
    checked = check_split(np.asarray(screen.split), 4)
    assert list(checked) == list(screen.split)
