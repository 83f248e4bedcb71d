"""Scores of evaluated runs, by the screen they are on: the user's own, and of shipped sweeps."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import streamlit as st

from sams_core.analysis.comparison import tidy
from sams_core.analysis.evaluation_files import (
    EVALUATION,
    RUNS,
    is_sweep,
    read_evaluation,
    read_sweep_plan,
    told_apart,
)
from sams_core.errors import CheckpointError, SamsError
from sams_core.explorer import catalogue
from sams_core.explorer.caching import kept
from sams_core.storage import read_json

RESULTS_FOLDER = Path(__file__).resolve().parents[2] / "assets" / "results"
TABLE, ABOUT = "results.csv.gz", "about.json"


@dataclass(frozen=True)
class Results:
    """Figures of runs on one screen.

    Attributes
    ----------
    name
        What the picker and the URL call them; unique.
    title
        Of the screen.
    table
        As `sams_core.analysis.comparison.tidy` makes it.
    simulated
        Whether the screen was simulated.
    command
        What made them; None for the user's own runs.
    sources
        What they were read from: evaluated checkpoints, with those of other screens, or a table.
    """

    name: str
    title: str
    table: pd.DataFrame
    simulated: bool
    command: str | None = None
    sources: tuple[Path, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Of the screen."""
        return str(self.table["fingerprint"].iloc[0])


def find(entries: Sequence[catalogue.Entry]) -> tuple[list[Results], list[str]]:
    """Gather the scores of evaluated checkpoints and those in ``assets/results``.

    A folder there holds a sweep's ``results.csv``, compressed, and ``about.json``: ``title``,
    ``simulated`` and ``command``. Like the embedded checkpoints, they are left out if the
    environment says so.

    Returns
    -------
    Results, the user's own first, and a sentence for each file that cannot be read.
    """
    folders = tuple(str(entry.folder) for entry in entries if entry.evaluated)
    found: list[tuple[str, pd.DataFrame, str | None, tuple[Path, ...]]] = []
    table, problems = _read_runs(folders, tuple(map(_stamps, folders)))
    own = tuple(map(Path, folders))
    found += [(title, part, None, own) for title, part in _by_screen(table)]
    shipped = (
        [] if os.environ.get(catalogue.NO_DEMO_VARIABLE) else RESULTS_FOLDER.glob(f"*/{TABLE}")
    )
    for path in sorted(shipped):
        try:
            part, title, command = _read_shipped(str(path.parent), _stamp(path))
        except SamsError as error:
            problems.append(str(error))
            continue
        found.append((f"Results of sweep: {title}", part, command, (path,)))
    return _named(found), problems


def _named(
    found: Sequence[tuple[str, pd.DataFrame, str | None, tuple[Path, ...]]],
) -> list[Results]:
    """Give results names of their own, though screens may share a title."""
    named: dict[str, Results] = {}
    for title, table, command, sources in found:
        name, number = title, 2
        while name in named:
            name, number = f"{title} ({number})", number + 1
        screen = str(table["title"].iloc[0])
        simulated = bool(table["simulated"].any())
        named[name] = Results(name, screen, table, simulated, command, sources)
    return list(named.values())


def _by_screen(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    groups = table.groupby("fingerprint", sort=False)
    return [(str(part["title"].iloc[0]), part.reset_index(drop=True)) for _, part in groups]


@kept(8)
def _read_runs(
    folders: tuple[str, ...], stamps: tuple[tuple[int, ...], ...]
) -> tuple[pd.DataFrame, list[str]]:
    evaluations, problems = [], []
    for folder in map(Path, folders):
        try:
            evaluation = read_evaluation(folder)
            found = label(folder)
        except SamsError as error:
            problems.append(str(error))
            continue
        evaluations.append(evaluation | ({"model": found} if found else {}))
    return tidy(told_apart(evaluations)), problems


def label(folder: Path) -> str | None:
    """What the sweep that a run belongs to calls its model, if it calls it anything."""
    sweep = folder.parent.parent
    if folder.parent.name != RUNS or not is_sweep(sweep):
        return None
    plan = {run.get("name"): run.get("label") for run in read_sweep_plan(sweep)["runs"]}
    return plan.get(folder.name)


@st.cache_data(max_entries=32, show_spinner=False)
def _read_shipped(folder: str, stamp: int) -> tuple[pd.DataFrame, str, str | None]:
    path = Path(folder)
    about = read_json(path / ABOUT)
    try:
        table = pd.read_csv(path / TABLE)
        table = table.astype({"inference": object, "value": float, "simulated": bool})
        table["inference"] = table["inference"].replace(float("nan"), None)
        table["simulated"] |= bool(about.get("simulated", False))
    except (OSError, ValueError, KeyError, EOFError, zlib.error):
        table = pd.DataFrame()
    if not set(tidy([]).columns) <= set(table.columns) or len(set(table["fingerprint"])) != 1:
        raise CheckpointError(
            f"{path / TABLE} is not the results.csv of one sweep: restore it or remove its folder."
        )
    return table, str(about.get("title", path.name)), about.get("command")


def _stamps(folder: str) -> tuple[int, ...]:
    return tuple(_stamp(Path(folder) / name) for name in (EVALUATION, "config.json"))


def _stamp(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
