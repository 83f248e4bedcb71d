"""How well effects and masks agree: with held-out cells, with the data's own ceiling, with truth.

Effects are (C, G) arrays in log2 units, conditions by genes. A condition whose effects are not
all finite (no held-out cells, say) takes no part. Scores follow Bereket & Karaletsos (2023),
section 5: Pearson correlation flattened over conditions and genes, and over the genes with the
largest measured effect of each condition.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

FloatArray = npt.NDArray[np.floating]

TOP_GENES = 20
"""Genes of largest measured effect over which the second score is taken."""


@dataclass(frozen=True)
class EffectAgreement:
    """Agreement of predicted with measured effects; NaN where a score is undefined.

    Attributes
    ----------
    pearson, r2, rmse
        Flattened over conditions and genes.
    pearson_top20
        Pearson over each condition's top genes, averaged over conditions; one for which no change
        is predicted counts as 0, unless that is so of all.
    pearson_top20_pooled, r2_top20_pooled
        Flattened over the top genes of all conditions.
    by_condition, by_condition_top20
        (C,) Pearson of each condition over all genes, and over its top genes.
    """

    pearson: float
    r2: float
    rmse: float
    pearson_top20: float
    pearson_top20_pooled: float
    r2_top20_pooled: float
    by_condition: npt.NDArray[np.float64]
    by_condition_top20: npt.NDArray[np.float64]

    def summary(self) -> dict[str, float | None]:
        """Return the headline scores for JSON, ``None`` where undefined."""
        return {
            name: _or_none(getattr(self, name))
            for name in ("pearson", "pearson_top20", "pearson_top20_pooled", "r2", "rmse")
        }


@dataclass(frozen=True)
class MaskMatch:
    """An estimated mask against the true one, latents matched one to one.

    ``precision`` counts every open entry of the estimate, also in unmatched latents;
    ``recall`` every open entry of the truth; ``f1`` is their harmonic mean; ``columns[j]`` is
    the estimated latent matched with true latent j, -1 where none was left.
    """

    precision: float
    recall: float
    f1: float
    columns: npt.NDArray[np.int64]


def effect_agreement(
    measured: FloatArray, predicted: FloatArray, *, top: int = TOP_GENES
) -> EffectAgreement:
    """Score predicted effects against measured ones.

    Parameters
    ----------
    measured
        (C, G) effects in the data; they choose each condition's top genes.
    predicted
        (C, G) effects to be judged.
    top
        Number of top genes, all if there are fewer.
    """
    measured, predicted = np.asarray(measured, np.float64), np.asarray(predicted, np.float64)
    known = np.isfinite(measured).all(axis=1) & np.isfinite(predicted).all(axis=1)
    by_condition = np.full(len(measured), np.nan)
    by_condition_top20 = by_condition.copy()
    a, b = measured[known], predicted[known]
    genes = np.argsort(-np.abs(a), axis=1, kind="stable")[:, :top]
    a_top, b_top = np.take_along_axis(a, genes, axis=1), np.take_along_axis(b, genes, axis=1)
    by_condition[known] = [pearson(x, y) for x, y in zip(a, b, strict=True)]
    by_condition_top20[known] = [pearson(x, y) for x, y in zip(a_top, b_top, strict=True)]
    return EffectAgreement(
        pearson=pearson(a, b),
        r2=r_squared(a, b),
        rmse=float(np.sqrt(np.mean((a - b) ** 2))) if a.size else np.nan,
        pearson_top20=_mean_with_silent(by_condition_top20[known], b_top),
        pearson_top20_pooled=pearson(a_top, b_top),
        r2_top20_pooled=r_squared(a_top, b_top),
        by_condition=by_condition,
        by_condition_top20=by_condition_top20,
    )


def pearson(x: FloatArray, y: FloatArray) -> float:
    """Pearson correlation of flattened arrays; NaN if either is constant or has under 2 values."""
    x, y = np.ravel(x).astype(np.float64), np.ravel(y).astype(np.float64)
    if x.size < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return float("nan")
    x, y = x - x.mean(), y - y.mean()
    return float(np.clip(x @ y / np.sqrt((x @ x) * (y @ y)), -1.0, 1.0))


def r_squared(measured: FloatArray, predicted: FloatArray) -> float:
    """1 - residual / total sum of squares of flattened arrays; NaN if nothing varies."""
    measured, predicted = np.ravel(measured), np.ravel(predicted)
    total = np.sum((measured - measured.mean()) ** 2) if measured.size else 0.0
    if total == 0:
        return float("nan")
    return float(1 - np.sum((measured - predicted) ** 2) / total)


def match_masks(truth: npt.ArrayLike, estimate: npt.ArrayLike) -> MaskMatch:
    """Match latents of two masks by overlap (Hungarian) and score the estimate.

    Parameters
    ----------
    truth
        (T, K) true mask, nonzero where open.
    estimate
        (T, L) estimated mask, nonzero where open (threshold probabilities first).
    """
    true, found = np.asarray(truth, bool), np.asarray(estimate, bool)
    overlap = true.T.astype(np.float64) @ found.astype(np.float64)  # (K, L)
    rows, matched = linear_sum_assignment(-overlap)
    columns = np.full(true.shape[1], -1, dtype=np.int64)
    columns[rows] = matched
    hits = overlap[rows, matched].sum()
    precision = hits / found.sum() if found.any() else 0.0
    recall = hits / true.sum() if true.any() else 0.0
    total = precision + recall
    f1 = 2 * precision * recall / total if total > 0 else 0.0
    return MaskMatch(float(precision), float(recall), float(f1), columns)


def mean_correlation_coefficient(x: FloatArray, y: FloatArray) -> float:
    """Mean absolute Pearson correlation of latents matched one to one (Hungarian).

    Parameters
    ----------
    x, y
        (n, K) and (n, L) latents of the same cells. A constant latent correlates 0.
    """
    scores = np.abs(_standardised(x).T @ _standardised(y)) / len(x)  # (K, L)
    rows, columns = linear_sum_assignment(-scores)
    return float(scores[rows, columns].mean())


def mean_pairwise_jaccard(open_latents: npt.ArrayLike) -> float:
    """Mean over pairs of rows of |A and B| / |A or B| of their open latents.

    Parameters
    ----------
    open_latents
        (R, L) nonzero where open. A pair with nothing open on either side scores 0; fewer than
        two rows give NaN.
    """
    open_latents = np.asarray(open_latents, bool)
    first, second = np.triu_indices(len(open_latents), k=1)
    return _mean_of_known(_jaccard(open_latents[first], open_latents[second]))


def mean_cross_jaccard(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Mean Jaccard overlap of every row of one mask with every row of another, (R, L), (S, L)."""
    a, b = np.asarray(first, bool), np.asarray(second, bool)
    return _mean_of_known(_jaccard(a[:, None, :], b[None, :, :]).ravel())


def _jaccard(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    both, either = (a & b).sum(axis=-1), (a | b).sum(axis=-1)
    return both / np.maximum(either, 1)


def _standardised(x: FloatArray) -> npt.NDArray[np.float64]:
    centred = np.asarray(x, np.float64) - np.mean(x, axis=0)
    scale = centred.std(axis=0)
    return np.divide(centred, scale, out=np.zeros_like(centred), where=scale > 0)


def _mean_with_silent(scores: npt.NDArray[np.float64], predicted: FloatArray) -> float:
    """Mean of (C,) correlations, 0 where the prediction is constant; NaN if all of them are."""
    silent = np.array([np.ptp(row) == 0 for row in predicted], dtype=bool)
    return float("nan") if silent.all() else _mean_of_known(np.where(silent, 0.0, scores))


def _mean_of_known(values: npt.NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")


def _or_none(value: float) -> float | None:
    return value if np.isfinite(value) else None
