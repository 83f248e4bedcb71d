"""How tables of the search page are headed and written."""

from __future__ import annotations

from typing import Any

import streamlit as st

from sams_core.analysis.pair_ranking import Goal
from sams_core.analysis.pair_words import quantity
from sams_core.explorer.glossary import GLOSSARY

_NUMBER = st.column_config.NumberColumn
_TEXT = st.column_config.TextColumn
_CHECK = st.column_config.CheckboxColumn
_SD = "Standard deviation over the model's posterior: how sure the model is."
_WORD = {"interaction": "Size", "novelty": "Distance"}


def pairs(goal: Goal) -> dict[str, Any]:
    """Columns of `sams_core.analysis.pair_ranking.rank_pairs`."""
    signed = "%+.3f" if goal.has_parts else "%.3f"
    return {
        "pair": None,
        "rank": _NUMBER("Rank", help="1 is the best by what you rank by.", pinned=True),
        "first": _TEXT("A", help=GLOSSARY["perturbation"], pinned=True),
        "second": _TEXT("B", help=GLOSSARY["perturbation"], pinned=True),
        "value": _NUMBER(
            _WORD.get(goal.kind, "Predicted"), format=signed, help=f"{quantity(goal)}."
        ),
        "sd": _NUMBER("± sd", format="%.3f", help=_SD),
        "lower": _NUMBER("From", format=signed, help=f"Lower end. {GLOSSARY['90% interval']}"),
        "upper": _NUMBER("To", format=signed, help=f"Upper end. {GLOSSARY['90% interval']}"),
        "additive": _NUMBER("Sum", format=signed, help=GLOSSARY["additive expectation"]),
        "deviation": _NUMBER(
            "Beyond sum", format="%+.3f", help="Predicted minus the sum of the two singles."
        ),
        "deviation_sd": _NUMBER("± sd of it", format="%.3f", help=_SD),
        "alone_first": _NUMBER("A alone", format=signed, help="What A is predicted to do alone."),
        "alone_second": _NUMBER("B alone", format=signed, help="What B is predicted to do alone."),
        "gain": _NUMBER(
            "Gain",
            format="%+.3f",
            help="How much better the pair is than the better of its two singles; negative: worse.",
        ),
        "cosine": _NUMBER(
            "Likeness",
            format="%.2f",
            help="Cosine of the predicted and the wanted profile: 1 is the same direction, 0 "
            "unrelated, -1 the opposite.",
        ),
        "measured": _NUMBER(
            "Measured", format=signed, help="The same in the data, where this pair was measured."
        ),
        "n_cells": _NUMBER(
            "Cells", format="localized", help="Cells measured with both; 0: never measured here."
        ),
        "in_training": _CHECK(
            "In training", help="Whether the model was trained on cells with both together."
        ),
        "interaction": _NUMBER(
            "Interaction",
            format="%.3f",
            help=f"{GLOSSARY['interaction']} Root mean square over genes, in log2 units, with the "
            "noise of sampling taken off.",
        ),
        "interaction_sd": _NUMBER("± sd of interaction", format="%.3f", help=_SD),
        "interaction_ratio": _NUMBER(
            "Over its sd",
            format="%.1f",
            help="Size of the interaction divided by its standard deviation; above 2 it is clear.",
        ),
        "novelty": _NUMBER(
            "Novelty",
            format="%.3f",
            help="Root mean square difference over genes, in log2 units, from the predicted "
            "profile of the most similar condition in training.",
        ),
        "nearest": _TEXT("Nearest", help="The most similar condition in training."),
    }


ORDER = {
    "arm": _TEXT("Arm", help="A pair, a single perturbation of these pairs, or the control."),
    "perturbation_a": _TEXT("A"),
    "perturbation_b": _TEXT("B"),
    "rank": _NUMBER("Rank"),
    "score": _NUMBER("Score", format="%.3f", help="What pairs were ranked for, see Goal."),
    "lower": _NUMBER("From", format="%.3f", help=GLOSSARY["90% interval"]),
    "upper": _NUMBER("To", format="%.3f", help=GLOSSARY["90% interval"]),
    "additive": _NUMBER("Sum", format="%.3f", help=GLOSSARY["additive expectation"]),
    "seen_in_training": _CHECK("In training", help="Whether the model was trained on this pair."),
    "cells_measured": _NUMBER("Cells", help="Cells of this screen with both."),
    "goal": _TEXT("Goal", help="What the score is."),
    "model_digest": _TEXT("Model", help=GLOSSARY["digest"]),
}
"""Columns of `sams_core.analysis.pair_orders.order_list`."""
