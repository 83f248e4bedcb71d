"""Counts that stay on the device that trains, in the smallest type that holds them."""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

SHARE_OF_MEMORY = 0.5
"""Of the device's free memory that counts may take."""

_SIGNED = {
    np.dtype(np.uint8): np.uint8,
    np.dtype(np.uint16): np.int16,
    np.dtype(np.uint32): np.int32,
}


class ResidentCounts:
    """Rows of a CSR matrix as dense float32 blocks, cut on the device without waiting for it.

    Parameters
    ----------
    counts
        uint8, uint16 or uint32 of shape (n, G).
    device
        Where they are kept. Values and columns take one to four bytes each: unsigned types that
        torch has no arithmetic for are kept as the signed type of the same bits.
    """

    def __init__(self, counts: sparse.csr_matrix, device: torch.device) -> None:
        self.device, self.n_genes = device, counts.shape[1]
        self.pointers = counts.indptr.astype(np.int64)
        self.mask = int(np.iinfo(counts.dtype).max)
        self.values = torch.from_numpy(counts.data.view(_SIGNED[counts.dtype])).to(device)
        small = self.n_genes <= np.iinfo(np.int16).max
        genes = counts.indices.astype(np.int16 if small else np.int32, copy=False)
        self.genes = torch.from_numpy(genes).to(device)

    def __getitem__(self, cells: np.ndarray) -> Tensor:
        """Counts of the given rows: (m,) integer array to (m, G)."""
        starts, stops = self.pointers[cells], self.pointers[cells + 1]
        lengths = stops - starts
        total = int(lengths.sum())
        first = np.cumsum(lengths) - lengths
        sizes, offsets = (_on(self.device, values) for values in (lengths, starts - first))
        row = torch.repeat_interleave(sizes, output_size=total)  # of each value
        place = torch.arange(total, device=self.device) + offsets[row]
        dense = torch.zeros(len(cells) * self.n_genes, device=self.device)
        values = self.values[place].long().bitwise_and_(self.mask).float()
        dense[row * self.n_genes + self.genes[place]] = values
        return dense.view(len(cells), self.n_genes)


def fits(counts: sparse.csr_matrix, device: torch.device) -> bool:
    """Whether counts should be kept on a device: not on the CPU, where they already are."""
    if device.type != "cuda":
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return counts.data.nbytes + counts.indices.nbytes < SHARE_OF_MEMORY * free


def _on(device: torch.device, values: np.ndarray) -> Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
