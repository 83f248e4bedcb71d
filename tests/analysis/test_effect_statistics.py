"""One condition's statistics: each column against an independent computation."""

from __future__ import annotations

from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sams_core.analysis import effect_tables
from sams_core.analysis.effect_predictive import predict_measurement
from sams_core.analysis.effect_statistics import (
    control_cells,
    describe_residuals,
    describe_set,
    describe_volcano,
    gene_statistics,
    most_surprising,
)
from tests.analysis.conftest import PreparedRun


@pytest.fixture(scope="module")
def effects(prepared: PreparedRun) -> ad.AnnData:
    return ad.read_h5ad(prepared.folder / "explorer" / "effects.h5ad")


@pytest.fixture(scope="module")
def condition(effects: ad.AnnData) -> str:
    return effect_tables.strongest_condition(effects)


@pytest.fixture(scope="module")
def n_test(prepared: PreparedRun) -> int:
    return int((prepared.model.split == "test").sum())


@pytest.fixture(scope="module")
def known(prepared: PreparedRun, effects: ad.AnnData, condition: str, n_test: int) -> pd.DataFrame:
    return gene_statistics(
        prepared.model, effects, condition, cells="held-out",
        n_control=control_cells(effects, "held-out", n_test),
    )  # fmt: skip


def test_control_cells_are_those_of_the_screen(
    prepared: PreparedRun, effects: ad.AnnData, n_test: int
) -> None:
    control = np.asarray(prepared.screen.conditions) == prepared.screen.control
    held_out = control & (prepared.model.split == "test")
    assert control_cells(effects, "held-out", n_test) == held_out.sum()
    assert control_cells(effects, "all", n_test) == control.sum()


def test_measured_columns_are_those_of_the_table(
    effects: ad.AnnData, condition: str, known: pd.DataFrame
) -> None:
    table = effect_tables.condition_table(effects, condition, cells="held-out")
    pd.testing.assert_frame_equal(known[table.columns], table)
    row = list(effects.obs_names).index(condition)
    np.testing.assert_allclose(known["statistic"], effects.layers["statistic_test"][row])
    np.testing.assert_allclose(known["p_value"], effects.layers["pvalue_test"][row])
    assert (known["n_cells"] == effects.obs["n_cells_test"].iloc[row]).all()
    assert known["seen_in_training"].all()


def test_predicted_columns_follow_from_the_replicates(
    prepared: PreparedRun, effects: ad.AnnData, condition: str, known: pd.DataFrame
) -> None:
    drawn = predict_measurement(
        prepared.model, condition, n_cells=int(known["n_cells"].iloc[0]),
        n_control=int(known["n_control_cells"].iloc[0]), expected=known["model"],
    )  # fmt: skip
    checked = np.isfinite(known["ppc_p"])
    assert checked.mean() > 0.8
    shown, replicates = known[checked], drawn.replicates[:, checked]
    n = len(replicates)
    below = (replicates < shown["data"].to_numpy()).sum(0)
    share = (below + 0.5) / (n + 1)
    np.testing.assert_allclose(shown["ppc_p"], 2 * np.minimum(share, 1 - share), atol=1e-12)
    ordered = np.sort(replicates, axis=0)
    low, high = ordered[round(0.05 * (n + 1)) - 1], ordered[round(0.95 * (n + 1)) - 1]
    np.testing.assert_allclose(shown["predicted_low"], low, atol=0.01)
    np.testing.assert_allclose(shown["predicted_high"], high, atol=0.01)
    outside = (shown["data"] < shown["predicted_low"]) | (shown["data"] > shown["predicted_high"])
    assert (shown["outside"] == outside).all()
    np.testing.assert_allclose(shown["predicted_sd"], replicates.std(0, ddof=1))
    z = (shown["data"] - shown["model"]) / replicates.std(0, ddof=1)
    np.testing.assert_allclose(shown["residual_z"], z)
    p = 2 * (1 - stats.norm.cdf(np.abs(shown["model"] / replicates.std(0, ddof=1))))
    np.testing.assert_allclose(shown["model_p"], p, atol=1e-9)
    for p_value, fdr in (("ppc_p", "ppc_fdr"), ("model_p", "model_fdr")):
        order = np.argsort(shown[p_value].to_numpy())
        ranked = shown[p_value].to_numpy()[order] * len(shown) / np.arange(1, len(shown) + 1)
        by_hand = np.minimum.accumulate(ranked[::-1])[::-1].clip(max=1)
        np.testing.assert_allclose(shown[fdr].to_numpy()[order], by_hand)
    ends = np.quantile(drawn.effects, [0.05, 0.95], axis=0)
    np.testing.assert_allclose(known[["effect_low", "effect_high"]].to_numpy().T, ends)
    assert not known.loc[~checked, "outside"].any()


def test_genes_without_counts_are_not_checked(
    prepared: PreparedRun, effects: ad.AnnData, condition: str
) -> None:
    empty = effects.copy()
    row = list(effects.obs_names).index(condition)
    empty.layers["data_ate_test"][row, :2] = 0.0
    empty.layers["data_se_test"][row, :2] = 0.0
    got = gene_statistics(prepared.model, empty, condition, cells="held-out", n_control=40)
    assert got[["ppc_p", "predicted_low", "predicted_sd", "model_fdr"]][:2].isna().all(axis=None)
    assert not got["outside"][:2].any()
    assert got["effect_low"].notna().all()


@pytest.mark.parametrize("n_control", [0, 40])
def test_a_condition_without_held_out_cells_has_no_expectation(
    prepared: PreparedRun, effects: ad.AnnData, condition: str, n_control: int
) -> None:
    bare = effects.copy()
    bare.obs.loc[condition, "n_cells_test"] = 0 if n_control else 3
    for layer in ("data_ate_test", "data_se_test", "fdr_test", "statistic_test", "pvalue_test"):
        bare.layers[layer][list(effects.obs_names).index(condition)] = np.nan
    got = gene_statistics(prepared.model, bare, condition, cells="held-out", n_control=n_control)
    assert got["predicted_low"].isna().all()
    assert got["model"].notna().all()
    assert "No gene was measured" in describe_residuals(got)


def small(**columns: Any) -> pd.DataFrame:
    values = {
        "model": [1.0, 0.5, 0.0, -1.0],
        "data": [1.1, 2.0, 0.1, np.nan],
        "fdr": [0.01, 0.01, 0.5, np.nan],
        "model_fdr": [0.01, 0.5, 0.5, np.nan],
        "ppc_p": [0.6, 0.001, 0.5, np.nan],
        "ppc_fdr": [0.6, 0.003, 0.6, np.nan],
        "residual_z": [0.2, 4.0, 0.3, np.nan],
        "outside": [False, True, False, False],
    }
    return pd.DataFrame(values | columns, index=["A", "B*", "C", "D"])


def test_words() -> None:
    told = describe_residuals(small())
    assert told.startswith("**1 of 3 genes** lie outside")
    assert told.endswith(r"1 disagrees: B\*.")
    assert "No single gene disagrees" in describe_residuals(small(ppc_fdr=0.9))
    told = describe_volcano(small(), 0.05)
    assert "2 of 4 genes in the data; the model expects 1; 1 in both" in told
    opposite = small(model=[-1.0, 0.5, 0, -1])
    assert "; 0 in both" in describe_volcano(opposite, 0.05)
    text = describe_set(small(), "My_set")
    assert r"4 genes of **My\_set**, on average +0.12 in the model and +1.07 in the data" in text
    correlation = np.corrcoef([1, 0.5, 0], [1.1, 2.0, 0.1])[0, 1]
    assert f"correlate {correlation:.2f}" in text


def test_the_most_surprising_come_first() -> None:
    assert list(most_surprising(small()).index) == ["B*", "C", "A", "D"]
