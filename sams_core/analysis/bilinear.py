"""A ridge-regularised bilinear model of effects, after Ahlmann-Eltze, Huber & Anders (2025)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import TruncatedSVD
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold

FloatArray = npt.NDArray[np.floating]

N_COMPONENTS = 10
"""Length of gene and perturbation embeddings, as in the source."""

PENALTIES = np.logspace(-3, 3, 13)
"""Ridge penalties among which cross-validation chooses."""

_FOLDS = 5


def ridge_bilinear(
    training: FloatArray,
    dosages: FloatArray,
    singles: FloatArray,
    *,
    n_components: int = N_COMPONENTS,
    seed: int = 0,
) -> npt.NDArray[np.float64]:
    """Predict effects by ``Y = G W P' + b``.

    The columns of ``G`` are the leading directions of the single perturbations' training effects
    over genes, not centred, so that no change is the origin; a perturbation's embedding is its
    single effect along them, and a combination's the sum of those, weighted by dose. With ``W`` the
    identity and ``b`` zero a combination is additive; ``W`` and ``b`` are fitted by ridge
    regression on all training conditions, singles and combinations. The penalty is the one that
    predicts held-out training combinations best. Without at least two of them the folds are of
    single conditions, whose embeddings come from the very effects to predict; the smallest penalty
    then wins, and the prediction is close to the training effect along ``G``.

    The source takes the perturbations' embeddings from those of the perturbed genes, to reach
    perturbations never seen at all; here combinations of seen ones are asked for, and names of
    perturbations need not be genes of the screen.

    Parameters
    ----------
    training
        (C, G) training effects; NaN rows have none.
    dosages
        (C, T) doses.
    singles
        (T, G) training effect of each perturbation per unit of dose; NaN rows have none.
    n_components
        Length of the embeddings; fewer if there are fewer genes or perturbations.
    seed
        Of the folds and of the randomised decomposition.

    Returns
    -------
    (C, G); NaN for conditions with a perturbation without a single effect, and everywhere if fewer
    than three conditions can be learned from.
    """
    measured = np.isfinite(singles).all(axis=1)
    known = ~((dosages != 0) & ~measured).any(axis=1)
    usable = known & np.isfinite(training).all(axis=1)
    predicted = np.full(training.shape, np.nan)
    if usable.sum() < 3 or not np.any(singles[measured]):
        return predicted
    k = min(n_components, int(measured.sum()), training.shape[1])
    genes = TruncatedSVD(k, random_state=seed).fit(singles[measured]).components_  # (k, G)
    embedding = dosages[:, measured] @ (singles[measured] @ genes.T)  # (C, k)
    folds = _folds((dosages[usable] != 0).sum(axis=1) > 1, seed)
    model = RidgeCV(PENALTIES, cv=folds, scoring="neg_mean_squared_error")
    weights = model.fit(embedding[usable], training[usable] @ genes.T).coef_  # (k, k)
    weights = np.reshape(weights, (k, k))
    deviation = embedding[known] - embedding[usable].mean(axis=0)
    predicted[known] = training[usable].mean(axis=0) + deviation @ weights.T @ genes
    return predicted


def _folds(
    combination: npt.NDArray[np.bool_], seed: int
) -> list[tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]]:
    """Folds of the combinations, of all conditions if fewer than two are combinations."""
    held_out = np.flatnonzero(combination)
    if held_out.size < 2:
        held_out = np.arange(combination.size)
    everyone = np.arange(combination.size)
    splitter = KFold(min(_FOLDS, held_out.size), shuffle=True, random_state=seed)
    tests = [held_out[chosen] for _, chosen in splitter.split(held_out)]
    return [(np.setdiff1d(everyone, test), test) for test in tests]
