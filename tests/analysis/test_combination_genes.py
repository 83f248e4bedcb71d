"""Genes of a prediction, its deviation's parts, scores of pairs, where cells land."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch

from sams_core.analysis import combination_genes as genes
from sams_core.analysis.combination_background import control_rows
from sams_core.analysis.combination_draws import combination_draws
from sams_core.analysis.combination_landing import N_NEIGHBOURS, describe_landing, land
from sams_core.analysis.combination_pairs import pair_scores
from sams_core.analysis.genetic_interactions import interaction_scores
from tests.analysis.test_combinations import Trained
from tests.support.small_models import small_module


@pytest.fixture
def table() -> pd.DataFrame:
    n = 100
    predicted = np.linspace(-1, 1, n)
    interaction = np.where(np.arange(n) < 3, 0.5, 0.0)
    frame = pd.DataFrame(
        {
            "predicted": predicted,
            "interaction": interaction,
            "network": 0.4 * interaction,
            "scale": 0.6 * interaction,
        },
        index=pd.Index([f"g{i}" for i in range(n)], name="gene"),
    )
    for name in ("predicted", "interaction"):
        frame[f"{name}_sd"], frame[f"{name}_se"] = 0.06, 0.01
        frame[f"{name}_lower"] = frame[name] - 0.1
        frame[f"{name}_upper"] = frame[name] + 0.1
    return frame


def test_top_genes_are_beyond_their_uncertainty(table: pd.DataFrame) -> None:
    assert genes.top_genes(table, "predicted", 1) == [f"g{i}" for i in range(99, 89, -1)]
    assert genes.top_genes(table, "predicted", -1) == [f"g{i}" for i in range(10)]
    assert genes.top_genes(table, "interaction", 1) == ["g0", "g1", "g2"]
    assert genes.top_genes(table, "interaction", -1) == []
    wanted = (table["predicted"].abs() > 0.1).to_numpy()
    assert (genes.certain(table, "predicted").to_numpy() == wanted).all()
    told = genes.describe_prediction(table)
    assert f"{int(wanted.sum())} of 100" in told
    assert "raises g99 (+1.00)" in told


def test_evidence_counts_both_errors(table: pd.DataFrame) -> None:
    found = genes.evidence(table, "predicted")
    assert found["ratio"]["g99"] == pytest.approx(1 / np.hypot(0.06, 0.01))
    assert set(found.index[:2]) == {"g0", "g99"}


def test_gene_sets_have_the_assayed_genes_as_background(table: pd.DataFrame) -> None:
    from scipy.stats import hypergeom

    sets = {"mine": {"up": [f"g{i}" for i in range(95, 100)], "other": ["g50", "g51", "x", "y"]}}
    tests = genes.gene_set_tests(table, "predicted", sets)
    row = tests["raised"].table.iloc[0]
    assert (row["set"], row["overlap"]) == ("up", 5)
    assert row["p_value"] == pytest.approx(hypergeom.sf(4, 100, 5, 10))
    assert "Background: the 100 assayed genes" in tests["raised"].finding


def test_parts_of_a_deviation_in_words(table: pd.DataFrame) -> None:
    assert genes.network_share(table) == pytest.approx(0.4)
    told = genes.describe_parts(table, with_shift=True)
    assert "the network makes 40% of it and the scale 60%" in told
    none = table.assign(interaction_lower=-1.0, interaction_upper=1.0)
    assert "None of it exceeds" in genes.describe_parts(none, with_shift=True)
    assert "no shifts that could add up" in genes.describe_parts(table, with_shift=False)


def screen(module_genes: int) -> ad.AnnData:
    conditions = ["A", "B", "A+B"]
    rng = np.random.default_rng(0)
    data = rng.normal(size=(3, module_genes))
    table = ad.AnnData(
        data,
        obs=pd.DataFrame({"n_cells_test": 30}, index=conditions),
        var=pd.DataFrame(
            {"symbol": [f"s{i}" for i in range(module_genes)], "frac_detected": 0.5},
            index=[f"g{i}" for i in range(module_genes)],
        ),
        layers=dict.fromkeys(
            (
                *("model_se", "data_ate", "data_se", "fdr"),
                *("data_ate_test", "data_se_test", "fdr_test"),
            ),
            data,
        ),
    )
    table.var.loc["g3", "frac_detected"] = 0.01
    return table


def test_pairs_are_scored_on_detected_genes_in_model_and_data() -> None:
    model = Trained(small_module(n_genes=30))
    effects = screen(30)
    shuffled = effects[:, ::-1].copy()  # the table need not have the model's order
    got, n_genes = pair_scores(model, shuffled, {"A": 1.0, "B": 1.0})
    keep = np.arange(30)[::-1] != 3
    assert n_genes == 29
    order = np.arange(30)[::-1][keep]
    draws = combination_draws(model, ["A", "B"])[:, :, order]
    wanted = interaction_scores(*draws, names=("A", "B"))
    pd.testing.assert_series_equal(got["value"], wanted["value"])
    data = np.asarray(effects.X)[:, order]
    measured = interaction_scores(*data)["value"]
    np.testing.assert_allclose(got["measured"], measured)
    alone, _ = pair_scores(model, effects, {"A": 1.0, "B": 0.5})
    assert alone["measured"].isna().all()


def test_cells_land_where_their_neighbours_are() -> None:
    module = small_module()
    model = Trained(module)
    with torch.no_grad():
        sample = module.sample_shift_parameters(400, torch.Generator().manual_seed(9))
        shift = module.shift(torch.tensor([[1.0, 1.0, 0.0]]), sample)[:, 0].numpy()
    rng = np.random.default_rng(0)
    control = rng.normal(size=(100, 4)) * 0.1
    basal = np.concatenate([control, rng.normal(size=(400, 4)) * 0.1])
    full = basal + np.concatenate([np.zeros((100, 4)), shift])
    cells = ad.AnnData(
        np.zeros((500, 0), np.float32),
        obs=pd.DataFrame(
            {"condition": ["control"] * 100 + ["A+B"] * 400}, index=[f"c{i}" for i in range(500)]
        ),
        obsm={"z_basal": basal, "z": full, "X_umap": full[:, :2] * 10},
    )
    landing = land(model, cells, {"A": 1.0, "B": 1.0}, control_rows(cells, "control"))
    assert len(landing.cells) == 100
    assert landing.neighbours["share"]["A+B"] > 0.9
    assert landing.neighbours["share_of_all"]["A+B"] == 0.8
    moved = landing.cells[["x", "y"]].mean() - landing.cells[["from_x", "from_y"]].mean().to_numpy()
    np.testing.assert_allclose(moved, shift.mean(0)[:2] * 10, atol=2.5)
    assert landing.cells["off_map"].mean() < 0.3
    assert f"The {N_NEIGHBOURS} measured cells nearest" in describe_landing(landing)
    far = land(model, cells, {"A": 30.0, "B": 30.0}, control_rows(cells, "control"))
    assert far.cells["off_map"].mean() > 0.9
    assert "the map has no true place" in describe_landing(far)
