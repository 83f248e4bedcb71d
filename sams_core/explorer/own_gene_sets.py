"""Gene sets that a user brings along as a GMT file, for the session only."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import NamedTuple

import streamlit as st

from sams_core.data.gene_sets import read_gmt
from sams_core.errors import SamsError, ScreenError
from sams_core.storage import file_stem

MAX_MEGABYTES = 5
MAX_SETS = 20_000
MAX_MEMBERS = 1_000_000
STATE = "own_gene_sets"
_FILE = "own_gene_sets_file"
_RULE = (
    "A perturbation in several sets goes to the set that holds most perturbations of this screen; "
    "ties go to the set listed first."
)


class OwnSets(NamedTuple):
    """A user's file: what the controls call it, and its gene sets."""

    label: str
    sets: dict[str, list[str]]


_WHERE = "choose it under “Group perturbations by”; enrichment tests it too."


def own_gene_sets(where: str = _WHERE) -> OwnSets | None:
    """Draw the uploader in a popover; return what was uploaded in this session.

    Parameters
    ----------
    where
        What to do with it on the page.
    """
    with st.popover("Own gene sets", icon=":material/upload_file:"):
        file = st.file_uploader(
            f"A GMT file, {MAX_MEGABYTES} MB at most",
            type="gmt",
            key=_FILE,
            max_upload_size=MAX_MEGABYTES,
            on_change=_forget,
            help="One set a line: name, description and gene symbols between tabs. It stays in "
            f"this session and is not saved. {_RULE}",
        )
        if file is not None and STATE not in st.session_state:
            try:
                st.session_state[STATE] = parse(file.name, file.getvalue())
            except SamsError as error:
                st.error(str(error), icon=":material/error:")
        found: OwnSets | None = st.session_state.get(STATE)
        if found is not None:
            st.caption(f"{found.label} holds {len(found.sets):,} gene sets: {where}")
    return found


def parse(name: str, content: bytes) -> OwnSets:
    """Read an uploaded GMT file.

    Raises
    ------
    ScreenError
        If it is too large or no GMT file.
    """
    if len(content) > MAX_MEGABYTES * 2**20:
        raise ScreenError(
            f"The file '{name}' is larger than {MAX_MEGABYTES} MB; keep the gene sets you need."
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{file_stem(Path(name).stem)}.gmt"
        path.write_bytes(content)
        sets = read_gmt(path)
    n_members = sum(map(len, sets.values()))
    if len(sets) > MAX_SETS or n_members > MAX_MEMBERS:
        raise ScreenError(
            f"The file '{name}' has {len(sets):,} sets with {n_members:,} members; {MAX_SETS:,} "
            f"and {MAX_MEMBERS:,} are the most: keep the gene sets you need."
        )
    return OwnSets(f"Your file {path.stem}", sets)


def _forget() -> None:
    st.session_state.pop(STATE, None)
