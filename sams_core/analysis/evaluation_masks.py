"""What an evaluation says of masks: how they agree with a known truth, and with pathways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sams_core.analysis.masks import OPEN, true_mask
from sams_core.analysis.metrics import match_masks
from sams_core.analysis.pathway_accuracy import (
    pathway_accuracy,
    pathways_from_sets,
    pathways_from_truth,
    target_genes,
)
from sams_core.data.screen import Screen
from sams_core.perturbation_model import PerturbationModel

FloatArray = npt.NDArray[np.floating]


def mask_scores(model: PerturbationModel, screen: Screen) -> dict[str, float | None] | None:
    """Agreement of a model's mask with the true one, latents matched one to one.

    Only perturbations of the screen count, not combinations that are perturbations of their own,
    so that families are comparable.

    Parameters
    ----------
    model
        A trained model.
    screen
        The screen it was trained on.

    Returns
    -------
    ``share_open`` of the entries, and ``precision``, ``recall`` and ``f1`` at the threshold 0.5,
    ``None`` where the truth is not known; ``None`` for a family without a mask.
    """
    if not model.has_mask:
        return None
    is_open = model.mask_probabilities().loc[screen.perturbation_names].to_numpy() > OPEN
    scores: dict[str, float | None] = {"share_open": float(is_open.mean())}
    truth = true_mask(screen)
    if truth is None:
        return scores | {"precision": None, "recall": None, "f1": None, "mcc": None}
    match = match_masks(truth, is_open)
    return scores | {
        "precision": match.precision, "recall": match.recall, "f1": match.f1, "mcc": None,
    }  # fmt: skip


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
    names = screen.perturbation_names
    row = _single_rows(effects, dosages)
    usable = row >= 0
    if gene_sets is not None:
        labels = pathways_from_sets(names, gene_sets)
    elif screen.truth is not None and {"pathways", "perturbations"} <= screen.truth.keys():
        labels = pathways_from_truth(names, screen.truth)
    else:
        return None
    if not model.has_mask:
        return None
    labels = np.where(usable, labels, "")
    shared = {"groups": target_genes(names), "seed": seed}
    mask = model.mask_probabilities().loc[names].to_numpy()
    found = pathway_accuracy(mask, labels, **shared)
    if found is None:
        return None
    measured = np.where(usable[:, None], effects[row], 0.0)
    from_effects = pathway_accuracy(measured, labels, **shared)
    return found | {"ate": from_effects and from_effects["accuracy_logistic"]}


def _single_rows(effects: FloatArray, dosages: npt.NDArray[np.floating]) -> npt.NDArray[np.intp]:
    """Row of the largest dose of each perturbation measured alone in training, (T,), else -1."""
    known = np.isfinite(effects).all(axis=1) & ((dosages != 0).sum(axis=1) == 1)
    doses = np.where(known[:, None], dosages, 0)
    return np.where(doses.any(axis=0), doses.argmax(axis=0), -1)
