"""Scores of predicted effects, of the model and of the baselines alike, as tidy rows.

Effects are (C, G) arrays in log2 units, conditions by genes, measured on test cells. A condition
whose effects are not all finite takes no part, and ``n_conditions`` of each row says how many did.
``pearson``, ``r2`` and ``rmse`` are flattened over conditions and genes (Bereket & Karaletsos
2023); every other score is of one condition and averaged over conditions, but for the ``rmse`` over
top genes, whose squares are averaged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from sams_core.analysis.metrics import pearson, r_squared
from sams_core.analysis.retrieval import retrieval_ranks

FloatArray = npt.NDArray[np.floating]
Scopes = Mapping[str, npt.NDArray[np.bool_]]

TOP_SIZES = (20, 1000)
"""Numbers of genes of largest measured effect over which scores are taken."""

CALLED_FDR = 0.05
"""Adjusted p-value below which the data call a gene changed."""


def condition_scopes(
    dosages: npt.ArrayLike,
    seen: npt.NDArray[np.bool_],
    scored: npt.NDArray[np.bool_],
) -> dict[str, npt.NDArray[np.bool_]]:
    """Which conditions each scope of the scores holds, (C,) masks by name.

    Parameters
    ----------
    dosages
        (C, T) dose of each perturbation.
    seen
        (C,) conditions with training cells.
    scored
        (C,) conditions with enough test cells to be scored; no scope holds others.
    """
    combination = (np.asarray(dosages) != 0).sum(axis=1) > 1
    scopes = {
        "all": np.ones_like(seen),
        "seen": seen,
        "unseen": ~seen,
        "singles": ~combination,
        "combinations": combination,
        "unseen_combinations": combination & ~seen,
    }
    return {name: mask & scored for name, mask in scopes.items()}


def score_predictions(
    measured: FloatArray,
    predicted: FloatArray,
    scopes: Scopes,
    *,
    predictor: str,
    kind: str,
    fdr: FloatArray | None = None,
    measured_mean: FloatArray | None = None,
    predicted_mean: FloatArray | None = None,
    e_distances: FloatArray | None = None,
    retrieval_rank: FloatArray | None = None,
) -> list[dict[str, Any]]:
    """Score one predictor in every scope.

    Parameters
    ----------
    measured
        (C, G) effects on test cells; NaN rows were not measured. All measured conditions are
        candidates of the retrieval rank, whatever the scope.
    predicted
        (C, G) effects to be judged; NaN rows are not predicted.
    scopes
        (C,) conditions by scope.
    predictor, kind
        Who predicts, and ``model``, ``baseline`` or ``ceiling``; copied into the rows.
    fdr
        (C, G) adjusted p-values of the measured effects, which say what the data call.
    measured_mean, predicted_mean
        (C, G) the same effects as differences of raw means, for ``pearson_mean``.
    e_distances
        (C,) from predicted to measured cells.
    retrieval_rank
        (C,) for a predictor with candidates of its own, as the technical duplicate.

    Returns
    -------
    One row for each scope and score, with ``predictor``, ``kind``, ``scope``, ``metric``, ``value``
    (``None`` where undefined, as the correlation of a constant is) and ``n_conditions``.
    """
    measured, predicted = np.asarray(measured, np.float64), np.asarray(predicted, np.float64)
    both = _finite_rows(measured, predicted)
    by_condition = condition_scores(measured, predicted, fdr=fdr)
    if e_distances is not None:
        by_condition["e_distance"] = np.asarray(e_distances, np.float64)
    if retrieval_rank is not None:
        by_condition["retrieval_rank"] = np.asarray(retrieval_rank, np.float64)
    rows = []
    for scope, chosen in scopes.items():
        values = _pooled(measured, predicted, both & chosen)
        if measured_mean is not None and predicted_mean is not None:
            known = _finite_rows(measured_mean, predicted_mean) & chosen
            score = pearson(measured_mean[known], predicted_mean[known])
            values["pearson_mean"] = (score, int(known.sum()))
        values |= {name: _average(name, each[chosen]) for name, each in by_condition.items()}
        rows += [
            {
                "predictor": predictor,
                "kind": kind,
                "scope": scope,
                "metric": metric,
                "value": value if np.isfinite(value) else None,
                "n_conditions": n_conditions,
            }
            for metric, (value, n_conditions) in values.items()
        ]
    return rows


def condition_scores(
    measured: FloatArray, predicted: FloatArray, *, fdr: FloatArray | None = None
) -> dict[str, npt.NDArray[np.float64]]:
    """Scores of each condition, (C,) by name; NaN where undefined.

    ``pearson_change`` over all genes and over the top, ``rmse_top*``, ``retrieval_rank`` (see
    :func:`sams_core.analysis.retrieval.retrieval_ranks`) and, where ``fdr`` says what the data
    call, ``de_overlap`` and ``de_direction``.

    Parameters
    ----------
    measured, predicted
        (C, G) effects.
    fdr
        (C, G) adjusted p-values of the measured effects.
    """
    names = [f"{name}_top{size}" for name in ("pearson_change", "rmse") for size in TOP_SIZES]
    names = ["pearson_change", *names, *([] if fdr is None else ["de_overlap", "de_direction"])]
    scores = {name: np.full(len(measured), np.nan) for name in names}
    for row in np.flatnonzero(_finite_rows(measured, predicted)):
        called = None if fdr is None else fdr[row] < CALLED_FDR
        for name, value in _score_one(measured[row], predicted[row], called).items():
            scores[name][row] = value
    return {**scores, "retrieval_rank": retrieval_ranks(measured, predicted)}


def called_overlap(called: npt.NDArray[np.bool_], predicted: FloatArray) -> float:
    """Share of the genes that the data call found among as many genes predicted to change most.

    With k called genes the prediction names the k of largest size; precision and recall are then
    the same number, and chance is k / G. Where equal predictions straddle the k-th place the
    expectation over their orders is taken, so that predicting no change scores k / G.

    Parameters
    ----------
    called
        (G,) genes called by the data.
    predicted
        (G,) predicted effects.
    """
    k = int(called.sum())
    if k == 0:
        return float("nan")
    size = np.abs(predicted)
    threshold = np.partition(size, size.size - k)[size.size - k]
    above, tied = size > threshold, size == threshold
    places = (k - above.sum()) / tied.sum()
    return float(((called & above).sum() + places * (called & tied).sum()) / k)


def called_direction(
    called: npt.NDArray[np.bool_], measured: FloatArray, predicted: FloatArray
) -> float:
    """Share of the called genes predicted to go the measured way; no change is not a way.

    Parameters
    ----------
    called
        (G,) genes called by the data.
    measured, predicted
        (G,) effects.
    """
    if not called.any():
        return float("nan")
    return float(np.mean(measured[called] * predicted[called] > 0))


def _score_one(
    measured: FloatArray, predicted: FloatArray, called: npt.NDArray[np.bool_] | None
) -> dict[str, float]:
    scores = {"pearson_change": pearson(measured, predicted)}
    order = np.argsort(-np.abs(measured), kind="stable")
    for size in TOP_SIZES:
        a, b = measured[order[:size]], predicted[order[:size]]
        scores[f"pearson_change_top{size}"] = pearson(a, b)
        scores[f"rmse_top{size}"] = float(np.sqrt(np.mean((a - b) ** 2)))
    if called is not None:
        scores["de_overlap"] = called_overlap(called, predicted)
        scores["de_direction"] = called_direction(called, measured, predicted)
    return scores


def _pooled(
    measured: FloatArray, predicted: FloatArray, chosen: npt.NDArray[np.bool_]
) -> dict[str, tuple[float, int]]:
    a, b, n = measured[chosen], predicted[chosen], int(chosen.sum())
    rmse = float(np.sqrt(np.mean((a - b) ** 2))) if n else float("nan")
    return {"pearson": (pearson(a, b), n), "r2": (r_squared(a, b), n), "rmse": (rmse, n)}


def _average(name: str, values: FloatArray) -> tuple[float, int]:
    known = values[np.isfinite(values)]
    if known.size == 0:
        return float("nan"), 0
    if name.startswith("rmse"):
        return float(np.sqrt(np.mean(known**2))), known.size
    return float(known.mean()), known.size


def _finite_rows(*arrays: FloatArray) -> npt.NDArray[np.bool_]:
    return np.logical_and.reduce([np.isfinite(array).all(axis=1) for array in arrays])
