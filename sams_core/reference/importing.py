"""A model of the authors' code as a checkpoint folder of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sams_core import checkpoint
from sams_core.analysis.metrics import pearson
from sams_core.api import FAMILIES
from sams_core.data.encoding import own_combinations
from sams_core.data.screen import Screen
from sams_core.errors import CheckpointError, ConfigError, ScreenError
from sams_core.perturbation_model import PerturbationModel
from sams_core.reference.reading import ReferenceFile
from sams_core.reference.translation import Translation, translate
from sams_core.settings import validated
from sams_core.training.config import TrainingConfig

SOURCE = "imported_from"
"""Entry of a record's ``versions`` that names the file and the authors' classes."""

_SAME_GENES = 0.9
"""Least correlation over genes between the means of log counts in the file and in the screen."""

_ROWS = ("mask_logits", "embedding_loc", "embedding_log_scale", "prior_shift")
_COLUMNS = "embedding_encoder.layers.0.weight"
_TOLD = ("decoder.layers.0.weight", "basal_encoder.layers.0.weight")


@dataclass(frozen=True)
class Imported:
    """What an import has made.

    Attributes
    ----------
    model
        The model, as loaded from its new folder.
    source
        The authors' names of the model and the guide.
    n_steps
        Optimiser steps that it was trained for.
    same_cells
        Whether the split's training cells are those that it was trained on, as far as the counts of
        cells and the genes' means say. If not, its test cells may be cells it was trained on.
    """

    model: PerturbationModel
    source: str
    n_steps: int
    same_cells: bool


def import_reference(file: ReferenceFile, screen: Screen, out: str | Path) -> Imported:
    """Write a checkpoint folder that holds a model trained with the authors' code.

    A file of theirs has no names: they are the screen's, of genes in its order, of perturbations
    sorted. What a model knows of its training cells is taken from the file where it is there (means
    and deviations of the genes, cells of each perturbation) and else from the screen.

    Parameters
    ----------
    file
        What :func:`read_reference` has read.
    screen
        The screen that it was trained on, with the split that it was trained with.
    out
        Folder to write.

    Raises
    ------
    CheckpointError
        When the file holds a model that is not one of ours (see :func:`translate`), or ``out``
        exists already.
    ScreenError
        When the screen cannot be the one that the model was trained on.
    """
    found = translate(file)
    cells = own_combinations(screen) if found.combinations == "own" else screen
    _check_sizes(file, found, cells)
    ours = np.argsort(np.argsort(cells.perturbation_names))  # their column of each of ours
    counted = {split: counts[ours] for split, counts in file.cells.items()}
    _check_cells(file, counted, cells)
    seed = file.config.get("seed", 0)
    model = FAMILIES[found.family](
        screen,
        seed=seed if isinstance(seed, int) else 0,
        title=f"{file.path.stem} (imported)",
        combinations=found.combinations,
        **found.hyperparameters,
    )
    module = model.module
    _check_genes(file, found.state["log_mean"], module.log_mean)
    cells_per_perturbation = counted.get("train", module.cells_per_perturbation)
    same_cells = torch.equal(cells_per_perturbation, module.cells_per_perturbation)
    same_cells &= torch.allclose(found.state["log_mean"], module.log_mean, atol=1e-3)
    state = {
        **module.state_dict(),
        **_reordered(found, ours),
        "cells_per_perturbation": cells_per_perturbation,
    }
    checkpoint.load_state(module, state, file.path)
    versions = {**model.record.versions, SOURCE: f"{file.path.name} ({found.source})"}
    training = _training(file, model.training_config)
    model.record = model.record.model_copy(
        update={"versions": versions, "training": training.model_dump()}
    )
    model.save(out)
    loaded = FAMILIES[found.family].load(out, screen)
    return Imported(loaded, found.source, file.n_steps, same_cells)


def _check_sizes(file: ReferenceFile, found: Translation, cells: Screen) -> None:
    own = " once each combination is one of its own" if found.combinations == "own" else ""
    for what, theirs, ours in (
        ("genes", found.n_genes, cells.n_genes),
        ("perturbations", found.n_perturbations, cells.n_perturbations),
    ):
        if theirs != ours:
            raise ScreenError(
                f"{file.path} has {theirs} {what}, but the screen has {ours}"
                f"{own if what == 'perturbations' else ''}: give the screen that the model was "
                "trained on, read with options that make it the same."
            )
    if cells.batch is not None:
        raise ScreenError(
            f"{file.path} holds a model without batches: read the screen without batch_key."
        )


def _check_cells(file: ReferenceFile, counted: Mapping[str, Tensor], cells: Screen) -> None:
    """Refuse a screen with fewer cells of a perturbation than the model has seen."""
    theirs = sum(counted.values(), torch.zeros(cells.n_perturbations))
    ours = np.bincount(cells.dosages.indices, minlength=cells.n_perturbations)
    more = np.flatnonzero(theirs.numpy() > ours)
    if more.size:
        first = more[0]
        raise _other_screen(
            file,
            f"{int(theirs[first])} cells for what would be {cells.perturbation_names[first]!r}, of "
            f"which the screen has {ours[first]}",
        )


def _check_genes(file: ReferenceFile, theirs: Tensor, ours: Tensor) -> None:
    likeness = pearson(theirs.numpy(), ours.numpy())
    if likeness < _SAME_GENES:
        raise _other_screen(
            file,
            f"genes whose mean counts do not follow the screen's (correlation {likeness:.2f}), so "
            "they are others or in another order",
        )


def _other_screen(file: ReferenceFile, what: str) -> ScreenError:
    return ScreenError(f"{file.path} has {what}: give the screen that the model was trained on.")


def _reordered(found: Translation, ours: np.ndarray) -> dict[str, Tensor]:
    """The state with perturbations in our order; they are rows, or the last columns."""
    order, T = torch.from_numpy(ours), found.n_perturbations
    told = _TOLD if found.family == "conditional_vae" else ()
    state = {}
    for name, value in found.state.items():
        if name in _ROWS:
            value = value[order]
        elif name == _COLUMNS or name in told:
            value = torch.cat([value[:, :-T], value[:, -T:][:, order]], dim=1)
        state[name] = value
    return state


def _training(file: ReferenceFile, defaults: TrainingConfig) -> TrainingConfig:
    """How the authors' code trained it, in our terms, as far as the file says."""
    config = file.config
    module, data = (
        section if isinstance(section, dict) else {}
        for section in (config.get("lightning_module_kwargs"), config.get("data_module_kwargs"))
    )
    known: dict[str, Any] = {
        "max_steps": file.n_steps or None,
        "batch_size": data.get("batch_size"),
        "n_particles": module.get("n_particles"),
        "learning_rate": module.get("lr"),
        "mask_learning_rate": module.get("lr"),
        "weight_decay": module.get("weight_decay"),
        "gradient_clip": config.get("gradient_clip_norm") or 0.0,
        "decay_fraction": 0.0,
        "objective": "sampled",
        "mask_penalty_start": 0.0,
        "mask_penalty_end": 0.0,
        "effects_fraction": 0.0,
        "mask_share": 0.0,
        "pruned_fraction": 0.0,
        "embedding_learning_rate": module.get("lr"),
    }
    given = {name: value for name, value in known.items() if value is not None}
    try:
        return validated(TrainingConfig, {**defaults.model_dump(), **given})
    except ConfigError as error:
        raise CheckpointError(
            f"{file.path} was trained in a way that is unknown here: {error}"
        ) from None
