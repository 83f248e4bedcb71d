"""Tables behind the effects page, cut from a checkpoint's effects (conditions x genes).

Effects are differences of mean log2(counts per 10,000 + 1) between a condition and the control
cells; +1 is about a doubling of a well expressed gene.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from sams_core.analysis import metrics

if TYPE_CHECKING:
    from anndata import AnnData

Cells = Literal["held-out", "all"]

MIN_HELD_OUT_CELLS = 20
MIN_CEILING = 0.1
"""Below it there is next to nothing to predict, and a share of it means nothing."""
SMALLEST_FDR = 1e-38
"""Tables hold float32, in which anything much smaller is 0."""
MANY_GENES = 10
"""Significant genes from which on a condition counts as having a clear effect."""
HALFWAY = 50.0
"""Percent of the ceiling below which the model misses most of what there is to predict."""
CELL_WORDS: dict[Cells, str] = {"held-out": "held-out cells", "all": "all cells"}
_SUFFIX: dict[Cells, str] = {"held-out": "_test", "all": ""}


def resolve_cells(effects: AnnData, condition: str, choice: str) -> Cells:
    """Which cells to hold the model against: ``choice``, or held-out cells if there are enough.

    Parameters
    ----------
    choice
        "held-out", "all", or anything else for the automatic choice: held-out cells when at
        least ``MIN_HELD_OUT_CELLS`` were measured.
    """
    if choice == "held-out":
        return "held-out"
    if choice == "all":
        return "all"
    enough = effects.obs.loc[condition, "n_cells_test"] >= MIN_HELD_OUT_CELLS
    return "held-out" if enough else "all"


def condition_table(effects: AnnData, condition: str, *, cells: Cells) -> pd.DataFrame:
    """Every gene's effect of one condition in the model and in the data.

    Returns
    -------
    DataFrame indexed by gene: ``model``, ``model_se`` (Monte-Carlo), ``data``, ``data_se``,
    ``fdr`` (Benjamini-Hochberg within the condition, `SMALLEST_FDR` for anything smaller),
    ``mean_control``, ``frac_detected``.
    ``data``, ``data_se`` and ``fdr`` are NaN where the condition has no such cells.
    """
    row = effects.obs.index.tolist().index(condition)
    table = pd.DataFrame(_statistics(effects, (row, slice(None)), cells), index=gene_names(effects))
    for column in ("mean_control", "frac_detected"):
        if column in effects.var:
            table[column] = effects.var[column].to_numpy()
    table.index.name = "gene"
    return table


def gene_table(effects: AnnData, gene: str, *, cells: Cells) -> pd.DataFrame:
    """Every condition's effect on one gene, in the columns of `condition_table`.

    Returns
    -------
    DataFrame indexed by condition, with ``n_cells`` measured (of the cells asked for) and
    ``seen_in_training`` besides, strongest measured or predicted effect first.
    """
    column = gene_names(effects).tolist().index(gene)
    table = pd.DataFrame(
        _statistics(effects, (slice(None), column), cells), index=effects.obs.index.astype(str)
    )
    table["n_cells"] = effects.obs[f"n_cells{_SUFFIX[cells]}"].to_numpy()
    table["seen_in_training"] = effects.obs["seen_in_training"].to_numpy(bool)
    table.index.name = "perturbation"
    return strongest_first(table)


def strongest_first(table: pd.DataFrame) -> pd.DataFrame:
    """Sort rows by the larger of the model's and the data's absolute effect."""
    strength = table[["model", "data"]].abs().max(axis=1)
    return table.loc[strength.sort_values(ascending=False, kind="stable").index]


def fit_table(effects: AnnData) -> pd.DataFrame:
    """How well the model's effects fit each condition's held-out cells, the best fit first.

    Returns
    -------
    DataFrame indexed by condition: ``pearson``, ``ceiling``, ``percent_of_ceiling`` (may
    exceed 100; NaN where the ceiling is below `MIN_CEILING`), ``pearson_top20``, ``ceiling_top20``,
    ``n_cells_train``, ``n_cells_test``, ``n_significant`` (all cells, FDR 5%) and
    ``seen_in_training``.
    """
    obs = effects.obs
    ceiling = obs["ceiling"].astype(float)
    table = pd.DataFrame(
        {
            "pearson": obs["pearson"].astype(float),
            "ceiling": ceiling,
            "percent_of_ceiling": 100
            * obs["pearson"].astype(float)
            / ceiling.where(ceiling >= MIN_CEILING),
            "pearson_top20": obs["pearson_top20"].astype(float),
            "ceiling_top20": obs["ceiling_top20"].astype(float),
            "n_cells_train": obs["n_cells_train"].astype(int),
            "n_cells_test": obs["n_cells_test"].astype(int),
            "n_significant": obs["n_significant"].astype(int),
            "seen_in_training": obs["seen_in_training"].astype(bool),
        }
    )
    table.index = pd.Index(obs.index.astype(str), name="perturbation")
    return table.sort_values("pearson", ascending=False, na_position="last", kind="stable")


def describe_fit(fit: pd.Series, n_genes: int) -> str:
    """Say in plain words how well one condition's effects are predicted (a row of `fit_table`)."""
    held_out = int(fit["n_cells_test"])
    if not np.isfinite(fit["pearson"]):
        return (
            f"Too few held-out cells ({held_out}) to score this prediction; what is measured below "
            "comes from all cells and can only illustrate."
        )
    text = (
        f"Over all {n_genes:,} genes, the predicted effects correlate {fit['pearson']:.2f} with "
        f"those measured in {held_out:,} held-out cells."
    )
    if np.isfinite(fit["ceiling"]):
        text += (
            f" The effects measured in training cells correlate {fit['ceiling']:.2f} with the same "
            "held-out cells: that is the ceiling that measurement noise sets."
        )
        if np.isfinite(fit["percent_of_ceiling"]):
            text += f" The model reaches {fit['percent_of_ceiling']:.0f} % of it."
    if held_out < MIN_HELD_OUT_CELLS:
        text += " With so few held-out cells, both numbers are rough."
    return text


def describe_fits(fits: pd.DataFrame) -> str:
    """Say how well all conditions are predicted (from `fit_table`)."""
    scored = fits[fits["pearson"].notna()]
    if scored.empty:
        return f"None of {len(fits):,} perturbations has enough held-out cells to be scored."
    clear = scored[scored["n_significant"] >= MANY_GENES]
    text = f"{len(scored):,} of {len(fits):,} perturbations could be scored on held-out cells. "
    unseen = scored[~scored["seen_in_training"]]
    if len(unseen):
        text += (
            f"{len(unseen):,} of these, not seen in training, have a median correlation of "
            f"{unseen['pearson'].median():.2f} and, without training cells, no ceiling: only the "
            "table has them. "
        )
    if clear.empty:
        return text + f"None of them changes {MANY_GENES} genes or more, so there is little to fit."
    if len(clear) == 1:
        only = clear.iloc[0]
        return text + (
            f"Only {clear.index[0]} changes {MANY_GENES} genes or more: correlation "
            f"{only['pearson']:.2f}, ceiling {two_digits(only['ceiling'])}."
        )
    text += (
        f"Over the {len(clear):,} that change {MANY_GENES} genes or more, the median correlation "
        f"is {clear['pearson'].median():.2f} and the median ceiling "
        f"{two_digits(clear['ceiling'].median())}."
    )
    behind = clear[clear["percent_of_ceiling"] < HALFWAY].sort_values("percent_of_ceiling")
    if behind.empty:
        return text
    verb = "reaches" if len(behind) == 1 else "reach"
    return f"{text} {listed(behind.index)} {verb} less than half of the ceiling."


def describe_gene(table: pd.DataFrame, gene: str, alpha: float) -> str:
    """Say which perturbations move a gene (from `gene_table`)."""
    hits = table[table["fdr"] < alpha]
    measured = int(table["data"].notna().sum())
    if hits.empty:
        return (
            f"None of {measured:,} measured perturbations changes {gene} at an FDR of {alpha:.0%}."
        )
    strongest = int(hits["data"].abs().to_numpy().argmax())
    verb = "changes" if len(hits) == 1 else "change"
    return (
        f"{len(hits):,} of {measured:,} measured perturbations {verb} {gene} at an FDR of "
        f"{alpha:.0%} (over the genes of each perturbation); {hits.index[strongest]} the most, by "
        f"{hits['data'].iloc[strongest]:+.2f}."
    )


def listed(names: Iterable[str], *, limit: int = 5) -> str:
    """Write names as in a sentence, the first ``limit`` of them in full."""
    known = [str(name) for name in names]
    shown, more = known[:limit], len(known) - limit
    if more > 0:
        return f"{', '.join(shown)} and {more} more"
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1]))) if shown else ""


def two_digits(value: float) -> str:
    """Write a correlation, or a dash where there is none."""
    return f"{value:.2f}" if np.isfinite(value) else "–"


def gene_names(effects: AnnData) -> pd.Index:
    """Gene symbols, unique and in the order of the effects' columns."""
    names = pd.Index(
        effects.var["symbol"].astype(str) if "symbol" in effects.var else effects.var_names
    )
    return names if names.is_unique else pd.Index(effects.var_names.astype(str))


def strongest_condition(effects: AnnData) -> str:
    """Condition with the most significant genes: the one worth opening first."""
    return str(effects.obs["n_significant"].astype(int).idxmax())


def most_moved_gene(effects: AnnData, *, alpha: float = 0.05) -> str:
    """Gene that the most conditions move significantly (all cells), the largest effect on a tie."""
    hits = (np.asarray(effects.layers["fdr"]) < alpha).sum(0)
    largest = np.nan_to_num(np.abs(np.asarray(effects.layers["data_ate"]))).max(0)
    return str(gene_names(effects)[np.lexsort((-largest, -hits))[0]])


def pearson(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation over the entries finite in both; NaN for fewer than three or without spread."""
    keep = np.isfinite(a) & np.isfinite(b)
    return metrics.pearson(a[keep], b[keep]) if keep.sum() >= 3 else float("nan")


def _statistics(
    effects: AnnData, at: tuple[int | slice, int | slice], cells: Cells
) -> dict[str, np.ndarray]:
    suffix = _SUFFIX[cells]
    layers = {
        "model": effects.X,
        "model_se": effects.layers["model_se"],
        "data": effects.layers[f"data_ate{suffix}"],
        "data_se": effects.layers[f"data_se{suffix}"],
        "fdr": effects.layers[f"fdr{suffix}"],
    }
    found = {name: np.asarray(layer[at], dtype=float) for name, layer in layers.items()}
    found["fdr"] = np.maximum(found["fdr"], SMALLEST_FDR)
    return found
