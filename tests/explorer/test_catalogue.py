from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sams_core.errors import CheckpointError
from sams_core.explorer import catalogue
from sams_core.explorer.run import open_run
from tests.support.example_run import write_example_run


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_example_run(tmp_path_factory.mktemp("runs") / "mine", title="Mine")


@pytest.fixture
def run(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "runs" / "mine"))


def edit(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def test_a_root_may_be_a_run_or_hold_runs(run: Path) -> None:
    for root in (run, run.parent):
        (entry,) = catalogue.find([root])
        assert (entry.name, entry.title, entry.problem) == ("mine", "Mine", None)


def test_the_same_run_by_two_roots_is_listed_once(run: Path) -> None:
    assert len(catalogue.find([run, run.parent, run.parent])) == 1


def test_missing_and_empty_roots_hold_nothing(tmp_path: Path) -> None:
    assert catalogue.find([tmp_path / "absent", tmp_path]) == []


def test_runs_of_the_same_name_get_names_of_their_own(run: Path, tmp_path: Path) -> None:
    other = shutil.copytree(run, tmp_path / "elsewhere" / "mine")
    names = [entry.name for entry in catalogue.find([run.parent, Path(other).parent])]
    assert names == ["mine", "mine (2)"]


def test_broken_runs_come_last(run: Path) -> None:
    broken = run.parent / "a_broken"
    shutil.copytree(run, broken)
    (broken / "config.json").write_text("{")
    assert [entry.name for entry in catalogue.find([run.parent])] == ["mine", "a_broken"]


def test_roots_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(catalogue.RUNS_VARIABLE, os.pathsep.join(["", str(tmp_path), "~/x"]))
    monkeypatch.delenv(catalogue.NO_DEMO_VARIABLE, raising=False)
    assert catalogue.roots() == [tmp_path, Path.home() / "x", catalogue.DEMO_FOLDER]
    monkeypatch.setenv(catalogue.NO_DEMO_VARIABLE, "1")
    assert catalogue.roots() == [tmp_path, Path.home() / "x"]


def test_real_and_large_screens_come_first() -> None:
    entries = catalogue.find([catalogue.DEMO_FOLDER])
    keys = [(entry.simulated, -entry.n_cells) for entry in entries]
    assert keys == sorted(keys)
    assert not entries[0].simulated
    assert entries[-1].simulated


BROKEN_CONFIGS: dict[str, Callable[[Path], object]] = {
    "damaged or cut short": lambda path: path.write_text('{"format": '),
    "damaged or cut short: ": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    "damaged or cut short: restore": lambda path: path.write_text("[" * 100_000),
    "should hold one JSON object": lambda path: path.write_text("[]"),
    "not a sams_core checkpoint": lambda path: edit(path, lambda r: r.update(format="other")),
    "format_version 99": lambda path: edit(path, lambda r: r.update(format_version=99)),
    "'genes'": lambda path: edit(path, lambda r: r.pop("genes")),
    "'title'": lambda path: edit(path, lambda r: r.update(title=None)),
    "was changed": lambda path: edit(path, lambda r: r.update(title="Another")),
    "bad field 'model'": lambda path: edit(path, lambda r: r.update(model=[])),
}


@pytest.mark.parametrize("words", BROKEN_CONFIGS)
def test_a_bad_config_is_told_in_one_sentence(run: Path, words: str) -> None:
    BROKEN_CONFIGS[words](run / "config.json")
    (entry,) = catalogue.find([run])
    assert entry.problem is not None
    assert words.strip() in entry.problem
    assert "mine" in entry.problem
    assert entry.problem.count("\n") == 0
    with pytest.raises(CheckpointError):
        open_run(entry)


def test_an_unprepared_run_says_how_to_prepare_it(run: Path) -> None:
    shutil.rmtree(run / "explorer")
    (entry,) = catalogue.find([run])
    assert entry.problem is not None
    assert f"python -m sams_core prepare {run.resolve()}" in entry.problem
    assert entry.title == "Mine"


def test_an_interrupted_prepare_is_told(run: Path) -> None:
    (run / "explorer" / "manifest.json").unlink()
    assert "incomplete" in (catalogue.find([run])[0].problem or "")


def test_a_run_prepared_meanwhile_becomes_ready(run: Path) -> None:
    aside = run.parent / ".explorer"
    (run / "explorer").rename(aside)
    assert catalogue.find([run])[0].problem is not None
    aside.rename(run / "explorer")
    assert catalogue.find([run])[0].problem is None


BROKEN_TABLES: dict[str, Callable[[Path], object]] = {
    "no masks": lambda folder: (folder / "masks.h5ad").unlink(),
    "no metrics": lambda folder: (folder / "metrics.json").unlink(),
    "broken list": lambda folder: (folder / "manifest.json").write_text("{"),
    "foreign list": lambda folder: (folder / "manifest.json").write_text("[]"),
    "short list": lambda folder: edit(folder / "manifest.json", lambda r: r.pop("cells.h5ad")),
}


@pytest.mark.parametrize("case", BROKEN_TABLES)
def test_missing_tables_are_told_on_opening(run: Path, case: str) -> None:
    BROKEN_TABLES[case](run / "explorer")
    with pytest.raises(CheckpointError, match="python -m sams_core prepare"):
        open_run(catalogue.find([run])[0])


def test_lookup_by_name_or_digest(run: Path) -> None:
    entries = catalogue.find([run])
    digest = entries[0].digest
    assert catalogue.lookup(entries, "mine") is entries[0]
    assert catalogue.lookup(entries, digest[:6]) is entries[0]
    assert catalogue.lookup(entries, digest[:5]) is None
    assert catalogue.lookup(entries, str(run)) is None
    assert catalogue.lookup(entries, "") is None


def test_cache_key_changes_with_the_tables_but_not_with_the_place(run: Path) -> None:
    first = open_run(catalogue.find([run])[0])
    edit(run / "explorer" / "manifest.json", lambda record: record.update({"metrics.json": "0"}))
    second = open_run(catalogue.find([run])[0])
    assert first.digest == second.digest
    assert first.cache_key != second.cache_key
