"""A look at a screen of one's own, before training on it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd
import streamlit as st

from sams_core.analysis.markdown import escape, escape_sentence
from sams_core.data.preview import Choices, Contents, commands, preview, read_contents
from sams_core.errors import SamsError
from sams_core.explorer import uploads
from sams_core.explorer.glossary import GLOSSARY
from sams_core.explorer.widgets import show_table
from sams_core.storage import file_stem

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

    from sams_core.data.summary import ScreenSummary

MAX_MEGABYTES = 200
FEW_CELLS = 50
FILE = "open_screen"
_ANSWERS = "open_screen_answers"
RECOGNISE = "Recognise it"
USUAL_MATRIX = "X"
Answer = TypeVar("Answer")


def screen_upload() -> None:
    """Ask for an h5ad file; no fragment, as what is found of it has a place of its own."""
    st.subheader("Look at a screen", anchor=False, help=GLOSSARY["screen"])
    st.markdown(
        "An `.h5ad` file with raw counts: see how its perturbations, controls and counts are "
        "understood before you train on it."
    )
    file = st.file_uploader(
        "A screen (.h5ad)",
        type="h5ad",
        key=FILE,
        max_upload_size=MAX_MEGABYTES,
        help=f"Up to {MAX_MEGABYTES} MB; for larger ones run `python -m sams_core info FILE` on "
        "your machine. The file is read, not kept.",
    )
    if file is None:
        st.session_state.pop(_ANSWERS, None)


@st.fragment
def screen_look() -> None:
    """Tell what is understood of the uploaded screen, and the commands that train on it."""
    file = st.session_state.get(FILE)
    if file is None:
        return
    st.subheader("What is understood of it", anchor=False)
    try:
        contents = _ask(file, "contents", read_contents)
        choices = _choose(contents)
        with st.spinner("Reading the counts …"):
            summary = _ask(file, choices, lambda path: preview(path, choices))
    except SamsError as error:
        st.error(escape_sentence(error), icon=":material/error:")
        return
    _show(summary)
    st.markdown("**Train on it**, on a machine that has the file and sams_core:")
    st.code(commands(file.name, choices), language="bash", wrap_lines=True)


def _ask(file: UploadedFile, question: object, read: Callable[[Path], Answer]) -> Answer:
    """Read something of the file once; the answer stays in the session, the file on no disk.

    Raises
    ------
    SamsError
        What reading raised, each time.
    """
    kept = st.session_state.get(_ANSWERS)
    if kept is None or kept[0] != file.file_id:
        kept = st.session_state[_ANSWERS] = (file.file_id, {})
    answers: dict[object, Any] = kept[1]
    if question not in answers:
        with tempfile.TemporaryDirectory(prefix=".", dir=uploads.session_folder()) as folder:
            path = Path(folder) / f"{file_stem(Path(file.name).stem)}.h5ad"
            path.write_bytes(file.getbuffer())
            try:
                answers[question] = read(path)
            except SamsError as error:
                answers[question] = error
    answer = answers[question]
    if isinstance(answer, SamsError):
        raise answer
    found: Answer = answer
    return found


def _choose(contents: Contents) -> Choices:
    with st.container(horizontal=True):
        column = st.selectbox(
            "Perturbations are in",
            [RECOGNISE, *contents.columns],
            key="open_screen_column",
            help="The column of `obs` that names each cell's perturbation.",
            width=260,
        )
        control = st.text_input(
            "Control cells are called",
            key="open_screen_control",
            placeholder="recognised by the usual names",
            help="The label of cells without a perturbation. Leave it empty for `control`, `ctrl`, "
            "`NT`, `non-targeting` and the like.",
            width=260,
        )
        layer = st.selectbox(
            "Raw counts are in",
            [USUAL_MATRIX, *(name for name in contents.layers if name != USUAL_MATRIX)],
            key="open_screen_layer",
            help="The matrix with whole numbers: `X` or a layer.",
            width=200,
        )
    return Choices(
        None if column == RECOGNISE else column,
        control.strip() or None,
        None if layer == USUAL_MATRIX else layer,
    )


def _show(summary: ScreenSummary) -> None:
    name = escape(summary.title)
    st.markdown(f"**{name}**" + (" is **simulated**." if summary.simulated else ""))
    with st.grid(5, min_column_width=130):
        for label, value, words in (
            ("Cells", summary.n_cells, "Cells with at least one count."),
            ("Genes", summary.n_genes, "Genes in the file."),
            ("Perturbations", summary.n_perturbations, GLOSSARY["perturbation"]),
            ("Combinations", summary.n_doubles + summary.n_higher, GLOSSARY["condition"]),
            ("Control cells", summary.n_controls, GLOSSARY["control"]),
        ):
            st.metric(label, value, format="localized", border=True, help=words)
    for heading, sentences, icon in (
        ("Watch", summary.warnings, ":material/warning:"),
        ("Understood", summary.notes, ":material/check_circle:"),
    ):
        if sentences:
            listed = "\n".join(f"- {escape_sentence(sentence)}" for sentence in sentences)
            st.markdown(f"{icon} **{heading}**\n\n{listed}")
    facts, conditions = st.columns([3, 2], gap="large")
    with facts:
        st.table(
            pd.DataFrame(
                [(what.capitalize(), escape(value)) for what, value in summary.rows()],
                columns=["What", "In this file"],
            ).set_index("What"),
            border="horizontal",
            alt="What is in the file",
        )
    with conditions:
        cells = summary.cells_per_condition.rename("cells").rename_axis("condition").to_frame()
        show_table(
            cells,
            key="open_screen_conditions",
            name=f"{file_stem(summary.title)}_cells_per_condition",
            column_config={
                "condition": st.column_config.TextColumn("Condition", help=GLOSSARY["condition"]),
                "cells": st.column_config.ProgressColumn(
                    "Cells",
                    format="localized",
                    min_value=0,
                    max_value=int(cells["cells"].max()),
                    help=f"With fewer than {FEW_CELLS} cells, a mask and effects say little.",
                ),
            },
        )
