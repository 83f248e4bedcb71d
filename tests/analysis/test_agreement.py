"""Seeds that open the same entries agree, whatever the order and the sign of their latents."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sams_core.analysis.agreement import seed_agreement
from sams_core.errors import ConfigError

SEEDS = st.integers(0, 2**32 - 1)


def frame(values: np.ndarray, prefix: str = "z") -> pd.DataFrame:
    names = [f"P{row}" for row in range(len(values))]
    return pd.DataFrame(
        values, index=names, columns=[f"{prefix}{i}" for i in range(values.shape[1])]
    )


def checkpoint(
    rng: np.random.Generator, n_perturbations: int = 10, n_latent: int = 4, n_genes: int = 7
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    mask = rng.random((n_perturbations, n_latent)) < 0.4
    responses = frame(rng.normal(size=(n_latent, n_genes)), "g")
    responses.index = pd.Index([f"z{i}" for i in range(n_latent)])
    return frame(mask.astype(float)), frame(rng.normal(size=mask.shape)), responses


def rearranged(
    rng: np.random.Generator, mask: pd.DataFrame, effects: pd.DataFrame, responses: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The same checkpoint with other latents' order, signs and names, and other rows' order."""
    order, sign = rng.permutation(mask.shape[1]), rng.choice([-1, 1], mask.shape[1])
    rows = rng.permutation(len(mask))
    other = frame(mask.to_numpy()[:, order])
    shifted = frame((effects.to_numpy() * sign)[:, order])
    turned = responses.iloc[order] * sign[order][:, None]
    turned.index = other.columns
    return other.iloc[rows], shifted.iloc[rows], turned.iloc[:, ::-1]


def brute_force(
    first: np.ndarray, second: np.ndarray, cosines: np.ndarray
) -> tuple[float, set[float]]:
    """Largest total of absolute cosines over all pairings, and the Jaccard indices at it."""
    found = []
    for order in permutations(range(second.shape[1])):
        total = sum(abs(cosines[i, j]) for i, j in enumerate(order))
        both = (first & second[:, order]).sum()
        found.append((total, both / (first.sum() + second.sum() - both)))
    best = max(total for total, _ in found)
    return best, {jaccard for total, jaccard in found if total > best - 1e-9}


def cosine(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    result = np.zeros((first.shape[1], second.shape[1]))
    for i, a in enumerate(first.T):
        for j, b in enumerate(second.T):
            if a.any() and b.any():
                result[i, j] = a @ b / np.sqrt((a @ a) * (b @ b))
    return result


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.booleans(), st.booleans())
def test_order_and_sign_of_latents_change_nothing(
    seed: int, with_effects: bool, with_responses: bool
) -> None:
    rng = np.random.default_rng(seed)
    seeds = [checkpoint(rng) for _ in range(3)]
    turned = [rearranged(rng, *each) for each in seeds]
    agreements = []
    for masks, effects, responses in (zip(*seeds, strict=True), zip(*turned, strict=True)):
        agreements.append(
            seed_agreement(
                masks,
                effects if with_effects else None,
                responses if with_responses and with_effects else None,
            )
        )
    before, after = agreements
    np.testing.assert_allclose(before.jaccard, after.jaccard)
    assert before.mean == pytest.approx(after.mean)
    if with_effects:
        one, other = before.stability(1), after.stability(1)
        columns = [
            int(np.flatnonzero(_same_latent(seeds[1], turned[1], latent))[0]) for latent in range(4)
        ]
        used = seeds[1][0].to_numpy().any(axis=0)
        np.testing.assert_allclose(
            one.to_numpy()[:, used], other.loc[one.index].to_numpy()[:, columns][:, used]
        )


def _same_latent(
    before: tuple[pd.DataFrame, ...], after: tuple[pd.DataFrame, ...], latent: int
) -> np.ndarray:
    return np.isclose(
        np.abs(after[1].loc[before[1].index].to_numpy()),
        np.abs(before[1].to_numpy()[:, [latent]]),
    ).all(axis=0)


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.integers(2, 5))
def test_copies_of_one_checkpoint_agree_wholly(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    first = checkpoint(rng)
    first[0].iloc[0, 0] = 1.0
    copies = [first, *(rearranged(rng, *first) for _ in range(n - 1))]
    masks, effects, responses = zip(*copies, strict=True)
    agreement = seed_agreement(masks, effects, responses)
    assert agreement.mean == 1
    assert agreement.sd == 0 or n == 2
    stability = agreement.stability(0)
    np.testing.assert_array_equal(stability, first[0])


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(1, 4), st.booleans(), st.booleans())
def test_assignment_is_the_best_of_all_pairings(
    seed: int, n_latent: int, with_effects: bool, with_responses: bool
) -> None:
    rng = np.random.default_rng(seed)
    one, two = (checkpoint(rng, 5, n_latent, 3) for _ in range(2))
    first, second = (each[0].to_numpy() > 0.5 for each in (one, two))
    a, b = (each[1].to_numpy() if with_effects else 1.0 for each in (one, two))
    cosines = cosine(first * a, second * b)
    if with_responses:
        cosines = cosines + cosine(one[2].to_numpy().T, two[2].to_numpy().T)
    _, expected = brute_force(first, second, cosines)
    agreement = seed_agreement(
        [one[0], two[0]],
        [one[1], two[1]] if with_effects else None,
        [one[2], two[2]] if with_responses else None,
    )
    if not (first.any() or second.any()):
        assert np.isnan(agreement.mean)
    else:
        assert agreement.mean == pytest.approx(max(expected))


def test_independent_masks_agree_as_far_as_chance_lets_the_best_pairing() -> None:
    rng = np.random.default_rng(0)
    found, expected = [], []
    for _ in range(150):
        one, two = rng.random((2, 20, 4)) < 0.3
        found.append(seed_agreement([frame(one.astype(float)), frame(two.astype(float))]).mean)
        mine, theirs = rng.random((2, 20, 4)) < 0.3
        expected.append(max(brute_force(mine, theirs, cosine(mine * 1.0, theirs * 1.0))[1]))
    error = np.sqrt((np.var(found) + np.var(expected)) / len(found))
    assert np.mean(found) == pytest.approx(np.mean(expected), abs=4 * error)
    assert 0.15 < np.mean(found) < 0.35


def test_responses_tell_apart_latents_that_the_same_perturbations_open() -> None:
    masks = frame(np.array([[1, 1], [1, 1], [1, 0]])), frame(np.array([[1, 1], [1, 1], [0, 1]]))
    responses = (
        frame(np.array([[1.0, 0, 0], [0, 1, 0]]), "g").set_axis(["z0", "z1"]),
        frame(np.array([[-1.0, 0, 0], [0, 1, 0]]), "g").set_axis(["z0", "z1"]),
    )
    assert seed_agreement(masks).mean == 1
    effects = frame(np.ones((3, 2))), frame(np.array([[-1.0, 1]] * 3))
    assert seed_agreement(masks, effects, responses).mean == pytest.approx(4 / 6)
    unmirrored = frame(np.ones((3, 2))), frame(np.ones((3, 2)))
    assert seed_agreement(masks, unmirrored, responses).mean == 1, "z0 is mirrored in one of two"


def test_stability_is_the_share_of_seeds_that_open_an_entry() -> None:
    reference = pd.DataFrame({"z0": [0.9, 0.9, 0.1], "z1": [0.1, 0.1, 0.9]}, index=["A", "B", "C"])
    same = reference[["z1", "z0"]].set_axis(["z0", "z1"], axis=1)
    more = pd.DataFrame({"z0": [0.9, 0.9, 0.6]}, index=["A", "B", "C"])
    less = pd.DataFrame({"z0": [0.9, 0.0]}, index=["A", "B"])
    agreement = seed_agreement([reference, same, more, less])
    stability = agreement.stability(0)
    assert agreement.n_seeds(0).to_dict() == {"A": 4, "B": 4, "C": 3}
    assert agreement.n_seeds(3).to_dict() == {"A": 4, "B": 4}
    expected = {"z0": [1.0, 0.75, 1 / 3], "z1": [0.0, 0.0, 2 / 3]}
    pd.testing.assert_frame_equal(stability, pd.DataFrame(expected, index=["A", "B", "C"]))


def test_agreement_is_over_perturbations_and_pairs_that_have_any() -> None:
    one = pd.DataFrame({"z0": [1.0, 1.0]}, index=["A", "B"])
    two = pd.DataFrame({"z0": [1.0, 1.0]}, index=["A", "C"])
    empty = one * 0
    agreement = seed_agreement([one, two, empty])
    np.testing.assert_allclose(agreement.jaccard, [[1, 1, 0], [1, 1, 0], [0, 0, 1]])
    assert agreement.mean == pytest.approx(1 / 3)
    assert agreement.sd == pytest.approx(np.std([1, 0, 0], ddof=1))
    assert np.isnan(seed_agreement([one]).mean)
    assert np.isnan(seed_agreement([empty, empty]).mean)


def test_tables_that_do_not_belong_together_are_refused() -> None:
    one = frame(np.ones((1, 1)))
    with pytest.raises(ConfigError, match="2 masks but 1 effects"):
        seed_agreement([one, one], [one])
    with pytest.raises(ConfigError, match="no perturbation in common"):
        seed_agreement([one, one.set_axis(["X"])])
    genes = pd.DataFrame([[1.0]], index=["z0"], columns=["g"])
    with pytest.raises(ConfigError, match="no gene in common"):
        seed_agreement([one, one], None, [genes, genes.set_axis(["h"], axis=1)])
