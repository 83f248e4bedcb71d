"""One run of a sweep, in a worker process: train or resume, evaluate; failures become a sentence.

A worker needs nothing but the sweep's folder and the files that its plan names.
"""

from __future__ import annotations

import fcntl
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from sams_core.analysis.evaluate import evaluate
from sams_core.analysis.evaluation_config import EvaluationConfig
from sams_core.analysis.prepare import prepare
from sams_core.api import FAMILIES, load_model
from sams_core.data.screen import Screen
from sams_core.data.splits import SplitConfig
from sams_core.errors import CheckpointError, SamsError, ScreenError
from sams_core.sweep.folder import State, open_screen, run_folder, state_of
from sams_core.sweep.plan import RunPlan, SweepPlan
from sams_core.training import Hardware

LOGS, LOCKS = "logs", ".locks"
_ONE_AT_A_TIME = threading.Lock()
_ONE_DEVICE = Hardware(devices=1)

Report = Callable[[str], None]
"""Told what a run is at, such as ``"training"``."""


def execute(folder: str, plan: dict[str, Any], report: Report) -> dict[str, Any]:
    """Bring a run to its end, from wherever it stands.

    Parameters
    ----------
    folder
        The sweep's folder.
    plan
        A plan of this run alone, JSON-able.
    report
        Told of every step.

    Returns
    -------
    dict
        ``state`` (``"done"`` or ``"failed"``), ``error`` (one sentence or None) and ``seconds``.
    """
    started = time.monotonic()
    place = Path(folder)
    planned = SweepPlan.model_validate(plan)
    (run,) = planned.runs
    error = None
    try:
        with _alone(place, run):
            _bring_to_its_end(place, planned, run, report)
    except SamsError as failure:
        error = str(failure)
    except MemoryError:
        error = "There is not enough memory for this run: use a smaller model or batch."
    except Exception as failure:  # whatever it is, the other runs go on
        log = place / LOGS / f"{run.name}.txt"
        log.parent.mkdir(exist_ok=True)
        log.write_text(traceback.format_exc(), encoding="utf-8")
        error = f"{type(failure).__name__}: {_one_line(failure)} (more in {log})."
    return {
        "state": "failed" if error else State.DONE.value,
        "error": error,
        "seconds": round(time.monotonic() - started, 1),
    }


def _bring_to_its_end(folder: Path, plan: SweepPlan, run: RunPlan, report: Report) -> None:
    place = run_folder(folder, run)
    state = state_of(folder, run, plan)
    if state == State.DONE:
        return
    screen = _screen(folder, plan.model_copy(update={"runs": []}).model_dump_json())
    if state == State.MISSING:
        report("training")
        split = None if run.split is None else SplitConfig.model_validate(run.split)
        model = FAMILIES[run.family](
            screen,
            split=split,
            seed=run.seed,
            title=plan.title,
            combinations=run.combinations,
            **run.model,
        )
        model.train(out=place, hardware=_ONE_DEVICE, progress=False, **run.training)
    elif state == State.UNFINISHED:
        report("training")
        load_model(place, screen).resume(hardware=_ONE_DEVICE, progress=False)
    if plan.prepare:
        report("preparing")
        prepare(place, screen=screen)
    report("evaluating")
    evaluate(place, screen=screen, config=EvaluationConfig.model_validate(plan.evaluation))


@lru_cache(maxsize=1)
def _screen(folder: Path, plan: str) -> Screen:
    """Read the screen once a worker."""
    planned = SweepPlan.model_validate_json(plan)
    screen = open_screen(folder, planned)
    if screen.fingerprint() != planned.fingerprint:
        raise ScreenError(
            f"The worker sees other cells at {screen.source} than the sweep was planned with: put "
            "the screen where all workers see the same file, or start the sweep again."
        )
    return screen


@contextmanager
def _alone(folder: Path, run: RunPlan) -> Iterator[None]:
    """Let one run at a time into a process, and one process at a time into a run.

    Torch's random numbers belong to the process. Another process may still be at the run when a
    sweep is stopped and started again on a cluster; the lock goes with the process that holds it.
    """
    if not folder.is_dir():
        raise CheckpointError(
            f"The worker does not see {folder}: sweep into a folder that all workers share."
        )
    locks = folder / LOCKS
    locks.mkdir(exist_ok=True)
    with _ONE_AT_A_TIME, (locks / run.name).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _one_line(failure: Exception) -> str:
    return " ".join(str(failure).split()).rstrip(".") or "no message"
