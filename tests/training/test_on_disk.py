"""Runs on a screen whose counts stay in the file."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
from typer.testing import CliRunner, Result

from sams_core.analysis.evaluate import evaluate
from sams_core.analysis.evaluation_config import EvaluationConfig
from sams_core.analysis.prepare import prepare
from sams_core.api import SAMSVAE
from sams_core.cli import build
from sams_core.data import Screen, read_screen
from sams_core.errors import CheckpointError
from sams_core.training import data_statistics
from tests.support.tiny import tiny_screen
from tests.training.test_resume import SETTINGS, TOLERANCE, differences, interrupted, make

KEY = ("--perturbation-key", "perturbation")
SHORT = ("--max-steps", "20", "--validation-every", "10", "--batch-size", "32", "--n-latent", "3")
QUICK = EvaluationConfig(iwelbo_particles=5, ate_particles=100, replicates=39)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("screens") / "screen.h5ad"
    tiny_screen().to_anndata().write_h5ad(path)
    return path


@pytest.fixture
def on_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> Screen:
    """A screen that is read in several buffers of several blocks each."""
    monkeypatch.setattr("sams_core.data.shuffling.BUFFER_VALUES", 4000)
    monkeypatch.setattr("sams_core.data.stored.FEWEST_NEIGHBOURS", 8)
    return read_screen(path, perturbation_key="perturbation", on_disk=True)


def run(*arguments: str | Path) -> Result:
    words = [str(argument) for argument in arguments]
    return CliRunner().invoke(build(words), words)


@pytest.mark.parametrize("stop_at", [1, 33])
def test_resumes_exactly(stop_at: int, on_disk: Screen, tmp_path: Path) -> None:
    whole = make(on_disk).train(progress=False, **SETTINGS)
    interrupted(on_disk, tmp_path / "run", stop_at, **SETTINGS)
    assert not any("read-ahead" in thread.name for thread in threading.enumerate())
    resumed = SAMSVAE.load(tmp_path / "run", on_disk).resume(progress=False)
    assert differences(resumed, whole) <= TOLERANCE


def test_does_not_go_on_in_another_order(path: Path, on_disk: Screen, tmp_path: Path) -> None:
    interrupted(on_disk, tmp_path / "run", 12, **SETTINGS)
    in_memory = read_screen(path, perturbation_key="perturbation")
    with pytest.raises(CheckpointError, match=r"was begun with its screen on disk.*on_disk=True"):
        SAMSVAE.load(tmp_path / "run", in_memory).resume(progress=False)


def test_statistics_are_those_in_memory(path: Path, on_disk: Screen) -> None:
    split = np.where(np.arange(on_disk.n_cells) % 3 == 0, "test", "train")
    in_memory = read_screen(path, perturbation_key="perturbation")
    for one, other in zip(
        vars(data_statistics(on_disk, split)).values(),
        vars(data_statistics(in_memory, split)).values(),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)


def test_tables_and_scores_are_those_in_memory(path: Path, on_disk: Screen, tmp_path: Path) -> None:
    model = make(on_disk).train(progress=False, **SETTINGS)
    found: dict[str, Any] = {}
    screens = {"disk": on_disk, "memory": read_screen(path, perturbation_key="perturbation")}
    for name, screen in screens.items():
        model.save(tmp_path / name)
        prepare(tmp_path / name, screen=screen, n_particles=50, max_cells=100)
        found[name] = evaluate(tmp_path / name, screen=screen, config=QUICK)
    for table in ("effects", "masks", "cells"):
        one, other = (
            ad.read_h5ad(tmp_path / name / "explorer" / f"{table}.h5ad") for name in screens
        )
        for layer in (None, *one.layers):
            got, expected = (
                held.X if layer is None else held.layers[layer] for held in (one, other)
            )
            np.testing.assert_allclose(_dense(got), _dense(expected), atol=1e-6)
        assert one.obs.equals(other.obs)
        assert one.var.equals(other.var)
    assert found["disk"]["scores"] == found["memory"]["scores"]
    assert found["disk"]["iwelbo"] == found["memory"]["iwelbo"]


def test_commands_leave_the_counts_in_the_file(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = run("train", path, "--out", tmp_path / "run", *KEY, *SHORT, "--on-disk")
    assert done.exit_code == 0, done.output
    read: list[bool] = []

    def noted(*arguments: Any, **options: Any) -> Screen:
        read.append(options["on_disk"])
        return read_screen(*arguments, **options)

    monkeypatch.setattr("sams_core.analysis.prepare.read_screen", noted)
    for command in ("prepare", "evaluate"):
        few = ("--n-particles", "50") if command == "prepare" else ("--ate-particles", "50")
        done = run(command, tmp_path / "run", *few)
        assert done.exit_code == 0, done.output
    assert read == [True, True]
    told = [run("info", path, *KEY, *flag).stdout for flag in ((), ("--on-disk",))]
    assert told[0] == told[1]


def test_the_command_does_not_go_on_in_another_order(path: Path, tmp_path: Path) -> None:
    in_memory = read_screen(path, perturbation_key="perturbation")
    interrupted(in_memory, tmp_path / "run", 12, **SETTINGS)
    again = run("train", path, "--out", tmp_path / "run", *KEY, "--resume", "--on-disk")
    assert again.exit_code == 2
    assert "was begun with its screen in memory" in again.stderr
    done = run("train", path, "--out", tmp_path / "run", *KEY, "--resume")
    assert done.exit_code == 0, done.output


def _dense(values: Any) -> np.ndarray:
    return values.toarray() if hasattr(values, "toarray") else np.asarray(values)
