"""Reverse look-up: which conditions move a list of genes, in the model and in the data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from sams_core.analysis.differential import adjust
from sams_core.analysis.effect_tables import Cells, gene_names, listed
from sams_core.analysis.markdown import escape
from sams_core.analysis.ordering import cluster_order

if TYPE_CHECKING:
    from anndata import AnnData

MIN_GENES = 3
"""Genes from which on a list is tested against the others."""
MIN_SET = 2
"""Genes of a screen from which on a gene set can be chosen."""
_SUFFIX: dict[Cells, str] = {"held-out": "_test", "all": ""}


class GeneList(NamedTuple):
    """Genes of a screen that a text names, and the words that are none."""

    genes: list[str]
    unknown: list[str]


def parse_genes(text: str, known: Iterable[str]) -> GeneList:
    """Read a pasted list of genes: between spaces, commas, semicolons, tabs or lines.

    Upper and lower case are the same where that leaves no doubt; each gene counts once.

    Parameters
    ----------
    text
        What was pasted.
    known
        Genes of the screen.
    """
    exact = list(dict.fromkeys(known))
    folded: dict[str, str | None] = {}
    for gene in exact:
        folded[gene.casefold()] = None if gene.casefold() in folded else gene
    names = set(exact)
    genes: dict[str, None] = {}
    unknown: dict[str, None] = {}
    words: list[str] = re.split(r"[\s,;]+", text)
    for word in (each.strip("\"'") for each in words):
        match = word if word in names else folded.get(word.casefold())
        if match is not None:
            genes[match] = None
        elif word:
            unknown[word] = None
    return GeneList(list(genes), list(unknown))


def sets_of_screen(
    collections: Mapping[str, Mapping[str, Sequence[str]]], genes: Sequence[str]
) -> dict[str, list[str]]:
    """Gene sets with at least two of a screen's genes, by a name of their own.

    Parameters
    ----------
    collections
        Collections by name, each gene set's name to its genes. A set whose name an earlier
        collection has gets the collection's name besides.
    genes
        Of the screen.

    Returns
    -------
    Name to the set's genes in the screen, in the set's order.
    """
    known = set(genes)
    found: dict[str, list[str]] = {}
    for collection, sets in collections.items():
        for name, members in sets.items():
            inside = [gene for gene in dict.fromkeys(members) if gene in known]
            if len(inside) >= MIN_SET:
                found[f"{name} ({collection})" if name in found else name] = inside
    return found


def gene_list_table(
    effects: AnnData, genes: Sequence[str], *, cells: Cells, alpha: float = 0.05
) -> pd.DataFrame:
    """Effects of every condition on a list of genes.

    Parameters
    ----------
    effects
        A checkpoint's effects.
    genes
        k genes of theirs.
    cells
        Cells in which effects were measured.
    alpha
        FDR below which a gene of a condition counts as significant.

    Returns
    -------
    DataFrame indexed by condition, the largest mean effect in model or data first: ``model`` and
    ``data`` (mean effect over the list, log2 units), ``model_size`` and ``data_size`` (root mean
    square over the list, whatever the direction; measurement noise adds to the data's),
    ``n_significant`` (genes of the list), ``p_value`` (two-sided rank-sum test of the measured
    effects on the list against those on all other genes; NaN for fewer than three on either
    side), ``fdr`` (Benjamini-Hochberg over conditions), ``n_cells`` and ``seen_in_training``.
    """
    suffix = _SUFFIX[cells]
    columns = gene_names(effects).get_indexer(pd.Index(genes))
    model = np.asarray(effects.X, dtype=float)[:, columns]
    measured = np.asarray(effects.layers[f"data_ate{suffix}"], dtype=float)
    fdr = np.asarray(effects.layers[f"fdr{suffix}"])[:, columns]
    p_value = _rank_sum(measured, columns)
    table = pd.DataFrame(
        {
            "model": model.mean(1),
            "data": _mean(measured[:, columns]),
            "model_size": np.sqrt((model**2).mean(1)),
            "data_size": np.sqrt(_mean(measured[:, columns] ** 2)),
            "n_significant": (fdr < alpha).sum(1),
            "p_value": p_value,
            "fdr": adjust(p_value[None])[0],
            "n_cells": effects.obs[f"n_cells{suffix}"].to_numpy(),
            "seen_in_training": effects.obs["seen_in_training"].to_numpy(bool),
        },
        index=pd.Index(effects.obs_names.astype(str), name="perturbation"),
    )
    return by_size(table, ("model", "data"))


def by_size(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Sort rows by the largest absolute value in some columns."""
    size = table[list(columns)].abs().max(axis=1)
    return table.loc[size.sort_values(ascending=False, kind="stable").index]


def most_moved_genes(effects: AnnData, *, limit: int = 30, alpha: float = 0.05) -> list[str]:
    """Genes that the most conditions change significantly, larger effects first among equals."""
    hits = (np.asarray(effects.layers["fdr"]) < alpha).sum(0)
    size = np.nan_to_num(np.abs(np.asarray(effects.layers["data_ate"]))).max(0)
    return gene_names(effects)[np.lexsort((-size, -hits))[:limit]].tolist()


def effect_matrices(
    effects: AnnData, conditions: Sequence[str], genes: Sequence[str], *, cells: Cells
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Effects of some conditions on some genes, in the model and in the data.

    Similar conditions are neighbours, and so are similar genes (average linkage on the effects of
    both together).

    Returns
    -------
    model, data
        Conditions by genes in log2 units, in the same order; NaN where nothing was measured.
    """
    rows = effects.obs_names.get_indexer(pd.Index(conditions))
    columns = gene_names(effects).get_indexer(pd.Index(genes))
    place = np.ix_(rows, columns)
    model = np.asarray(effects.X, dtype=float)[place]
    data = np.asarray(effects.layers[f"data_ate{_SUFFIX[cells]}"], dtype=float)[place]
    both = np.stack([model, np.nan_to_num(data)])
    row_order = cluster_order(np.concatenate(both, axis=1))
    column_order = cluster_order(np.concatenate(both, axis=0).T)
    index = pd.Index(np.asarray(conditions, dtype=object)[row_order], name="perturbation")
    names = pd.Index(np.asarray(genes, dtype=object)[column_order], name="gene")
    ordered = np.ix_(row_order, column_order)
    return pd.DataFrame(model[ordered], index, names), pd.DataFrame(data[ordered], index, names)


def describe_gene_list(table: pd.DataFrame, n_genes: int, alpha: float) -> str:
    """Say, as Markdown, which conditions move a list of genes (from :func:`gene_list_table`)."""
    plural = "gene" if n_genes == 1 else "genes"
    hits = table[table["n_significant"] > 0].sort_values(
        "n_significant", ascending=False, kind="stable"
    )
    if hits.empty:
        return (
            f"No measured perturbation changes any of the {n_genes:,} {plural} at an FDR of "
            f"{alpha:.0%}."
        )
    first = hits.index[0]
    verb = "changes" if len(hits) == 1 else "change"
    text = (
        f"**{len(hits):,} of {len(table):,} perturbations** {verb} at least one of the "
        f"{n_genes:,} {plural} at an FDR of {alpha:.0%}; {escape(first)} the most, "
        f"{int(hits['n_significant'].iloc[0]):,}."
    )
    shifted = table[table["fdr"] < alpha]
    if shifted.empty:
        return text
    rose = shifted.loc[shifted["data"] > 0].index
    fell = shifted.loc[shifted["data"] <= 0].index
    parts = [
        f"{listed(map(escape, names))} {verb}{'s' if len(names) == 1 else ''} it"
        for names, verb in ((fell, "lower"), (rose, "raise"))
        if len(names)
    ]
    return f"{text} Against all other genes, the list shifts as a whole: {'; '.join(parts)}."


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over columns of the entries that are known; NaN where none is."""
    known = np.isfinite(values)
    n = known.sum(1)
    total = np.where(known, values, 0.0).sum(1)
    return np.divide(total, n, out=np.full(len(values), np.nan), where=n > 0)


def _rank_sum(measured: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Two-sided p-values of listed against other columns, row by row."""
    others = np.setdiff1d(np.arange(measured.shape[1]), columns)
    p_value = np.full(len(measured), np.nan)
    rows = np.isfinite(measured).all(1)
    if min(len(columns), len(others)) >= MIN_GENES and rows.any():
        mine, rest = measured[rows][:, columns], measured[rows][:, others]
        p_value[rows] = stats.mannwhitneyu(mine, rest, axis=1, method="asymptotic").pvalue
    return p_value
