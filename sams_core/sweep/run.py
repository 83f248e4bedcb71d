"""A whole sweep on Dask: local processes, or a cluster by the address of its scheduler."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dask.system import CPU_COUNT
from distributed import Client, Future, as_completed, get_worker

from sams_core.analysis.comparison import read_runs, tidy
from sams_core.analysis.stability import agreements, write_stability
from sams_core.cluster import connected, sentence
from sams_core.errors import CheckpointError, ConfigError
from sams_core.storage import read_json, replacing, write_json
from sams_core.sweep.config import read_sweep
from sams_core.sweep.execute import execute
from sams_core.sweep.folder import (
    State,
    check_runs,
    check_splits,
    open_screen,
    read_plan,
    state_of,
    write_plan,
)
from sams_core.sweep.outcomes import Listener, Outcome
from sams_core.sweep.plan import SweepPlan, make_plan

STATUS, RESULTS = "status.json", "results.csv"
PENDING = "pending"


def sweep(
    config: str | Path,
    folder: str | Path,
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    listener: Listener | None = None,
) -> dict[str, Outcome]:
    """Train and evaluate every run that a TOML file asks for, and is not finished yet.

    Local processes are started by spawning, so a script that calls this needs the usual
    ``if __name__ == "__main__":``.

    Parameters
    ----------
    config
        The TOML file; README shows one.
    folder
        Where everything is written; one that a sweep was begun in is gone on with.
    scheduler
        Address of a Dask scheduler, such as ``tcp://host:8786``; its workers must see ``folder``
        and the files that ``config`` names under the same paths. Dask's connection is neither
        encrypted nor authenticated unless it was set up to be: use it on a trusted network.
        By default processes on this machine are used, one thread each.
    workers
        How many local processes; by default one a core.
    listener
        Told how it goes.

    Returns
    -------
    dict
        Outcome of every run, by name. Failed runs do not stop the others.

    Raises
    ------
    ConfigError
        When a setting cannot be used, or a run was begun with other settings.
    SamsError
        When the screen cannot be read, or ``folder`` is something else.
    """
    folder = Path(folder).resolve()
    listener = listener or Listener()
    plan = prepared(Path(config), folder)
    states = {run.name: state_of(folder, run, plan) for run in plan.runs}
    outcomes = _known_outcomes(folder, states)
    todo = [run.name for run in plan.runs if states[run.name] != State.DONE]
    write_json(folder / STATUS, outcomes)
    try:
        if todo:
            with connected(scheduler, min(len(todo), workers or CPU_COUNT)) as client:
                listener.begins(outcomes, len(client.scheduler_info()["workers"]))
                for name, outcome in _run(client, folder, plan, todo, listener):
                    outcomes[name] = outcome
                    write_json(folder / STATUS, outcomes)
                    listener.ends(name, outcome)
        else:
            listener.begins(outcomes, 0)
    finally:
        _write_results(folder)
    return outcomes


def prepared(config: Path, folder: Path) -> SweepPlan:
    """Check everything that can be checked before the first run, and write the plan."""
    plan = make_plan(read_sweep(config))
    before = read_plan(folder)
    if before is not None and before.simulation != plan.simulation:
        raise ConfigError(
            f"{folder} was begun with another screen (its settings of [simulation] differ): put "
            "them back, or sweep into another folder."
        )
    if before is None and plan.simulation is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write_plan(folder, plan.model_copy(update={"runs": []}))
    screen = open_screen(folder, plan)
    check_splits(plan, screen)
    plan = plan.model_copy(update={"fingerprint": screen.fingerprint()})
    check_runs(folder, plan)
    folder.mkdir(parents=True, exist_ok=True)
    write_plan(folder, plan)
    return plan


def _known_outcomes(folder: Path, states: dict[str, State]) -> dict[str, Outcome]:
    """What is known of every run before any is gone on with."""
    known = read_json(folder / STATUS) if (folder / STATUS).exists() else {}
    return {
        name: {
            "state": State.DONE.value if state == State.DONE else PENDING,
            "error": None,
            "seconds": (known.get(name) or {}).get("seconds") if state == State.DONE else None,
        }
        for name, state in states.items()
    }


def _run(
    client: Client, folder: Path, plan: SweepPlan, todo: list[str], listener: Listener
) -> Iterator[tuple[str, Outcome]]:
    """Send the runs to the workers and yield outcomes as they come."""
    topic = f"sams_core.sweep.{client.id}"
    client.subscribe_topic(topic, lambda event: listener.step(event[1]["name"], event[1]["step"]))
    names: dict[Future, str] = {}
    for run in plan.runs:
        if run.name in todo:
            alone = plan.model_copy(update={"runs": [run]}).model_dump(mode="json")
            future = client.submit(
                _in_worker, str(folder), alone, topic, key=f"{client.id}-{run.name}", pure=False
            )
            names[future] = run.name
    try:
        for future in as_completed(names, loop=client.loop):
            yield names[future], _outcome(future)
    except BaseException:
        listener.stops()
        client.cancel(list(names))
        raise


def _in_worker(folder: str, plan: dict[str, Any], topic: str) -> Outcome:
    worker, name = get_worker(), plan["runs"][0]["name"]

    def report(step: str) -> None:
        worker.log_event(topic, {"name": name, "step": step})

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return execute(folder, plan, report)


def _outcome(future: Future) -> Outcome:
    try:
        outcome: Outcome = future.result()
        return outcome
    except Exception as failure:  # whatever it is, the other runs go on
        return {"state": "failed", "error": sentence(failure), "seconds": None}


def _write_results(folder: Path) -> None:
    try:
        evaluations, _ = read_runs([folder])
    except CheckpointError:  # nothing is finished
        return
    with replacing(folder / RESULTS) as temporary:
        tidy(evaluations).to_csv(temporary, index=False)
    for group, agreement in agreements(evaluations)[0]:
        write_stability(group, agreement)
