"""Grouping and ordering of mask rows and columns: arrays and names in, order out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
from scipy.spatial.distance import pdist

OPTIMAL_ORDER_LIMIT = 600
UNGROUPED = "In no group"


@dataclass(frozen=True)
class Group:
    """A named block of rows, in the order in which to show them.

    Attributes
    ----------
    name
        The pathway, gene set or annotation value; empty when rows are not grouped.
    rows
        Row numbers of the table that was grouped.
    """

    name: str
    rows: NDArray[np.intp]


def cluster_order(values: NDArray[Any]) -> NDArray[np.intp]:
    """Order rows so that similar ones are neighbours.

    Average linkage on Euclidean distances; leaves are flipped to the best order (Bar-Joseph et
    al. 2001) up to `OPTIMAL_ORDER_LIMIT` rows.

    Parameters
    ----------
    values
        (rows, features), finite.

    Returns
    -------
    (rows,) a permutation of the row numbers.
    """
    n_rows = len(values)
    if n_rows < 3 or values.shape[1] == 0:
        return np.arange(n_rows)
    distances = pdist(np.asarray(values, dtype=np.float64))
    tree = linkage(distances, method="average")
    if n_rows <= OPTIMAL_ORDER_LIMIT:
        tree = optimal_leaf_ordering(tree, distances)
    return np.asarray(leaves_list(tree), dtype=np.intp)


def latent_order(values: NDArray[Any]) -> NDArray[np.intp]:
    """Order latent dimensions so that those shared by many perturbations come first.

    Clustered by the perturbations that open them, and turned so that the heavier end is left.

    Parameters
    ----------
    values
        (T, L) inclusion probabilities or magnitudes, at least 0.
    """
    order = cluster_order(values.T)
    weight = values.sum(axis=0)[order]
    half = len(order) // 2
    return order[::-1] if weight[:half].sum() < weight[len(order) - half :].sum() else order


def group_by_annotation(labels: Sequence[Any] | pd.Series) -> list[Group]:
    """Group rows by the value of an annotation; rows without one come last.

    Groups keep the order of the categories if the annotation is ordered; else they are sorted by
    name, numbers inside names counting as numbers ("pathway 2" before "pathway 10").
    """
    column = pd.Series(labels).reset_index(drop=True)
    dtype = column.dtype
    if isinstance(dtype, pd.CategoricalDtype) and dtype.ordered:
        values = list(dtype.categories)
    else:
        values = sorted(column.dropna().unique(), key=_natural)
    groups = [Group(str(value), np.flatnonzero(column == value)) for value in values]
    groups.append(Group(UNGROUPED, np.flatnonzero(column.isna())))
    return [group for group in groups if len(group.rows)]


def group_by_sets(
    names: Sequence[str], sets: Mapping[str, Sequence[str]], *, min_size: int = 2
) -> list[Group]:
    """Give each perturbation one gene set, though sets overlap.

    The set that holds most perturbations takes them first, then the set that holds most of the
    rest, and so on until no set holds ``min_size``; ties go to the set listed first. What remains
    is grouped as `UNGROUPED`.

    Parameters
    ----------
    names
        (T,) perturbation names: the targeted genes.
    sets
        Gene-set name to its members.
    min_size
        Smallest group that is worth a name.
    """
    left = {name: row for row, name in enumerate(names)}
    groups: list[Group] = []
    while True:
        counts = {name: sum(gene in left for gene in set(genes)) for name, genes in sets.items()}
        best = max(counts, key=lambda name: counts[name], default=None)
        if best is None or counts[best] < min_size:
            break
        members = [gene for gene in names if gene in left and gene in set(sets[best])]
        groups.append(Group(best, np.array([left.pop(gene) for gene in members], dtype=np.intp)))
    if left:
        groups.append(Group(UNGROUPED, np.array(sorted(left.values()), dtype=np.intp)))
    return groups


def natural_order(names: Sequence[Any]) -> NDArray[np.intp]:
    """Order names so that numbers inside them count as numbers: z2 before z10."""
    return np.array(sorted(range(len(names)), key=lambda at: _natural(names[at])), dtype=np.intp)


def _natural(value: Any) -> list[tuple[int, int, str]]:
    pieces = re.findall(r"\d+|\D+", str(value))
    return [(0, int(piece), "") if piece.isdigit() else (1, 0, piece) for piece in pieces]
