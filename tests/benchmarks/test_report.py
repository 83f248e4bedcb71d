"""What a row says, in JSON and as a table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from benchmarks import __main__ as command
from benchmarks.report import Row, table, unmet, write_json

STEP = Row(
    "step", "ms", 80.0, 200.0, 60.0, 600.0, faster_than_plain=2, of_floor=1.2, note="of a test"
)
RATE = Row("rate", "cells/s", 900.0, 1000.0, faster_than_plain=0.8)
SHARE = Row("share", "%", 3.5, at_most=3)


def test_json_is_a_list_of_named_figures_and_nulls(tmp_path: Path) -> None:
    write_json([STEP, SHARE], tmp_path / "latest.json")
    assert json.loads((tmp_path / "latest.json").read_text()) == [
        {"name": "step", "unit": "ms", "ours": 80, "plain": 200, "floor": 60, "peak_mib": 600},
        {
            "name": "share", "unit": "%", "ours": 3.5,
            "plain": None, "floor": None, "peak_mib": None,
        },
    ]  # fmt: skip


def test_a_figure_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write_json([Row("x", "ms", float("nan"))], tmp_path / "latest.json")


def test_ratios_and_verdicts() -> None:
    assert STEP.plain_ratio == pytest.approx(2.5)
    assert STEP.floor_ratio == pytest.approx(4 / 3)
    assert STEP.verdicts == {"faster_than_plain": True, "of_floor": False}
    assert RATE.plain_ratio == pytest.approx(0.9), "more is better"
    assert RATE.verdicts == {"faster_than_plain": True}
    assert SHARE.plain_ratio is None
    assert list(unmet([STEP, RATE, SHARE])) == ["step", "share"]


def test_table_has_every_figure_and_what_is_asked_of_it() -> None:
    console = Console(width=150, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(table([STEP, RATE, SHARE]))
    text = console.export_text()
    for shown in ("step", "of a test", "80", "200", "2.5 (>= 2)", "1.33 (<= 1.2)", "3.5 (<= 3)"):
        assert shown in text


def test_command_measures_what_is_named_and_writes_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[tuple[str, bool]] = []

    def measure(name: str):  # type: ignore[no-untyped-def]
        def rows(quick: bool) -> list[Row]:
            asked.append((name, quick))
            if name == "page":
                raise RuntimeError("no page")
            return [STEP] if name == "step" else []

        return rows

    monkeypatch.setattr(command, "_measure", measure)
    monkeypatch.setattr(command, "_set_environment", lambda: None)
    monkeypatch.setattr(command, "LATEST", tmp_path / "latest.json")
    result = CliRunner().invoke(command.app, ["step", "browser", "--quick"])
    assert result.exit_code == 0
    assert asked == [("step", True), ("browser", True)]
    assert "browser cannot be measured here" in result.output
    assert "Not met: step" in result.output
    assert len(json.loads((tmp_path / "latest.json").read_text())) == 1
    asked.clear()
    failing = CliRunner().invoke(command.app, ["--quick"])
    assert failing.exit_code == 1
    assert "page has failed: no page" in failing.output
    assert [name for name, _ in asked] == [name for name in command.GROUPS if name != "large"]
    wrong = CliRunner().invoke(command.app, ["stepp"])
    assert wrong.exit_code == 2


def test_every_group_has_its_function() -> None:
    for name in command.GROUPS:
        assert callable(command._measure(name))
