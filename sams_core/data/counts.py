"""Raw counts: any matrix that AnnData can hold, as CSR in the smallest exact unsigned type."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

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
    if np.dtype(matrix.dtype).kind not in "buif":
        raise ScreenError(
            f"The counts are of type '{matrix.dtype}', not numbers; store the raw counts in X or "
            "in a layer."
        )
    if sparse.issparse(matrix):
        return _tidy(matrix)
    if matrix.dtype == np.float16:
        matrix = np.asarray(matrix, dtype=np.float32)
    rows_at_once = max(1, CHUNK_VALUES // max(1, matrix.shape[1]))
    blocks = [
        sparse.csr_matrix(np.asarray(matrix[start : start + rows_at_once]))
        for start in range(0, max(1, matrix.shape[0]), rows_at_once)
    ]
    return sparse.vstack(blocks, format="csr")


def _tidy(matrix: Any) -> sparse.csr_matrix:
    try:
        if hasattr(matrix, "check_format"):
            matrix.check_format(full_check=True)
    except ValueError as error:
        raise ScreenError(
            f"The sparse counts are inconsistent ({error}); write the file again."
        ) from error
    csr = sparse.csr_matrix(matrix)
    if not csr.has_canonical_format:
        wide = {"f": csr.dtype, "u": np.dtype(np.uint64)}.get(csr.dtype.kind, np.dtype(np.int64))
        csr = csr.astype(wide, copy=True)
        csr.sum_duplicates()
    return csr


def exact_counts(
    csr: sparse.csr_matrix,
    *,
    field: str,
    cell_names: pd.Index,
    gene_names: pd.Index,
    other_layers: Callable[[], list[str]] = list,
) -> sparse.csr_matrix:
    """Check that every value is a count and keep it in the smallest exact unsigned type.

    Parameters
    ----------
    csr
        Values of shape (n_cells, n_genes).
    field
        What to call the matrix in messages (``X`` or ``layer 'counts'``).
    cell_names, gene_names
        Names for messages.
    other_layers
        Names of other layers (or ``X``, ``raw``) that hold whole numbers, asked for only when
        this matrix does not.

    Returns
    -------
    scipy.sparse.csr_matrix
        uint8, uint16 or uint32, without stored zeros; shares no memory with ``csr``.

    Raises
    ------
    ScreenError
        If a value is NaN, infinite, negative, fractional or above 4,294,967,295.
    """
    largest = 0
    for start, values in _chunks(csr.data):
        fault = _first_fault(values)
        if fault is not None:
            at, said, cure = fault
            row = int(np.searchsorted(csr.indptr, start + at, side="right")) - 1
            raise ScreenError(
                f"{field} holds {said} (cell '{cell_names[row]}', gene "
                f"'{gene_names[csr.indices[start + at]]}'); "
                f"{cure or _where_the_counts_are(other_layers())}."
            )
        largest = max(largest, int(values.max(initial=0)))
    return _rebuild(csr, largest)


def smallest_type(largest: int) -> np.dtype:
    """Smallest of uint8, uint16 and uint32 that holds ``largest``."""
    return np.dtype(next(t for t in (np.uint8, np.uint16, np.uint32) if largest <= np.iinfo(t).max))


def row_sums(counts: sparse.csr_matrix) -> np.ndarray:
    """Total of every row, float64, some rows at a time: SciPy's own sum copies all values."""
    totals = np.zeros(counts.shape[0])
    if counts.nnz == 0:
        return totals
    cuts = np.arange(0, counts.nnz, CHUNK_VALUES)
    starts = np.unique(np.searchsorted(counts.indptr, cuts, side="right") - 1)
    for first, last in zip(starts, [*starts[1:], counts.shape[0]], strict=True):
        pointers = counts.indptr[first : last + 1]
        filled = np.flatnonzero(np.diff(pointers))
        values = counts.data[pointers[0] : pointers[-1]].astype(np.float64)
        totals[first + filled] = np.add.reduceat(values, pointers[filled] - pointers[0])
    return totals


def genes_seen(counts: sparse.csr_matrix) -> np.ndarray:
    """Whether each gene has any count, bool of shape (G,)."""
    seen = np.zeros(counts.shape[1], dtype=bool)
    seen[counts.indices] = True
    return seen


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


def _rebuild(csr: sparse.csr_matrix, largest: int) -> sparse.csr_matrix:
    data = np.empty(csr.data.shape, dtype=smallest_type(largest))
    for start, values in _chunks(csr.data):
        data[start : start + values.size] = values
    counts = sparse.csr_matrix((data, csr.indices.copy(), csr.indptr.copy()), shape=csr.shape)
    counts.eliminate_zeros()
    return counts


def _chunks(values: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    for start in range(0, values.size, CHUNK_VALUES):
        yield start, values[start : start + CHUNK_VALUES]


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
