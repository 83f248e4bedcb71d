"""The checkpoints that the server was started with, to choose one."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from sams_core.analysis.evaluation_files import FAMILY_NAMES
from sams_core.analysis.markdown import escape
from sams_core.explorer import catalogue, controls
from sams_core.explorer.glossary import GLOSSARY
from sams_core.explorer.state import choose_run

_NUMBER, _TEXT = st.column_config.NumberColumn, st.column_config.TextColumn
COLUMNS = {
    "checkpoint": _TEXT("Checkpoint", help=GLOSSARY["checkpoint"]),
    "screen": _TEXT("Screen", width=260, help=GLOSSARY["screen"]),
    "model": _TEXT("Model", help="The kind of model."),
    "n_cells": _NUMBER("Cells", format="localized", help="Cells of the screen."),
    "n_perturbations": _NUMBER("Perturbations", format="localized", help=GLOSSARY["perturbation"]),
    "state": _TEXT("State", width="medium", help="Ready, or what is missing and how to mend it."),
}


def checkpoints_here(entries: Sequence[catalogue.Entry]) -> None:
    """List what can be opened; no fragment, as a choice changes the sidebar."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.subheader("On this server", anchor=False, width="content", help=GLOSSARY["checkpoint"])
        st.button(
            "Look again",
            key="open_rescan",
            type="tertiary",
            icon=":material/refresh:",
            help="Read the folders again, for models that were trained, prepared or copied since.",
        )
    st.markdown(_searched())
    if not entries:
        st.info(
            "These folders hold no trained model. Upload a bundle, or look at a screen: the "
            "commands that train on it stand below what is found.",
            icon=":material/folder_open:",
        )
        return
    controls.table_to_open(
        _table(entries),
        choose_run,
        key="open_table",
        name="checkpoints",
        column_config=COLUMNS,
    )


def _searched() -> str:
    roots = catalogue.roots()
    own = [escape(root) for root in roots if root != catalogue.DEMO_FOLDER]
    parts = own + ["the embedded examples"] * (catalogue.DEMO_FOLDER in roots)
    where = f"Found in {' and '.join(parts)}. " if parts else "No folder is searched. "
    return f"{where}To search a folder of yours, start the app with `make app RUNS=FOLDER`."


def _table(entries: Sequence[catalogue.Entry]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "checkpoint": [entry.name for entry in entries],
            "screen": [entry.title for entry in entries],
            "model": [FAMILY_NAMES.get(entry.family, entry.family) for entry in entries],
            "n_cells": [entry.n_cells for entry in entries],
            "n_perturbations": [entry.n_perturbations for entry in entries],
            "state": [_state(entry) for entry in entries],
        }
    ).set_index("checkpoint")


def _state(entry: catalogue.Entry) -> str:
    if entry.problem is not None:
        return entry.problem.replace("`", "")
    simulated = ", simulated" if entry.simulated else ""
    return f"Ready{simulated}{', evaluated' if entry.evaluated else ''}"
