from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sams_core.analysis import normalisations
from sams_core.analysis.normalisations import raw_mean_effects
from sams_core.data.reading import read_screen
from sams_core.data.screen import Screen


def _screen(folder: Path) -> Screen:
    return read_screen(
        folder / "tiny.h5ad",
        perturbation_key="perturbation",
        control="ctrl",
        collapse_guides=False,
    )


def test_raw_means_equal_the_stored_numbers(
    shared_fixtures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(normalisations, "_CHUNK_CELLS", 37)
    screen = _screen(shared_fixtures)
    with np.load(shared_fixtures / "data_and_metrics.npz") as stored:
        names, expected = pd.Index(stored["data_ate_names"]), stored["data_ate_mean"]
    got = raw_mean_effects(screen.counts, screen.conditions, screen.control, names)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-5)


def test_some_cells_and_conditions_without_any(shared_fixtures: Path) -> None:
    screen = _screen(shared_fixtures)
    cells = np.arange(screen.n_cells) % 3 > 0
    conditions = np.asarray(screen.conditions)
    cells &= conditions != "G1"
    names = pd.Index(["G2", "G1"])
    got = raw_mean_effects(screen.counts, screen.conditions, screen.control, names, cells=cells)
    dense = screen.counts.toarray().astype(float)
    control = dense[cells & (conditions == screen.control)].mean(axis=0)
    np.testing.assert_allclose(got[0], dense[cells & (conditions == "G2")].mean(axis=0) - control)
    assert np.isnan(got[1]).all()
