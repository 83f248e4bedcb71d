"""Which checkpoint folders there are, and which of them can be shown."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from sams_core.analysis.evaluation_files import EVALUATION, RUNS, is_sweep
from sams_core.errors import CheckpointError
from sams_core.explorer import uploads
from sams_core.explorer.caching import is_private
from sams_core.record import CONFIG, EXPLORER, MANIFEST, read_config

DEMO_FOLDER = Path(__file__).resolve().parents[2] / "assets" / "checkpoints"
RUNS_VARIABLE = "SAMS_CORE_RUNS"
NO_DEMO_VARIABLE = "SAMS_CORE_NO_DEMO"

TABLES = ("masks.h5ad", "effects.h5ad", "cells.h5ad", "metrics.json")


@dataclass(frozen=True)
class Entry:
    """One checkpoint folder as the sidebar lists it.

    Attributes
    ----------
    name
        What it is called in the sidebar and in the URL; unique in a catalogue.
    folder
        Where it lies.
    title, digest
        From its configuration; empty when that cannot be read.
    problem
        Why it cannot be shown, in one sentence; ``None`` when it can.
    simulated, n_cells, n_perturbations, fingerprint
        Of the screen it was trained on.
    family
        Of the model.
    evaluated
        Whether `evaluate` wrote its scores.
    prepared
        Whether `prepare` was run at all.
    """

    name: str
    folder: Path
    title: str
    digest: str
    problem: str | None
    simulated: bool = False
    n_cells: int = 0
    n_perturbations: int = 0
    fingerprint: str = ""
    family: str = ""
    evaluated: bool = False
    prepared: bool = False

    @property
    def uploaded(self) -> bool:
        """Whether it came with this session and goes with it."""
        return is_private(str(self.folder))

    @property
    def only_evaluated(self) -> bool:
        """Whether it has scores to compare, but no tables to open."""
        return self.evaluated and not self.prepared


def roots() -> list[Path]:
    """Folders that are searched for checkpoints: ``SAMS_CORE_RUNS``, then the embedded ones."""
    found = [
        Path(part).expanduser()
        for part in os.environ.get(RUNS_VARIABLE, "").split(os.pathsep)
        if part.strip()
    ]
    return found if os.environ.get(NO_DEMO_VARIABLE) else [*found, DEMO_FOLDER]


def writable_roots() -> list[Path]:
    """Configured folders of checkpoints in which another can be saved."""
    return [
        root
        for root in roots()
        if root != DEMO_FOLDER
        and root.is_dir()
        and not (root / CONFIG).is_file()
        and not is_sweep(root)
        and os.access(root, os.W_OK | os.X_OK)
    ]


def find(folders: Iterable[Path] | None = None) -> list[Entry]:
    """List the checkpoints under ``folders``.

    Those that can be shown come first, in the order of ``folders``; within a folder real screens
    come before simulated ones, and large ones before small ones.

    Parameters
    ----------
    folders
        Each may be a checkpoint folder or a sweep, or hold some of either; by default
        :func:`roots` and what was uploaded.
    """
    entries: dict[str, Entry] = {}
    seen: set[Path] = set()
    searched = [*roots(), *uploads.folders()] if folders is None else folders
    for root in searched:
        runs = [run.resolve() for run in _runs_in(root)]
        found = [_read_entry(run, _stamp(run)) for run in runs if run not in seen]
        seen.update(runs)
        for entry in sorted(found, key=lambda entry: (entry.simulated, -entry.n_cells)):
            name = _unique(entry.name, entries)
            entries[name] = replace(entry, name=name)
    return sorted(entries.values(), key=lambda entry: entry.problem is not None)


def lookup(entries: list[Entry], wanted: str) -> Entry | None:
    """Return the entry with this name, or with a digest that starts with it (6 characters up)."""
    for entry in entries:
        if entry.name == wanted:
            return entry
    if len(wanted) < 6:
        return None
    return next((entry for entry in entries if entry.digest.startswith(wanted)), None)


def _runs_in(root: Path) -> list[Path]:
    if (root / CONFIG).is_file():
        return [root]
    if is_sweep(root):
        return _checkpoints(root / RUNS)
    swept = [
        run for child in _children(root) if is_sweep(child) for run in _checkpoints(child / RUNS)
    ]
    return [*_checkpoints(root), *swept]


def _checkpoints(folder: Path) -> list[Path]:
    return [child for child in _children(folder) if (child / CONFIG).is_file()]


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(child for child in folder.iterdir() if not child.name.startswith("."))
    except OSError:
        return []


def _stamp(folder: Path) -> tuple[int, ...]:
    stamps = []
    for name in (CONFIG, f"{EXPLORER}/{MANIFEST}", EVALUATION):
        try:
            stamps.append((folder / name).stat().st_mtime_ns)
        except OSError:
            stamps.append(0)
    return tuple(stamps)


@lru_cache(maxsize=2048)
def _read_entry(folder: Path, stamp: tuple[int, ...]) -> Entry:
    name = f"{folder.name} (uploaded)" if is_private(str(folder)) else folder.name
    try:
        config = read_config(folder)
    except CheckpointError as error:
        return Entry(name, folder, "", "", str(error))
    problem = None
    prepared = (folder / EXPLORER).is_dir()
    if not prepared:
        problem = (
            f"{folder.name} is trained but its tables are not prepared; run "
            f"`python -m sams_core prepare {folder}`."
        )
    elif not (folder / EXPLORER / MANIFEST).is_file():
        problem = (
            f"The tables of {folder.name} are incomplete; run "
            f"`python -m sams_core prepare {folder}` again."
        )
    return Entry(
        name,
        folder,
        config.title,
        config.digest,
        problem,
        config.simulated,
        config.data.n_cells,
        len(config.perturbations),
        config.data.fingerprint,
        config.family,
        (folder / EVALUATION).is_file(),
        prepared,
    )


def _unique(name: str, taken: dict[str, Entry]) -> str:
    if name not in taken:
        return name
    number = 2
    while f"{name} ({number})" in taken:
        number += 1
    return f"{name} ({number})"
