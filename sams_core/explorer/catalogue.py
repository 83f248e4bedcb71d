"""Which checkpoint folders there are, and which of them can be shown."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sams_core.errors import CheckpointError
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
    """

    name: str
    folder: Path
    title: str
    digest: str
    problem: str | None


def roots() -> list[Path]:
    """Folders that are searched for checkpoints: the embedded ones, then ``SAMS_CORE_RUNS``."""
    found = [] if os.environ.get(NO_DEMO_VARIABLE) else [DEMO_FOLDER]
    found += [
        Path(part).expanduser()
        for part in os.environ.get(RUNS_VARIABLE, "").split(os.pathsep)
        if part.strip()
    ]
    return found


def find(folders: Iterable[Path] | None = None) -> list[Entry]:
    """List the checkpoints under ``folders``, those that can be shown first.

    Parameters
    ----------
    folders
        Each may be a checkpoint folder itself or hold some; by default :func:`roots`.
    """
    entries: dict[str, Entry] = {}
    seen: set[Path] = set()
    searched = roots() if folders is None else folders
    for run in (run for root in searched for run in _runs_in(root)):
        resolved = run.resolve()
        if resolved in seen:
            continue
        seen.add(resolved)
        entry = _read_entry(resolved, _stamp(resolved))
        name = _unique(entry.name, entries)
        entries[name] = Entry(name, entry.folder, entry.title, entry.digest, entry.problem)
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
    try:
        children = sorted(child for child in root.iterdir() if not child.name.startswith("."))
    except OSError:
        return []
    return [child for child in children if (child / CONFIG).is_file()]


def _stamp(folder: Path) -> tuple[int, ...]:
    stamps = []
    for name in (CONFIG, f"{EXPLORER}/{MANIFEST}"):
        try:
            stamps.append((folder / name).stat().st_mtime_ns)
        except OSError:
            stamps.append(0)
    return tuple(stamps)


@lru_cache(maxsize=256)
def _read_entry(folder: Path, stamp: tuple[int, ...]) -> Entry:
    try:
        config = read_config(folder)
    except CheckpointError as error:
        return Entry(folder.name, folder, "", "", str(error))
    problem = None
    if not (folder / EXPLORER).is_dir():
        problem = (
            f"{folder.name} is trained but its tables are not prepared; run "
            f"`python -m sams_core prepare {folder}`."
        )
    elif not (folder / EXPLORER / MANIFEST).is_file():
        problem = (
            f"The tables of {folder.name} are incomplete; run "
            f"`python -m sams_core prepare {folder}` again."
        )
    return Entry(folder.name, folder, config.title, config.digest, problem)


def _unique(name: str, taken: dict[str, Entry]) -> str:
    if name not in taken:
        return name
    number = 2
    while f"{name} ({number})" in taken:
        number += 1
    return f"{name} ({number})"
