"""What a model reads of a minibatch of cells."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Carried:
    """The perturbations that each of n cells carries, at most C, padded with dose 0.

    Attributes
    ----------
    column : (n, C) long tensor
        Column of the minibatch's dosages.
    dose : (n, C) float tensor
        Its dose; 0 where there is none.
    """

    column: Tensor
    dose: Tensor


@dataclass(frozen=True)
class Share:
    """What one of several processes has of a minibatch: its rows ``rank::world_size``.

    Attributes
    ----------
    rank, world_size
        Number of this process, and of processes.
    n_cells
        Cells that all have together.
    """

    rank: int
    world_size: int
    n_cells: int


@dataclass(frozen=True)
class Minibatch:
    """Cells that a model evaluates together.

    Attributes
    ----------
    counts : (n, G) float tensor
        Raw counts.
    dosages : (n, T) float tensor
        Dose of each perturbation; all zeros for a control cell. With ``perturbations`` of those K
        alone, (n, K).
    library_size : (n,) float tensor
        Total counts of each cell.
    batch_index : (n,) long tensor, optional
        Batch of each cell, where the model has a batch covariate.
    perturbations : (K,) long tensor, optional
        Perturbation of the model that each column of ``dosages`` is, in the order in which random
        numbers are drawn for them; all T, in the model's order, by default. The others are carried
        by no cell, and nothing is drawn or computed for them.
    carried
        The same dosages by cell, to gather shifts by.
    share
        What these cells are of a minibatch on which several processes train together.
    """

    counts: Tensor
    dosages: Tensor
    library_size: Tensor
    batch_index: Tensor | None = None
    perturbations: Tensor | None = None
    carried: Carried | None = None
    share: Share | None = None

    def __len__(self) -> int:
        return self.counts.shape[0]

    def every_dosage(self, n_perturbations: int) -> Tensor:
        """Dose of each of the model's perturbations: (n, T)."""
        if self.perturbations is None:
            return self.dosages
        every = self.dosages.new_zeros(len(self), n_perturbations)
        return every.index_copy_(1, self.perturbations, self.dosages)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Minibatch:
        """Move to a device, to a GPU without waiting; optionally to another floating dtype."""
        carried = self.carried
        if carried is not None:
            carried = Carried(_sent(carried.column, device), _sent(carried.dose, device, dtype))
        return Minibatch(
            _sent(self.counts, device, dtype),
            _sent(self.dosages, device, dtype),
            _sent(self.library_size, device, dtype),
            None if self.batch_index is None else _sent(self.batch_index, device),
            None if self.perturbations is None else _sent(self.perturbations, device),
            carried,
            self.share,
        )


def _sent(values: Tensor, device: torch.device | str, dtype: torch.dtype | None = None) -> Tensor:
    """Move a tensor; from pageable memory, a copy to a GPU would wait for all that it has to do."""
    if torch.device(device).type == "cuda" and values.device.type == "cpu":
        return values.pin_memory().to(device, dtype, non_blocking=True)
    return values.to(device, dtype)
