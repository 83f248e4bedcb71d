"""All perturbations on the effects page: how well each is predicted."""

from __future__ import annotations

import streamlit as st

from sams_core.analysis import effect_tables
from sams_core.analysis.evaluation_files import read_evaluation
from sams_core.errors import SamsError
from sams_core.explorer import controls, effect_code
from sams_core.explorer.columns import FITS
from sams_core.explorer.effect_page import CONDITION_KEY, EffectPage, follow, open_condition
from sams_core.explorer.glossary import GLOSSARY
from sams_core.explorer.run import Run
from sams_core.explorer.widgets import show_figure
from sams_core.figures.effects import fit_scatter


@st.fragment
def all_perturbations(page: EffectPage) -> None:
    """List every condition by how well the model fits it."""
    follow(page, CONDITION_KEY)
    finding = effect_tables.describe_fits(page.fits)
    st.markdown(finding)
    left, right = st.columns([5, 4], gap="medium")
    with left:
        show_figure(
            fit_scatter(page.fits),
            key="fits",
            alt=finding,
            name=f"{page.run.name}_fits",
            code=effect_code.fits(),
            data=page.fits,
        )
    with right:
        st.markdown(
            "One point is one perturbation. On the dashed line the model predicts held-out cells "
            "as well as their own training cells do; below it, the model misses something that "
            "can be learned."
        )
        if coverage := _coverage(page.run):
            st.markdown(coverage, help=GLOSSARY["predictive interval"])
        st.caption(
            "Points grow with the number of significant genes. A perturbation without an effect "
            "leaves nothing to correlate: its numbers are near zero and mean little. “Open” in "
            "the table shows a perturbation gene by gene."
        )
    controls.table_to_open(
        page.fits,
        open_condition,
        key="fit_table",
        name=f"{page.run.name}_fits",
        column_config=FITS,
    )


def _coverage(run: Run) -> str:
    """Say how often intervals hold what was measured, if the checkpoint was evaluated."""
    try:
        check = read_evaluation(run.folder)["predictive_check"]
    except SamsError:
        return ""
    if not check or not check.get("n") or check.get("coverage_90") is None:
        return ""
    share, n = float(check["coverage_90"]), int(check["n"])
    return (
        f"Over the whole screen, {share:.0%} of {n:,} effects measured in held-out cells lie "
        "inside the model's 90% interval."
    )
