"""The order of training cells, and rows of a file read ahead of their use.

In memory, an epoch is a random permutation of the cells. In a file, neighbouring cells are read at
a fraction of the time of as many single ones. There, an epoch is a random permutation of short
blocks of neighbours, of which many at once are gathered in a buffer and shuffled cell by cell, as
shuffle buffers of data loaders do. So a minibatch has cells from all over the file, but two cells
of a block are in the same buffer, and the same minibatch more often than chance would have it.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import numpy as np
from scipy import sparse
from torch import Tensor

from sams_core.data.resident import ResidentCounts
from sams_core.data.stored import StoredCounts
from sams_core.data.totals import Counts

BUFFER_VALUES = 1 << 24
"""Counts above zero in a buffer: about 100 MB; two are in memory at a time."""


def ordered_cells(
    counts: Counts, cells: np.ndarray, *, batch_size: int, seed: int, start_step: int = 0
) -> Iterator[list[np.ndarray]]:
    """Row numbers of one minibatch after another, without end, those of a buffer at a time.

    Parameters
    ----------
    counts
        In memory, where a buffer is an epoch, or in a file.
    cells : (n,) integer array
        Rows to choose from, every one once an epoch, but for the last ``n % batch_size``.
    batch_size
        Cells a minibatch; they come sorted.
    seed
        With its number, sets the order of an epoch.
    start_step
        Minibatches to leave out at the start.
    """
    steps = len(cells) // batch_size
    together = steps
    if isinstance(counts, StoredCounts):
        per_minibatch = batch_size * counts.nnz / counts.shape[0]
        together = max(1, int(BUFFER_VALUES / per_minibatch))
    epoch, first = divmod(start_step, steps)
    while True:
        rng = np.random.default_rng((seed, epoch))
        if isinstance(counts, StoredCounts):
            order = order_of_blocks(cells, counts.neighbours, together * batch_size, rng)
        else:
            order = rng.permutation(cells)
        while first < steps:
            last = min(first - first % together + together, steps)
            starts = range(first * batch_size, last * batch_size, batch_size)
            yield [np.sort(order[start : start + batch_size]) for start in starts]
            first = last
        epoch, first = epoch + 1, 0


def order_of_blocks(
    cells: np.ndarray, neighbours: int, buffered: int, rng: np.random.Generator
) -> np.ndarray:
    """All cells once: blocks in random order, then single cells within each buffer.

    Parameters
    ----------
    cells : (n,) integer array
        Row numbers.
    neighbours
        Rows of the screen to a block, whichever of them are among the cells.
    buffered
        Cells to a buffer; the last may be smaller.
    rng
        Source of both orders.
    """
    cells = np.sort(cells)
    starts = np.unique(cells // neighbours, return_index=True)[1]
    blocks = np.split(cells, starts[1:])
    order = np.concatenate([blocks[k] for k in rng.permutation(len(blocks))])
    for start in range(0, len(order), buffered):
        rng.shuffle(order[start : start + buffered])
    return order


def drawn_rows(
    counts: Counts | ResidentCounts,
    buffers: Iterator[list[np.ndarray]],
    share: tuple[int, int] = (0, 1),
) -> Iterator[tuple[np.ndarray, sparse.csr_matrix | Tensor]]:
    """Row numbers of one minibatch after another, and the counts of this process's cells of it.

    From a file, a thread reads those of the following buffer in the meantime.

    Parameters
    ----------
    counts
        In memory or in a file, or on a device, from which they come dense.
    buffers
        From :func:`ordered_cells`.
    share
        Rank of this process and number of processes.

    Raises
    ------
    ScreenError
        If the file is gone or damaged; raised here, not in the thread.
    """
    rank, world_size = share
    if not isinstance(counts, StoredCounts):
        for cells in chain.from_iterable(buffers):
            yield cells, counts[cells[rank::world_size]]
        return

    def read(buffer: list[np.ndarray]) -> tuple[list[np.ndarray], np.ndarray, sparse.csr_matrix]:
        own = np.sort(np.concatenate([cells[rank::world_size] for cells in buffer]))
        return buffer, own, counts[own]

    with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as thread:
        following = thread.submit(read, next(buffers))
        while True:
            buffer, own, rows = following.result()
            following = thread.submit(read, next(buffers))
            for cells in buffer:
                yield cells, rows[np.searchsorted(own, cells[rank::world_size])]
