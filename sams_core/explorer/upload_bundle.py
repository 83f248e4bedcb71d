"""A trained checkpoint of one's own: uploaded for the session, and saved or taken along."""

from __future__ import annotations

import io

import streamlit as st

from sams_core.analysis.markdown import escape, escape_sentence
from sams_core.bundle import LIMITS, write_bundle
from sams_core.errors import SamsError
from sams_core.explorer import catalogue, links, uploads
from sams_core.explorer.glossary import GLOSSARY
from sams_core.explorer.state import RUN_KEY, choose_run
from sams_core.storage import file_stem

MAX_MEGABYTES = LIMITS.packed // 2**20
_TURN = "open_bundle_turn"
_SAID = "open_bundle_said"


@st.fragment
def bundle_upload() -> None:
    """Ask for a bundle; a sound one is opened for this session."""
    st.subheader("Open a trained model", anchor=False, help=GLOSSARY["checkpoint"])
    st.markdown(
        "A bundle: the `.zip` of one checkpoint folder, as `python -m sams_core bundle RUN` "
        "writes it. It opens in this window only."
    )
    turn = st.session_state.get(_TURN, 0)
    file = st.file_uploader(
        "A bundle (.zip)",
        type="zip",
        key=f"open_bundle_{turn}",
        max_upload_size=MAX_MEGABYTES,
        help=f"Up to {MAX_MEGABYTES} MB. Everything in it is checked before it is opened. Nobody "
        "else sees it, and it is removed when this window is closed.",
    )
    if file is None:
        return
    try:
        with st.spinner("Checking the bundle …"):
            folder = uploads.open_bundle(file, file.name)
    except SamsError as error:
        st.error(escape_sentence(error), icon=":material/error:")
        return
    st.session_state[_TURN] = turn + 1  # a fresh uploader, so that the file leaves the memory
    entry = next(entry for entry in catalogue.find() if entry.folder == folder.resolve())
    choose_run(entry.name)
    st.rerun()


def uploaded() -> None:
    """List what this session uploaded, to look at, to save and to close."""
    if said := st.session_state.pop(_SAID, None):
        kind, sentence = said
        (st.success if kind == "good" else st.error)(escape_sentence(sentence))
    for entry in catalogue.find():
        if entry.uploaded:
            with st.container(border=True):
                _uploaded(entry)


def _uploaded(entry: catalogue.Entry) -> None:
    key = file_stem(entry.folder.name)
    st.markdown(
        f":material/lock: **{escape(entry.name)}** is open, in this window only: "
        f"{escape(entry.title)}, {entry.n_perturbations:,} perturbations in {entry.n_cells:,} "
        "cells. It is gone when you close or reload the window."
    )
    links.to_pages("start", "masks", "effects", "latents", "combine")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.button(
            "Close it",
            key=f"open_close_{key}",
            icon=":material/delete:",
            help="Remove the uploaded checkpoint from this server.",
            on_click=_close,
            args=(entry,),
        )
        _save_controls(entry, key)


def _save_controls(entry: catalogue.Entry, key: str) -> None:
    roots = {root.name or str(root): root for root in catalogue.writable_roots()}
    if not roots:
        return
    with st.popover(f"Save to {escape(next(iter(roots)))}", icon=":material/save:"):
        root = next(iter(roots))
        if len(roots) > 1:
            root = st.selectbox(
                "Folder", list(roots), key=f"open_root_{key}", help="Of those the server was "
                "started with.",
            )  # fmt: skip
        name = st.text_input(
            "Name",
            entry.folder.name,
            key=f"open_name_{key}",
            max_chars=100,
            help="Of the new folder. A folder that is there already is never changed.",
        )
        st.button(
            "Save",
            key=f"open_save_{key}",
            type="primary",
            on_click=_save,
            args=(entry, roots[root], name),
            help="Everybody who uses this server can then open it.",
        )


def _save(entry: catalogue.Entry, root: object, name: str) -> None:
    try:
        folder = uploads.save(entry.folder, root, name)  # type: ignore[arg-type]
    except SamsError as error:
        st.session_state[_SAID] = ("bad", str(error))
        return
    uploads.close(entry.folder)
    found = next(each for each in catalogue.find() if each.folder == folder.resolve())
    choose_run(found.name)
    st.session_state[_SAID] = ("good", f"Saved as {found.name}; it stays on this server.")


def _close(entry: catalogue.Entry) -> None:
    uploads.close(entry.folder)
    left = catalogue.find()
    if left and st.session_state.get(RUN_KEY) == entry.name:
        choose_run(left[0].name)
    st.session_state[_SAID] = ("good", f"{entry.name} is closed and removed.")


@st.fragment
def take_along(entry: catalogue.Entry) -> None:
    """Offer a checkpoint as a bundle."""
    st.subheader("Take this model along", anchor=False, help=GLOSSARY["bundle"])
    st.markdown(
        f"**{escape(entry.name)}** as one file, with all that the pages show of it and "
        "nothing else of the screen. A colleague opens it on this page of their own explorer."
    )
    st.download_button(
        "Download bundle",
        lambda: _packed(entry),
        file_name=f"{file_stem(entry.folder.name)}.zip",
        mime="application/zip",
        key="open_download",
        on_click="ignore",
        icon=":material/download:",
        help="A zip file of the checkpoint's own files, whose digests are checked first. On the "
        "command line: `python -m sams_core bundle RUN`.",
    )


def _packed(entry: catalogue.Entry) -> bytes:
    buffer = io.BytesIO()
    write_bundle(entry.folder, buffer)
    return buffer.getvalue()
