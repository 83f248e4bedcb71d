"""A look at an uploaded screen: what `info` prints, of a file that nobody vouches for."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py

from sams_core.data.reading import read_screen
from sams_core.data.stores import damage_named, opened
from sams_core.data.summary import ScreenSummary, summarise
from sams_core.errors import ScreenError
from sams_core.hdf5_checks import hdf5_problem

MAX_UNPACKED = 2 * 2**30
"""Bytes that the parts of a file that are read may unpack to."""
_BY_NAME = "; name another with perturbation_key"
_ON_DISK = "Counts stay in "
"""Notes, or parts of them, that are for the command line alone."""
_READ = ("obs", "var", "uns/simulated", "uns/truth", "obsm/z_truth")


@dataclass(frozen=True)
class Contents:
    """Names to choose from: columns of ``obs``, and layers."""

    columns: list[str]
    layers: list[str]


@dataclass(frozen=True)
class Choices:
    """What was chosen of a screen; None for what the reader recognises."""

    perturbation_key: str | None = None
    control: str | None = None
    layer: str | None = None

    def flags(self) -> list[str]:
        """The same for the command line."""
        given = {
            "--perturbation-key": self.perturbation_key,
            "--control": self.control,
            "--layer": self.layer,
        }
        return [part for flag, value in given.items() if value for part in (flag, value)]


def read_contents(path: Path) -> Contents:
    """Names of the columns of ``obs`` and of the layers.

    Raises
    ------
    ScreenError
        If the file is damaged, unsafe, too large or not an AnnData; in one sentence.
    """
    _refuse(path, ())
    with opened(path) as root, damage_named(path.name, "obs"):
        if "obs" not in root:
            raise ScreenError(
                f"{path.name} is not an AnnData: it has no 'obs'; write it with AnnData.write_h5ad."
            )
        columns = [str(name) for name in root["obs"].attrs.get("column-order", [])]
        return Contents(columns, list(root.get("layers", {})))


def preview(path: Path, choices: Choices) -> ScreenSummary:
    """Summarise a screen; its counts are read block by block where its file allows.

    Raises
    ------
    ScreenError
        If it cannot be used, is unsafe or unpacks to more than `MAX_UNPACKED`.
    """
    at = "X" if choices.layer is None else f"layers/{choices.layer}"
    _refuse(path, (*_READ, at))
    with opened(path) as root, damage_named(path.name, at):
        by_cells = at not in root or _by_cells(root[at])
    screen = read_screen(
        path,
        perturbation_key=choices.perturbation_key,
        control=choices.control,
        layer=choices.layer,
        on_disk=by_cells,
    )
    summary = summarise(screen)
    notes = [note.replace(_BY_NAME, "") for note in summary.notes if not note.startswith(_ON_DISK)]
    return replace(summary, notes=notes)


def commands(file: str, choices: Choices) -> str:
    """What to run to look at the screen, train on it and prepare the result for the explorer."""
    screen = shlex.join([file, *choices.flags()])
    return "\n".join(
        [
            f"python -m sams_core info {screen}",
            f"python -m sams_core train {screen} --out runs/mine",
            "python -m sams_core prepare runs/mine",
            "make app RUNS=runs",
        ]
    )


def _refuse(path: Path, parts: tuple[str, ...]) -> None:
    problem = hdf5_problem(path, MAX_UNPACKED, parts)
    if problem is not None:
        raise ScreenError(problem)


def _by_cells(stored: Any) -> bool:
    is_csc = stored.attrs.get("encoding-type") == "csc_matrix"
    return not (isinstance(stored, h5py.Group) and is_csc)
