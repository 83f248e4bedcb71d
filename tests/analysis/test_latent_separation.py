"""Whether a space tells perturbations apart, where the answer is known."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import PredefinedSplit, cross_val_predict

from sams_core.analysis import latent_separation
from sams_core.analysis.latent_separation import separation, tell_separation

EACH, D = 60, 5


def made(apart: float, *, full: float = 6.0, seed: int = 0, each: int = EACH) -> ad.AnnData:
    """Three conditions; the basal states of A are moved by ``apart``, the full ones by ``full``."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(["control", "A", "B"], each)
    basal = rng.normal(size=(3 * each, D))
    basal[labels == "A", 0] += apart
    z = basal.copy()
    z[labels == "A", 1] += full
    z[labels == "B", 1] -= full
    return ad.AnnData(
        np.zeros((3 * each, 0), np.float32),
        obs=pd.DataFrame(
            {"condition": pd.Categorical(labels)}, index=[f"c{i}" for i in range(3 * each)]
        ),
        obsm={"z_basal": basal.astype(np.float32), "z": z.astype(np.float32)},
    )


def test_what_is_mixed_is_at_chance() -> None:
    found = separation(made(0.0), "control", n_shuffles=30)
    assert found is not None
    assert found.chance == pytest.approx(1 / 3)
    assert found.accuracy["basal"] < 0.45
    assert found.accuracy["full"] > 0.95
    assert not found.separates
    assert "does not tell perturbations apart" in tell_separation(found)


def test_what_is_apart_is_told_and_named() -> None:
    found = separation(made(4.0), "control", n_shuffles=30)
    assert found is not None
    assert found.p_value == pytest.approx(1 / 31)
    assert found.recall.index[0] == "A"
    # A is found nearly always; the other two are a coin's toss.
    assert found.recall["basal"]["A"] > 0.9
    assert found.accuracy["basal"] == pytest.approx((1 + 0.5 + 0.5) / 3, abs=0.1)
    told = tell_separation(found)
    assert "still tells perturbations apart" in told
    assert "Named most often: A (" in told


def test_accuracy_nears_that_of_the_best_classifier() -> None:
    """Two Gaussians at a distance d: the best accuracy is the normal's cdf at d / 2."""
    cells = made(2.0, each=400)
    cells = cells[cells.obs["condition"] != "B"].copy()
    found = separation(cells, "control", n_shuffles=2)
    assert found is not None
    assert found.accuracy["basal"] == pytest.approx(stats.norm.cdf(1.0), abs=0.03)


def test_scikit_learns_own_cross_validation_agrees() -> None:
    rng = np.random.default_rng(4)
    values, codes = rng.normal(size=(90, 3)), rng.integers(0, 3, 90)
    values[codes == 1, 0] += 1.5
    folds = latent_separation._folds(codes, rng)
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=1e-3, priors=[1 / 3] * 3)
    predicted = cross_val_predict(model, values, codes, cv=PredefinedSplit(folds))
    expected = [np.mean(predicted[codes == code] == code) for code in range(3)]
    np.testing.assert_allclose(latent_separation._recall(values, codes, folds), expected)


def test_the_null_is_calibrated() -> None:
    """Without a difference, p-values lie about one half."""
    p_values = []
    for seed in range(12):
        found = separation(made(0.0, seed=seed, each=20), "control", n_shuffles=9, seed=seed)
        assert found is not None
        p_values.append(found.p_value)
    assert 0.3 < np.mean(p_values) < 0.75
    assert min(p_values) < 0.5 < max(p_values)


def test_rare_conditions_and_too_many_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = made(0.0)
    few = np.r_[np.arange(EACH), np.arange(EACH, EACH + 9), np.arange(2 * EACH, 3 * EACH)]
    found = separation(cells[few].copy(), "control", n_shuffles=2)
    assert found is not None
    assert set(found.recall.index) == {"control", "B"}
    assert found.n_left_out == 1
    assert separation(cells[:EACH].copy(), "control") is None
    monkeypatch.setattr(latent_separation, "MAX_CONDITIONS", 2)
    monkeypatch.setattr(latent_separation, "MAX_CELLS", 50)
    fewer = separation(cells, "B", n_shuffles=2)
    assert fewer is not None
    assert "B" in fewer.recall.index
    assert fewer.n_cells == 50


def test_every_call_gives_the_same() -> None:
    first, again = (separation(made(1.0), "control", n_shuffles=3) for _ in range(2))
    assert first is not None
    assert again is not None
    pd.testing.assert_frame_equal(first.recall, again.recall)
    np.testing.assert_array_equal(first.null, again.null)
