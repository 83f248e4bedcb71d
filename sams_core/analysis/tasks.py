"""Independent pieces of an analysis: run here, in local processes, or on a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from safetensors.torch import load

from sams_core.analysis.effects import ModelEffects, model_ate
from sams_core.api import FAMILIES
from sams_core.record import CheckpointConfig
from sams_core.settings import validated


class Run(Protocol):
    """Computes ``task(item, **common)`` for every item, and gives the results in order."""

    def __call__(
        self, task: Callable[..., Any], items: Iterable[Any], **common: Any
    ) -> Iterator[Any]:
        """Begin; results are waited for, or made, when they are asked for."""
        ...


def in_process(task: Callable[..., Any], items: Iterable[Any], **common: Any) -> Iterator[Any]:
    """Run tasks in this process, each when its result is asked for."""
    return (task(item, **common) for item in items)


@contextmanager
def runner(workers: int | None, scheduler: str | None) -> Iterator[Run]:
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
        When no scheduler answers.
    """
    if scheduler is None and (workers or 1) == 1:
        yield in_process
        return
    from sams_core.cluster import begin, connected

    with connected(scheduler, workers or 1) as client:
        yield partial(begin, client)


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
