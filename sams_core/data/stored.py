"""Count matrices in a file: rows are read as they are asked for, by name of the file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from sams_core.data.counts import (
    CHUNK_VALUES,
    Naming,
    exact_rows,
    inconsistent,
    refuse_type,
    row_cuts,
    smallest_type,
    sort_out,
)
from sams_core.data.stores import damage_named, open_store
from sams_core.errors import ScreenError

GAP_VALUES = 1 << 15
"""Values between two rows up to which one long read takes less time than two short ones."""

FEWEST_NEIGHBOURS, MOST_NEIGHBOURS = 64, 512


class StoredMatrix:
    """Rows of a matrix in an AnnData's file, stored by cells: CSR or dense.

    The file is opened when it is first read from, once in each process.

    Parameters
    ----------
    path
        The file.
    at
        Where the matrix is in it: ``X`` or ``layers/counts``.
    field
        What to call it in messages.
    stored
        The matrix there, as it is open at the moment.

    Attributes
    ----------
    shape
        Cells and genes.
    starts
        Number of the first value of every row, and of all values: int64 of shape (n + 1,).
    chunk_rows
        Rows, on average, that are stored, and decompressed, together.
    compression
        Name of what the values are compressed with; empty if they are not.

    Raises
    ------
    ScreenError
        If the values are not numbers or the sparse structure is inconsistent.
    """

    def __init__(self, path: Path, at: str, field: str, stored: Any) -> None:
        self.path, self.at, self.field = path.resolve(), at, field
        self.is_sparse = not hasattr(stored, "shape")
        values = stored["data"] if self.is_sparse else stored
        refuse_type(values.dtype)
        self.chunk_rows, self.compression = 1, _compression(values)
        if self.is_sparse:
            n_cells, n_genes = (int(size) for size in stored.attrs["shape"])
            self.starts = np.asarray(stored["indptr"][:]).astype(np.int64)
            _refuse_structure(
                self.starts, (n_cells, n_genes), stored["indices"].shape[0], values.shape[0]
            )
        else:
            n_cells, n_genes = (int(size) for size in values.shape)
            self.starts = np.arange(n_cells + 1, dtype=np.int64) * n_genes
        self.shape = (n_cells, n_genes)
        if values.chunks:
            in_chunk = values.chunks[0] * (1 if self.is_sparse else n_genes)
            self.chunk_rows = max(1, in_chunk * n_cells // max(1, int(self.starts[-1])))
        self._opened: tuple[int, Any, Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    def read(self, first: int, last: int) -> sparse.csr_matrix:
        """Rows ``first`` to before ``last``, with the values and the order of the file."""
        with damage_named(self.path.name, self.field):
            stored = self._stored()
            if not self.is_sparse:
                rows = np.asarray(stored[first:last])
                half = rows.dtype == np.float16
                return sparse.csr_matrix(rows.astype(np.float32) if half else rows)
            values = slice(int(self.starts[first]), int(self.starts[last]))
            pointers = self.starts[first : last + 1] - values.start
            arrays = (stored["data"][values], stored["indices"][values], pointers)
            return sparse.csr_matrix(arrays, shape=(last - first, self.shape[1]))

    def _stored(self) -> Any:
        if self._opened is None or self._opened[0] != os.getpid():
            store = open_store(self.path)
            stored = store[self.at]
            if self.is_sparse:
                stored = {name: stored[name] for name in ("data", "indices")}
            self._opened = (os.getpid(), store, stored)
        return self._opened[2]


@dataclass(frozen=True, eq=False)
class StoredCounts:
    """Counts that stay in their file; what is asked for comes as CSR, exact and sorted.

    Attributes
    ----------
    source
        The matrix in the file, which has been checked.
    rows
        Row of the file that every cell is, ascending: int64 of shape (n,).
    indptr
        Number of the first count of every cell, and of all counts: int64 of shape (n + 1,).
    dtype
        The smallest exact unsigned type of all counts.
    row_sums
        Total of every cell, float64 of shape (n,).
    cells_detecting
        Cells in which each gene has a count, int64 of shape (G,).
    extremes
        Smallest and largest count above zero.
    is_tidy
        Whether the file has sorted columns, one entry for each, and no zeros among them.
    """

    source: StoredMatrix
    rows: np.ndarray
    indptr: np.ndarray
    dtype: np.dtype
    row_sums: np.ndarray
    cells_detecting: np.ndarray
    extremes: tuple[int, int]
    is_tidy: bool

    @classmethod
    def checked(cls, source: StoredMatrix, naming: Naming) -> StoredCounts:
        """Look at all values once.

        Raises
        ------
        ScreenError
            If a value is no count, see :func:`sams_core.data.counts.exact_rows`.
        """
        n_cells, n_genes = source.shape
        indptr, sums = np.zeros(n_cells + 1, dtype=np.int64), np.zeros(n_cells)
        detecting = np.zeros(n_genes, dtype=np.int64)
        lowest, highest, is_tidy = np.iinfo(np.int64).max, 0, True
        for first, last in row_cuts(source.starts):
            raw = source.read(first, last)
            rows = exact_rows(raw, first, naming)
            is_tidy &= bool(raw.has_canonical_format) and rows.nnz == raw.nnz
            indptr[first + 1 : last + 1] = indptr[first] + rows.indptr[1:]
            sums[first:last] = np.asarray(rows.sum(axis=1, dtype=np.float64)).ravel()
            detecting += np.bincount(rows.indices, minlength=n_genes)
            if rows.nnz:
                lowest = min(lowest, int(rows.data.min()))
                highest = max(highest, int(rows.data.max()))
        return cls(
            source, np.arange(n_cells), indptr, smallest_type(highest), sums, detecting,
            (lowest, highest), is_tidy,
        )  # fmt: skip

    @property
    def shape(self) -> tuple[int, int]:
        """Cells and genes."""
        return len(self.rows), self.source.shape[1]

    @property
    def nnz(self) -> int:
        """Counts above zero."""
        return int(self.indptr[-1])

    @property
    def neighbours(self) -> int:
        """Neighbouring cells that are best read together."""
        return int(np.clip(self.source.chunk_rows, FEWEST_NEIGHBOURS, MOST_NEIGHBOURS))

    @property
    def notes(self) -> list[str]:
        """What makes training on the file slower than it could be, and the cure."""
        source, notes = self.source, []
        if source.compression:
            notes.append(
                f"Counts stay in {source.path.name} and are decompressed ({source.compression}) "
                "again in every epoch; for faster training write the AnnData without "
                "compression."
            )
        if source.chunk_rows > MOST_NEIGHBOURS:
            notes.append(
                f"{source.path.name} keeps about {source.chunk_rows:,} cells in a chunk, of which "
                f"{MOST_NEIGHBOURS} are read for training at a time; for faster training write it "
                "in smaller chunks, or as .h5ad."
            )
        return notes

    def without_empty_rows(self) -> StoredCounts:
        """The cells with counts."""
        kept = np.diff(self.indptr) > 0
        return replace(
            self,
            rows=self.rows[kept],
            indptr=np.r_[self.indptr[:1], self.indptr[1:][kept]],
            row_sums=self.row_sums[kept],
        )

    def blocks(self) -> Iterator[sparse.csr_matrix]:
        """All cells in their order, some at a time."""
        for first, last in row_cuts(self.indptr):
            yield self[np.arange(first, last)]

    def __getitem__(self, cells: np.ndarray) -> sparse.csr_matrix:
        """Counts of some cells.

        Parameters
        ----------
        cells : (m,) integer array or (n,) boolean array
            Which cells, in the order wanted.

        Raises
        ------
        ScreenError
            If the file is gone or damaged.
        """
        cells = np.asarray(cells)
        if cells.dtype == bool:
            cells = np.flatnonzero(cells)
        wanted, back = np.unique(cells, return_inverse=True)
        pointers = np.r_[0, np.cumsum(np.diff(self.indptr)[wanted])]
        data, indices = np.empty(pointers[-1], self.dtype), np.empty(pointers[-1], np.int32)
        for start, stop in self._runs(wanted):
            rows = self._read(self.rows[wanted[start:stop]])
            into = slice(pointers[start], pointers[stop])
            if rows.nnz != pointers[stop] - pointers[start]:
                raise ScreenError(
                    f"{self.source.path} has changed since it was read; start again with it."
                )
            data[into], indices[into] = rows.data, rows.indices
        found = sparse.csr_matrix((data, indices, pointers), (len(wanted), self.shape[1]))
        in_order = len(wanted) == len(cells) and (back[1:] > back[:-1]).all()
        return found if in_order else found[back]

    def _runs(self, wanted: np.ndarray) -> Iterator[tuple[int, int]]:
        """Where to cut ascending cells so that each part is read at once."""
        if not len(wanted):
            return
        rows, starts = self.rows[wanted], self.source.starts
        far = starts[rows[1:]] - starts[rows[:-1] + 1] > GAP_VALUES
        full = np.diff(starts[rows] // CHUNK_VALUES) > 0
        cuts = np.r_[0, np.flatnonzero(far | full) + 1, len(rows)]
        yield from pairwise(cuts)

    def _read(self, rows: np.ndarray) -> sparse.csr_matrix:
        """Ascending rows of the file, not far from each other."""
        first, last = int(rows[0]), int(rows[-1]) + 1
        block = self.source.read(first, last)
        if not self.is_tidy:
            block = sort_out(block).copy()
            block.eliminate_zeros()
        return block if len(rows) == last - first else block[rows - first]


def _refuse_structure(
    starts: np.ndarray, shape: tuple[int, int], n_indices: int, n_values: int
) -> None:
    """Refuse row pointers that SciPy would, without the values: these take no memory here."""
    hollow: Any = sparse.csr_matrix(shape)
    hollow.indptr = starts
    hollow.indices = np.broadcast_to(np.int64(0), n_indices)
    hollow.data = np.broadcast_to(np.uint8(0), n_values)
    try:
        hollow.check_format(full_check=True)
    except ValueError as error:
        raise inconsistent(error) from error


def _compression(values: Any) -> str:
    """Name of what an array in HDF5 or zarr is compressed with; empty if it is not."""
    if hasattr(values, "compression"):
        return values.compression or ""
    return ", ".join(type(codec).__name__ for codec in values.compressors)
