"""Which pairs of perturbations to test, of all that the model can predict."""

from __future__ import annotations

import streamlit as st

from sams_core import explorer
from sams_core.analysis import combination_tables, effect_tables
from sams_core.analysis.evaluation_files import read_evaluation
from sams_core.analysis.interval_calibration import interval_scale
from sams_core.analysis.markdown import escape
from sams_core.analysis.mask_tables import has_shift
from sams_core.analysis.pair_ranking import rank_pairs
from sams_core.analysis.pair_words import ADDITIVE, LEARNED, tell_intervals, tell_score
from sams_core.errors import SamsError
from sams_core.explorer import card, links
from sams_core.explorer.search_controls import ranking_controls, request_controls
from sams_core.explorer.search_page import Found
from sams_core.explorer.search_results import explore, order
from sams_core.explorer.search_run import find_pairs


@st.fragment
def searching() -> None:
    """Choose what to look for, search, and show what was found."""
    request = request_controls(run)
    if request is None:
        return
    search = find_pairs(request)
    if search is None:
        return
    by, skip = ranking_controls(request)
    scale = interval_scale(run.metrics())
    ranked = rank_pairs(search, request.goal, by, run.effects(), error=scale.effect, skip=skip)
    if ranked.empty:
        st.info("No pair is left: leave out less.", icon=":material/filter_alt_off:")
        return
    found = Found(request, search, ranked, by, skip)
    explore(found)
    st.caption(tell_intervals(request.goal, scale.sentence))
    order(found)


def trust() -> None:
    """Say what predictions of unseen pairs rest on, and how well they did."""
    try:
        evaluation = read_evaluation(run.folder)
    except SamsError:
        evaluation = None
    words = ADDITIVE if has_shift(run.masks()) else LEARNED
    with st.expander(
        "How far to trust these predictions", icon=":material/balance:", expanded=True
    ):
        st.markdown(f"{words} {tell_score(evaluation, len(trained))}")


def unable() -> None:
    """Say that a model with combinations of their own cannot predict others."""
    st.warning(
        f"This {card.family_name(run)} cannot predict pairs that it was not trained on: to it "
        "every combination is a perturbation of its own, unrelated to the perturbations that it "
        "is made of. So there is nothing to search. Choose another checkpoint.",
        icon=":material/link_off:",
    )
    if trained:
        st.markdown(
            f"It was trained on {len(trained):,} combination{'s' if len(trained) > 1 else ''}: "
            f"{escape(effect_tables.listed(trained))}. The Effects page shows them."
        )
        links.to_pages("effects", "models")


run = explorer.current_run()
explorer.page_header(
    "Search",
    "Which combinations should we test? The model predicts every pair of perturbations and ranks "
    "them by what you are looking for.",
)
trained = combination_tables.trained_combinations(run.effects())
if run.config.get("combinations") == "own":
    unable()
    st.stop()
trust()
searching()
