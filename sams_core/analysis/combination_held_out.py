"""How well a checkpoint predicted measured combinations, beside sum and ceiling."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sams_core.analysis.baselines import single_effects
from sams_core.analysis.combination_doses import condition_doses
from sams_core.analysis.combination_trust import dosage_matrix
from sams_core.analysis.effect_tables import pearson, two_digits

if TYPE_CHECKING:
    from anndata import AnnData

_SIZES = {2: "pair", 3: "triple", 4: "combination of four", 5: "combination of five"}


@dataclass(frozen=True)
class HeldOutScores:
    """How well effects of conditions of one kind were predicted for held-out cells.

    Attributes
    ----------
    n
        Conditions over which the scores are averaged; the same ones for all of them.
    n_of_kind
        Conditions of the kind that the model could be scored on.
    kind
        What they are, in the singular.
    unseen
        Whether the model was trained on none of their cells.
    model, additive, ceiling
        Mean Pearson correlation over genes with what held-out cells show: of the model, of the sum
        of the single perturbations' effects in training cells, and of other cells of the
        condition; NaN where unknown.
    """

    n: int
    n_of_kind: int
    kind: str
    unseen: bool
    model: float
    additive: float
    ceiling: float


def held_out_scores(
    effects: AnnData,
    masks: AnnData,
    n_perturbations: int,
    evaluation: Mapping[str, Any] | None = None,
) -> HeldOutScores | None:
    """Score the checkpoint on measured conditions of the kind of a combination.

    These are conditions of as many perturbations that were held out whole; without any, those of
    which only some cells were held out; without these, combinations of other sizes.

    Parameters
    ----------
    effects, masks
        The checkpoint's tables.
    n_perturbations
        Size of the combination.
    evaluation
        What ``evaluate`` wrote, which has the ceiling of conditions that were held out whole.

    Returns
    -------
    None where no combination was measured in held-out cells.
    """
    obs = effects.obs
    scored = np.isfinite(obs["pearson"].to_numpy(float))
    size = obs["n_perturbations"].to_numpy(int)
    seen = obs["seen_in_training"].to_numpy(bool)
    word = _SIZES.get(n_perturbations, f"combination of {n_perturbations}")
    of_size = scored & (size == n_perturbations)
    others = scored & (size > 1)
    for kind, unseen, rows in (
        (word, True, of_size & ~seen),
        (word, False, of_size & seen),
        ("combination", True, others & ~seen),
        ("combination", False, others & seen),
    ):
        if rows.any():
            return _average(effects, masks, np.flatnonzero(rows), kind, unseen, evaluation)
    return None


def _average(
    effects: AnnData,
    masks: AnnData,
    rows: npt.NDArray[np.intp],
    kind: str,
    unseen: bool,
    evaluation: Mapping[str, Any] | None,
) -> HeldOutScores:
    measured = np.asarray(effects.layers["data_ate_test"], dtype=float)[rows]
    sums = _additive(effects, masks, rows)
    additive = np.array([pearson(a, b) for a, b in zip(sums, measured, strict=True)], dtype=float)
    ceiling = effects.obs["ceiling"].to_numpy(float)[rows]
    both: npt.NDArray[np.bool_] = np.array(np.isfinite(additive), dtype=bool)
    use = both if both.any() else np.full(len(rows), True)
    known = ceiling[use][np.isfinite(ceiling[use])]
    top = float(known.mean()) if len(known) else float("nan")
    if unseen and evaluation is not None:
        top = _duplicate(evaluation)
    return HeldOutScores(
        int(use.sum()),
        len(rows),
        kind,
        unseen,
        float(effects.obs["pearson"].to_numpy(float)[rows][use].mean()),
        float(additive[use].mean()) if both.any() else float("nan"),
        top,
    )


def _additive(
    effects: AnnData, masks: AnnData, rows: npt.NDArray[np.intp]
) -> npt.NDArray[np.float64]:
    """Sums of the singles' effects in training cells, (n, G); NaN where one was never measured."""
    known = {str(name) for name in masks.obs_names}
    conditions = [condition_doses(str(name), known) or {} for name in effects.obs_names]
    dosages = dosage_matrix(conditions, masks)
    training = np.asarray(effects.layers["data_ate_train"], dtype=float)
    singles = single_effects(training, dosages)
    wanted = dosages[rows]
    missing = np.asarray(np.isnan(singles).any(axis=1))
    total = wanted @ np.where(missing[:, None], 0.0, singles)
    unknown = ((wanted != 0) & missing).any(axis=1) | (wanted == 0).all(axis=1)
    total[unknown] = np.nan
    return np.asarray(total, dtype=np.float64)


def _duplicate(evaluation: Mapping[str, Any]) -> float:
    """The evaluation's ceiling of combinations that were held out whole."""
    for score in evaluation["scores"]:
        if (score["predictor"], score["scope"], score["metric"]) == (
            "technical_duplicate",
            "unseen_combinations",
            "pearson_change",
        ) and score["value"] is not None:
            return float(score["value"])
    return float("nan")


def tell_scores(scores: HeldOutScores | None, folder: str) -> str:
    """Say how well such combinations were predicted, and what was not tested.

    Parameters
    ----------
    scores
        From :func:`held_out_scores`.
    folder
        Of the checkpoint, for commands.
    """
    if scores is None:
        return (
            "This screen has no combination in its held-out cells, so nothing tells how well this "
            "checkpoint predicts combinations: take the prediction as a hypothesis."
        )
    many = "s" if scores.n > 1 else ""
    kind = f"{scores.n} {_plural(scores.kind) if many else scores.kind}"
    where = (
        f"On {kind} that training never saw"
        if scores.unseen
        else f"On held-out cells of {kind} that training saw"
    )
    text = f"{where}, the model's effects correlate {two_digits(scores.model)} with the measured"
    if np.isfinite(scores.additive):
        text += f", the sum of the measured singles {two_digits(scores.additive)}"
    if np.isfinite(scores.ceiling):
        text += f", other cells of the same condition {two_digits(scores.ceiling)} (the ceiling)"
    text += "."
    if scores.kind == "combination":
        text = f"No combination of this size was measured in held-out cells. {text}"
    if not np.isfinite(scores.additive):
        text += " No sum can be formed: their single perturbations were not all trained on alone."
    elif scores.n < scores.n_of_kind:
        text += (
            f" For {scores.n_of_kind - scores.n} more there is no sum: a single of theirs was not "
            "trained on alone."
        )
    if scores.unseen and not np.isfinite(scores.ceiling):
        text += f" For the ceiling, run python -m sams_core evaluate {folder}."
    if not scores.unseen:
        text += (
            " No such combination was held out whole: train with --split-kind ood_combinations to "
            "test that."
        )
    return text


def _plural(kind: str) -> str:
    return kind.replace("combination", "combinations") if "combination" in kind else f"{kind}s"
