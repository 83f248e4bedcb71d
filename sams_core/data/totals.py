"""Totals of a screen's counts, which are in memory or in a file."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import sparse

from sams_core.data.counts import row_cuts
from sams_core.data.stored import StoredCounts

Counts = sparse.csr_matrix | StoredCounts


def row_sums(counts: Counts) -> np.ndarray:
    """Total of every row, float64, some rows at a time: SciPy's own sum copies all values."""
    if isinstance(counts, StoredCounts):
        return counts.row_sums
    totals = np.zeros(counts.shape[0])
    for first, last in row_cuts(counts.indptr):
        pointers = counts.indptr[first : last + 1]
        filled = np.flatnonzero(np.diff(pointers))
        if filled.size:
            values = counts.data[pointers[0] : pointers[-1]].astype(np.float64)
            totals[first + filled] = np.add.reduceat(values, pointers[filled] - pointers[0])
    return totals


def cells_detecting(counts: Counts) -> np.ndarray:
    """Cells in which each gene has a count, int64 of shape (G,)."""
    if isinstance(counts, StoredCounts):
        return counts.cells_detecting
    return np.bincount(counts.indices, minlength=counts.shape[1])


def extremes(counts: Counts) -> tuple[int, int]:
    """Smallest and largest count above zero."""
    if isinstance(counts, StoredCounts):
        return counts.extremes
    return int(counts.data.min()), int(counts.data.max())


def without_empty_rows(counts: Counts) -> Counts:
    """The rows with counts, over the same values."""
    if isinstance(counts, StoredCounts):
        return counts.without_empty_rows()
    kept = np.diff(counts.indptr) > 0
    pointers = np.r_[counts.indptr[:1], counts.indptr[1:][kept]]
    shape = (len(pointers) - 1, counts.shape[1])
    return sparse.csr_matrix((counts.data, counts.indices, pointers), shape)


def row_blocks(counts: Counts) -> Iterator[sparse.csr_matrix]:
    """All rows in their order, at once or, from a file, some at a time."""
    if isinstance(counts, StoredCounts):
        yield from counts.blocks()
    else:
        yield counts
