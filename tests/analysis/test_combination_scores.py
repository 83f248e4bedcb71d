from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import r2_score

from sams_core.analysis.combination_scores import (
    called_direction,
    called_overlap,
    condition_scopes,
    condition_scores,
    score_predictions,
)
from sams_core.analysis.retrieval import retrieval_ranks
from sams_core.analysis.score_names import SCORES, metric_label

EVERY: dict[str, Any] = {"predictor": "model", "kind": "model"}


def _values(rows: list[dict], scope: str) -> dict[str, float | None]:
    return {row["metric"]: row["value"] for row in rows if row["scope"] == scope}


def _data(seed: int, n: int = 6, genes: int = 1200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    measured = rng.normal(size=(n, genes))
    predicted = measured + rng.normal(size=(n, genes))
    return measured, predicted, rng.random((n, genes)) * np.exp(-2 * np.abs(measured))


def test_scores_match_scipy_and_sklearn() -> None:
    measured, predicted, fdr = _data(0)
    scopes = {"all": np.ones(6, bool), "two": np.arange(6) < 2}
    rows = score_predictions(
        measured,
        predicted,
        scopes,
        **EVERY,
        fdr=fdr,
        measured_mean=10 * measured**3,
        predicted_mean=10 * predicted**3,
        e_distances=np.arange(6.0),
    )
    got = _values(rows, "two")
    assert set(got) == set(SCORES)
    a, b = measured[:2], predicted[:2]
    assert got["pearson"] == pytest.approx(stats.pearsonr(a.ravel(), b.ravel()).statistic)
    cubes = stats.pearsonr(a.ravel() ** 3, b.ravel() ** 3).statistic
    assert got["pearson_mean"] == pytest.approx(cubes)
    assert got["r2"] == pytest.approx(r2_score(a.ravel(), b.ravel()))
    assert got["rmse"] == pytest.approx(np.sqrt(((a - b) ** 2).mean()))
    assert got["e_distance"] == pytest.approx(0.5)
    for size in (20, 1000):
        pairs = []
        for x, y in zip(a, b, strict=True):
            top = sorted(range(len(x)), key=lambda gene: -abs(x[gene]))[:size]
            pairs.append((x[top], y[top]))
        each = [stats.pearsonr(x, y).statistic for x, y in pairs]
        assert got[f"pearson_change_top{size}"] == pytest.approx(np.mean(each))
        squares = np.mean([(x - y) ** 2 for x, y in pairs])
        assert got[f"rmse_top{size}"] == pytest.approx(np.sqrt(squares))
    each = [stats.pearsonr(x, y).statistic for x, y in zip(a, b, strict=True)]
    assert got["pearson_change"] == pytest.approx(np.mean(each))


def test_called_genes_match_sets() -> None:
    measured, predicted, fdr = _data(1)
    got = condition_scores(measured, predicted, fdr=fdr)
    for row in range(6):
        called = set(np.flatnonzero(fdr[row] < 0.05))
        named = set(np.argsort(-np.abs(predicted[row]))[: len(called)])
        assert got["de_overlap"][row] == pytest.approx(len(called & named) / len(called))
        right = [np.sign(measured[row, g]) == np.sign(predicted[row, g]) for g in called]
        assert got["de_direction"][row] == pytest.approx(np.mean(right))


def test_overlap_with_ties_is_the_mean_over_their_orders() -> None:
    predicted = np.array([3.0, -1.0, 1.0, 1.0, -1.0, 0.0])
    called = np.array([True, True, False, False, True, False])
    found = []
    for order in itertools.permutations(range(6)):
        best = sorted(order, key=lambda gene: -abs(predicted[gene]))[:3]
        found.append(called[best].mean())
    assert called_overlap(called, predicted) == pytest.approx(np.mean(found))


def test_no_change_finds_called_genes_by_chance_and_no_direction() -> None:
    called = np.arange(40) < 10
    nothing = np.zeros(40)
    assert called_overlap(called, nothing) == pytest.approx(0.25)
    assert called_direction(called, np.ones(40), nothing) == 0
    assert np.isnan(called_overlap(~called & called, nothing))
    assert np.isnan(called_direction(~called & called, nothing, nothing))


def test_retrieval_ranks_match_brute_force() -> None:
    measured, predicted, _ = _data(2, n=9, genes=15)
    measured[3] = np.nan
    predicted[5] = np.nan
    predicted[6] = 1.0
    got = retrieval_ranks(measured, predicted)
    candidates = [row for row in range(9) if row != 3]
    for row in range(9):
        if row in (3, 5, 6):
            assert np.isnan(got[row])
            continue
        scores = [stats.pearsonr(predicted[row], measured[c]).statistic for c in candidates]
        rank = stats.rankdata([-score for score in scores])[candidates.index(row)] - 1
        assert got[row] == pytest.approx(rank / 7)
    assert np.isnan(retrieval_ranks(measured[:1], predicted[:1])).all()


def test_a_prediction_alike_for_all_is_retrieved_by_chance() -> None:
    measured, _, _ = _data(3, n=7, genes=30)
    alike = np.broadcast_to(measured.mean(axis=0), measured.shape)
    assert np.mean(retrieval_ranks(measured, alike)) == pytest.approx(0.5)
    np.testing.assert_allclose(retrieval_ranks(measured, 3 * measured + 1), 0)


def test_undefined_scores_are_none_and_counted() -> None:
    measured, predicted, fdr = _data(4, genes=50)
    measured[0] = np.nan
    predicted[1] = np.nan
    fdr[2] = 1.0
    scopes = {"all": np.ones(6, bool), "none": np.zeros(6, bool)}
    rows = score_predictions(measured, predicted, scopes, **EVERY, fdr=fdr)
    counts = {row["metric"]: row["n_conditions"] for row in rows if row["scope"] == "all"}
    assert counts["pearson"] == 4
    assert counts["de_overlap"] == 3
    assert set(_values(rows, "none").values()) == {None}
    nothing = score_predictions(measured, np.zeros((6, 50)), scopes, **EVERY, fdr=fdr)
    got = _values(nothing, "all")
    assert got["pearson"] is got["pearson_change_top20"] is got["retrieval_rank"] is None
    assert got["rmse"] == pytest.approx(np.sqrt(np.mean(measured[1:] ** 2)))
    json.dumps(rows + nothing, allow_nan=False)
    unknown = score_predictions(measured, np.full((6, 50), np.nan), scopes, **EVERY)
    assert {row["metric"] for row in unknown} >= {"pearson", "rmse_top20", "retrieval_rank"}
    assert {row["value"] for row in unknown} == {None}


def test_top_1000_is_named_for_what_it_is() -> None:
    assert metric_label("rmse_top1000", 400) == "RMSE, all 400 genes (log2)"
    assert metric_label("rmse_top1000", 4000) == "RMSE, top 1,000 genes (log2)"
    assert metric_label("pearson_change_top20", 400) == "Pearson of the change, top 20 genes"
    measured, predicted, _ = _data(5, genes=400)
    scores = condition_scores(measured, predicted)
    np.testing.assert_allclose(scores["pearson_change_top1000"], scores["pearson_change"])


def test_scopes_by_hand() -> None:
    doses = np.array([[1, 0], [0, 1], [1, 1], [1, 0.5]])
    seen, scored = np.array([True, False, True, False]), np.array([True, True, True, True])
    got = {name: list(np.flatnonzero(mask)) for name, mask in _scopes(doses, seen, scored)}
    assert got == {
        "all": [0, 1, 2, 3],
        "seen": [0, 2],
        "unseen": [1, 3],
        "singles": [0, 1],
        "combinations": [2, 3],
        "unseen_combinations": [3],
    }
    assert not any(mask[2] for _, mask in _scopes(doses, seen, np.arange(4) != 2))


def _scopes(doses: np.ndarray, seen: np.ndarray, scored: np.ndarray) -> list:
    return list(condition_scopes(doses, seen, scored).items())


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_scores_ignore_the_order_of_conditions_and_genes(seed: int) -> None:
    measured, predicted, fdr = _data(seed, genes=60)
    rng = np.random.default_rng(seed)
    rows, genes = rng.permutation(6), rng.permutation(60)
    chosen = rng.random(6) < 0.7
    plain = score_predictions(measured, predicted, {"s": chosen}, **EVERY, fdr=fdr)
    moved = score_predictions(
        measured[rows][:, genes],
        predicted[rows][:, genes],
        {"s": chosen[rows]},
        **EVERY,
        fdr=fdr[rows][:, genes],
    )
    for one, other in zip(plain, moved, strict=True):
        assert one["n_conditions"] == other["n_conditions"]
        assert one["value"] == pytest.approx(other["value"])


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_the_truth_scores_perfectly(seed: int) -> None:
    measured, _, fdr = _data(seed, genes=60)
    rows = score_predictions(measured, measured, {"all": np.ones(6, bool)}, **EVERY, fdr=fdr)
    for name, value in _values(rows, "all").items():
        if name == "de_overlap":
            continue
        assert value == pytest.approx(1.0 if SCORES[name].higher_is_better else 0.0, abs=1e-9)
