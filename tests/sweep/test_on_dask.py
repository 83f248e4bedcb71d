"""Whole sweeps in processes: killed, interrupted, failing, and on a cluster by address."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sams_core.analysis.comparison import read_evaluation
from sams_core.analysis.stability import STABILITY, read_stability
from sams_core.api import load_model
from sams_core.errors import ConfigError
from sams_core.sweep.execute import execute
from sams_core.sweep.folder import read_plan
from sams_core.sweep.run import prepared, sweep
from tests.support.dask_cluster import dask_cluster
from tests.support.sweeps import CPA, MODEL, TINY, living, start, write

SEEDS = "seeds = [0, 1, 2]\n"
FAILING = CPA + 'label = "wild"\n[models.training]\nlearning_rate = 1e30\ngradient_clip = 0.0\n'


def status(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / "status.json").read_text())
    assert isinstance(found, dict)
    return found


def finished(folder: Path) -> list[str]:
    if not (folder / "status.json").exists():
        return []
    return [name for name, run in status(folder).items() if run["state"] == "done"]


def times(folder: Path, name: str) -> dict[str, int]:
    place = folder / "runs" / name
    files = [p for p in place.rglob("*") if p.name != STABILITY]  # of all seeds together
    return {str(p.relative_to(place)): p.stat().st_mtime_ns for p in files}


def all_ended(session: int, patience: float = 60) -> bool:
    deadline = time.monotonic() + patience
    while living(session) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not living(session)


def test_killed_half_way_it_goes_on_on_a_cluster_and_redoes_nothing(tmp_path: Path) -> None:
    """`kill -9` of every process, then the rest on two workers reached by address."""
    config, folder = write(tmp_path / "sweep.toml", SEEDS + TINY + FAILING), tmp_path / "sweep"
    killed = start(config, folder, "--workers", "1")
    while len(finished(folder)) < 1:
        assert killed.poll() is None, killed.communicate()
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    assert all_ended(killed.pid)
    done = finished(folder)
    assert len(done) < 6, "it was not killed half-way"
    before = {name: times(folder, name) for name in done}

    with dask_cluster(tmp_path, n_workers=2) as address:
        resumed = start(config, folder, "--scheduler", address)
        output, errors = resumed.communicate(timeout=300)
    assert {name: times(folder, name) for name in done} == before
    assert "Traceback" not in errors
    check_outcome(folder, resumed.returncode, output, n_done_before=len(done))
    results = pd.read_csv(folder / "results.csv")
    assert set(results["run"]) == set(finished(folder))
    for name in finished(folder):
        stability = read_stability(folder / "runs" / name)
        assert stability is not None
        assert stability.seeds == (0, 1, 2)
    same_as_in_this_process(folder, tmp_path / "here")


def check_outcome(folder: Path, code: int, output: str, n_done_before: int) -> None:
    """Three runs are finished and three failed, which did not stop the others."""
    assert code == 1
    assert output.startswith(f"6 runs, {n_done_before} of them finished.")
    assert "3 of 6 runs failed:" in output
    assert f"sweep {folder.parent / 'sweep.toml'} --out {folder}" in output
    for name, run in status(folder).items():
        assert run["state"] == ("failed" if name.startswith("wild") else "done")
        assert (run["error"] is None) == (run["state"] == "done")
        assert f"{name}: {run['state']}" in output or run["state"] == "done"


def same_as_in_this_process(folder: Path, here: Path) -> None:
    """A cluster trains the weights and makes the figures that this process does."""
    plan = prepared(folder.parent / "sweep.toml", here)
    (run,) = (run for run in plan.runs if run.name == "sams_vae-correlated--random--seed2")
    alone = plan.model_copy(update={"runs": [run]}).model_dump(mode="json")
    assert execute(str(here), alone, lambda _step: None)["state"] == "done"
    pair = [load_model(place / "runs" / run.name) for place in (folder, here)]
    tensors = zip(*(model.module.state_dict().values() for model in pair), strict=True)
    assert max(float((a.double() - b.double()).abs().max()) for a, b in tensors) <= 1e-6
    found, expected = (read_evaluation(place / "runs" / run.name) for place in (folder, here))
    assert found["iwelbo"] == pytest.approx(expected["iwelbo"], abs=1e-3)


def test_an_interrupt_leaves_a_sweep_that_can_go_on_and_no_process(tmp_path: Path) -> None:
    text = TINY.replace("max_steps = 20", "max_steps = 100000")
    config, folder = write(tmp_path / "sweep.toml", text), tmp_path / "sweep"
    process = start(config, folder, "--workers", "1")
    state = (
        folder / "runs" / "sams_vae-correlated--random--seed0" / "training" / "state.safetensors"
    )
    while not state.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)  # what a terminal does on Ctrl-C
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Stopping" in output
    (line,) = errors.splitlines()
    assert line == (
        f"Error: Stopped. To go on: python -m sams_core sweep {config} --out {folder} --workers 1"
    )
    assert all_ended(process.pid)
    assert state.exists()
    assert load_model(state.parents[1]).unfinished
    assert [run["state"] for run in status(folder).values()] == ["pending"]


def test_no_scheduler_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sams_core.cluster.CONNECT_SECONDS", 0.3)
    config = write(tmp_path / "sweep.toml")
    for address in ("tcp://127.0.0.1:1", "nonsense://x"):
        with pytest.raises(ConfigError, match="No Dask scheduler answers at") as caught:
            sweep(config, tmp_path / "sweep", scheduler=address)
        assert address in str(caught.value)


def test_a_finished_sweep_starts_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, folder = write(tmp_path / "sweep.toml"), tmp_path / "sweep"
    plan = prepared(config, folder)
    execute(str(folder), plan.model_dump(mode="json"), lambda _step: None)
    monkeypatch.setattr("sams_core.cluster.LocalCluster", None)
    outcomes = sweep(config, folder)
    assert [outcome["state"] for outcome in outcomes.values()] == ["done"]
    assert (folder / "results.csv").exists()
    assert read_plan(folder) == plan
    assert MODEL in config.read_text()
