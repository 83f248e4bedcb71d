"""Reading a screen from an ``.h5ad`` file or a ``.zarr`` folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sams_core.data.checks import quoted
from sams_core.data.options import ReaderOptions
from sams_core.data.parts import parts_of_store
from sams_core.data.screen import Screen
from sams_core.data.stores import damage_named, opened
from sams_core.errors import ScreenError

USUAL_COLUMNS = ("perturbation", "perturbations", "condition", "gene_target", "target_gene")
"""Names under which published screens keep the perturbation; used when just one is there."""


def read_screen(
    path: str | Path,
    *,
    perturbation_key: str | None = None,
    control: str | Sequence[str] | None = None,
    separator: str = "+",
    layer: str | None = None,
    dose_key: str | None = None,
    batch_key: str | None = None,
    split_key: str | None = None,
    gene_symbols: str | None = None,
    collapse_guides: bool = True,
    options: ReaderOptions | None = None,
    on_disk: bool = False,
) -> Screen:
    """Read a screen; of the file only the annotations and the chosen counts are loaded.

    Parameters
    ----------
    path
        An ``.h5ad`` file or a ``.zarr`` folder.
    perturbation_key, control, separator, layer, dose_key, batch_key, split_key, gene_symbols, \
collapse_guides
        See :class:`ReaderOptions`. Left out, ``perturbation_key`` is the one column with a usual
        name (``perturbation``, ``condition``, ...), which ``notes`` then say.
    options
        All of these at once; the others are then not looked at.
    on_disk
        Whether counts stay in the file, which must then stay where it is, and are read as they are
        needed; for screens larger than the memory. Training then shuffles blocks of neighbouring
        cells (:mod:`sams_core.data.shuffling`).

    Raises
    ------
    ScreenError
        If the file or what it holds cannot be used; the message names the field and the cure.
    """
    path = Path(path)
    with opened(path) as root:
        notes: list[str] = []
        if options is None:
            if perturbation_key is None:
                perturbation_key = _recognise_column(root, path.name)
                notes.append(
                    f"Perturbations are those of the obs column '{perturbation_key}', recognised "
                    "by its name; name another with perturbation_key."
                )
            options = ReaderOptions(
                perturbation_key=perturbation_key,
                control=control if control is None or isinstance(control, str) else tuple(control),
                separator=separator,
                layer=layer,
                dose_key=dose_key,
                batch_key=batch_key,
                split_key=split_key,
                gene_symbols=gene_symbols,
                collapse_guides=collapse_guides,
            )
        parts = parts_of_store(root, options.layer, path, on_disk=on_disk)
        screen = Screen.from_parts(parts, options, path)
    return replace(screen, notes=notes + screen.notes)


def _recognise_column(root: Any, name: str) -> str:
    """The one column of obs with a usual name for perturbations, or a request to name it."""
    with damage_named(name, "obs"):
        attributes = root["obs"].attrs if "obs" in root else {}
        columns = [str(column) for column in attributes.get("column-order", [])]
    usual = [column for column in columns if column.lower() in USUAL_COLUMNS]
    if len(usual) == 1:
        return usual[0]
    raise ScreenError(
        "Name the column of obs that holds the perturbations with perturbation_key"
        + (f"; this file has {quoted(columns, 12)}." if columns else ".")
    )
