"""The data's average treatment effect in the paper's second normalisation: raw means.

Bereket & Karaletsos (2023) measure effects in two ways. The first ("perturbseq") is the difference
of mean log-normalised expression, in :mod:`sams_core.analysis.differential`. The second ("mean") is
the difference of mean raw counts, which a few strongly expressed genes rule and in which library
sizes that differ between conditions show.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse

from sams_core.data.totals import Counts

_CHUNK_CELLS = 16_384


def raw_mean_effects(
    counts: Counts,
    groups: pd.Categorical,
    control: str,
    conditions: pd.Index,
    *,
    cells: npt.NDArray[np.bool_] | None = None,
) -> npt.NDArray[np.float64]:
    """Difference of mean raw counts, condition minus control.

    Parameters
    ----------
    counts
        (n, G) counts, in memory or in a file.
    groups
        (n,) condition of each cell.
    control
        The control's name among them.
    conditions
        The C conditions wanted, in this order.
    cells
        (n,) which cells take part; all by default.

    Returns
    -------
    (C, G) in counts per cell; NaN for a condition without cells.
    """
    codes = np.asarray(groups.codes, dtype=np.int64)
    if cells is not None:
        codes = np.where(cells, codes, -1)
    total = np.zeros((len(groups.categories), counts.shape[1]))
    chosen = np.flatnonzero(codes >= 0)
    for start in range(0, chosen.size, _CHUNK_CELLS):
        rows = chosen[start : start + _CHUNK_CELLS]
        indicator = sparse.csr_matrix(
            (np.ones(rows.size), (codes[rows], np.arange(rows.size))),
            shape=(len(total), rows.size),
        )
        total += (indicator @ counts[rows].astype(np.float64)).toarray()
    n = np.bincount(codes[chosen], minlength=len(total))[:, None].astype(np.float64)
    mean = np.divide(total, n, out=np.full_like(total, np.nan), where=n > 0)
    names = pd.Index(groups.categories)
    return mean[names.get_indexer(conditions)] - mean[names.get_loc(control)]
