"""Arranging the mask map: order of rows and latents, averages of groups, maps too large to draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, leaves_list, linkage
from scipy.spatial.distance import pdist

from sams_core.analysis.mask_tables import NO_GROUPING, has_mask
from sams_core.analysis.ordering import Group, cluster_order, latent_order, natural_order

if TYPE_CHECKING:
    from anndata import AnnData

ORDERS = ("Likeness", "Name", "Strength")
"""How rows and latents can be ordered; the first by clustering."""
MAX_ENTRIES = 20_000
"""Entries that a map shows one by one; of more, it shows averages of groups."""
MAX_GROUPS = 60
"""Groups that a map of averages shows; smaller ones are put together."""
N_CLUSTERS = 24
"""Groups that perturbations fall into by likeness where nothing else groups them."""


def arrange(masks: AnnData, groups: Sequence[Group], order: str) -> tuple[list[Group], list[str]]:
    """Order the rows inside each group, and all latents.

    Parameters
    ----------
    masks
        The checkpoint's mask table.
    groups
        Blocks of its rows, which stay where they are.
    order
        One of `ORDERS`: likeness (clustering), name, or strength: rows by the length of their
        effect, latents by the sum of absolute effects.

    Returns
    -------
    The groups, and the names of all latents in order.
    """
    effect = np.asarray(masks.layers["effect"], dtype=np.float64)
    if order == "Name":
        rows_at = np.argsort(natural_order(masks.obs_names))
        columns: Sequence[int] | NDArray[np.intp] = natural_order(masks.var_names)
        arranged = [Group(g.name, g.rows[np.argsort(rows_at[g.rows])]) for g in groups]
    elif order == "Strength":
        lengths = np.linalg.norm(effect, axis=1)
        columns = np.argsort(-np.abs(effect).sum(axis=0), kind="stable")
        arranged = [
            Group(g.name, g.rows[np.argsort(-lengths[g.rows], kind="stable")]) for g in groups
        ]
    else:
        values = np.asarray(masks.X) if has_mask(masks) else effect
        columns = latent_order(np.abs(values))
        arranged = [Group(g.name, g.rows[cluster_order(values[g.rows])]) for g in groups]
    return arranged, [str(name) for name in masks.var_names[columns]]


def is_too_large(n_rows: int, n_latents: int) -> bool:
    """Whether a map of so many entries is shown as averages of groups."""
    return n_rows * n_latents > MAX_ENTRIES


def groups_to_average(masks: AnnData, groups: Sequence[Group]) -> list[Group]:
    """Named groups that a map of averages can show: clusters where there are none, `MAX_GROUPS`.

    Parameters
    ----------
    masks
        The checkpoint's mask table.
    groups
        As chosen; a single nameless one stands for no grouping.
    """
    if all(not group.name for group in groups):
        rows = np.concatenate([group.rows for group in groups])
        groups = likeness_groups(np.asarray(masks.layers["effect"], np.float64), rows)
    if len(groups) <= MAX_GROUPS:
        return list(groups)
    largest = sorted(range(len(groups)), key=lambda number: -len(groups[number].rows))
    kept = sorted(largest[: MAX_GROUPS - 1])
    rest = [groups[number].rows for number in sorted(largest[MAX_GROUPS - 1 :])]
    name = f"{len(rest):,} smaller groups"
    return [*(groups[number] for number in kept), Group(name, np.concatenate(rest))]


def likeness_groups(values: NDArray[Any], rows: NDArray[np.intp]) -> list[Group]:
    """Cut perturbations into `N_CLUSTERS` groups of similar effects, in the order of the tree.

    Parameters
    ----------
    values
        (T, L) effects.
    rows
        Numbers of those to group.
    """
    if len(rows) <= N_CLUSTERS:
        return [Group("Cluster 1", rows)]
    tree = linkage(pdist(values[rows]), method="ward")
    labels = fcluster(tree, N_CLUSTERS, criterion="maxclust")
    order = leaves_list(tree)
    found = list(dict.fromkeys(labels[order]))
    return [
        Group(f"Cluster {number}", rows[order[labels[order] == label]])
        for number, label in enumerate(found, start=1)
    ]


def average_names(groups: Sequence[Group]) -> list[str]:
    """What the rows of a map of averages are called: name and size of each group."""
    return [f"{group.name} ({len(group.rows):,})" for group in groups]


def averages(table: pd.DataFrame, groups: Sequence[Group]) -> pd.DataFrame:
    """Mean of each group's rows, one row a group, NaN where a group has nothing to average."""
    values = table.to_numpy(np.float64)
    means = []
    for group in groups:
        part = values[group.rows]
        known = np.isfinite(part)
        n = known.sum(axis=0)
        total = np.where(known, part, 0.0).sum(axis=0)
        means.append(np.where(n > 0, total / np.maximum(n, 1), np.nan))
    shape = (len(groups), table.shape[1])
    return pd.DataFrame(np.reshape(means, shape), average_names(groups), table.columns)


def sums(column: pd.Series, groups: Sequence[Group]) -> pd.Series:
    """Sum of each group's rows, in the order of the groups."""
    values = column.to_numpy()
    return pd.Series([values[group.rows].sum() for group in groups], index=average_names(groups))


def tell_overlap(
    names: Sequence[str], choice: str, gene_sets: Mapping[str, Mapping[str, Sequence[str]]]
) -> str:
    """Say how many perturbations are in several sets, and where those go; nothing if none is.

    Parameters
    ----------
    names
        (T,) perturbation names: the targeted genes.
    choice
        What is grouped by.
    gene_sets
        Collections of gene sets by name.
    """
    if choice == NO_GROUPING or choice not in gene_sets:
        return ""
    count = dict.fromkeys(names, 0)
    for genes in gene_sets[choice].values():
        for gene in set(genes) & count.keys():
            count[gene] += 1
    several = sum(number > 1 for number in count.values())
    rule = "the set that holds most perturbations takes them first, ties go to the set listed first"
    if not several:
        return ""
    verb = "perturbation is" if several == 1 else "perturbations are"
    return f"{several:,} {verb} in several sets: {rule}."
