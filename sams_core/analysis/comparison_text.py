"""Comparison tables as text: for the terminal, and as Markdown for reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from sams_core.analysis.comparison import (
    DEFAULT_METRICS,
    by_setting,
    coverage,
    paper_table,
)
from sams_core.analysis.score_names import mean_and_sd, metric_of

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
    evaluations: Sequence[Mapping[str, Any]], metrics: Sequence[str] = DEFAULT_METRICS
) -> list[tuple[str, pd.DataFrame]]:
    """Tables that compare the evaluations, each with a heading.

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
            table = paper_table(group, scope=scope, metrics=metrics)
            found.append((f"{title}{simulated}: {split}; {_SCOPES[scope]}", table))
    return found


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
    """
    parts = [f"`{command}`"] if command else []
    for heading, table in sections(evaluations, metrics):
        parts += [f"{'#' * level} {heading}", markdown(as_text(table))]
    parts.append(
        "Mean ± sd over n seeds; for baselines and the ceiling n counts distinct splits. "
        "IWELBO in nats a cell."
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
