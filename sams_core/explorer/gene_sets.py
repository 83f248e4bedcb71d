"""Gene-set files that perturbations can be grouped by."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from sams_core.errors import SamsError

GENE_SET_FOLDER = Path(__file__).resolve().parents[2] / "assets" / "gene_sets"


def gene_sets() -> dict[str, dict[str, list[str]]]:
    """Collections in ``assets/gene_sets`` by name, each gene set's name to its genes.

    Short collections come first: someone has chosen them. A file that cannot be read is left out,
    and the page says why.
    """
    collections = {}
    for path in sorted(GENE_SET_FOLDER.glob("*.gmt")):
        try:
            collections[_label(path)] = _read(str(path), path.stat().st_mtime_ns)
        except SamsError as error:
            st.warning(str(error), icon=":material/warning:")
    return dict(sorted(collections.items(), key=lambda item: len(item[1])))


def _label(path: Path) -> str:
    words = path.stem.replace("_", " ")
    return f"{words[:1].upper()}{words[1:]} gene sets"


@st.cache_data(max_entries=32, show_spinner=False)
def _read(path: str, modified: int) -> dict[str, list[str]]:
    from sams_core.data.gene_sets import read_gmt

    return {_readable(name): genes for name, genes in read_gmt(path).items()}


def _readable(name: str) -> str:
    """Turn ``HALLMARK_P53_PATHWAY`` into words; leave other names as they are."""
    if not name.startswith("HALLMARK_"):
        return name
    words = name.removeprefix("HALLMARK_").replace("_", " ").lower()
    return words[:1].upper() + words[1:]
