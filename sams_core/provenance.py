"""What a new checkpoint says of itself: the screen, the settings and the software."""

from __future__ import annotations

import platform
from importlib.metadata import version
from typing import Any

import torch
from pydantic import BaseModel

from sams_core import __version__
from sams_core import record as records
from sams_core.data.screen import Screen
from sams_core.record import CheckpointConfig, Combinations, DataRecord
from sams_core.training import TrainingConfig


def describe(
    family: str,
    screen: Screen,
    cells: Screen,
    *,
    model: BaseModel,
    training: TrainingConfig,
    split: dict[str, Any] | None,
    combinations: Combinations,
    title: str | None,
    citation: str | None,
) -> CheckpointConfig:
    """Record of a model that is about to be made.

    Parameters
    ----------
    family
        Name of the family.
    screen, cells
        The screen as it was read, and with the model's perturbations.
    model, training
        Hyperparameters and settings; the seed is the training's.
    split
        Recipe of the split, where there is one.
    combinations
        How combinations are encoded.
    title, citation
        What the app calls the checkpoint, and where its data come from.
    """
    source = screen.source
    return CheckpointConfig(
        format=records.FORMAT,
        format_version=records.FORMAT_VERSION,
        family=family,
        title=title or (source.stem if source else "Untitled screen"),
        simulated=screen.simulated,
        citation=citation,
        model=model.model_dump(),
        training=training.model_dump(),
        genes=list(screen.gene_names),
        perturbations=list(cells.perturbation_names),
        combinations=combinations,
        control=screen.control,
        batches=None if screen.batch is None else list(screen.batch.categories),
        data=DataRecord(
            file=source.name if source else None,
            fingerprint=screen.fingerprint(),
            n_cells=screen.n_cells,
            reader=screen.reader.model_dump(mode="json"),
        ),
        split=split,
        versions={
            "sams_core": __version__,
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "lightning": version("lightning"),
        },
        seed=training.seed,
    )
