"""Comparison tables as text: for the terminal, and as Markdown for reports."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from sams_core.analysis.agreement import Agreement
from sams_core.analysis.comparison import (
    DEFAULT_METRICS,
    by_setting,
    coverage,
    paper_table,
)
from sams_core.analysis.evaluation_files import INFERENCE_NAMES
from sams_core.analysis.score_names import mean_and_sd, metric_of

Agreements = Sequence[tuple[Sequence[Mapping[str, Any]], Agreement]]
"""Runs that differ by their seed, with the agreement of their masks."""

AGREEMENT_IS = (
    "Seed agreement: mask entries that two seeds both open as a share of those that either opens, "
    "after their latents are matched; mean ± sd over pairs of seeds."
)

_SCOPES = {
    "all": "all conditions",
    "seen": "conditions in training",
    "unseen": "conditions that no training cell has",
}


def as_text(table: pd.DataFrame) -> pd.DataFrame:
    """Figures of :func:`paper_table` as "mean ± sd" under readable headings.

    A row whose scores are over fewer conditions than others' says so.
    """
    text = table[["model", "inference"]].astype(object)
    text["model"] += coverage(table)
    for name in _metrics(table):
        metric = metric_of(name)
        text[metric.title] = [
            mean_and_sd(mean, sd, metric.digits)
            for mean, sd in zip(table[name], table[f"{name}_sd"], strict=True)
        ]
    text["n"] = table["n"].astype(str)
    return text


def _metrics(table: pd.DataFrame) -> list[str]:
    return [name for name in table.columns if f"{name}_sd" in table.columns]


def sections(
    evaluations: Sequence[Mapping[str, Any]],
    metrics: Sequence[str] = DEFAULT_METRICS,
    agreements: Agreements = (),
) -> list[tuple[str, pd.DataFrame]]:
    """Tables that compare the evaluations, each with a heading.

    Parameters
    ----------
    evaluations
        What to compare.
    metrics
        Columns.
    agreements
        Runs that differ by their seed, and how far their masks agree
        (:func:`sams_core.analysis.stability.agreements`): a column, with the standard deviation
        over pairs of seeds.

    Returns
    -------
    list of (str, DataFrame)
        For every screen and split one table over all conditions, and, where a split holds out
        whole conditions, one over those that train and one over those that do not.
    """
    found = []
    for (title, split), group in by_setting(evaluations).items():
        simulated = " (simulated)" if group[0]["simulated"] else ""
        unseen = any(
            score["scope"] == "unseen" and score["value"] is not None
            for evaluation in group
            for score in evaluation["scores"]
        )
        for scope in ("all", "seen", "unseen") if unseen else ("all",):
            table = _with_agreement(
                paper_table(group, scope=scope, metrics=metrics), group, agreements
            )
            found.append((f"{title}{simulated}: {split}; {_SCOPES[scope]}", table))
    return found


def _with_agreement(
    table: pd.DataFrame, evaluations: Sequence[Mapping[str, Any]], agreements: Agreements
) -> pd.DataFrame:
    shown = {each["weights"] for each in evaluations} if agreements else set()
    for runs, agreement in agreements:
        if shown.isdisjoint(run["weights"] for run in runs) or not math.isfinite(agreement.mean):
            continue
        inference = INFERENCE_NAMES.get(runs[0]["inference"], str(runs[0]["inference"]))
        row = (table["model"] == runs[0]["model"]) & (table["inference"] == inference)
        row &= table["kind"] == "model"
        if not row.any():  # no other figure was asked for
            named = {"model": runs[0]["model"], "inference": inference, "kind": "model"}
            table.loc[len(table)] = pd.Series(named | {"n": len(runs)})
            row = table.index == len(table) - 1
        for name, value in (
            ("seed_agreement", agreement.mean),
            ("seed_agreement_sd", agreement.sd),
        ):
            table.loc[row, name] = value
    return table


def markdown(table: pd.DataFrame) -> str:
    """Text cells as a Markdown table."""
    rows = [list(table.columns), ["---"] * table.shape[1], *table.to_numpy().tolist()]
    return "\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows)


def report(
    evaluations: Sequence[Mapping[str, Any]],
    *,
    command: str | None = None,
    metrics: Sequence[str] = DEFAULT_METRICS,
    level: int = 3,
    agreements: Agreements = (),
) -> str:
    """Every table of :func:`sections` as Markdown.

    Parameters
    ----------
    evaluations
        What to compare.
    command
        The command line that made them, stated at the top.
    metrics
        Columns.
    level
        Of the headings.
    agreements
        As of :func:`sections`.
    """
    parts = [f"`{command}`"] if command else []
    for heading, table in sections(evaluations, metrics, agreements):
        parts += [f"{'#' * level} {heading}", markdown(as_text(table))]
    parts.append(
        "Mean ± sd over n seeds; for baselines and the ceiling n counts distinct splits. "
        "IWELBO in nats a cell." + (f" {AGREEMENT_IS}" if agreements else "")
    )
    return "\n\n".join(parts) + "\n"


def comparison_csv(tables: Iterable[tuple[str, pd.DataFrame]]) -> str:
    """Unrounded figures of all tables, with a column for the heading of each."""
    parts = []
    for heading, table in tables:
        part = table.copy()
        part.insert(0, "table", heading)
        parts.append(part)
    return str(pd.concat(parts).to_csv(index=False))
