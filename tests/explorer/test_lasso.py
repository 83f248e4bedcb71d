"""Cells chosen on one page, for another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest
import streamlit as st

from sams_core.explorer.lasso import LASSO_KEY, chosen_cells, keep_cells
from sams_core.explorer.run import Run


@dataclass
class FakeRun:
    cache_key: str


def run(key: str) -> Run:
    return cast(Run, FakeRun(key))


@pytest.fixture(autouse=True)
def state(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    kept: dict[str, object] = {}
    monkeypatch.setattr(st, "session_state", kept)
    return kept


def test_cells_are_kept_for_their_checkpoint_alone() -> None:
    assert chosen_cells(run("a")) is None
    keep_cells(run("a"), ["c2", "c1"])
    assert chosen_cells(run("a")) == ["c2", "c1"]
    assert chosen_cells(run("prepared again")) is None


def test_no_cells_are_no_choice(state: dict[str, object]) -> None:
    keep_cells(run("a"), ["c1"])
    keep_cells(run("a"), [])
    assert LASSO_KEY not in state
    assert chosen_cells(run("a")) is None


def test_a_reader_cannot_change_what_is_kept() -> None:
    keep_cells(run("a"), ["c1"])
    found = chosen_cells(run("a"))
    assert found is not None
    found.append("c2")
    assert chosen_cells(run("a")) == ["c1"]
