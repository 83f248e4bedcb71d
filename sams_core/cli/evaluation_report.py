"""An evaluation in words and tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from sams_core.analysis.calibration import Calibration, reliability_table, tell_calibration
from sams_core.analysis.comparison import PREDICTORS
from sams_core.analysis.score_names import NOTHING, SCORES, metric_label

SCOPES = {
    "all": "all conditions",
    "seen": "seen in training",
    "unseen": "never seen",
    "singles": "singles",
    "combinations": "combinations",
    "unseen_combinations": "combinations never seen",
}
"""Scopes in words."""

_WIDER = {
    "seen": "all",
    "singles": "all",
    "combinations": "all",
    "unseen_combinations": "unseen",
}
"""Scopes that are left out where they hold the same conditions as this other one."""

_ALSO = ("unseen_combinations", "unseen")
"""Of these the first there is has its every score shown, beside all conditions."""


class Scores:
    """The scores of an evaluation, by predictor, scope and metric.

    Parameters
    ----------
    rows
        ``scores`` of an evaluation.
    """

    def __init__(self, rows: Sequence[dict[str, Any]]) -> None:
        self._rows = {(row["predictor"], row["scope"], row["metric"]): row for row in rows}
        self.kinds = {row["predictor"]: row["kind"] for row in rows}
        found = dict.fromkeys(row["scope"] for row in rows)
        self.scopes = [
            name
            for name in found
            if _WIDER.get(name) not in found
            or self.n_conditions(name) != self.n_conditions(_WIDER[name])
        ]
        self.detailed = self.scopes[:1] + [name for name in _ALSO if name in self.scopes][:1]

    def __call__(self, predictor: str, scope: str, metric: str) -> float | None:
        """The score, or None where it is undefined."""
        row = self._rows.get((predictor, scope, metric))
        return None if row is None else row["value"]

    def n_conditions(self, scope: str, predictor: str = "model") -> int:
        """Conditions of a scope of which a predictor says anything."""
        return int(self._rows[predictor, scope, "rmse"]["n_conditions"])

    def best(
        self, scope: str, metric: str, *, kinds: Sequence[str] = ("model", "baseline")
    ) -> set[str]:
        """The best of the model and the baselines; several if they are equal, none if undefined."""
        sign = 1 if SCORES[metric].higher_is_better else -1
        known = {
            name: sign * value
            for name, kind in self.kinds.items()
            if kind in kinds and (value := self(name, scope, metric)) is not None
        }
        top = max(known.values(), default=0.0)
        return {name for name, value in known.items() if math.isclose(value, top, rel_tol=1e-9)}

    def text(self, predictor: str, scope: str, metric: str) -> str:
        """The score with a star if none is better, and on how many conditions if on fewer."""
        value = self(predictor, scope, metric)
        if value is None:
            return NOTHING
        star = "*" if predictor in self.best(scope, metric) else ""
        n = self.n_conditions(scope, predictor)
        fewer = f" (n={n})" if n != self.n_conditions(scope) else ""
        return f"{star}{value:.3f}{fewer}"


def verdict(scores: Scores, scope: str) -> str:
    """Say which of the model and the baselines predicts effects best, and what the ceiling is.

    Parameters
    ----------
    scores
        Of an evaluation.
    scope
        One of its scopes.
    """
    start = f"ATE Pearson, {SCOPES.get(scope, scope)}: "
    model = scores("model", scope, "pearson")
    baselines = scores.best(scope, "pearson", kinds=["baseline"])
    if model is None:
        return start + "undefined for the model."
    said = f"the model has {model:.3f}"
    if baselines:
        names = " and ".join(
            _name(name) + _coverage(scores, scope, name)
            for name in scores.kinds
            if name in baselines
        )
        value = scores(min(baselines), scope, "pearson")
        assert value is not None
        order = "above" if model > value else "below" if model < value else "the same as"
        said += f", {order} the best baseline, {value:.3f} ({names})"
    ceiling = scores("technical_duplicate", scope, "pearson")
    return start + said + ("." if ceiling is None else f"; the ceiling is {ceiling:.3f}.")


def _coverage(scores: Scores, scope: str, predictor: str) -> str:
    n, of = scores.n_conditions(scope, predictor), scores.n_conditions(scope)
    return f" on {n} of {of} conditions" if n < of else ""


def tables(scores: Scores, n_genes: int) -> Iterator[Table]:
    """Draw the headline score by scope, then every score of the scopes that matter most.

    Parameters
    ----------
    scores
        Of an evaluation.
    n_genes
        Genes of the screen.
    """
    yield _by_scope(scores)
    for scope in scores.detailed:
        yield _every_score(scores, scope, n_genes)


def _by_scope(scores: Scores) -> Table:
    table = Table(title="ATE Pearson on test cells", box=SIMPLE_HEAD, title_justify="left")
    table.add_column("")
    for scope in scores.scopes:
        heading = f"{SCOPES.get(scope, scope)}\nn={scores.n_conditions(scope)}"
        table.add_column(heading, justify="right")
    last_of_kind = {kind: name for name, kind in scores.kinds.items()}.values()
    for name in scores.kinds:
        values = [scores.text(name, scope, "pearson") for scope in scores.scopes]
        table.add_row(_name(name), *values, end_section=name in last_of_kind)
    return table


def _every_score(scores: Scores, scope: str, n_genes: int) -> Table:
    title = f"Every score, {SCOPES.get(scope, scope)}"
    table = Table(title=title, box=SIMPLE_HEAD, title_justify="left")
    table.add_column("")
    for name in scores.kinds:
        table.add_column(_name(name), justify="right")
    for metric, described in SCORES.items():
        if scores.best(scope, metric):
            values = [scores.text(name, scope, metric) for name in scores.kinds]
            arrow = "↑" if described.higher_is_better else "↓"
            table.add_row(f"{arrow} {metric_label(metric, n_genes)}", *values)
    return table


def calibration_table(found: dict[str, Any]) -> Table | None:
    """Draw what inclusion probabilities claim beside what is real, where that is known."""
    summary = (found["mask"] or {}).get("calibration")
    if summary is None:
        return None
    table = Table(title="Calibration of the mask", box=SIMPLE_HEAD, title_justify="left")
    headings = ("", "entries", "mean probability", "really open", "95% interval")
    for heading in headings:
        table.add_column(heading, justify="right" if heading else "left")
    for name, row in reliability_table(Calibration.from_summary(summary)).iterrows():
        interval = f"{row['low']:.3f}–{row['high']:.3f}"
        means = f"{row['mean_probability']:.3f}", f"{row['share_real']:.3f}"
        table.add_row(str(name), f"{row['n']:,.0f}", *means, interval)
    return table


def iwelbo_sentence(bounds: dict[str, float | None]) -> str:
    """Say the bounds; those of seen and unseen conditions only where there are unseen ones."""
    words = {
        "test": "test cells",
        "val": "validation cells",
        "test_seen": "test cells of conditions seen in training",
        "test_unseen": "test cells of conditions never seen",
    }
    if bounds["test_unseen"] is None:
        words.pop("test_seen")
    parts = [
        f"{text} {bounds[name]:,.2f}" for name, text in words.items() if bounds[name] is not None
    ]
    return f"IWELBO, nats per cell: {'; '.join(parts) or 'no cells were held out'}."


def sentences(found: dict[str, Any]) -> Iterator[str]:
    """Say what an evaluation found of mask, latents, pathways and the predictive check."""
    if found["scores"]:
        yield f"E-distances are in the {found['e_distance_space']}."
    mask = found["mask"] or {}
    if mask.get("share_open") is not None:
        truth = ""
        if mask["f1"] is not None:
            truth = (
                f" Against the known mask: F1 {mask['f1']:.3f}, precision "
                f"{mask['precision']:.3f}, recall {mask['recall']:.3f}."
            )
        yield f"Mask entries open: {mask['share_open']:.1%}.{truth}"
    if mask.get("calibration"):
        yield tell_calibration(Calibration.from_summary(mask["calibration"]))
    if mask.get("mcc") is not None:
        yield f"Latents against the known ones: mean correlation coefficient {mask['mcc']:.3f}."
    if found["pathways"]:
        yield _pathway_sentence(found["pathways"])
    elif found["settings"].get("pathways"):
        yield (
            "No pathway accuracy: it takes a family with a mask, and two gene sets with five "
            "perturbations each that are in no other set."
        )
    check = found["predictive_check"]
    if check and check["n"]:
        yield (
            f"Predictive check of {check['n']:,} effects: {check['coverage_90']:.0%} lie in their "
            f"90% interval (90% if the model were right), {check['share_p_below_0.05']:.1%} have "
            "p < 0.05 (5%)."
        )


def _pathway_sentence(pathways: dict[str, Any]) -> str:
    effects = pathways["ate"]
    return (
        f"Pathway of a perturbation told from its mask ({pathways['n_perturbations']} "
        f"perturbations, {pathways['n_pathways']} pathways): accuracy "
        f"{pathways['accuracy_logistic']['mean']:.2f} by logistic regression, "
        f"{pathways['accuracy_forest']['mean']:.2f} by random forest; guessing the largest pathway "
        f"{pathways['majority']:.2f}, permuted pathways {pathways['permutation']['mean']:.2f}"
        + (f"; from measured effects instead {effects['mean']:.2f}." if effects else ".")
    )


def _name(predictor: str) -> str:
    return "this model" if predictor == "model" else PREDICTORS.get(predictor, predictor)
