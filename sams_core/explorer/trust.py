"""How far inclusion probabilities are to be believed, as the pages say it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from sams_core.analysis.calibration import (
    CONFIDENT,
    Calibration,
    calibrate,
    reliability_table,
    tell_calibration,
)
from sams_core.analysis.evaluation_files import read_evaluation
from sams_core.errors import SamsError
from sams_core.explorer.catalogue import DEMO_FOLDER
from sams_core.explorer.columns import RELIABILITY
from sams_core.explorer.glossary import FIGURES, GLOSSARY
from sams_core.explorer.widgets import show_table

if TYPE_CHECKING:
    from anndata import AnnData

SIMULATED = DEMO_FOLDER / "simulated_pathways"
"""The embedded checkpoint whose true mask is known."""


def show_calibration(masks: AnnData, name: str) -> None:
    """Say how many confident entries of a simulated screen's mask are real; the rest on demand.

    Parameters
    ----------
    masks
        Mask table with ``uns["truth_mask"]``.
    name
        Of the checkpoint, for the file.
    """
    found = calibrate(masks.uns["truth_mask"], masks.X)
    st.markdown(tell_calibration(found), help=GLOSSARY["calibration"])
    with st.expander("Inclusion probabilities against the truth", icon=":material/table:"):
        show_table(
            reliability_table(found),
            key="mask_calibration",
            name=f"{name}_mask_calibration",
            column_config=RELIABILITY,
        )
        st.caption(
            f"Expected calibration error: {found.ece:.3f}, whatever the threshold above.",
            help=FIGURES["mask_ece"],
        )


@st.cache_data(show_spinner=False)
def experience() -> str:
    """Say how many confident entries of the embedded simulated screen are real, if it is known."""
    try:
        mask = read_evaluation(SIMULATED)["mask"]
    except SamsError:
        return ""
    summary = (mask or {}).get("calibration")
    if summary is None:
        return ""
    n, n_real = Calibration.from_summary(summary).confident
    if not n:
        return ""
    return (
        "On a real screen nobody knows which entries are real; on the embedded simulated screen "
        f"{n_real / n:.0%} of those at {CONFIDENT:g} or above are."
    )
