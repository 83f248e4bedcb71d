"""Whether a prediction is nearer its own condition's measured effect than others'."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]

_CHUNK_CONDITIONS = 512


def retrieval_ranks(measured: FloatArray, predicted: FloatArray) -> npt.NDArray[np.float64]:
    """Rank of each condition's own measured effect among all by correlation with its prediction.

    The share of the other measured conditions that correlate (Pearson, over genes) better with the
    prediction than its own condition does, ties counting half: 0 when the own condition comes
    first, 1 when it comes last, 0.5 on average for a prediction that tells nothing apart, such as
    the same effect for every condition. A rank metric of this kind is what exposes predictions that
    collapse onto the mean (PerturBench, Wu et al. 2024).

    Parameters
    ----------
    measured
        (C, G) effects; rows that are not all finite are no candidates.
    predicted
        (C, G) effects.

    Returns
    -------
    (C,) in [0, 1]; NaN where either side is not finite or constant, and with fewer than two
    candidates.
    """
    ranks = np.full(len(measured), np.nan)
    candidates, own = _directions(measured)
    rows, queries = _directions(predicted)
    position = np.full(len(measured), -1)
    position[candidates] = np.arange(candidates.size)
    asked = position[rows] >= 0
    rows, queries = rows[asked], queries[asked]
    if candidates.size < 2:
        return ranks
    for start in range(0, rows.size, _CHUNK_CONDITIONS):
        chunk = slice(start, start + _CHUNK_CONDITIONS)
        similarity = queries[chunk] @ own.T  # (chunk, candidates)
        right = np.take_along_axis(similarity, position[rows[chunk]][:, None], axis=1)
        better = (similarity > right).sum(axis=1)
        tied = (similarity == right).sum(axis=1) - 1
        ranks[rows[chunk]] = (better + 0.5 * tied) / (candidates.size - 1)
    return ranks


def _directions(
    effects: FloatArray,
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Rows that vary and are finite, and these centred and scaled to length one."""
    finite = np.isfinite(effects).all(axis=1)
    rows = np.flatnonzero(finite)
    rows = rows[np.ptp(effects[rows], axis=1) > 0] if rows.size else rows
    centred = effects[rows].astype(np.float64)
    centred -= centred.mean(axis=1, keepdims=True)
    return rows, centred / np.linalg.norm(centred, axis=1, keepdims=True)
