"""What the data say: log-normalised means, effects against control and Welch's test.

Expression is ``log2(1e4 * x / sum(x) + 1)`` per cell, ``sum(x)`` being the cell's library size over
the genes of the screen. An effect is the mean over a condition's cells minus the mean over
control cells, in log2 units (the ATE of Bereket & Karaletsos 2023, "perturbseq" normalisation).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse, stats

from sams_core.data.totals import Counts

COUNTS_PER_CELL = 1e4
"""Library size to which every cell is scaled before the logarithm."""

_CHUNK_CELLS = 16_384
_ROUNDING = 1e-10  # a variance below this share of the second moment is rounding of a constant


@dataclass(frozen=True)
class GroupStatistics:
    """Moments of log-normalised expression in groups of cells.

    Attributes
    ----------
    groups
        Names of the C groups.
    mean
        (C, G) means in log2 units; NaN for a group without cells.
    variance
        (C, G) unbiased variances; NaN for a group of fewer than two cells.
    n_cells
        (C,) cells in each group.
    """

    groups: pd.Index
    mean: npt.NDArray[np.float64]
    variance: npt.NDArray[np.float64]
    n_cells: npt.NDArray[np.int64]


@dataclass(frozen=True)
class DifferentialExpression:
    """Effects of conditions against control with Welch's t-test, all (C, G) unless said.

    Attributes
    ----------
    conditions
        Names of the C conditions.
    effect
        Difference of means, condition minus control, in log2 units: the data's ATE.
    standard_error
        Of ``effect``; NaN where either side has fewer than two cells.
    statistic
        Welch's t.
    p_value
        Two-sided.
    fdr
        Benjamini-Hochberg adjusted within each condition.
    n_cells
        (C,) cells in each condition.
    n_control
        Control cells compared with.
    """

    conditions: pd.Index
    effect: npt.NDArray[np.float64]
    standard_error: npt.NDArray[np.float64]
    statistic: npt.NDArray[np.float64]
    p_value: npt.NDArray[np.float64]
    fdr: npt.NDArray[np.float64]
    n_cells: npt.NDArray[np.int64]
    n_control: int

    def n_significant(self, level: float = 0.05) -> npt.NDArray[np.int64]:
        """Genes with ``fdr < level`` in each condition, (C,); untestable genes do not count."""
        return (self.fdr < level).sum(axis=1)


def log_normalise(counts: sparse.csr_matrix) -> sparse.csr_matrix:
    """Return ``log2(1e4 * x / sum(x) + 1)`` per cell, as sparse as the counts.

    Parameters
    ----------
    counts
        (n, G) non-negative counts. A cell without counts stays all zero.

    Returns
    -------
    (n, G) float64 in log2 units, in [0, log2(1e4 + 1)].
    """
    values = sparse.csr_matrix(counts, dtype=np.float64, copy=True)
    library = np.asarray(values.sum(axis=1)).ravel()
    scale = np.divide(COUNTS_PER_CELL, library, out=np.zeros_like(library), where=library > 0)
    values.data *= np.repeat(scale, np.diff(values.indptr))
    np.log1p(values.data, out=values.data)
    values.data /= np.log(2.0)
    return values


def group_statistics(
    counts: Counts,
    groups: pd.Categorical,
    *,
    cells: npt.NDArray[np.bool_] | None = None,
    chunk_cells: int = _CHUNK_CELLS,
) -> GroupStatistics:
    """Mean and variance of log-normalised expression in each group of cells.

    Zero counts map to zero, so that sums and sums of squares are sparse products with the
    group indicator; at most ``chunk_cells`` cells are held in float64 at a time.

    Parameters
    ----------
    counts
        (n, G) counts, in memory or in a file.
    groups
        (n,) group of each cell; every category becomes a row. Cells without one are left out.
    cells
        (n,) which cells take part; all by default.
    chunk_cells
        Cells per pass.
    """
    codes = np.asarray(groups.codes, dtype=np.int64)
    if cells is not None:
        codes = np.where(cells, codes, -1)
    n_groups, n_genes = len(groups.categories), counts.shape[1]
    total = np.zeros((n_groups, n_genes))
    squares = np.zeros((n_groups, n_genes))
    chosen = np.flatnonzero(codes >= 0)
    for start in range(0, chosen.size, chunk_cells):
        rows = chosen[start : start + chunk_cells]
        values = log_normalise(counts[rows])
        indicator = sparse.csr_matrix(
            (np.ones(rows.size), (codes[rows], np.arange(rows.size))), shape=(n_groups, rows.size)
        )
        total += (indicator @ values).toarray()
        values.data **= 2
        squares += (indicator @ values).toarray()
    n_cells = np.bincount(codes[chosen], minlength=n_groups)
    return _moments(pd.Index(groups.categories), total, squares, n_cells)


def _moments(
    groups: pd.Index,
    total: npt.NDArray[np.float64],
    squares: npt.NDArray[np.float64],
    n_cells: npt.NDArray[np.int64],
) -> GroupStatistics:
    n = n_cells[:, None].astype(np.float64)
    mean = np.divide(total, n, out=np.full_like(total, np.nan), where=n > 0)
    centred = squares - np.nan_to_num(mean) * total
    centred[centred < _ROUNDING * squares] = 0.0
    variance = np.divide(centred, n - 1, out=np.full_like(total, np.nan), where=n > 1)
    return GroupStatistics(groups, mean, variance, n_cells)


def differential_expression(
    statistics: GroupStatistics, control: str, conditions: pd.Index | None = None
) -> DifferentialExpression:
    """Effects of conditions against control and Welch's t-test with BH-FDR.

    A gene constant and equal on both sides has statistic 0 and p = 1. Where nothing can be
    tested (fewer than two cells on either side, or two different constants) the statistic, p
    and FDR are NaN, and such a gene does not count in the adjustment.

    Parameters
    ----------
    statistics
        Moments by group, from :func:`group_statistics`.
    control
        The control group.
    conditions
        Which groups to compare, in this order; by default all but the control.
    """
    if conditions is None:
        conditions = statistics.groups.drop(control)
    rows = statistics.groups.get_indexer(conditions)
    reference = statistics.groups.get_loc(control)
    mean, variance = statistics.mean[rows], statistics.variance[rows]
    n = statistics.n_cells[rows][:, None]
    mean_0, variance_0 = statistics.mean[reference], statistics.variance[reference]
    n_0 = int(statistics.n_cells[reference])
    effect = mean - mean_0
    with np.errstate(divide="ignore", invalid="ignore"):
        standard_error = np.sqrt(variance / n + variance_0 / n_0)
        statistic, p_value = stats.ttest_ind_from_stats(
            mean, np.sqrt(variance), n, mean_0, np.sqrt(variance_0), n_0, equal_var=False
        )
    constant = standard_error == 0
    equal = np.isclose(effect, 0.0, atol=1e-9)
    statistic = np.where(constant, np.where(equal, 0.0, np.nan), statistic)
    p_value = np.where(constant, np.where(equal, 1.0, np.nan), p_value)
    return DifferentialExpression(
        conditions=pd.Index(conditions),
        effect=effect,
        standard_error=standard_error,
        statistic=statistic,
        p_value=p_value,
        fdr=adjust(p_value),
        n_cells=n.ravel(),
        n_control=n_0,
    )


def adjust(p_value: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Benjamini-Hochberg adjusted p-values within each row; NaN stays NaN and is not counted."""
    adjusted = np.full_like(p_value, np.nan)
    for row, values in enumerate(p_value):
        known = ~np.isnan(values)
        if known.any():
            adjusted[row, known] = stats.false_discovery_control(values[known], method="bh")
    return adjusted
