"""What a model reads of a minibatch of cells."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Minibatch:
    """Cells that a model evaluates together.

    Attributes
    ----------
    counts : (n, G) float tensor
        Raw counts.
    dosages : (n, T) float tensor
        Dose of each perturbation; all zeros for a control cell.
    library_size : (n,) float tensor
        Total counts of each cell.
    batch_index : (n,) long tensor, optional
        Batch of each cell, where the model has a batch covariate.
    """

    counts: Tensor
    dosages: Tensor
    library_size: Tensor
    batch_index: Tensor | None = None

    def __len__(self) -> int:
        return self.counts.shape[0]

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> Minibatch:
        """Move to a device, and optionally to another floating dtype."""
        return Minibatch(
            self.counts.to(device, dtype),
            self.dosages.to(device, dtype),
            self.library_size.to(device, dtype),
            None if self.batch_index is None else self.batch_index.to(device),
        )
