"""Pairs as a matrix of perturbations, similar ones side by side."""

from __future__ import annotations

import numpy as np
import pandas as pd

from sams_core.analysis.ordering import cluster_order
from sams_core.analysis.pair_ranking import best_partners


def map_of(ranked: pd.DataFrame, column: str, limit: int) -> pd.DataFrame:
    """A column of ranked pairs as a symmetric matrix, clustered by its rows.

    Parameters
    ----------
    ranked
        From `sams_core.analysis.pair_ranking.rank_pairs`.
    column
        One of its columns.
    limit
        Perturbations shown: those of the best pairs.

    Returns
    -------
    (T, T) DataFrame
        NaN where there is no pair.
    """
    names = best_partners(ranked, limit)
    inside = ranked[ranked["first"].isin(names) & ranked["second"].isin(names)]
    values = interaction_map(inside, column).reindex(index=names, columns=names)
    order = cluster_order(_filled(values.to_numpy(float)))
    return values.iloc[order, order]


def interaction_map(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """A column of a table of pairs as a symmetric matrix of perturbations, NaN without a pair."""
    codes, names = pd.factorize(table[["first", "second"]].to_numpy().ravel())
    values = np.full((len(names), len(names)), np.nan)
    rows, columns = codes.reshape(-1, 2).T
    values[rows, columns] = values[columns, rows] = table[column]
    return pd.DataFrame(values, index=names, columns=names)


def _filled(values: np.ndarray) -> np.ndarray:
    """Fill what is no pair with the mean of its row and column, or of all, for clustering."""
    known = np.isfinite(values)
    number = known.sum(axis=1)
    overall = values[known].mean() if known.any() else 0.0
    total = np.where(known, values, 0.0).sum(axis=1)
    mean = np.where(number > 0, total / np.maximum(number, 1), overall)
    return np.where(known, values, (mean[:, None] + mean[None, :]) / 2)
