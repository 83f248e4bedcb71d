"""The trust strip of the combine page: what a prediction rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from sams_core.analysis import combination_held_out, combination_trust
from sams_core.analysis.combination_doses import dose_warnings
from sams_core.analysis.combination_tables import extrapolation
from sams_core.analysis.effect_tables import listed, two_digits
from sams_core.analysis.evaluation_files import read_evaluation
from sams_core.analysis.markdown import escape
from sams_core.errors import SamsError
from sams_core.explorer.caching import kept
from sams_core.explorer.combine_controls import doses_in_training
from sams_core.explorer.combine_page import CombinePage
from sams_core.explorer.glossary import GLOSSARY

if TYPE_CHECKING:
    from anndata import AnnData


def show_trust(page: CombinePage) -> None:
    """Show training cells, whether it was seen, the nearest training condition and past scores."""
    cards = st.grid(4, min_column_width=185)
    arms = combination_trust.training_arms(page.effects, page.masks, page.doses)
    _arms(cards, arms)
    _seen(cards, page)
    _nearest(cards, page)
    scores = _scores(page.run.cache_key, len(page.chosen), page)
    told = combination_held_out.tell_scores(scores, page.run.folder.name)
    _score(cards, scores)
    st.caption(f"{escape(told)} {escape(page.told_intervals)}")
    for warning in _warnings(page, arms):
        st.warning(escape(warning), icon=":material/trending_up:")


def _arms(cards: Any, arms: pd.DataFrame) -> None:
    least = int(arms["n_cells_train"].min())
    cards.metric(
        "Training cells of each",
        " + ".join(f"{number:,}" for number in arms["n_cells_train"]),
        delta=f"alone: {' + '.join(f'{number:,}' for number in arms['n_alone'])}",
        delta_color="orange" if least == 0 else "off",
        delta_arrow="off",
        border=True,
        help="Training cells that carry each perturbation, in the order "
        f"{escape(listed(arms.index, limit=6))}; below, those that carry it alone.",
    )


def _seen(cards: Any, page: CombinePage) -> None:
    if page.condition is None:
        value, seen = "Not measured", False
    else:
        row = page.effects.obs.loc[page.condition]
        value, seen = f"{int(row['n_cells']):,} cells", bool(row["seen_in_training"])
    cards.metric(
        "This combination",
        value,
        delta="seen in training" if seen else "never seen in training",
        delta_color="blue" if seen else "orange",
        delta_arrow="off",
        border=True,
        help="Measured cells that carry all of these together, and whether the model was trained "
        "on any of them.",
    )


def _nearest(cards: Any, page: CombinePage) -> None:
    nearest = combination_trust.nearest_training(page.effects, page.masks, page.doses)
    typical = _typical(page.run.cache_key, page.effects, page.masks)
    if nearest.empty:
        name, value = "none was trained on", "–"
    else:
        name, value = str(nearest.index[0]), f"{nearest['distance'].iloc[0]:.1f} away"
        if name == page.condition:
            value = "Itself"
    far = bool(len(nearest) and nearest["distance"].iloc[0] > typical)
    unit = (
        "Distance between the shifts in the latent space; unperturbed cells spread by about 1 in "
        "each dimension."
        if page.with_shift
        else "Number of perturbations that only one of both has."
    )
    told = combination_trust.tell_nearest(nearest, typical, with_shift=page.with_shift)
    cards.metric(
        "Nearest in training",
        value,
        delta=escape(name),
        delta_color="orange" if far else "blue",
        delta_arrow="off",
        border=True,
        help=f"{escape(told)} {unit}",
    )


@kept(32)
def _typical(cache_key: str, _effects: AnnData, _masks: AnnData) -> float:
    return combination_trust.typical_distance(_effects, _masks)


@kept(64)
def _scores(
    cache_key: str, n_perturbations: int, _page: CombinePage
) -> combination_held_out.HeldOutScores | None:
    try:
        evaluation = read_evaluation(_page.run.folder)
    except SamsError:
        evaluation = None
    return combination_held_out.held_out_scores(
        _page.effects, _page.masks, n_perturbations, evaluation
    )


def _score(cards: Any, scores: combination_held_out.HeldOutScores | None) -> None:
    if scores is None:
        value, delta = "Untested", "no held-out combinations"
    else:
        value = two_digits(scores.model)
        delta = f"sum {two_digits(scores.additive)}, ceiling {two_digits(scores.ceiling)}"
    behind = scores is None or (np.isfinite(scores.additive) and scores.additive > scores.model)
    cards.metric(
        "Held-out Pearson",
        value,
        delta=delta,
        delta_color="orange" if behind else "off",
        delta_arrow="off",
        border=True,
        help=f"On measured combinations like this one. {GLOSSARY['Pearson']} "
        f"Sum: {GLOSSARY['additive expectation']} Ceiling: {GLOSSARY['ceiling']}",
    )


def _warnings(page: CombinePage, arms: pd.DataFrame) -> list[str]:
    """What makes this prediction an extrapolation."""
    untrained = [str(name) for name in arms.index[arms["n_cells_train"] == 0]]
    told = []
    if untrained:
        told.append(
            f"No training cell carries {listed(untrained, limit=6)}: what the model says of it is "
            "what it assumes of any perturbation before it has seen data."
        )
    trained = doses_in_training(page.run.cache_key, page.effects, page.run.config["perturbations"])
    if beyond := dose_warnings(trained, page.doses):
        told.append(f"This is an extrapolation: {'; '.join(beyond)}.")
    if page.with_shift and (far := extrapolation(page.masks, page.effects, page.doses)):
        told.append(far)
    return told
