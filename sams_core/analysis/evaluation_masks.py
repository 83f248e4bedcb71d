"""What an evaluation says of masks: how they agree with a known truth, and with pathways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sams_core.analysis.calibration import calibrate
from sams_core.analysis.masks import OPEN, true_mask
from sams_core.analysis.metrics import match_masks, mean_correlation_coefficient
from sams_core.analysis.pathway_accuracy import (
    pathway_accuracy,
    pathways_from_sets,
    pathways_from_truth,
    target_genes,
)
from sams_core.data.screen import Screen
from sams_core.perturbation_model import PerturbationModel

FloatArray = npt.NDArray[np.floating]


def mask_scores(model: PerturbationModel, screen: Screen) -> dict[str, Any] | None:
    """Agreement of a model's mask and latents with the true ones, matched one to one (Hungarian).

    Of the mask only perturbations count that some training cell carries alone: not combinations
    that are perturbations of their own, so that families are comparable.

    Parameters
    ----------
    model
        A trained model.
    screen
        The screen it was trained on.

    Returns
    -------
    ``share_open`` of the entries, ``precision``, ``recall`` and ``f1`` at the threshold 0.5,
    ``calibration`` (:meth:`sams_core.analysis.calibration.Calibration.summary`), and ``mcc``, the
    mean absolute correlation of test cells' latents with the true ones; ``None`` where the truth is
    not known, or the family has no mask. Nothing at all without mask and truth.
    """
    names = ("share_open", "precision", "recall", "f1", "calibration", "mcc")
    scores: dict[str, Any] = dict.fromkeys(names)
    alone = _trained_alone(model, screen)
    if model.has_mask and len(alone):
        probability = model.mask_probabilities().loc[alone].to_numpy()
        is_open = probability > OPEN
        scores["share_open"] = float(is_open.mean())
        truth = true_mask(screen, alone)
        if truth is not None:
            match = match_masks(truth, is_open)
            scores |= {"precision": match.precision, "recall": match.recall, "f1": match.f1}
            scores["calibration"] = calibrate(truth, probability).summary()
    test = np.flatnonzero(model.split == "test")
    if screen.z_truth is not None and len(test) > 1:
        latents = model.get_latent_representation(screen.subset(test))
        scores["mcc"] = mean_correlation_coefficient(screen.z_truth[test], latents)
    return scores if any(value is not None for value in scores.values()) else None


def _trained_alone(model: PerturbationModel, screen: Screen) -> pd.Index:
    training = screen.dosages[np.flatnonzero(model.split == "train")]
    alone = training[np.diff(training.indptr) == 1]
    return screen.perturbation_names[np.unique(alone.indices)]


def pathway_scores(
    model: PerturbationModel,
    screen: Screen,
    effects: FloatArray,
    dosages: npt.NDArray[np.floating],
    gene_sets: Mapping[str, Sequence[str]] | None,
    *,
    seed: int = 0,
) -> dict[str, Any] | None:
    """How well a perturbation's pathway is told from its mask, and from its measured effects.

    Parameters
    ----------
    model
        A trained model.
    screen
        The screen it was trained on.
    effects
        (C, G) effects measured on training cells.
    dosages
        (C, T) dose of each of the screen's perturbations in each condition.
    gene_sets
        Genes by pathway; by default the pathways of a simulated truth.
    seed
        Of folds, forests and permutations.

    Returns
    -------
    As :func:`sams_core.analysis.pathway_accuracy.pathway_accuracy`, with ``ate``, the accuracy of
    logistic regression on the measured effects. ``None`` without a mask or without pathways.
    """
    if not model.has_mask:
        return None
    names = screen.perturbation_names
    if gene_sets is not None:
        labels = pathways_from_sets(names, gene_sets)
    elif screen.truth is not None and {"pathways", "perturbations"} <= screen.truth.keys():
        labels = pathways_from_truth(names, screen.truth)
    else:
        return None
    row = _single_rows(effects, dosages)
    labels = np.where(row >= 0, labels, "")
    genes = target_genes(names)
    mask = model.mask_probabilities().loc[names].to_numpy()
    found = pathway_accuracy(mask, labels, groups=genes, seed=seed)
    if found is None:
        return None
    measured = _rotated(np.where(row[:, None] >= 0, effects[row], 0.0))
    from_effects = pathway_accuracy(measured, labels, groups=genes, forest=False, seed=seed)
    return found | {"ate": from_effects and from_effects["accuracy_logistic"]}


def _rotated(features: FloatArray) -> FloatArray:
    """The same rows in as few dimensions as they span: all that logistic regression looks at."""
    left, lengths, _ = np.linalg.svd(features, full_matrices=False)
    return left * lengths


def _single_rows(effects: FloatArray, dosages: npt.NDArray[np.floating]) -> npt.NDArray[np.intp]:
    """Row of the largest dose of each perturbation measured alone in training, (T,), else -1."""
    known = np.isfinite(effects).all(axis=1) & ((dosages != 0).sum(axis=1) == 1)
    doses = np.where(known[:, None], dosages, 0)
    return np.where(doses.any(axis=0), doses.argmax(axis=0), -1)
