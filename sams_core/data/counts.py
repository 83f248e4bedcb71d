"""Raw counts: any matrix that AnnData can hold, as CSR in the smallest exact unsigned type."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd
from scipy import sparse

from sams_core.data.checks import quoted
from sams_core.errors import ScreenError

CHUNK_VALUES = 1 << 22
"""Values looked at together: temporary arrays stay at a few tens of megabytes."""


def as_csr(matrix: Any) -> sparse.csr_matrix:
    """CSR of a sparse, dense or on-disk matrix, reading a dense one a few rows at a time.

    Parameters
    ----------
    matrix
        SciPy sparse matrix or array, NumPy array, or an array on disk with ``shape``, ``dtype`` and
        slicing, of shape (n_cells, n_genes).

    Returns
    -------
    scipy.sparse.csr_matrix
        Sorted, without duplicate entries; it may share memory with ``matrix``.

    Raises
    ------
    ScreenError
        If the values are not numbers or the sparse structure is inconsistent.
    """
    if hasattr(matrix, "to_memory"):
        matrix = matrix.to_memory()
    refuse_type(matrix.dtype)
    if sparse.issparse(matrix):
        return sort_out(matrix)
    if matrix.dtype == np.float16:
        matrix = np.asarray(matrix, dtype=np.float32)
    rows_at_once = max(1, CHUNK_VALUES // max(1, matrix.shape[1]))
    blocks = [
        sparse.csr_matrix(np.asarray(matrix[start : start + rows_at_once]))
        for start in range(0, max(1, matrix.shape[0]), rows_at_once)
    ]
    return sparse.vstack(blocks, format="csr")


def refuse_type(dtype: Any) -> None:
    """Refuse values that are not numbers.

    Raises
    ------
    ScreenError
        Naming the type.
    """
    if np.dtype(dtype).kind not in "buif":
        raise ScreenError(
            f"The counts are of type '{dtype}', not numbers; store the raw counts in X or in a "
            "layer."
        )


def sort_out(matrix: Any) -> sparse.csr_matrix:
    """CSR of a sparse matrix with sorted columns and one entry for each; maybe the matrix itself.

    Raises
    ------
    ScreenError
        If the structure is inconsistent.
    """
    try:
        if hasattr(matrix, "check_format"):
            matrix.check_format(full_check=True)
    except ValueError as error:
        raise inconsistent(error) from error
    csr = sparse.csr_matrix(matrix)
    if not csr.has_canonical_format:
        wide = {"f": csr.dtype, "u": np.dtype(np.uint64)}.get(csr.dtype.kind, np.dtype(np.int64))
        csr = csr.astype(wide, copy=True)
        csr.sum_duplicates()
    return csr


def inconsistent(error: ValueError) -> ScreenError:
    """What to say of a sparse structure that SciPy refuses."""
    return ScreenError(f"The sparse counts are inconsistent ({error}); write the file again.")


class RowSource(Protocol):
    """A matrix of which rows can be read: in memory or in a file."""

    @property
    def shape(self) -> tuple[int, int]:
        """Cells and genes."""

    @property
    def starts(self) -> np.ndarray:
        """Number of the first stored value of every row, and of all: int64 of shape (n + 1,)."""

    def read(self, first: int, last: int) -> sparse.csr_matrix:
        """Rows ``first`` to before ``last``."""


@dataclass(frozen=True)
class InMemory:
    """The rows of a CSR matrix."""

    matrix: sparse.csr_matrix

    @property
    def shape(self) -> tuple[int, int]:
        """Cells and genes."""
        return int(self.matrix.shape[0]), int(self.matrix.shape[1])

    @property
    def starts(self) -> np.ndarray:
        """Number of the first stored value of every row, and of all values."""
        return np.asarray(self.matrix.indptr, dtype=np.int64)

    def read(self, first: int, last: int) -> sparse.csr_matrix:
        """Rows ``first`` to before ``last``."""
        return self.matrix[first:last]


@dataclass(frozen=True)
class Naming:
    """What to call a matrix, its cells and its genes in messages.

    ``other_layers`` gives the names of other layers (or ``X``, ``raw``) that hold whole numbers,
    asked for only when this matrix does not.
    """

    field: str
    cell_names: pd.Index
    gene_names: pd.Index
    other_layers: Callable[[], list[str]] = list


def row_cuts(starts: np.ndarray) -> Iterator[tuple[int, int]]:
    """Rows from and to which to go at a time, so that at most so many values are looked at.

    Parameters
    ----------
    starts : (n + 1,) array
        Number of the first value of every row, and of all values.
    """
    n_rows, first = len(starts) - 1, 0
    while first < n_rows:
        last = int(np.searchsorted(starts, starts[first] + CHUNK_VALUES, side="right")) - 1
        last = min(max(last, first + 1), n_rows)
        yield first, last
        first = last


def exact_rows(rows: sparse.csr_matrix, first: int, naming: Naming) -> sparse.csr_matrix:
    """Check that all values of some rows are counts; they come back in the smallest exact type.

    Parameters
    ----------
    rows
        The rows.
    first
        Number of the first of them.
    naming
        Names for messages.

    Returns
    -------
    scipy.sparse.csr_matrix
        uint8, uint16 or uint32, sorted, without stored zeros.

    Raises
    ------
    ScreenError
        If a value is NaN, infinite, negative, fractional or above 4,294,967,295.
    """
    rows = sort_out(rows)
    fault = _first_fault(rows.data) if rows.nnz else None
    if fault is not None:
        at, said, cure = fault
        row = int(np.searchsorted(rows.indptr, at, side="right")) - 1
        raise ScreenError(
            f"{naming.field} holds {said} (cell '{naming.cell_names[first + row]}', gene "
            f"'{naming.gene_names[rows.indices[at]]}'); "
            f"{cure or _where_the_counts_are(naming.other_layers())}."
        )
    dtype = smallest_type(int(rows.data.max(initial=0)))
    exact = sparse.csr_matrix((rows.data.astype(dtype), rows.indices, rows.indptr), rows.shape)
    if rows.nnz and rows.data.min() == 0:
        exact = exact.copy()
        exact.eliminate_zeros()
    return exact


def exact_counts(source: RowSource, naming: Naming) -> sparse.csr_matrix:
    """Check that every value is a count and keep it in the smallest exact unsigned type.

    Parameters
    ----------
    source
        Values of shape (n_cells, n_genes).
    naming
        Names for messages.

    Returns
    -------
    scipy.sparse.csr_matrix
        uint8, uint16 or uint32, without stored zeros; shares no memory with ``source``.

    Raises
    ------
    ScreenError
        If a value is no count, see :func:`exact_rows`.
    """
    most = int(source.starts[-1])
    index_type = np.dtype(np.int32 if most <= np.iinfo(np.int32).max else np.int64)
    data, indices = np.empty(most, np.uint8), np.empty(most, index_type)
    pointers, stop = np.zeros(len(source.starts), dtype=index_type), 0
    for first, last in row_cuts(source.starts):
        rows = exact_rows(source.read(first, last), first, naming)
        if rows.dtype.itemsize > data.itemsize:
            data = data.astype(rows.dtype)
        pointers[first + 1 : last + 1] = stop + rows.indptr[1:]
        start, stop = stop, stop + rows.nnz
        data[start:stop], indices[start:stop] = rows.data, rows.indices
    data.resize(stop, refcheck=False)
    indices.resize(stop, refcheck=False)
    return sparse.csr_matrix((data, indices, pointers), shape=source.shape)


def smallest_type(largest: int) -> np.dtype:
    """Smallest of uint8, uint16 and uint32 that holds ``largest``."""
    return np.dtype(next(t for t in (np.uint8, np.uint16, np.uint32) if largest <= np.iinfo(t).max))


def shrink(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    """Counts again in the smallest type, after a selection of cells."""
    dtype = smallest_type(int(counts.data.max(initial=0)))
    return counts.astype(dtype, copy=False)


def holds_whole_numbers(values: np.ndarray) -> bool:
    """Whether a sample of values could be raw counts."""
    if values.dtype.kind not in "buif":
        return False
    return bool(np.isfinite(values).all() and (values >= 0).all() and not (values % 1).any())


def _first_fault(values: np.ndarray) -> tuple[int, str, str | None] | None:
    """Position of a value that is no count, what to call it, and the cure where it is clear."""
    if values.dtype.kind == "f":
        finite = np.isfinite(values)
        if not finite.all():
            at = int(np.argmin(finite))
            cure = "replace such values by the raw counts or drop those cells"
            return at, f"the value {values[at]}, which is no count", cure
        broken = values != np.floor(values)
        if broken.any():
            at = int(np.argmax(broken))
            return at, f"fractional values such as {values[at]:.4g}", None
    at = int(np.argmin(values))
    if values[at] < 0:
        return at, f"negative values such as {values[at]:.4g}", None
    at = int(np.argmax(values))
    if values[at] > np.iinfo(np.uint32).max:
        return at, f"a count of {int(values[at]):,}, which no cell has", "give the raw counts"
    return None


def _where_the_counts_are(others: list[str]) -> str:
    if not others:
        return (
            "a screen needs raw UMI counts, so put them in X or in a layer and name it with layer"
        )
    if others[0] == "X":
        return "raw counts seem to be in X, so leave layer off"
    if others[0] == "raw":
        return "raw counts seem to be in raw, so use adata.raw.to_adata() with the same obs"
    return f"raw counts seem to be in layer {quoted(others)}, so pass layer='{others[0]}'"
