"""Minibatches of a screen: dense blocks cut from CSR, in an order set by the seed and the step."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from sams_core.data.resident import ResidentCounts
from sams_core.data.screen import Screen
from sams_core.data.shuffling import drawn_rows, ordered_cells
from sams_core.errors import ConfigError
from sams_core.models.batch import Carried, Minibatch, Share

N_BLOCKS = 3
"""Minibatches whose counts stay in memory: the one trained on, the one drawn ahead, a spare."""


def minibatch(screen: Screen, cells: np.ndarray, draw_rank: np.ndarray | None = None) -> Minibatch:
    """The given cells as float32 tensors of their own.

    Parameters
    ----------
    screen
        n cells x G genes.
    cells : (n,) integer array
        Row numbers.
    draw_rank : (T,) integer array, optional
        Place of each perturbation in the order in which random numbers are drawn. With it the
        minibatch names all T perturbations in that order.
    """
    order = None if draw_rank is None else np.argsort(np.asarray(draw_rank))
    return _minibatch(screen, cells, _dense(screen.counts[cells]), order)


def sequential_batches(
    screen: Screen, cells: np.ndarray, batch_size: int = 1024, draw_rank: np.ndarray | None = None
) -> Iterator[Minibatch]:
    """Every given cell once, in order, as :func:`minibatch` gives them."""
    for start in range(0, len(cells), batch_size):
        yield minibatch(screen, cells[start : start + batch_size], draw_rank)


class TrainingBatches:
    """An endless stream of shuffled minibatches that can start at any step.

    Epoch ``k`` visits every cell once in an order drawn from ``(seed, k)`` alone, so that a resumed
    run sees what an uninterrupted one would have (:mod:`sams_core.data.shuffling`). The last,
    smaller batch of an epoch is dropped.

    Counts are written into a few blocks in turn: a minibatch is valid until two more were drawn.

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
        Which share of each global minibatch this process takes, when several train together: of
        its cells in the screen's order, every ``world_size``-th from number ``rank`` on.
    draw_rank : (T,) integer array, optional
        Place of each perturbation in the order in which random numbers are drawn. With it a
        minibatch names the perturbations that cells of the global minibatch carry, in that order;
        if all are control cells, the first of all perturbations.
    resident
        The screen's counts on the device that trains, to cut minibatches from there.

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
        draw_rank: np.ndarray | None = None,
        resident: ResidentCounts | None = None,
    ) -> None:
        self.screen, self.cells, self.seed = screen, cells, seed
        self.batch_size = min(batch_size, len(cells))
        if self.batch_size < world_size:
            raise ConfigError(
                f"batch_size is {self.batch_size} for {world_size} devices: give at least one cell "
                "a device, or use fewer devices."
            )
        self.start_step, self.share = start_step, (rank, world_size)
        self.draw_rank = None if draw_rank is None else np.asarray(draw_rank)
        self.resident = resident

    def __iter__(self) -> Iterator[Minibatch]:
        rank, world_size = self.share
        n_rows = len(range(rank, self.batch_size, world_size))
        blocks = itertools.cycle(_Block(n_rows, self.screen) for _ in range(N_BLOCKS))
        buffers = ordered_cells(
            self.screen.counts,
            self.cells,
            batch_size=self.batch_size,
            seed=self.seed,
            start_step=self.start_step,
        )
        source = self.resident or self.screen.counts
        for together, rows in drawn_rows(source, buffers, self.share):
            cells = together[rank::world_size]
            counts = rows if isinstance(rows, Tensor) else next(blocks).fill(rows)
            batch = _minibatch(self.screen, cells, counts, self._carried_by(together))
            if world_size > 1:
                batch = replace(batch, share=Share(rank, world_size, self.batch_size))
            yield batch

    def _carried_by(self, cells: np.ndarray) -> np.ndarray | None:
        """Perturbations of the cells, at least one, in the order of draws where one is known."""
        if self.draw_rank is None:
            return None
        present = np.unique(self.screen.dosages[cells].indices)
        if not len(present):
            present = np.array([np.argmin(self.draw_rank)])
        return present[np.argsort(self.draw_rank[present])]


class _Block:
    """A dense float32 block of counts that is written again and again."""

    def __init__(self, n_rows: int, screen: Screen) -> None:
        self.exact = np.empty((n_rows, screen.n_genes), dtype=screen.counts.dtype)
        self.counts = torch.empty(n_rows, screen.n_genes)

    def fill(self, rows: sparse.csr_matrix) -> Tensor:
        """Write the rows over what was here."""
        rows.toarray(out=self.exact)
        np.copyto(self.counts.numpy(), self.exact)
        return self.counts


def _minibatch(
    screen: Screen, cells: np.ndarray, counts: Tensor, perturbations: np.ndarray | None
) -> Minibatch:
    """A minibatch that names the given perturbations, the only ones of its cells, if any."""
    batch = None
    if screen.batch is not None:
        batch = torch.from_numpy(np.asarray(screen.batch.codes)[cells].astype(np.int64))
    library_size = torch.from_numpy(screen.library_size[cells].astype(np.float32))
    rows = screen.dosages[cells]
    if perturbations is None:
        return Minibatch(counts, _dense(rows), library_size, batch)
    dosages, carried = _by_column(rows, perturbations)
    named = torch.from_numpy(perturbations.astype(np.int64))
    return Minibatch(counts, dosages, library_size, batch, named, carried)


def _by_column(rows: sparse.csr_matrix, perturbations: np.ndarray) -> tuple[Tensor, Carried]:
    """Dosages of n cells with a column for each of K perturbations, dense and by cell."""
    n_cells = rows.shape[0]
    column_of = np.zeros(rows.shape[1], dtype=np.int64)
    column_of[perturbations] = np.arange(len(perturbations))
    column, cell = column_of[rows.indices], np.repeat(np.arange(n_cells), np.diff(rows.indptr))
    dosages = np.zeros((n_cells, len(perturbations)), dtype=np.float32)
    dosages[cell, column] = rows.data
    width = max(1, int(np.diff(rows.indptr).max(initial=0)))
    place = np.arange(rows.nnz) - rows.indptr[cell]
    columns, doses = np.zeros((n_cells, width), np.int64), np.zeros((n_cells, width), np.float32)
    columns[cell, place], doses[cell, place] = column, rows.data
    carried = Carried(torch.from_numpy(columns), torch.from_numpy(doses))
    return torch.from_numpy(dosages), carried


def _dense(rows: sparse.csr_matrix) -> Tensor:
    return torch.from_numpy(rows.toarray().astype(np.float32, copy=False))
