"""Evaluations side by side: the paper's table and its lines over fractions, for any runs.

Pure tables; what reads the files is :mod:`sams_core.analysis.evaluation_files`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from sams_core.analysis.evaluation_files import (
    INFERENCE_NAMES,
    read_evaluation,
    read_runs,
)
from sams_core.analysis.paper_results import ORDER
from sams_core.errors import ConfigError

__all__ = [
    "DEFAULT_METRICS",
    "PREDICTORS",
    "by_setting",
    "coverage",
    "lines_table",
    "paper_table",
    "read_evaluation",
    "read_runs",
    "split_name",
    "tidy",
]


DEFAULT_METRICS = ("iwelbo", "mask_f1", "pathway_accuracy", "pearson", "rmse")
"""The paper's columns, mask F1 where the truth is known, and RMSE, which every baseline has."""

PREDICTORS = {
    "no_change": "no change",
    "perturbed_mean": "perturbed mean",
    "matching_mean": "matching mean",
    "additive": "additive",
    "ridge_bilinear": "ridge bilinear",
    "majority_class": "majority class",
    "permutation": "permuted pathways",
    "data_effects": "pathways from the data's effects",
    "technical_duplicate": "technical duplicate",
}
"""Names of the baselines and the ceiling, in the order in which they are shown."""

_SPLIT_KINDS = {
    "random": "random cells",
    "ood_combinations": "held-out combinations",
    "data_efficiency": "data efficiency",
}
_USUAL = {"test": 0.2, "val": 0.2, "holdout": 0.5}
_ROW = ["rank", "model", "inference", "kind"]
WHOLE = "run"
"""Scope of figures that are of a run rather than of some of its conditions, such as mask F1."""
_IWELBO_SCOPES = {"test": "all", "test_seen": "seen", "test_unseen": "unseen"}


def split_name(recipe: Mapping[str, Any] | None, *, fraction: bool = True) -> str:
    """Name a split in a few words: its kind, its fraction and what departs from the usual.

    Parameters
    ----------
    recipe
        Fields of the split's recipe; None for a split that came with the screen.
    fraction
        Whether to name the fraction.
    """
    if recipe is None:
        return "the screen's own split"
    kind = recipe.get("kind", "random")
    parts = [_SPLIT_KINDS.get(kind, kind)]
    if fraction and kind != "random":
        parts.append(f"fraction {recipe.get('fraction', 1.0):g}")
    for name, usual in _USUAL.items():
        value = recipe.get(name, usual)
        if value != usual and (name != "holdout" or kind == "ood_combinations"):
            parts.append(f"{name} {value:g}")
    return ", ".join(parts)


def tidy(evaluations: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """One row a number.

    Returns
    -------
    DataFrame
        ``run``, ``model``, ``family``, ``inference``, ``seed``, ``title``, ``fingerprint``,
        ``simulated``, ``split`` (its name), ``setting`` (its name without the fraction),
        ``fraction`` (NaN for a random split), ``split_seed``, ``predictor``, ``kind``, ``scope``
        (:data:`WHOLE` for figures that have none), ``metric``, ``value`` (NaN where undefined) and
        ``n_conditions``.
    """
    rows = []
    for evaluation in evaluations:
        recipe = evaluation["split"]
        random = recipe is None or recipe.get("kind", "random") == "random"
        shared = {
            name: evaluation[name]
            for name in (
                "run", "model", "family", "inference", "seed", "title", "fingerprint", "simulated",
            )
        } | {
            "split": split_name(recipe),
            "setting": split_name(recipe, fraction=False),
            "fraction": None if random else float(recipe.get("fraction", 1.0)),
            "split_seed": None if recipe is None else recipe.get("seed", 0),
        }  # fmt: skip
        rows += [shared | row for row in _numbers(evaluation)]
    columns = [
        "run", "model", "family", "inference", "seed", "title", "fingerprint", "simulated",
        "split", "setting", "fraction", "split_seed", "predictor", "kind", "scope", "metric",
        "value", "n_conditions",
    ]  # fmt: skip
    numbers = ("value", "fraction", "n_conditions")
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(numbers, float))


def _numbers(evaluation: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = [dict(score) for score in evaluation["scores"]]

    def add(metric: str, value: float | None, scope: str = WHOLE, predictor: str = "model") -> None:
        kind = "model" if predictor == "model" else "baseline"
        rows.append(
            {"predictor": predictor, "kind": kind, "scope": scope, "metric": metric, "value": value}
        )

    for name, scope in _IWELBO_SCOPES.items():
        add("iwelbo", evaluation["iwelbo"].get(name), scope)
    for name, value in (evaluation["mask"] or {}).items():
        if name == "calibration":
            add("mask_ece", (value or {}).get("ece"))
        else:
            add(f"mask_{name}", value)
    for name, value in (evaluation["predictive_check"] or {}).items():
        if name != "n":
            add(name, value)
    pathways = evaluation["pathways"]
    if pathways:
        add("pathway_accuracy", pathways["accuracy_logistic"]["mean"])
        add("pathway_accuracy_forest", pathways["accuracy_forest"]["mean"])
        add("pathway_accuracy", pathways["majority"], predictor="majority_class")
        add("pathway_accuracy", pathways["permutation"]["mean"], predictor="permutation")
        if pathways.get("ate"):
            add("pathway_accuracy", pathways["ate"]["mean"], predictor="data_effects")
    add("seconds", evaluation["seconds"].get("train"))
    return rows


def by_setting(
    evaluations: Iterable[Mapping[str, Any]],
) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    """Group evaluations whose figures can stand in one table: the same screen, split alike.

    Returns
    -------
    dict
        By title of the screen and name of the split; screens that share a title are numbered.
    """
    titles: dict[str, dict[str, str]] = {}
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for evaluation in evaluations:
        same = titles.setdefault(evaluation["title"], {})
        number = len(same) + 1
        title = evaluation["title"] + (f" ({number})" if number > 1 else "")
        title = same.setdefault(evaluation["fingerprint"], title)
        groups.setdefault((title, split_name(evaluation["split"])), []).append(evaluation)
    return groups


def paper_table(
    evaluations: Sequence[Mapping[str, Any]] | pd.DataFrame,
    *,
    scope: str = "all",
    metrics: Sequence[str] = DEFAULT_METRICS,
) -> pd.DataFrame:
    """The paper's table for one screen and split: model and inference, baselines, ceiling.

    Parameters
    ----------
    evaluations
        Of one screen, split alike (:func:`by_setting`), or their :func:`tidy` table; runs that
        differ in nothing but their seed and the seed of their split are averaged.
    scope
        Conditions that the scores are over, such as ``"all"``, ``"seen"`` or ``"unseen"``.
    metrics
        Columns. Figures that have no scope, such as mask F1, stand in every scope's table.

    Returns
    -------
    DataFrame
        Rows in the order of the paper's table, then baselines, then the ceiling: ``model``,
        ``inference``, ``kind``, ``n`` (runs; for baselines and the ceiling distinct splits),
        ``conditions`` (over which the scores are; NaN without scores) and ``of_conditions`` (over
        which others' are), and for each metric its mean under the metric's name, ``METRIC_sd`` (NaN
        for one run) and ``METRIC_fewer`` (whether it is over fewer conditions than others' on the
        same runs, as of a baseline that says nothing of some, and so not comparable). Metrics that
        no row has are left out.

    Raises
    ------
    ConfigError
        When the evaluations are not of one screen and split.
    """
    table = _as_table(evaluations)
    if len(table[["fingerprint", "split"]].drop_duplicates()) != 1:
        raise ConfigError(
            "One table is for one screen and split: make one for each group of by_setting."
        )
    table = table[table["metric"].isin(metrics) & table["scope"].isin((scope, WHOLE))]
    known = set(table.loc[table["value"].notna(), "metric"])
    rows = [
        _row(key, part.set_index("metric"), [m for m in metrics if m in known])
        for key, part in _over_seeds(table, "metric").groupby(_ROW, sort=True)
    ]
    columns = ["model", "inference", "kind", "n", "conditions", "of_conditions"]
    return pd.DataFrame(rows, columns=None if rows else columns)


def lines_table(
    evaluations: Sequence[Mapping[str, Any]] | pd.DataFrame, metric: str, *, scope: str = "all"
) -> pd.DataFrame:
    """A metric over the fraction of the combinations that train, by model.

    Parameters
    ----------
    evaluations
        Of one screen, or their :func:`tidy` table; those of random splits have no fraction and are
        left out. Test cells of ``"all"`` differ between fractions; the held-out combinations
        (``"unseen"``) do not.
    metric, scope
        As in :func:`tidy`.

    Returns
    -------
    DataFrame
        ``setting`` (the split without its fraction), ``model``, ``inference``, ``kind``,
        ``fraction``, ``mean``, ``sd`` (NaN for one run), ``n``, and ``conditions``,
        ``of_conditions`` and ``fewer`` as in :func:`paper_table`; rows in the order of the paper's
        table, then baselines, then the ceiling.

    Raises
    ------
    ConfigError
        When the evaluations are of several screens.
    """
    table = _as_table(evaluations)
    if len(set(table["fingerprint"])) > 1:
        raise ConfigError("One line plot is for one screen: leave out the runs of the others.")
    chosen = (table["metric"] == metric) & table["scope"].isin((scope, WHOLE))
    table = table[chosen & table["fraction"].notna()]
    lines = _over_seeds(table, "setting", "fraction").sort_values(["setting", *_ROW, "fraction"])
    columns = [
        "setting", "model", "inference", "kind", "fraction", "mean", "sd", "n",
        "conditions", "of_conditions", "fewer",
    ]  # fmt: skip
    return lines[columns].reset_index(drop=True)


def coverage(rows: pd.DataFrame) -> pd.Series:
    """Words to put after a name: " (5 of 8 conditions)", or nothing where scores are over all.

    Parameters
    ----------
    rows
        From :func:`paper_table` or :func:`lines_table`.
    """
    return pd.Series(
        [
            f" ({count:.4g} of {most:.4g} conditions)" if count < most else ""
            for count, most in zip(rows["conditions"], rows["of_conditions"], strict=True)
        ],
        index=rows.index,
        dtype=object,
    )


def _as_table(evaluations: Sequence[Mapping[str, Any]] | pd.DataFrame) -> pd.DataFrame:
    return evaluations if isinstance(evaluations, pd.DataFrame) else tidy(evaluations)


def _over_seeds(table: pd.DataFrame, *by: str) -> pd.DataFrame:
    """Mean, sd and number of a row's figures over seeds, or over splits for what has no seed."""
    is_model = table["kind"] == "model"
    ranks = {key: rank for rank, key in enumerate([*ORDER, "other", *PREDICTORS, "unknown"])}
    keys = [
        ((family, inference) if (family, inference) in ranks else "other")
        if kind == "model"
        else (predictor if predictor in ranks else "unknown")
        for family, inference, kind, predictor in zip(
            table["family"], table["inference"], table["kind"], table["predictor"], strict=True
        )
    ]
    together = table.groupby(["run", "split", "scope", "metric"])["n_conditions"]
    named = table.assign(
        of_conditions=together.transform("max"),
        rank=[ranks[key] for key in keys],
        model=table["model"].where(is_model, table["predictor"].replace(PREDICTORS)),
        inference=table["inference"].map(_inference_name).where(is_model, ""),
        seed=table["seed"].where(is_model, -1),
        split_seed=table["split_seed"].fillna(-1),
    ).dropna(subset="value")
    numbers = ["value", "n_conditions", "of_conditions"]
    runs = named.groupby([*_ROW, *by, "seed", "split_seed"])[numbers].mean()
    summary = runs.groupby([*_ROW, *by]).agg(
        mean=("value", "mean"),
        sd=("value", "std"),
        n=("value", "count"),
        conditions=("n_conditions", "mean"),
        of_conditions=("of_conditions", "mean"),
    )
    summary["fewer"] = summary["conditions"] < summary["of_conditions"]
    return summary.reset_index()


def _inference_name(inference: str | None) -> str:
    return INFERENCE_NAMES.get(inference, str(inference))


def _row(key: Any, part: pd.DataFrame, metrics: Sequence[str]) -> dict[str, Any]:
    row = dict(zip(_ROW, key, strict=True))
    told = part[part["fewer"]] if part["fewer"].any() else part
    most = told.sort_values("conditions", na_position="first").iloc[-1]
    row |= {"n": int(part["n"].max()), **most[["conditions", "of_conditions"]]}
    del row["rank"]
    for metric in metrics:
        known = metric in part.index
        row[metric] = part.loc[metric, "mean"] if known else float("nan")
        row[f"{metric}_sd"] = part.loc[metric, "sd"] if known else float("nan")
        row[f"{metric}_fewer"] = bool(known and part.loc[metric, "fewer"])
    return row
