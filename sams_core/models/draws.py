"""Random draws and rows for the cells and perturbations of a minibatch."""

from __future__ import annotations

import torch
from torch import Tensor

from sams_core.models.batch import Carried, Minibatch


def rows_of(table: Tensor, perturbations: Tensor | None) -> Tensor:
    """Rows of a table with perturbations on its first axis; all of them by default."""
    return table if perturbations is None else table.index_select(0, perturbations)


def gathered_shift(carried: Carried, effect: Tensor) -> Tensor:
    """Sum of the effects of what each cell carries, by dose: (P, K, L) to (P, n, L)."""
    P, K, L = effect.shape
    rows = effect.transpose(0, 1).reshape(K, P * L)
    shift, *others = (
        rows.index_select(0, column) * dose[:, None]
        for column, dose in zip(carried.column.T, carried.dose.T, strict=True)
    )
    for other in others:
        shift = shift + other
    return shift.unflatten(1, (P, L)).transpose(0, 1)


def cell_noise(batch: Minibatch, like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Standard Gaussian draws for a minibatch's cells, (P, n, L) as ``like``.

    Processes that share a minibatch draw for all of its cells and take their own.
    """
    if batch.share is None:
        return noise(like.shape, like, generator)
    P, _, L = like.shape
    for_all = noise(torch.Size((P, batch.share.n_cells, L)), like, generator)
    return for_all[:, batch.share.rank :: batch.share.world_size]


def noise(shape: torch.Size, like: Tensor, generator: torch.Generator | None) -> Tensor:
    """Standard Gaussian draws with the dtype and the device of ``like``."""
    return torch.randn(shape, dtype=like.dtype, device=like.device, generator=generator)
