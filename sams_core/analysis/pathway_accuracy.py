"""Do perturbations of one pathway look alike? Held-out classification of pathways.

Bereket & Karaletsos (2023, section 5) judge masks by how well a perturbation's pathway can be told
from its mask probabilities; effects over genes can be judged likewise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, cross_val_predict

from sams_core.data.labels import guide_targets

FloatArray = npt.NDArray[np.floating]

_N_TREES = 100
_MAX_ITERATIONS = 2_000


def pathway_accuracy(
    features: FloatArray,
    pathways: npt.ArrayLike,
    *,
    groups: npt.ArrayLike | None = None,
    n_splits: int = 5,
    n_repeats: int = 10,
    n_permutations: int = 20,
    forest: bool = True,
    seed: int = 0,
) -> dict[str, Any] | None:
    """Accuracy of telling pathways of held-out perturbations, in repeated cross-validation.

    Folds are stratified by pathway; perturbations of one group (guides of one gene) stay in one
    fold. Classifiers are scikit-learn's logistic regression and random forest on the features as
    they are.

    Parameters
    ----------
    features
        (T, F) one row a perturbation: mask probabilities, or effects.
    pathways
        (T,) pathway of each perturbation, empty text where unknown; those take no part.
    groups
        (T,) what must not be split over folds; each perturbation by itself by default.
    n_splits
        Folds. A pathway with fewer groups is dropped.
    n_repeats
        Repeats with other folds, at least two; accuracies are of all held-out perturbations of a
        repeat, with mean and sd over repeats.
    n_permutations
        Repeats of the logistic regression with pathways permuted over groups, at least two.
    forest
        Whether to fit the random forest, which takes most of the time.
    seed
        Of folds, forests and permutations.

    Returns
    -------
    JSON-able: ``accuracy_logistic``, ``accuracy_forest`` and ``permutation`` with ``mean`` and
    ``sd`` (``None`` for a forest not fitted); ``majority``, the share of the largest pathway;
    ``n_perturbations``, ``n_pathways`` and the ``dropped`` pathways. ``None`` if fewer than two
    pathways are large enough.
    """
    labels = np.asarray(pathways).astype(str)
    units = np.arange(labels.size) if groups is None else pd.factorize(np.asarray(groups))[0]
    kept, dropped = _large_enough(labels, units, n_splits)
    names, y = np.unique(labels[kept], return_inverse=True)
    if names.size < 2:
        return None
    x, units = np.asarray(features, np.float64)[kept], units[kept]
    grouped = np.unique(units).size < units.size
    rng = np.random.default_rng(seed)
    states = [int(state) for state in rng.integers(2**31, size=n_repeats)]
    logistic = LogisticRegression(max_iter=_MAX_ITERATIONS)

    def accuracies(
        classifier: BaseEstimator, targets: Iterable[npt.NDArray[np.intp]], folds: Iterable[int]
    ) -> dict[str, float]:
        found = [
            _accuracy(classifier, x, target, units if grouped else None, n_splits, state)
            for target, state in zip(targets, folds, strict=True)
        ]
        return {"mean": float(np.mean(found)), "sd": float(np.std(found, ddof=1))}

    permuted = [_permuted(y, units, rng) for _ in range(n_permutations)]
    trees = RandomForestClassifier(_N_TREES, n_jobs=1, random_state=states[0])
    return {
        "accuracy_logistic": accuracies(logistic, [y] * n_repeats, states),
        "accuracy_forest": accuracies(trees, [y] * n_repeats, states) if forest else None,
        "majority": float(np.bincount(y).max() / y.size),
        "permutation": accuracies(logistic, permuted, rng.integers(2**31, size=n_permutations)),
        "n_perturbations": int(y.size),
        "n_pathways": int(names.size),
        "dropped": dropped,
    }


def pathways_from_sets(
    perturbations: Iterable[str], gene_sets: Mapping[str, Iterable[str]]
) -> npt.NDArray[np.str_]:
    """Pathway of each perturbation: the one gene set that holds its gene.

    A guide (``STAT1g2``) is looked up by its target.

    Parameters
    ----------
    perturbations
        Names of the T perturbations.
    gene_sets
        Genes by pathway.

    Returns
    -------
    (T,) names; empty text for a perturbation that is in no set, or in several.
    """
    homes: dict[str, list[str]] = {}
    for pathway, genes in gene_sets.items():
        for gene in set(genes):
            homes.setdefault(gene, []).append(pathway)
    found = [homes.get(gene, []) for gene in target_genes(perturbations)]
    return np.array([pathways[0] if len(pathways) == 1 else "" for pathways in found], dtype=str)


def pathways_from_truth(
    perturbations: Iterable[str], truth: Mapping[str, Any]
) -> npt.NDArray[np.str_]:
    """Pathway of each perturbation as simulated: (T,) names, empty text where there is none.

    Parameters
    ----------
    perturbations
        Names of the T perturbations.
    truth
        A simulated screen's truth, with ``perturbations`` and ``pathways``.
    """
    known = dict(zip(truth["perturbations"], truth["pathways"], strict=True))
    return np.array([known.get(name, "") for name in perturbations], dtype=str)


def target_genes(perturbations: Iterable[str]) -> list[str]:
    """Gene that each perturbation targets: the name itself, unless the names are guides."""
    names = list(perturbations)
    targets = guide_targets(names)
    return [targets.get(name, name) for name in names]


def _large_enough(
    labels: npt.NDArray[np.str_], units: npt.NDArray[np.integer], n_splits: int
) -> tuple[npt.NDArray[np.bool_], list[str]]:
    """Perturbations of pathways with a group for each fold, and the other pathways."""
    n_units = pd.Series(units).groupby(labels).nunique().drop("", errors="ignore")
    dropped = [str(name) for name in n_units.index[n_units < n_splits]]
    return ~np.isin(labels, ["", *dropped]), dropped


def _accuracy(
    classifier: BaseEstimator,
    x: FloatArray,
    y: npt.NDArray[np.intp],
    units: npt.NDArray[np.integer] | None,
    n_splits: int,
    state: int,
) -> float:
    splitter = StratifiedKFold if units is None else StratifiedGroupKFold
    folds = splitter(n_splits, shuffle=True, random_state=int(state))
    predicted = cross_val_predict(classifier, x, y, groups=units, cv=folds)
    return float(np.mean(predicted == y))


def _permuted(
    y: npt.NDArray[np.intp], units: npt.NDArray[np.integer], rng: np.random.Generator
) -> npt.NDArray[np.intp]:
    """Labels permuted over groups, each group keeping one label."""
    _, first, unit = np.unique(units, return_index=True, return_inverse=True)
    return rng.permutation(y[first])[unit]
