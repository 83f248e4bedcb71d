"""Every statistic of one condition's genes, in the model and in the data, and what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from sams_core.analysis.differential import adjust
from sams_core.analysis.effect_tables import Cells, condition_table, listed, pearson
from sams_core.analysis.markdown import escape
from sams_core.analysis.predictive_check import INTERVAL, check_draws

if TYPE_CHECKING:
    from anndata import AnnData

    from sams_core.analysis.combinations import TrainedModel

_TAILS = ((1 - INTERVAL) / 2, (1 + INTERVAL) / 2)
_SUFFIX: dict[Cells, str] = {"held-out": "_test", "all": ""}


def control_cells(effects: AnnData, cells: Cells, n_test: int) -> int:
    """Count the control cells among all cells or among held-out ones.

    Parameters
    ----------
    effects
        A checkpoint's effects, with every condition of the screen.
    cells
        Which cells.
    n_test
        Held-out cells of the screen, control included.
    """
    if cells == "all":
        return int(effects.uns["n_control_cells"])
    return max(0, n_test - int(effects.obs["n_cells_test"].sum()))


def gene_statistics(
    model: TrainedModel,
    effects: AnnData,
    condition: str,
    *,
    cells: Cells,
    n_control: int,
    seed: int = 0,
) -> pd.DataFrame:
    """Hold one condition's measured effects against what the model expects to be measured.

    Parameters
    ----------
    model
        A trained model.
    effects
        The checkpoint's effects.
    condition
        One of theirs.
    cells
        Cells in which effects were measured.
    n_control
        Control cells among them, from :func:`control_cells`.
    seed
        Of the draws.

    Returns
    -------
    DataFrame indexed by gene, in log2 units where not said otherwise. Of
    :func:`sams_core.analysis.effect_tables.condition_table`: ``model``, ``model_se``, ``data``,
    ``data_se``, ``fdr``, ``mean_control``, ``frac_detected``. Besides: ``statistic`` and
    ``p_value`` (Welch's test); ``effect_low`` and ``effect_high`` (90 % of the guide's draws of E
    and M); ``predicted_low``, ``predicted_high`` and ``predicted_sd`` (posterior predictive
    interval and standard deviation of a measurement in as many cells); ``model_p`` and
    ``model_fdr`` (of ``model`` against 0 at ``predicted_sd``, normal: how significant the model
    expects the gene to be; Benjamini-Hochberg over genes); ``residual`` (data minus model),
    ``residual_z``
    (over ``predicted_sd``), ``ppc_p`` (two-sided posterior predictive p-value), ``ppc_fdr`` and
    ``outside`` (whether the interval misses the measurement); ``n_cells``, ``n_control_cells`` and
    ``seen_in_training``. What is predicted is NaN where nothing was measured, and for genes without
    a count, or nearly so, in measured or simulated cells.
    """
    from sams_core.analysis.effect_predictive import predict_measurement  # torch takes seconds

    table = condition_table(effects, condition, cells=cells)
    row = effects.obs.index.tolist().index(condition)
    suffix = _SUFFIX[cells]
    n_cells = int(effects.obs[f"n_cells{suffix}"].iloc[row])
    for column, layer in (("statistic", "statistic"), ("p_value", "pvalue")):
        table[column] = np.asarray(effects.layers[f"{layer}{suffix}"][row], dtype=float)
    predicted = predict_measurement(
        model,
        condition,
        n_cells=max(n_cells, 1),
        n_control=max(n_control, 1),
        expected=table["model"],
        seed=seed,
    )
    table["effect_low"], table["effect_high"] = np.quantile(predicted.effects, _TAILS, axis=0)
    counted = predicted.resolved & (n_cells > 0) & (n_control > 0) & (table["data_se"] != 0)
    measured = table["data"].where(counted).to_numpy()
    check = check_draws(predicted.replicates[:, None], measured[None])
    table["predicted_low"], table["predicted_high"] = check.lower[0], check.upper[0]
    spread = predicted.replicates.std(0, ddof=1)
    table["predicted_sd"] = np.where(np.isfinite(measured), spread, np.nan)
    table["model_p"] = 2 * stats.norm.sf(_ratio(table["model"], table["predicted_sd"]))
    table["model_fdr"] = _fdr(table["model_p"])
    table["residual"] = table["data"] - table["model"]
    sign = np.sign(table["residual"])
    table["residual_z"] = sign * _ratio(table["residual"], table["predicted_sd"])
    table["ppc_p"] = check.p_value[0]
    table["ppc_fdr"] = _fdr(check.p_value[0])
    table["outside"] = np.isfinite(measured) & ~check.inside[0]
    table["n_cells"], table["n_control_cells"] = n_cells, n_control
    table["seen_in_training"] = bool(effects.obs["seen_in_training"].iloc[row])
    return table


def most_surprising(table: pd.DataFrame) -> pd.DataFrame:
    """Sort genes by how far data and model are apart, in predictive standard deviations."""
    return table.loc[table["residual_z"].abs().sort_values(ascending=False, kind="stable").index]


def describe_residuals(table: pd.DataFrame, *, limit: int = 5) -> str:
    """Say, as Markdown, how many genes the model did not expect (from :func:`gene_statistics`)."""
    measured = table[np.isfinite(table["ppc_p"])]
    if measured.empty:
        return "No gene was measured well enough in these cells to surprise the model."
    outside = int(measured["outside"].sum())
    chance = (1 - INTERVAL) * len(measured)
    text = (
        f"**{outside:,} of {len(measured):,} genes** lie outside the model's 90% interval; about "
        f"{chance:,.0f} would if the model were right."
    )
    clear = most_surprising(measured[measured["ppc_fdr"] < 0.05])
    if clear.empty:
        return f"{text} No single gene disagrees at an FDR of 5%."
    verb = "disagrees" if len(clear) == 1 else "disagree"
    names = listed(map(escape, clear.index), limit=limit)
    return f"{text} At an FDR of 5%, {len(clear):,} {verb}: {names}."


def describe_volcano(table: pd.DataFrame, alpha: float) -> str:
    """Say how many genes are significant in the data, and how many the model expects to be."""
    data, model = table["fdr"] < alpha, table["model_fdr"] < alpha
    same = data & model & (np.sign(table["data"]) == np.sign(table["model"]))
    return (
        f"Significant at an FDR of {alpha:.0%}: {int(data.sum()):,} of {len(table):,} genes in the "
        f"data; the model expects {int(model.sum()):,}; {int(same.sum()):,} in both, in the same "
        "direction."
    )


def describe_set(table: pd.DataFrame, name: str) -> str:
    """Say, as Markdown, how model and data agree on the genes of a set (rows of the table)."""
    plural = "gene" if len(table) == 1 else "genes"
    text = f"Shown: {len(table):,} {plural} of **{escape(name)}**"
    correlation = pearson(table["model"].to_numpy(), table["data"].to_numpy())
    means = f"on average {table['model'].mean():+.2f} in the model"
    if table["data"].notna().any():
        means += f" and {table['data'].mean():+.2f} in the data"
    if np.isfinite(correlation):
        means += f"; model and data correlate {correlation:.2f}"
    return f"{text}, {means}."


def _ratio(value: pd.Series, spread: pd.Series) -> np.ndarray:
    """Absolute value over spread; 0 where neither is anything."""
    size, scale = value.abs().to_numpy(), spread.to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((size == 0) & (scale == 0), 0.0, size / scale)


def _fdr(p_value: pd.Series | np.ndarray) -> np.ndarray:
    return adjust(np.asarray(p_value, dtype=float)[None])[0]
