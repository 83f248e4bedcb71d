"""Minibatches of a screen: dense blocks cut from CSR, in an order set by the seed and the step."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from sams_core.data.screen import Screen
from sams_core.errors import ConfigError
from sams_core.models.batch import Minibatch


def minibatch(screen: Screen, cells: np.ndarray) -> Minibatch:
    """The given cells as float32 tensors.

    Parameters
    ----------
    screen
        n cells x G genes.
    cells : (n,) integer array
        Row numbers.
    """
    batch = None
    if screen.batch is not None:
        batch = torch.from_numpy(np.asarray(screen.batch.codes)[cells].astype(np.int64))
    return Minibatch(
        _dense(screen.counts[cells]),
        _dense(screen.dosages[cells]),
        torch.from_numpy(screen.library_size[cells].astype(np.float32)),
        batch,
    )


def _dense(rows) -> Tensor:  # type: ignore[no-untyped-def]
    return torch.from_numpy(rows.toarray().astype(np.float32, copy=False))


class TrainingBatches:
    """An endless stream of shuffled minibatches that can start at any step.

    Epoch ``k`` visits every cell once in an order drawn from ``(seed, k)`` alone, so that a resumed
    run sees what an uninterrupted one would have. The last, smaller batch of an epoch is dropped.

    Parameters
    ----------
    screen
        The screen.
    cells : (n,) integer array
        Row numbers of the training cells.
    batch_size
        Cells a minibatch; all of them when there are fewer.
    seed
        Seed of the order.
    start_step
        Steps already taken.
    rank, world_size
        Which share of each global minibatch this process takes, when several train together.

    Raises
    ------
    ConfigError
        When a share would be empty.
    """

    def __init__(
        self,
        screen: Screen,
        cells: np.ndarray,
        *,
        batch_size: int,
        seed: int,
        start_step: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        self.screen, self.cells, self.seed = screen, cells, seed
        self.batch_size = min(batch_size, len(cells))
        if self.batch_size < world_size:
            raise ConfigError(
                f"batch_size is {self.batch_size} for {world_size} devices: give at least one cell "
                "a device, or use fewer devices."
            )
        self.start_step, self.rank, self.world_size = start_step, rank, world_size

    @property
    def steps_per_epoch(self) -> int:
        """Minibatches in one pass over the training cells."""
        return len(self.cells) // self.batch_size

    def __iter__(self) -> Iterator[Minibatch]:
        step = self.start_step
        while True:
            epoch, first = divmod(step, self.steps_per_epoch)
            order = np.random.default_rng((self.seed, epoch)).permutation(self.cells)
            for k in range(first, self.steps_per_epoch):
                chosen = order[k * self.batch_size : (k + 1) * self.batch_size]
                yield minibatch(self.screen, np.sort(chosen[self.rank :: self.world_size]))
                step += 1


def sequential_batches(
    screen: Screen, cells: np.ndarray, batch_size: int = 1024
) -> Iterator[Minibatch]:
    """Every given cell once, in order."""
    for start in range(0, len(cells), batch_size):
        yield minibatch(screen, cells[start : start + batch_size])
