from __future__ import annotations

from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from sams_core.analysis.interval_calibration import ErrorModel
from sams_core.analysis.markdown import plain
from sams_core.analysis.pair_maps import interaction_map, map_of
from sams_core.analysis.pair_orders import CONTROL, PAIR, SINGLE, order_list, tell_order
from sams_core.analysis.pair_ranking import (
    ENOUGH_GENES,
    RANKINGS,
    Goal,
    Kind,
    best_partners,
    candidates,
    default_gene,
    measured_pairs,
    pair_row,
    profile_of,
    rank_pairs,
    training_conditions,
)
from sams_core.analysis.pair_search import PairSearch, search_for
from sams_core.analysis.pair_words import (
    quantity,
    tell_best,
    tell_intervals,
    tell_part,
    tell_score,
    tell_value,
)
from sams_core.perturbation_model import PerturbationModel
from tests.support.loaded_models import small_model

NAMES = ["p0", "p1", "p2", "p3", "p4"]
CONDITIONS = [*NAMES, "p1+p0", "p2+p3", "p0+p2(0.5)", "p0+p1+p2"]
SEEN = [*NAMES, "p2+p3", "p0+p1+p2"]
GENE = Goal("raise", "g3", ("g3",))
GENES = Goal("lower", "a set", ("g0", "g5", "g7", "elsewhere"))
TOWARDS = Goal("towards", "p2+p3")
GOALS = [GENE, GENES, TOWARDS, Goal("interaction"), Goal("novelty")]


@pytest.fixture(scope="module")
def model() -> PerturbationModel:
    return small_model(n_perturbations=5, n_genes=30)


@pytest.fixture(scope="module")
def effects(model: PerturbationModel) -> ad.AnnData:
    rng = np.random.default_rng(0)
    shape = (len(CONDITIONS), len(model.gene_names))
    return ad.AnnData(
        np.zeros(shape, np.float32),
        obs=pd.DataFrame(
            {
                "n_cells": np.arange(len(CONDITIONS)) + 20,
                "seen_in_training": [name in SEEN for name in CONDITIONS],
                "n_significant": 3,
            },
            index=CONDITIONS,
        ),
        var=pd.DataFrame(index=model.gene_names),
        layers={"data_ate": rng.normal(size=shape), "fdr": rng.uniform(0, 0.08, shape)},
    )


@pytest.fixture(scope="module")
def found(model: PerturbationModel, effects: ad.AnnData) -> dict[str, PairSearch]:
    return {goal.kind: search_for(goal, model, effects, perturbations=NAMES) for goal in GOALS}


def ranked_for(
    goal: Goal, found: dict[str, PairSearch], effects: ad.AnnData, **options: Any
) -> pd.DataFrame:
    by = options.pop("by", next(iter(RANKINGS[goal.kind].values())))
    return rank_pairs(found[goal.kind], goal, by, effects, **options)


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.kind)
def test_every_ranking_is_in_order_and_whole(
    goal: Goal, found: dict[str, PairSearch], effects: ad.AnnData
) -> None:
    for by in RANKINGS[goal.kind].values():
        ranked = ranked_for(goal, found, effects, by=by)
        assert sorted(ranked.index) == sorted(found[goal.kind].table.index)
        assert list(ranked["rank"]) == list(range(1, len(ranked) + 1))
        steps = np.diff(ranked[by].to_numpy(float))
        assert (steps >= 0).all() if goal.kind == "lower" else (steps <= 0).all()


@pytest.mark.parametrize("goal", GOALS[:4], ids=lambda goal: goal.kind)
def test_intervals_hold_ninety_percent_of_a_normal(
    goal: Goal, found: dict[str, PairSearch], effects: ad.AnnData
) -> None:
    table = found[goal.kind].table
    ranked = ranked_for(goal, found, effects).loc[table.index]
    name = {"raise": "goal", "lower": "goal", "towards": "projection"}.get(goal.kind, goal.kind)
    spread = np.sqrt(table[f"{name}_sd"] ** 2 + table[f"{name}_se"] ** 2)
    upper = table[name] + norm.ppf(0.95) * spread
    np.testing.assert_allclose(ranked["upper"], upper, rtol=1e-6)
    np.testing.assert_allclose(ranked["value"], table[name])
    lower = 2 * table[name] - upper
    np.testing.assert_allclose(
        ranked["lower"], lower.clip(lower=0) if goal.kind == "interaction" else lower, atol=1e-9
    )


def test_intervals_of_effects_on_genes_are_widened_as_measurements_ask_for(
    found: dict[str, PairSearch], effects: ad.AnnData
) -> None:
    error = ErrorModel(factor=2.0, additive=0.1, constant=0.03)
    plain_ones = ranked_for(GENE, found, effects)
    wide = ranked_for(GENE, found, effects, error=error).loc[plain_ones.index]
    variance = plain_ones["sd"] ** 2 + 0.1 * plain_ones["additive"] ** 2 + 0.03
    np.testing.assert_allclose(wide["sd"], 2 * np.sqrt(variance), rtol=1e-6)
    assert (wide["lower"] < plain_ones["lower"]).all()
    pd.testing.assert_series_equal(wide["value"], plain_ones["value"])
    for goal in GOALS[2:]:  # nothing measured says how wide these have to be
        same = ranked_for(goal, found, effects, error=error)
        pd.testing.assert_frame_equal(same, ranked_for(goal, found, effects))


def test_what_intervals_rest_on_is_told() -> None:
    assert tell_intervals(GENE, "Widened so.").startswith("Widened so. The best of many is")
    assert "too narrow" in tell_intervals(TOWARDS, "Widened so.")
    assert "no interval" in tell_intervals(Goal("novelty"), "Widened so.")


def test_gain_is_over_the_better_single(found: dict[str, PairSearch], effects: ad.AnnData) -> None:
    for goal, better in ((GENE, max), (GENES, min)):
        for _, row in ranked_for(goal, found, effects).iterrows():
            best = better(row["alone_first"], row["alone_second"])
            assert row["gain"] == pytest.approx((row["value"] - best) * goal.sign)
            assert row["additive"] == pytest.approx(row["alone_first"] + row["alone_second"])
            assert row["deviation"] == pytest.approx(row["value"] - row["additive"])


def test_measurements_stand_beside_their_pairs(
    found: dict[str, PairSearch], effects: ad.AnnData
) -> None:
    data = pd.DataFrame(effects.layers["data_ate"], CONDITIONS, effects.var_names)
    for goal, genes in ((GENE, ["g3"]), (GENES, ["g0", "g5", "g7"])):
        ranked = ranked_for(goal, found, effects)
        for name, row in ranked.iterrows():
            condition = {"p0+p1": "p1+p0", "p2+p3": "p2+p3"}.get(str(name))
            if condition is None:
                assert row["n_cells"] == 0
                assert np.isnan(row["measured"])
            else:
                assert row["n_cells"] == effects.obs.loc[condition, "n_cells"]
                assert row["measured"] == pytest.approx(data[genes].mean(axis=1)[condition])
        assert set(measured_pairs(ranked)) == {frozenset(("p0", "p1")), frozenset(("p2", "p3"))}
    towards = ranked_for(TOWARDS, found, effects).loc["p2+p3"]
    assert towards["measured"] == pytest.approx(1.0)
    assert "measured" not in ranked_for(Goal("novelty"), found, effects)


def test_seen_measured_and_direct_pairs_can_be_left_out(
    found: dict[str, PairSearch], effects: ad.AnnData
) -> None:
    everything = ranked_for(GENE, found, effects)
    assert set(everything.index[everything["in_training"]]) == {"p2+p3"}
    unseen = ranked_for(GENE, found, effects, skip=["seen"])
    assert set(everything.index) - set(unseen.index) == {"p2+p3"}
    new = ranked_for(GENE, found, effects, skip=["measured"])
    assert set(everything.index) - set(new.index) == {"p0+p1", "p2+p3"}
    assert list(new["rank"]) == list(range(1, len(new) + 1))
    itself = Goal("raise", "p1", ("g3",))
    kept = ranked_for(itself, found, effects, skip=["direct"])
    assert sorted(kept.index) == [name for name in sorted(everything.index) if "p1" not in name]


def test_a_profile_is_made_of_significant_genes_if_there_are_enough(effects: ad.AnnData) -> None:
    profile = profile_of(effects, "p2+p3")
    row = CONDITIONS.index("p2+p3")
    significant = np.asarray(effects.layers["fdr"])[row] < 0.05
    assert significant.sum() >= ENOUGH_GENES
    np.testing.assert_array_equal(profile.notna(), significant)
    few = effects.copy()
    few.layers["fdr"] = np.ones(few.shape)
    few.layers["fdr"][:, :3] = 0.01
    assert profile_of(few, "p2+p3").notna().all()
    assert default_gene(few) == 0


def test_candidates_were_trained_and_are_not_the_target() -> None:
    masks = ad.AnnData(
        np.zeros((3, 2)), obs=pd.DataFrame({"n_cells_train": [5, 0, 7]}, ["a", "b", "c"])
    )
    assert candidates(masks, Goal("interaction")) == ["a", "c"]
    assert candidates(masks, Goal("towards", "c+d")) == ["a"]


def test_training_conditions_are_the_seen_ones(effects: ad.AnnData) -> None:
    assert training_conditions(effects) == [name.split("+") for name in SEEN]


def test_a_pair_is_found_in_either_order(found: dict[str, PairSearch], effects: ad.AnnData) -> None:
    ranked = ranked_for(GENE, found, effects)
    for pair in (["p0", "p3"], ["p3", "p0"]):
        row = pair_row(ranked, pair)
        assert row is not None
        assert (row["first"], row["second"]) == ("p0", "p3")
    assert pair_row(ranked, ["p0", "p0"]) is None
    assert best_partners(ranked, 2) == [ranked["first"].iloc[0], ranked["second"].iloc[0]]


def test_a_map_has_similar_perturbations_side_by_side() -> None:
    rng = np.random.default_rng(0)
    names = [f"p{number}" for number in range(12)]
    kind = rng.permutation(np.arange(12) % 2)
    pairs = [(i, j) for i in range(12) for j in range(i + 1, 12)]
    values = [float(kind[i] + kind[j]) + rng.normal(scale=0.01) for i, j in pairs]
    ranked = pd.DataFrame(
        {"first": [names[i] for i, _ in pairs], "second": [names[j] for _, j in pairs],
         "value": values}
    )  # fmt: skip
    shown = map_of(ranked, "value", 12)
    np.testing.assert_array_equal(shown, shown.T)
    order = kind[[names.index(name) for name in shown.index]]
    assert np.count_nonzero(np.diff(order)) == 1
    for i, j in ((0, 5), (7, 2)):
        assert shown.loc[names[i], names[j]] == values[pairs.index((min(i, j), max(i, j)))]
    some = map_of(ranked.head(9), "value", 4)  # not every pair
    assert some.shape == (4, 4)
    whole = interaction_map(ranked.head(9), "value")
    pd.testing.assert_frame_equal(some, whole.loc[some.index, some.columns])


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.kind)
def test_an_order_holds_pairs_their_singles_once_and_the_control(
    goal: Goal, found: dict[str, PairSearch], effects: ad.AnnData
) -> None:
    ranked = ranked_for(goal, found, effects)
    arms = order_list(ranked, 3, goal, digest="abc", control="non-targeting")
    pairs, singles = arms[arms["arm"] == PAIR], arms[arms["arm"] == SINGLE]
    assert list(pairs["rank"]) == [1, 2, 3]
    np.testing.assert_allclose(pairs["score"], ranked["value"].head(3))
    both = [*pairs["perturbation_a"], *pairs["perturbation_b"]]
    assert sorted(singles["perturbation_a"]) == sorted(set(both))
    assert arms.iloc[-1][["arm", "perturbation_a"]].tolist() == [CONTROL, "non-targeting"]
    assert set(arms["model_digest"]) == {"abc"}
    assert quantity(goal) in arms["goal"].iloc[0]
    if goal.has_parts:
        for _, pair in pairs.iterrows():
            alone = singles.set_index("perturbation_a")["score"]
            total = alone[pair["perturbation_a"]] + alone[pair["perturbation_b"]]
            assert pair["additive"] == pytest.approx(total)
            assert pair["lower"] < pair["score"] < pair["upper"]
    else:
        assert singles["score"].isna().all()
    assert f"{len(arms):,} arms" in tell_order(arms)
    assert len(order_list(ranked, 99, goal, digest="", control="c")) == len(ranked) + 5 + 1


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.kind)
def test_the_best_is_told_with_its_numbers(
    goal: Goal, found: dict[str, PairSearch], effects: ad.AnnData
) -> None:
    ranked = ranked_for(goal, found, effects)
    best = ranked.iloc[0]
    told = plain(tell_best(ranked, goal)).replace("**", "")
    assert told.startswith(f"{best['first']} + {best['second']} comes first of {len(ranked)} to ")
    assert f"{abs(best['value']):.2f}" in told
    assert told.count("90% interval") == (goal.kind != "novelty")
    if goal.has_parts:
        reach = best["upper"] - best["value"]
        n_better = int((ranked["gain"] > (ranked["upper"] - ranked["value"])).sum())
        assert reach > 0
        assert (f"{n_better} pair" if n_better else "No pair beats") in told


def test_names_cannot_draw_in_markdown(found: dict[str, PairSearch], effects: ad.AnnData) -> None:
    goal = Goal("raise", "![x](http://y)", ("g3",))
    ranked = ranked_for(goal, found, effects).replace("p0", "[p](q)")
    for text in (tell_best(ranked, goal), tell_value(ranked.iloc[0], goal)):
        assert "](" not in text.replace("\\]", "")


def score(predictor: str, scope: str, value: float | None, n: int = 4) -> dict[str, Any]:
    return {
        "predictor": predictor, "scope": scope, "metric": "pearson", "value": value,
        "n_conditions": n,
    }  # fmt: skip


def test_the_score_on_held_out_pairs_is_told_or_said_to_be_unknown() -> None:
    unseen = [
        score("model", "unseen_combinations", 0.71),
        score("additive", "unseen_combinations", 0.66, 3),
        score("technical_duplicate", "unseen_combinations", 0.9),
        score("model", "combinations", 0.99),
    ]
    told = tell_score({"scores": unseen}, 3)
    assert "never saw" in told
    assert all(
        text in told for text in ("**0.71** (4 combinations)", "0.66", "the 3 whose", "0.90")
    )
    assert "0.99" not in told
    seen = tell_score({"scores": [score("model", "combinations", 0.8)]}, 3)
    assert "**not known**" in seen
    assert "0.80" in seen
    assert "single perturbations only" in tell_score({"scores": []}, 0)
    assert "no pair was held out of training and scored" in tell_score(None, 2)


def test_a_cancelled_search_is_told_as_a_part() -> None:
    assert "1,200 of 44,850 pairs" in tell_part(1200, 44850)


def test_every_kind_has_rankings() -> None:
    kinds: list[Kind] = ["raise", "lower", "towards", "interaction", "novelty"]
    assert list(RANKINGS) == kinds
