"""Which scores the models page finds: of the user's runs, of sweeps, and shipped ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import streamlit as st

from sams_core.explorer import catalogue, results
from tests.support.example_run import write_evaluation, write_example_run


@pytest.fixture(autouse=True)
def only_these(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(catalogue.NO_DEMO_VARIABLE, raising=False)
    monkeypatch.setattr(results, "RESULTS_FOLDER", tmp_path / "shipped")
    st.cache_data.clear()


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    for seed in range(2):
        write_example_run(folder / f"run{seed}", title="A screen", seed=seed, screen_seed=0)
        write_evaluation(folder / f"run{seed}", 0.8 + seed / 100)
    write_example_run(folder / "other", title="A screen", seed=5)
    write_evaluation(folder / "other", 0.5)
    return folder


@pytest.fixture
def runs(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "runs"))


def find(folder: Path) -> tuple[list[results.Results], list[str]]:
    return results.find(catalogue.find([folder]))


def test_screens_are_never_mixed_though_their_titles_agree(runs: Path) -> None:
    found, problems = find(runs)
    assert not problems
    assert {result.name for result in found} == {"A screen", "A screen (2)"}
    assert [set(result.table["fingerprint"]) for result in found] == [
        {result.fingerprint} for result in found
    ]
    assert sorted(result.table["run"].nunique() for result in found) == [1, 2]
    assert not any(result.simulated for result in found)


def test_a_damaged_or_outdated_evaluation_is_told_and_the_others_stay(runs: Path) -> None:
    (runs / "run0" / "evaluation.json").write_text("{")
    path = runs / "other" / "evaluation.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"weights": "other"}))
    found, problems = find(runs)
    assert [set(result.table["run"]) for result in found] == [{"run1"}]
    assert len(problems) == 2
    assert any("older than the weights" in problem for problem in problems)


def test_a_new_evaluation_is_read_at_once(runs: Path) -> None:
    find(runs)
    write_evaluation(runs / "run0", 0.123)
    found, _ = find(runs)
    values = pd.concat([result.table for result in found])["value"]
    assert (values == 0.123).any()


def sweep_of(runs: Path) -> Path:
    """Make a sweep's folder of the runs, none of them prepared."""
    folder = runs.parent / "sweep"
    shutil.copytree(runs, folder / "runs")
    plan = [{"name": run.name, "label": "Mine"} for run in sorted((folder / "runs").iterdir())]
    (folder / "sweep.json").write_text(json.dumps({"runs": plan}))
    for run in (folder / "runs").iterdir():
        shutil.rmtree(run / "explorer")
    return folder


def test_a_sweep_s_runs_are_found_with_their_labels_though_unprepared(runs: Path) -> None:
    sweep = sweep_of(runs)
    shutil.rmtree(runs)
    for root in (sweep, sweep.parent):
        entries = catalogue.find([root])
        assert len(entries) == 3
        assert all(entry.only_evaluated for entry in entries)
        found, problems = results.find(entries)
        assert not problems
        models = pd.concat([result.table for result in found])["model"]
        assert set(models) == {"Mine"}


def ship(table: pd.DataFrame, **about: object) -> Path:
    folder = results.RESULTS_FOLDER / "norman"
    folder.mkdir(parents=True)
    table.to_csv(folder / results.TABLE, index=False)
    (folder / "about.json").write_text(json.dumps(about))
    return folder


def test_shipped_results_are_those_that_were_written(runs: Path, tmp_path: Path) -> None:
    own = max(find(runs)[0], key=lambda result: len(result.table))
    ship(own.table, title="Pairs held out", simulated=True, command="sweep pairs.toml")
    found, problems = find(tmp_path / "nothing")
    assert not problems
    (shipped,) = found
    assert shipped.name == "Results of sweep: Pairs held out"
    assert shipped.command == "sweep pairs.toml"
    assert shipped.simulated
    pd.testing.assert_frame_equal(
        shipped.table.drop(columns="simulated"), own.table.drop(columns="simulated"),
        check_dtype=False,
    )  # fmt: skip


def test_the_environment_leaves_shipped_results_out(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ship(find(runs)[0][0].table)
    monkeypatch.setenv(catalogue.NO_DEMO_VARIABLE, "1")
    assert find(tmp_path / "nothing") == ([], [])


@pytest.mark.parametrize("damage", ["a,b\n1,2\n", "", "\x00\xff"])
def test_damaged_shipped_results_are_told(runs: Path, tmp_path: Path, damage: str) -> None:
    folder = ship(find(runs)[0][0].table)
    (folder / results.TABLE).write_text(damage)
    found, problems = find(tmp_path / "nothing")
    assert not found
    assert "not the results.csv of one sweep" in problems[0]


def test_shipped_results_of_two_screens_are_refused(runs: Path, tmp_path: Path) -> None:
    ship(pd.concat([result.table for result in find(runs)[0]]))
    found, problems = find(tmp_path / "nothing")
    assert not found
    assert len(problems) == 1


def test_nothing_evaluated_is_no_error(tmp_path: Path) -> None:
    assert find(tmp_path) == ([], [])
