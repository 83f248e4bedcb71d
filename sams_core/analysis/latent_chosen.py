"""What chosen cells are: their composition and their top genes against all other cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from sams_core.analysis.effect_tables import listed
from sams_core.analysis.latent_expression import (
    STATES,
    Space,
    mean_expected,
    mean_expression,
)
from sams_core.analysis.latent_tables import cell_values, is_number

if TYPE_CHECKING:
    from anndata import AnnData

    from sams_core.perturbation_model import PerturbationModel

FEW = 10
"""Chosen cells below which shares mean little."""
ALPHA = 0.05
MISSING = "not known"
_NOT_TOLD = {"n_perturbations"}


def composition_columns(cells: AnnData, columns: list[str]) -> list[str]:
    """Those of ``columns`` that hold categories, by which chosen cells can be counted."""
    return [
        name
        for name in columns
        if name not in _NOT_TOLD and (name not in cells.obs or not is_number(cells.obs[name]))
    ]


def composition(values: pd.Series, chosen: npt.NDArray[np.bool_]) -> pd.DataFrame:
    """Which categories the chosen cells belong to, against all cells.

    Parameters
    ----------
    values
        (n,) category of each cell; missing ones are counted as `MISSING`.
    chosen
        (n,) which cells are chosen.

    Returns
    -------
    DataFrame indexed by category: ``chosen`` and ``all`` (cells), ``share_chosen`` and
    ``share_all``, ``share_of_category`` (of the category's cells, how many are chosen),
    ``enrichment`` (share among the chosen over share among all), ``p_value`` (two-sided Fisher
    test of chosen against other cells) and ``fdr`` (Benjamini-Hochberg over the categories). The
    most significant enrichment comes first, then the most significant depletion.
    """
    labels = values.astype(object).where(values.notna(), MISSING).astype(str)
    totals = labels.value_counts(sort=False)
    inside = labels[chosen].value_counts().reindex(totals.index, fill_value=0)
    n, n_chosen = len(labels), int(chosen.sum())
    table = pd.DataFrame({"chosen": inside, "all": totals})
    table["share_chosen"] = table["chosen"] / max(n_chosen, 1)
    table["share_all"] = table["all"] / max(n, 1)
    table["share_of_category"] = table["chosen"] / table["all"]
    table["enrichment"] = table["share_chosen"] / table["share_all"]
    table["p_value"] = [
        stats.fisher_exact(np.array([[a, n_chosen - a], [t - a, n - n_chosen - t + a]])).pvalue
        for a, t in zip(table["chosen"], table["all"], strict=True)
    ]
    table["fdr"] = stats.false_discovery_control(table["p_value"]) if len(table) else []
    table.index = pd.Index(table.index.astype(str), name=str(values.name or "category"))
    depleted = table["enrichment"] < 1
    return table.iloc[np.lexsort((-table["chosen"], table["p_value"], depleted))]


def tell_composition(table: pd.DataFrame, what: str) -> str:
    """Say which categories are over-represented among chosen cells (from :func:`composition`)."""
    more = table[(table["fdr"] < ALPHA) & (table["enrichment"] > 1)]
    if more.empty:
        return f"No {what} is more frequent among them than among all cells, at an FDR of 5%."
    first = more.iloc[0]
    others = listed(more.index[1:], limit=3) if len(more) > 1 else ""
    return (
        f"{first['share_chosen']:.0%} of them are {more.index[0]}, {first['enrichment']:.1f} times "
        f"its share of all cells"
        + (f"; also more frequent than expected: {others}" if others else "")
        + "."
    )


def top_genes(
    cells: AnnData,
    chosen: npt.NDArray[np.bool_],
    *,
    among: npt.NDArray[np.bool_] | None = None,
) -> pd.DataFrame:
    """Every gene's measured expression in chosen cells against the others, most different first.

    The same counts placed the cells on the map, so a p-value would be too small: none is given.

    Parameters
    ----------
    cells
        A table of cells with counts.
    chosen
        (n,) which cells are chosen.
    among
        (n,) which cells take part; all by default.

    Returns
    -------
    DataFrame indexed by gene: ``difference`` (chosen minus other cells), ``chosen`` and ``others``
    (means, log2 units), ``detected_chosen`` and ``detected_others`` (shares of cells with a count).
    """
    rows, others = _sides(chosen, among)
    (mean, detected), (rest, seen) = (mean_expression(cells, side) for side in (rows, others))
    return _ranked(cells.var_names, mean, rest).assign(
        detected_chosen=lambda table: pd.Series(detected, cells.var_names).reindex(table.index),
        detected_others=lambda table: pd.Series(seen, cells.var_names).reindex(table.index),
    )


def top_expected_genes(
    model: PerturbationModel,
    cells: AnnData,
    chosen: npt.NDArray[np.bool_],
    space: Space,
    *,
    among: npt.NDArray[np.bool_] | None = None,
) -> pd.DataFrame:
    """The same with the expression that the model expects in the cells: no shares of detection."""
    means = (mean_expected(model, cells, side, space) for side in _sides(chosen, among))
    return _ranked(model.gene_names, *means)


def tell_genes(table: pd.DataFrame) -> str:
    """Say which genes are highest and lowest in chosen cells (from :func:`top_genes`)."""
    parts: list[str] = []
    for word, ascending in (("Higher", False), ("lower", True)):
        sign = -1 if ascending else 1
        rows = table[sign * table["difference"] > 0.1].sort_values(
            "difference", ascending=ascending
        )
        if len(rows):
            most = [f"{name} ({value:+.2f})" for name, value in rows["difference"].head(3).items()]
            parts.append(f"{word if not parts else word.lower()} in them: {listed(most)}")
    if not parts:
        return "No gene's mean differs by more than 0.1 log2 units from that of the other cells."
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]} (log2 units, against all other cells)."


def cell_table(
    cells: AnnData, masks: AnnData, chosen: npt.NDArray[np.bool_], annotations: list[str],
    *, control: str,
) -> pd.DataFrame:  # fmt: skip
    """Chosen cells with all that is known of them.

    Returns
    -------
    DataFrame indexed by cell: the columns of ``obs``, the perturbations' ``annotations``, positions
    on both maps, and posterior mean states (``basal_z0`` ..., ``full_z0`` ..., in basal s.d.).
    """
    rows = np.flatnonzero(chosen)
    table = cells.obs.iloc[rows].copy()
    for name in annotations:
        if name not in table:
            table[name] = cell_values(cells, masks, name, control=control).iloc[rows].to_numpy()
    for label, key in (("umap_basal", "X_umap_basal"), ("umap_full", "X_umap")):
        for axis in (0, 1):
            table[f"{label}_{axis + 1}"] = np.asarray(cells.obsm[key])[rows, axis]
    latents = [str(name) for name in masks.var_names]
    states = [
        pd.DataFrame(
            np.asarray(cells.obsm[key])[rows],
            index=table.index,
            columns=[f"{space}_{name}" for name in latents],
        )
        for space, key in STATES.items()
    ]
    table.index.name = "cell"
    return pd.concat([table, *states], axis=1)


def _sides(
    chosen: npt.NDArray[np.bool_], among: npt.NDArray[np.bool_] | None
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    others = ~chosen if among is None else among & ~chosen
    return np.flatnonzero(chosen), np.flatnonzero(others)


def _ranked(
    genes: pd.Index, chosen: npt.NDArray[np.float64], others: npt.NDArray[np.float64]
) -> pd.DataFrame:
    table = pd.DataFrame(
        {"difference": chosen - others, "chosen": chosen, "others": others},
        index=pd.Index(genes.astype(str), name="gene"),
    )
    order = table["difference"].abs().sort_values(ascending=False, kind="stable")
    return table.loc[order.index]
