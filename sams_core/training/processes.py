"""Several processes that train together: each has its share of every minibatch's cells.

They draw the same random numbers and average their gradients, so that they take the steps that one
process would take. What is not linear in the cells is averaged over them before it is used.
"""

from __future__ import annotations

import torch.distributed as processes
from torch import Tensor

from sams_core.models import Minibatch


def cell_weight(batch: Minibatch) -> float:
    """Cells here by the mean number of cells of a process.

    A mean over the cells here times this, averaged over processes, is the mean over all cells, also
    when the processes have one cell more or less than each other. 1 for a process alone.
    """
    share = batch.share
    return 1.0 if share is None else len(batch) * share.world_size / share.n_cells


def mean_over_cells(here: Tensor, batch: Minibatch) -> Tensor:
    """Mean over all cells of a minibatch, from the mean over the cells here; without a gradient."""
    return here if batch.share is None else mean_over_processes(here * cell_weight(batch))


def mean_over_processes(here: Tensor) -> Tensor:
    """Mean of each process's tensor, the same for all; without a gradient."""
    if not (processes.is_available() and processes.is_initialized()):
        return here
    mean = here.detach() / processes.get_world_size()
    processes.all_reduce(mean)
    return mean
