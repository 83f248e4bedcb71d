"""Effects predicted without a model: what any model has to beat.

Effects are (C, G) arrays in log2 units, conditions by genes, measured on training cells; a
condition without training cells is a row of NaN. Dosages are the screen's own, (C, T), combinations
being sums of perturbations.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sams_core.analysis.bilinear import ridge_bilinear

FloatArray = npt.NDArray[np.floating]

BASELINES = ("no_change", "perturbed_mean", "matching_mean", "additive", "ridge_bilinear")
"""Names of the baselines, in the order of tables."""


def baseline_predictions(
    training: FloatArray, dosages: npt.ArrayLike, *, seed: int = 0
) -> dict[str, npt.NDArray[np.float64]]:
    """Predict every condition's effect from training cells alone.

    * ``no_change``: zeros.
    * ``perturbed_mean``: mean training effect of the single perturbations, of all conditions where
      no single was trained on; the same for every condition.
    * ``matching_mean`` (Viñas Torné et al. 2025, Systema): mean over a condition's perturbations of
      their training effects as singles; one never trained on as a single counts with the perturbed
      mean. For a single it is its own training effect, or what the line through its doses says.
    * ``additive`` (Ahlmann-Eltze et al. 2025): sum of the same.
    * ``ridge_bilinear``: see :func:`sams_core.analysis.bilinear.ridge_bilinear`.

    The last two say nothing (NaN) about a condition with a perturbation that was never trained on
    as a single: a stand-in would make another baseline of them. Systema averages cells where
    ``perturbed_mean`` averages conditions, so that no condition weighs more for having more cells.

    Parameters
    ----------
    training
        (C, G) training effects; NaN rows for conditions unseen in training.
    dosages
        (C, T) dose of each perturbation in each condition, no condition without any.
    seed
        Of the folds over which the ridge penalty is chosen.

    Returns
    -------
    (C, G) predictions by name, in the order of :data:`BASELINES`.
    """
    training, doses = np.asarray(training, np.float64), np.asarray(dosages, np.float64)
    singles = single_effects(training, doses)
    simple = baseline_effects(training, (doses != 0).sum(axis=1) == 1)
    return {
        **simple,
        "matching_mean": _matching_mean(singles, doses, simple["perturbed_mean"][:1]),
        "additive": _additive(singles, doses),
        "ridge_bilinear": ridge_bilinear(training, doses, singles, seed=seed),
    }


def baseline_effects(
    training: FloatArray, is_single: npt.NDArray[np.bool_] | None = None
) -> dict[str, npt.NDArray[np.float64]]:
    """Effects predicted without looking at what was perturbed.

    Parameters
    ----------
    training
        (C, G) effects measured on training cells; NaN rows have none.
    is_single
        (C,) conditions over which the mean is taken; all by default.

    Returns
    -------
    ``no_change`` (zeros) and ``perturbed_mean`` (the mean training effect over perturbations,
    the same for every condition), each (C, G).
    """
    usable = np.isfinite(training).all(axis=1)
    if is_single is not None and (usable & is_single).any():
        usable &= is_single
    average = training[usable].mean(axis=0) if usable.any() else np.full(training.shape[1], np.nan)
    return {
        "no_change": np.zeros(training.shape),
        "perturbed_mean": np.broadcast_to(average, training.shape).copy(),
    }


def single_effects(training: FloatArray, dosages: FloatArray) -> npt.NDArray[np.float64]:
    """Training effect of each perturbation on its own, per unit of dose.

    A perturbation measured at several doses gets the line through the origin of least squares,
    ``sum(dose * effect) / sum(dose ** 2)``; at a single dose of 1 that is the effect itself.

    Parameters
    ----------
    training
        (C, G) training effects; NaN rows have none.
    dosages
        (C, T) doses.

    Returns
    -------
    (T, G); NaN for a perturbation never trained on as a single.
    """
    known = np.isfinite(training).all(axis=1) & ((dosages != 0).sum(axis=1) == 1)
    doses = dosages[known]
    weight = (doses**2).sum(axis=0)[:, None]  # (T, 1)
    total = doses.T @ training[known]
    return np.divide(total, weight, out=np.full_like(total, np.nan), where=weight > 0)


def _matching_mean(
    singles: FloatArray, doses: FloatArray, perturbed_mean: FloatArray
) -> npt.NDArray[np.float64]:
    total, n_missing = _sum_of_singles(singles, doses)
    if n_missing.any():
        total += n_missing[:, None] * perturbed_mean
    return total / (doses != 0).sum(axis=1, keepdims=True)


def _additive(singles: FloatArray, doses: FloatArray) -> npt.NDArray[np.float64]:
    total, n_missing = _sum_of_singles(singles, doses)
    total[n_missing > 0] = np.nan
    return total


def _sum_of_singles(
    singles: FloatArray, doses: FloatArray
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Sum of the known single effects of each condition, (C, G), and how many are unknown, (C,)."""
    unknown = ~np.isfinite(singles).all(axis=1, keepdims=True)  # (T, 1)
    total = doses @ np.where(unknown, 0.0, singles)
    return total.astype(np.float64), np.count_nonzero((doses != 0) & unknown.T, axis=1)
