"""A sweep's folder: its plan, its screen, and how far each run has come.

Nothing is remembered beside the runs' own files: a run is finished when its checkpoint has the
plan's settings, is trained to its end, and was evaluated with the plan's settings since.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

from anndata import AnnData
from pydantic import ValidationError

from sams_core.analysis.evaluation_files import RUNS, SWEEP, read_evaluation
from sams_core.api import FAMILIES
from sams_core.data.gaussian_simulation import (
    GaussianSimulationConfig,
    simulate_gaussian_screen,
)
from sams_core.data.reading import read_screen
from sams_core.data.screen import Screen
from sams_core.data.simulation import SimulationConfig, simulate_screen
from sams_core.data.splits import SplitConfig, make_split
from sams_core.errors import CheckpointError, ConfigError
from sams_core.perturbation_model import STATE
from sams_core.record import EXPLORER, MANIFEST, CheckpointConfig, read_config
from sams_core.settings import validated
from sams_core.storage import json_digest, read_json, replacing, write_json
from sams_core.sweep.plan import RunPlan, SweepPlan
from sams_core.training.config import TrainingConfig

FORMAT, FORMAT_VERSION = "sams_core.sweep", 1
SIMULATED_SCREEN = "screen.h5ad"


class State(StrEnum):
    """How far a run has come."""

    MISSING = "missing"
    UNFINISHED = "unfinished"
    TRAINED = "trained"
    DONE = "done"


def write_plan(folder: Path, plan: SweepPlan) -> None:
    """Write ``sweep.json``."""
    record = plan.model_dump(mode="json")
    for run in record["runs"]:
        run["digest"] = json_digest(run)
    write_json(folder / SWEEP, {"format": FORMAT, "format_version": FORMAT_VERSION, **record})


def read_plan(folder: Path) -> SweepPlan | None:
    """Read ``sweep.json``; None where the folder is missing or empty.

    Raises
    ------
    CheckpointError
        When the folder holds something else, or the plan is damaged or of another version.
    """
    if not (folder / SWEEP).exists():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise CheckpointError(
                f"{folder} exists and is not a sweep: choose another folder for --out."
            )
        return None
    record = read_json(folder / SWEEP)
    version = record.pop("format_version", None)
    if record.pop("format", None) != FORMAT or version != FORMAT_VERSION:
        raise CheckpointError(
            f"{folder / SWEEP} is not a sweep's plan of version {FORMAT_VERSION}: choose another "
            "folder for --out."
        )
    try:
        for run in record.get("runs", []):
            run.pop("digest", None)
        return SweepPlan.model_validate(record)
    except (ValidationError, AttributeError, TypeError):
        raise CheckpointError(
            f"{folder / SWEEP} is damaged: restore it from a copy, or remove it and run again."
        ) from None


def open_screen(folder: Path, plan: SweepPlan) -> Screen:
    """Read the sweep's screen; a simulated one is written where it is not there yet.

    Raises
    ------
    ScreenError
        When the screen cannot be read.
    """
    if plan.simulation is not None:
        path = folder / SIMULATED_SCREEN
        if not path.exists():
            with replacing(path) as temporary:
                _simulate(plan.simulation).write_h5ad(temporary, compression="gzip")
        return read_screen(path, perturbation_key="perturbation", control="control")
    assert plan.screen is not None
    return read_screen(plan.screen, **plan.reader)


def _simulate(settings: dict[str, Any]) -> AnnData:
    values = {name: value for name, value in settings.items() if name != "kind"}
    if settings["kind"] == "gaussian":
        return simulate_gaussian_screen(validated(GaussianSimulationConfig, values))
    return simulate_screen(validated(SimulationConfig, values))


def check_splits(plan: SweepPlan, screen: Screen) -> None:
    """Refuse a split that the screen does not allow, before anything is trained."""
    for recipe in {json_digest(run.split): run.split for run in plan.runs if run.split}.values():
        make_split(screen, SplitConfig.model_validate(recipe))


def run_folder(folder: Path, run: RunPlan) -> Path:
    """Return where a run lies."""
    return folder / RUNS / run.name


def state_of(folder: Path, run: RunPlan, plan: SweepPlan) -> State:
    """Say how far a run has come."""
    place = run_folder(folder, run)
    if not place.exists():
        return State.MISSING
    if (place / STATE.parent).exists():
        return State.UNFINISHED
    if plan.prepare and not (place / EXPLORER / MANIFEST).exists():
        return State.TRAINED
    try:
        evaluated = read_evaluation(place)["settings"]
    except CheckpointError:
        return State.TRAINED
    return State.DONE if evaluated == plan.evaluation else State.TRAINED


def check_runs(folder: Path, plan: SweepPlan) -> None:
    """Refuse a plan in which a run that was begun has other settings than it was begun with.

    Raises
    ------
    ConfigError
        Naming the run, the setting and the cure.
    """
    for run in plan.runs:
        place = run_folder(folder, run)
        if not place.exists():
            continue
        try:
            record = read_config(place)
        except CheckpointError:  # the run will say so; the others go on
            continue
        for name, begun, planned in _differences(record, run, plan.fingerprint):
            if name == "screen":
                raise ConfigError(
                    f"{place} was trained on other cells than the screen has now: restore the "
                    "screen, or sweep into another folder."
                )
            raise ConfigError(
                f"The run {run.name} was begun with {name} = {begun}, so it cannot go on with "
                f"{planned}: put the setting back, give the model or the split another label, "
                f"or remove {place} to train it anew."
            )


def _differences(
    record: CheckpointConfig, run: RunPlan, fingerprint: str | None
) -> Iterator[tuple[str, Any, Any]]:
    """Settings in which a checkpoint departs from its plan: name, begun with, planned."""
    begun = {
        "family": record.family,
        "screen": record.data.fingerprint,
        "combinations": record.combinations,
        "seed": record.seed,
        **_current(TrainingConfig, record.training_settings),
    }
    planned = {
        "family": run.family,
        "screen": fingerprint,
        "combinations": run.combinations,
        "seed": run.seed,
        **run.training,
    }
    if record.family == run.family:
        begun |= _current(FAMILIES[run.family].Config, record.hyperparameters)
        planned |= run.model
    splits = [record.split, run.split]
    if None in splits:
        begun, planned = begun | {"split": splits[0]}, planned | {"split": splits[1]}
    else:
        for values, split in ((begun, splits[0]), (planned, splits[1])):
            values |= {f"split {k}": v for k, v in _current(SplitConfig, split).items()}
    for name in planned:
        if begun[name] != planned[name]:
            yield name, begun[name], planned[name]


def _current(kind: type[Any], values: dict[str, Any] | None) -> dict[str, Any]:
    """Recorded settings with what has been added since at its default."""
    return dict(validated(kind, dict(values or {})).model_dump(mode="json"))
