"""What is said about inclusion probabilities where nobody knows the truth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import streamlit as st

from sams_core.analysis.calibration import calibrate
from sams_core.explorer import trust
from tests.support.example_run import write_evaluation, write_example_run


@pytest.fixture
def simulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An evaluated checkpoint in the place of the embedded simulated one."""
    folder = write_example_run(tmp_path / "simulated", title="Made up", simulated=True)
    monkeypatch.setattr(trust, "SIMULATED", write_evaluation(folder, 0.5, f1=0.5))
    st.cache_data.clear()
    return folder


def calibrated(folder: Path, truth: np.ndarray, probability: np.ndarray) -> None:
    path = folder / "evaluation.json"
    found = json.loads(path.read_text())
    found["mask"]["calibration"] = calibrate(truth, probability).summary()
    path.write_text(json.dumps(found))


def test_the_share_is_that_of_the_embedded_simulated_screen(simulated: Path) -> None:
    calibrated(simulated, np.arange(8)[:, None] < 6, np.repeat([[0.93], [0.995]], 4, axis=0))
    assert "75% of those at 0.9 or above are." in trust.experience()


def test_nothing_is_said_where_nothing_is_reported_high(simulated: Path) -> None:
    calibrated(simulated, np.ones((8, 1)), np.full((8, 1), 0.6))
    assert trust.experience() == ""


def test_nothing_is_said_of_an_evaluation_without_calibration(simulated: Path) -> None:
    assert trust.experience() == ""


def test_nothing_is_said_where_the_checkpoint_is_gone_or_damaged(simulated: Path) -> None:
    (simulated / "evaluation.json").write_text("{")
    assert trust.experience() == ""
    st.cache_data.clear()
    (simulated / "config.json").unlink()
    assert trust.experience() == ""
