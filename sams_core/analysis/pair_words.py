"""What a search of pairs found, and how far to trust it, in plain words (Markdown)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from sams_core.analysis.markdown import escape
from sams_core.analysis.pair_ranking import Goal

LOG2 = "log2 units"
NEGLIGIBLE = 0.05
"""Interactions below it, in log2 units a gene (about 3.5%), are not worth a word."""
ADDITIVE = (
    "Each pair is predicted at dose 1, and no pair has to be measured for it: **in the model's "
    "latent space the shifts of the two simply add up**. All that a pair can do beyond its "
    "singles comes from how latent positions turn into expression. Two proteins that "
    "truly replace or block one another are foreseen only if such pairs were in training."
)
LEARNED = (
    "Each pair is predicted at dose 1, and no pair has to be measured for it: **this model has no "
    "shifts that could add up**. Its decoder is told which perturbations a cell has, and for pairs "
    "unlike those in training it may make anything."
)
LUCK = (
    "The best of many is partly luck: an interval speaks of one pair, not of the best of all. "
    "Expect the top of the list to do a little less than predicted."
)


def quantity(goal: Goal) -> str:
    """What pairs are ranked by, as the title of an axis: plain text."""
    if goal.kind in ("raise", "lower"):
        if len(goal.genes) == 1:
            return f"Predicted effect on {goal.name} (log2 units)"
        return f"Mean predicted effect on the {len(goal.genes):,} genes of {goal.name} (log2 units)"
    if goal.kind == "towards":
        return f"Share of the way to {goal.name} (1: all of it)"
    if goal.kind == "interaction":
        return "Size of the interaction over all genes (log2 units)"
    return "Distance from the nearest training condition (log2 units)"


def unit(goal: Goal) -> str:
    """What values are in: plain text."""
    return "share of the way" if goal.kind == "towards" else LOG2


def aim(goal: Goal) -> str:
    """The goal as a verb phrase, names escaped."""
    name = escape(goal.name)
    if goal.kind in ("raise", "lower"):
        many = f"the {len(goal.genes):,} genes of {name}" if len(goal.genes) > 1 else name
        return f"{goal.kind} {many}"
    return {
        "towards": f"move cells towards {name}",
        "interaction": "interact",
        "novelty": "differ from everything in training",
    }[goal.kind]


def tell_best(ranked: pd.DataFrame, goal: Goal) -> str:
    """Say what the first of a table of `rank_pairs` is predicted to do."""
    best = ranked.iloc[0]
    pair = f"**{escape(best['first'])} + {escape(best['second'])}**"
    text = f"{pair} comes first of {len(ranked):,} to {aim(goal)}: {tell_value(best, goal)}."
    if goal.has_parts:
        text += f" {tell_gains(ranked, goal)}"
    elif goal.kind == "interaction":
        number = int((ranked["lower"] > NEGLIGIBLE).sum())
        text += (
            f" In {number:,} pair{'' if number == 1 else 's'} it is more than {NEGLIGIBLE} "
            f"{LOG2} a gene beyond its uncertainty."
        )
    return text


def tell_value(row: pd.Series, goal: Goal) -> str:
    """One pair's value, with interval and what its singles do."""
    if goal.kind == "novelty":
        nearest = escape(row["nearest"])
        return (
            f"{row['value']:.2f} {LOG2} a gene from its nearest training condition, **{nearest}**"
        )
    form = ".2f" if goal.kind == "interaction" else "+.2f"
    unit = "of the way" if goal.kind == "towards" else LOG2
    if goal.kind == "interaction":
        unit = f"{LOG2} a gene"
    text = f"{row['value']:{form}} {unit} (90% interval {row['lower']:{form}} to "
    text += f"{row['upper']:{form}})"
    if goal.has_parts:
        text += (
            f", where alone {escape(row['first'])} does {row['alone_first']:+.2f} and "
            f"{escape(row['second'])} {row['alone_second']:+.2f}"
        )
    return text


def tell_gains(ranked: pd.DataFrame, goal: Goal) -> str:
    """Say how many pairs clearly beat the better of their singles."""
    reach = (ranked["upper"] - ranked["lower"]) / 2
    number = int((ranked["gain"] > reach).sum())
    if number == 0:
        return "No pair beats the better of its singles by more than its uncertainty."
    return (
        f"{number:,} pair{'' if number == 1 else 's'} beat{'s' if number == 1 else ''} the better "
        "of the two singles by more than the uncertainty."
    )


def tell_intervals(goal: Goal, basis: str) -> str:
    """Say what the intervals rest on, and what no interval allows for.

    Parameters
    ----------
    goal
        What pairs are ranked for.
    basis
        What is known of the intervals of effects on genes:
        `sams_core.analysis.interval_calibration.IntervalScale.sentence`.
    """
    if goal.kind == "novelty":
        return "The distance has no interval: it is between two predictions, not measurements."
    if goal.kind in ("raise", "lower"):
        return f"{basis} {LUCK}"
    return f"Intervals are the posterior's own, and probably too narrow. {LUCK}"


def tell_part(n_found: int, n_pairs: int) -> str:
    """Say that a search was cancelled, and what the table then holds."""
    return (
        f"Incomplete: {n_found:,} of {n_pairs:,} pairs were predicted before the search was "
        "cancelled, picked at random. A better pair may be among the others."
    )


def tell_score(evaluation: Mapping[str, Any] | None, n_trained: int) -> str:
    """Say how well this checkpoint predicted pairs, unseen ones if any were held out.

    Parameters
    ----------
    evaluation
        From `sams_core.analysis.evaluation_files.read_evaluation`; None without one.
    n_trained
        Combinations that training cells have.
    """
    scores = [] if evaluation is None else evaluation["scores"]
    unseen = _pearson(scores, "unseen_combinations")
    if "model" in unseen:
        return (
            "On combinations that it never saw in training, this checkpoint's predicted effects "
            f"correlate with the measured ones {_beside(unseen)}."
        )
    start = "How well this checkpoint foretells unseen pairs is **not known**: "
    if not n_trained:
        return f"{start}its screen has single perturbations only, and no pair to check it on."
    seen = _pearson(scores, "combinations")
    if "model" not in seen:
        return f"{start}no pair was held out of training and scored."
    return (
        f"{start}no pair was held out of training. On held-out cells of pairs that it did see, "
        f"predicted effects correlate with the measured ones {_beside(seen)}."
    )


def _pearson(scores: list[Mapping[str, Any]], scope: str) -> dict[str, Mapping[str, Any]]:
    return {
        str(score["predictor"]): score
        for score in scores
        if score["scope"] == scope and score["metric"] == "pearson" and score["value"] is not None
    }


def _beside(scores: Mapping[str, Mapping[str, Any]]) -> str:
    """Write the model's score with the additive baseline's and the ceiling."""
    model = scores["model"]
    n = model["n_conditions"]
    text = f"**{model['value']:.2f}** ({n:,} combination{'' if n == 1 else 's'})"
    additive, ceiling = scores.get("additive"), scores.get("technical_duplicate")
    if additive is not None:
        others = additive["n_conditions"]
        over = "" if others == n else f", over the {others:,} whose singles were measured"
        text += f"; adding up the measured singles reaches {additive['value']:.2f}{over}"
    if ceiling is not None:
        text += f"; measurement noise allows {ceiling['value']:.2f}"
    return text
