"""Independent pieces of an analysis: run here, in local processes, or on a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from safetensors.torch import load

from sams_core.analysis.effects import ModelEffects, model_ate
from sams_core.api import FAMILIES
from sams_core.record import CheckpointConfig
from sams_core.settings import validated


class Runner(Protocol):
    """Where tasks run.

    Attributes
    ----------
    n_elsewhere
        How many can run at once beside this process.
    """

    n_elsewhere: int

    def run(self, task: Callable[..., Any], items: Iterable[Any], **common: Any) -> Iterator[Any]:
        """Begin on ``task(item, **common)`` for every item; results come in order."""
        ...


class InProcess:
    """Runs each task in this process when its result is asked for."""

    n_elsewhere = 0

    def run(self, task: Callable[..., Any], items: Iterable[Any], **common: Any) -> Iterator[Any]:
        """Results of ``task(item, **common)`` for every item, in order."""
        return (task(item, **common) for item in items)


@contextmanager
def runner(workers: int | None, scheduler: str | None) -> Iterator[Runner]:
    """Where tasks run while the block lasts.

    Parameters
    ----------
    workers
        Local processes; None or 1 for this process alone.
    scheduler
        Address of a Dask scheduler to send tasks to instead.

    Raises
    ------
    ConfigError
        When no scheduler answers, or it has no workers.
    """
    if scheduler is None and (workers or 1) == 1:
        yield InProcess()
        return
    from sams_core.cluster import OnWorkers, connected

    with connected(scheduler, workers or 1) as client:
        yield OnWorkers(client)


def effects_of_block(
    dosages: npt.NDArray[np.float32],
    *,
    record: str,
    weights: bytes,
    n_particles: int,
    seed: int,
) -> ModelEffects:
    """Model effects of some conditions at the training cells' library sizes, from plain values.

    Parameters
    ----------
    dosages
        (C, T) dose of each perturbation in each condition.
    record
        The checkpoint's record as JSON.
    weights
        The module's tensors as the bytes of a safetensors file.
    n_particles, seed
        Of :func:`model_ate`.
    """
    described = CheckpointConfig.model_validate_json(record)
    kind = FAMILIES[described.family]
    module = kind.Module(
        validated(kind.Config, described.hyperparameters),
        len(described.genes),
        len(described.perturbations),
        len(described.batches or []),
    )
    module.load_state_dict(load(weights))
    module.eval()
    sizes = module.library_size_quantiles.numpy()
    return model_ate(module, dosages, library_size=sizes, n_particles=n_particles, seed=seed)


def joined(blocks: Iterable[ModelEffects]) -> ModelEffects:
    """Effects of all conditions, from those of each block."""
    parts = list(blocks)
    return ModelEffects(
        np.concatenate([part.mean for part in parts]),
        np.concatenate([part.standard_error for part in parts]),
        parts[0].n_particles,
    )
