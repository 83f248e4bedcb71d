"""What a model reads off the training cells before the first step."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sams_core.data.screen import Screen
from sams_core.errors import TrainingError
from sams_core.models import DataStatistics
from sams_core.models.base import N_QUANTILES

CHUNK_CELLS = 4096
"""Cells held in float64 at a time."""


def data_statistics(screen: Screen, split: np.ndarray) -> DataStatistics:
    """Statistics of the training cells.

    A gene that no training cell shows keeps scale 1 in the encoder's input, so that nothing is
    divided by zero.

    Parameters
    ----------
    screen
        n cells.
    split : (n,) array of "train", "val" or "test"

    Raises
    ------
    TrainingError
        When fewer than two cells train.
    """
    cells = np.flatnonzero(split == "train")
    if len(cells) < 2:
        raise TrainingError("The split leaves fewer than 2 training cells: give it more.")
    mean, square, totals = _moments(screen, cells)
    n = len(cells)
    deviation = np.sqrt(np.maximum(square - mean**2, 0) * n / (n - 1))
    deviation[deviation < 1e-6] = 1.0
    carriers = np.bincount(screen.dosages[cells].indices, minlength=screen.n_perturbations)
    quantiles = np.quantile(screen.library_size[cells], np.linspace(0, 1, N_QUANTILES))
    return DataStatistics(
        log_mean=_tensor(mean),
        log_scale=_tensor(deviation),
        proportions=_tensor(totals / totals.sum()),
        cells_per_perturbation=_tensor(carriers),
        n_training_cells=torch.tensor(float(len(cells))),
        library_size_quantiles=_tensor(quantiles),
    )


def _moments(screen: Screen, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means of log(x + 1) and of its square, and totals of x: three (G,) arrays."""
    mean, square, totals = np.zeros((3, screen.n_genes))
    for start in range(0, len(cells), CHUNK_CELLS):
        counts = screen.counts[cells[start : start + CHUNK_CELLS]]
        logged = np.log1p(counts.data, dtype=np.float64)
        for sums, values in ((mean, logged), (square, logged**2), (totals, counts.data)):
            sums += np.bincount(counts.indices, values, minlength=screen.n_genes)
    return mean / len(cells), square / len(cells), totals


def _tensor(values: np.ndarray) -> Tensor:
    return torch.from_numpy(values.astype(np.float32))
