"""Tables and words of the models page, cut from figures of runs on one screen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from sams_core.analysis.comparison import WHOLE, coverage, paper_table
from sams_core.analysis.evaluation_files import FAMILY_NAMES, INFERENCE_NAMES
from sams_core.analysis.paper_results import PAPER, PAPER_NORMAN
from sams_core.analysis.score_names import METRICS, mean_and_sd, metric_of

SCOPES = {
    "all": "all conditions",
    "singles": "single perturbations",
    "combinations": "combinations",
    "seen": "conditions seen in training",
    "unseen": "conditions not seen in training",
    "unseen_combinations": "combinations not seen in training",
}
"""Which conditions a score is over, in words, in the order of choices."""

SEEDS = 5
"""Runs that the paper averages in its table."""


def metrics_in(table: pd.DataFrame) -> list[str]:
    """Figures that a tidy table holds, the paper's first."""
    found = {str(name) for name in table.loc[table["value"].notna(), "metric"]}
    return [*(name for name in METRICS if name in found), *sorted(found.difference(METRICS))]


def scopes_in(table: pd.DataFrame) -> dict[str, str]:
    """Scopes of a tidy table by their words, without those that only repeat another one."""
    found: dict[str, str] = {}
    rows_of: list[pd.DataFrame] = []
    scored = table[table["scope"].ne(WHOLE) & table["value"].notna() & table["metric"].ne("iwelbo")]
    parts = {str(scope): part for scope, part in scored.groupby("scope")}
    known = [scope for scope in SCOPES if scope in parts]
    for scope in known + sorted(set(parts) - set(known)):
        keys = ["run", "predictor", "metric", "split"]
        rows = parts[scope].set_index(keys)[["value", "n_conditions"]].sort_index()
        if any(rows.equals(other) for other in rows_of):
            continue
        rows_of.append(rows)
        found[SCOPES.get(scope, scope.replace("_", " "))] = scope
    return found


def generalisation_scopes(scopes: Iterable[str]) -> list[str]:
    """Scopes whose scores are worth holding beside one another, by what there is."""
    there = set(scopes)
    for choice in (
        ("seen", "unseen"),
        ("singles", "unseen_combinations"),
        ("singles", "combinations"),
    ):
        if there >= set(choice):
            return list(choice)
    return ["all"] if "all" in there else sorted(there)[:1]


def scope_table(table: pd.DataFrame, metric: str, scopes: Sequence[str]) -> pd.DataFrame:
    """One figure over several scopes.

    Parameters
    ----------
    table
        Tidy, of one screen and split.

    Returns
    -------
    DataFrame: ``scope``, ``name`` (who predicts, the same in every scope), ``kind``, ``mean``,
    ``sd``, ``n`` and ``coverage`` (as of `sams_core.analysis.comparison.coverage`).
    """
    parts = []
    for scope in scopes:
        rows = paper_table(table, scope=scope, metrics=[metric])
        if metric not in rows:
            continue
        rows = rows.rename(columns={metric: "mean", f"{metric}_sd": "sd"})
        parts.append(rows.assign(scope=scope, coverage=coverage(rows)).dropna(subset="mean"))
    columns = ["scope", "name", "kind", "mean", "sd", "n", "coverage"]
    if not parts:
        return pd.DataFrame(columns=columns)
    found = pd.concat(parts, ignore_index=True)
    return found.assign(name=shared_names(found))[columns]


def names(rows: pd.DataFrame) -> pd.Series:
    """Who predicts: model and inference, or the baseline, and of which conditions if not of all."""
    return _plain_names(rows) + (coverage(rows) if "conditions" in rows else "")


def shared_names(rows: pd.DataFrame) -> pd.Series:
    """Who predicts, by one name in all rows, though some may be over fewer conditions."""
    plain, words = _plain_names(rows), coverage(rows)
    differs = words.groupby(plain).transform("nunique") > 1
    return plain + words.mask(differs, " (fewer conditions)")


def _plain_names(rows: pd.DataFrame) -> pd.Series:
    guide = rows["inference"].fillna("").astype(str)
    return rows["model"].str.cat(guide.where(guide == "", ", " + guide))


def comparable(rows: pd.DataFrame, metric: str, kind: str) -> npt.NDArray[np.bool_]:
    """Rows of a kind that can be best in a figure: they have it, baselines over all conditions."""
    found = (rows["kind"].eq(kind) & np.isfinite(rows[metric].astype(float))).to_numpy()
    if kind == "baseline" and f"{metric}_fewer" in rows:
        found &= ~rows[f"{metric}_fewer"].to_numpy(bool)
    return found


def best_row(rows: pd.DataFrame, metric: str, kind: str) -> int | None:
    """Position of the row of a kind that is best in a figure; None without one.

    A baseline over fewer conditions than the models is none: it is judged on others than they are.
    """
    direction = metric_of(metric).direction
    if not direction or metric not in rows:
        return None
    among = np.flatnonzero(comparable(rows, metric, kind))
    values = direction * rows[metric].to_numpy(float)[among]
    return int(among[values.argmax()]) if len(among) else None


def verdict(rows: pd.DataFrame, metric: str) -> tuple[str, bool] | None:
    """Say who is best in a figure, and plainly when no model beats a baseline.

    Parameters
    ----------
    rows
        From `sams_core.analysis.comparison.paper_table`.

    Returns
    -------
    The sentence, and whether a baseline is better than every model; None where there is no best.
    """
    best = best_row(rows, metric, "model")
    if best is None:
        return None
    title, told = metric_of(metric).title, _told(rows, best, metric)
    simple = best_row(rows, metric, "baseline")
    direction = metric_of(metric).direction
    if simple is not None and direction * (rows[metric].iloc[simple] - rows[metric].iloc[best]) > 0:
        return (
            f"**{title}: a baseline beats every model.** It is {_told(rows, simple, metric)}; the "
            f"best model, {told}.",
            True,
        )
    text = f"**{title}**: {told} is best"
    text += (
        f", before the baselines' best, {_told(rows, simple, metric)}" if simple is not None else ""
    )
    return f"{text}.{_closeness(rows, metric, best)}", False


def _told(rows: pd.DataFrame, row: int, metric: str) -> str:
    value = mean_and_sd(
        rows[metric].iloc[row], rows[f"{metric}_sd"].iloc[row], metric_of(metric).digits
    )
    return f"{names(rows).iloc[row]} ({value})"


def _closeness(rows: pd.DataFrame, metric: str, best: int) -> str:
    """Say which models are no worse than seeds vary."""
    models = rows[rows["kind"].eq("model") & rows[metric].notna()]
    if len(models) < 2:
        return ""
    if models["n"].min() < 2:
        return " With one run of some models, their differences may be chance."
    spread = np.hypot(models[f"{metric}_sd"], rows[f"{metric}_sd"].iloc[best])
    near = models[(models[metric] - rows[metric].iloc[best]).abs() <= spread]
    others = names(near)[near.index != rows.index[best]]
    if others.empty:
        return ""
    return f" Within the spread over seeds of it: {'; '.join(others)}."


def tell_scopes(table: pd.DataFrame, metric: str, scopes: Sequence[str]) -> str:
    """Say who is best in a figure over each of several scopes, a line each.

    Parameters
    ----------
    table
        Tidy, of one screen and split.
    """
    lines = []
    for scope in scopes:
        found = verdict(paper_table(table, scope=scope, metrics=[metric]), metric)
        if found is not None:
            words = SCOPES.get(scope, scope)
            lines.append(f"- {words[:1].upper()}{words[1:]}. {found[0]}")
    return "\n".join(lines)


def tell_lines(lines: pd.DataFrame, metric: str) -> str:
    """Say who is best at the smallest and at the largest fraction, a line each.

    Parameters
    ----------
    lines
        From `sams_core.analysis.comparison.lines_table`, of one setting.
    """
    told = []
    columns = {"mean": metric, "sd": f"{metric}_sd", "fewer": f"{metric}_fewer"}
    named = lines.rename(columns=columns)
    for fraction in sorted({lines["fraction"].min(), lines["fraction"].max()}):
        rows = named[named["fraction"] == fraction].reset_index(drop=True)
        if (found := verdict(rows, metric)) is not None:
            told.append(f"- With {fraction:.0%} in training. {found[0]}")
    return "\n".join(told)


def unseen_first(scopes: Mapping[str, str]) -> str:
    """Words of the scope that generalisation is read from; the first where nothing is unseen."""
    by_scope = {scope: words for words, scope in scopes.items()}
    wanted = (by_scope.get(scope) for scope in ("unseen_combinations", "unseen", "combinations"))
    return next((words for words in wanted if words), next(iter(scopes)))


def paper_rows() -> pd.DataFrame:
    """The paper's table in the columns of `sams_core.analysis.comparison.paper_table`."""
    rows = PAPER.drop(columns=["family", "inference"]).astype(float)
    rows["pearson_sd"] = np.nan
    rows.insert(0, "model", PAPER["family"].map(FAMILY_NAMES))
    rows.insert(1, "inference", _guides(PAPER["inference"]))
    return rows.assign(kind="model", n=SEEDS)


def norman_rows() -> pd.DataFrame:
    """The paper's Norman results as lines over the fraction of combinations in training.

    Returns
    -------
    DataFrame: ``name``, ``kind``, ``fraction``, ``iwelbo_relative`` and ``pearson``.
    """
    rows = PAPER_NORMAN.copy()
    guides = [f", {INFERENCE_NAMES[g]}" if g else "" for g in rows["inference"]]
    rows["name"] = rows["family"].map(FAMILY_NAMES) + pd.Series(guides, index=rows.index)
    return rows.assign(kind="model")[["name", "kind", "fraction", "iwelbo_relative", "pearson"]]


def _guides(inference: pd.Series) -> list[str]:
    return [INFERENCE_NAMES.get(guide, str(guide)) for guide in inference]
