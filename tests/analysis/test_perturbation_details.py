from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch

from sams_core.analysis.effect_tables import condition_table
from sams_core.analysis.perturbation_details import (
    describe_nearest,
    mask_row,
    moved_genes,
    nearest_perturbations,
    shift_cosines,
)
from sams_core.errors import ConfigError
from tests.analysis.conftest import PreparedRun
from tests.support.loaded_models import small_model


@pytest.fixture
def masks(prepared: PreparedRun) -> ad.AnnData:
    return ad.read_h5ad(prepared.folder / "explorer" / "masks.h5ad")


@pytest.fixture
def effects(prepared: PreparedRun) -> ad.AnnData:
    return ad.read_h5ad(prepared.folder / "explorer" / "effects.h5ad")


def test_mask_row_puts_open_entries_first(masks: ad.AnnData) -> None:
    masks.X = np.zeros_like(masks.X)
    masks.X[4, [1, 6]] = 0.9
    masks.X[5, 6] = 1.0
    masks.layers["effect"][4] = [9, 1, 0, 0, 0, 0, -2, 0.5]
    table = mask_row(masks, masks.obs_names[4], 0.5)
    assert list(table.index[:4]) == ["z6", "z1", "z0", "z7"]
    assert list(table["open"]) == [True, True, *[False] * 6]
    assert list(table["n_others"][:3]) == [1, 0, 0]
    assert table.loc["z6", "effect"] == -2
    with pytest.raises(ConfigError, match="no perturbation 'nobody'"):
        mask_row(masks, "nobody", 0.5)


@pytest.mark.parametrize("variant", ["sams_vae correlated", "cpa_vae mean_field", "svae_plus"])
def test_cosines_match_a_loop_over_draws(variant: str) -> None:
    model = small_model(variant)
    got = shift_cosines(model, 1, n_draws=50, seed=4)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        effect = model.module.sample_shift_parameters(50, generator).effect.double().numpy()
    for draw in range(50):
        for other in range(3):
            a, b = effect[draw, 1], effect[draw, other]
            scale = np.linalg.norm(a) * np.linalg.norm(b)
            expected = a @ b / scale if scale > 0 else 0.0
            assert got[draw, other] == pytest.approx(expected, abs=1e-5)


def test_nearest_perturbations(
    prepared: PreparedRun, masks: ad.AnnData, effects: ad.AnnData
) -> None:
    name = str(masks.obs_names[0])
    table = nearest_perturbations(prepared.model, masks, effects, name, n_draws=64)
    assert set(table.index) == set(masks.obs_names[1:])
    assert (table["cosine"].diff().dropna() <= 0).all()
    assert (table["cosine_lower"] <= table["cosine"] + 1e-9).all()
    assert (table["cosine_upper"] >= table["cosine"] - 1e-9).all()
    for column, values in [("model", effects.X), ("data", effects.layers["data_ate"])]:
        other = str(table.index[2])
        rows = [list(effects.obs_names).index(each) for each in (name, other)]
        expected = np.corrcoef(np.asarray(values)[rows])[0, 1]
        assert table.loc[other, f"{column}_correlation"] == pytest.approx(expected, abs=1e-6)
    is_open = np.asarray(masks.X) >= 0.5
    both = is_open[0] & is_open[list(masks.obs_names).index(table.index[0])]
    assert table["shared"].iloc[0] == ", ".join(masks.var_names[both])


def test_a_perturbation_without_a_condition_of_its_own_has_no_correlation(
    prepared: PreparedRun, masks: ad.AnnData, effects: ad.AnnData
) -> None:
    name, other = (str(value) for value in masks.obs_names[:2])
    part = effects[effects.obs_names != other].copy()
    table = nearest_perturbations(prepared.model, masks, part, name, n_draws=8)
    assert table["model_correlation"].isna()[other]
    assert table["model_correlation"].notna().sum() == 8
    alone = effects[effects.obs_names != name].copy()
    table = nearest_perturbations(prepared.model, masks, alone, name, n_draws=8)
    assert table["data_correlation"].isna().all()


def test_some_rows_of_the_mask_table_give_the_same_neighbours(
    prepared: PreparedRun, masks: ad.AnnData, effects: ad.AnnData
) -> None:
    name = str(masks.obs_names[4])
    whole = nearest_perturbations(prepared.model, masks, effects, name, n_draws=16)
    some = nearest_perturbations(prepared.model, masks[3:].copy(), effects, name, n_draws=16)
    pd.testing.assert_frame_equal(some, whole.loc[some.index])
    assert len(some) == 6


def test_nearest_in_words() -> None:
    table = pd.DataFrame(
        {
            "cosine": [0.9, 0.5, 0.1],
            "cosine_lower": [0.8, 0.2, -0.3],
            "cosine_upper": [0.95, 0.7, 0.4],
            "data_correlation": [0.71, np.nan, 0.1],
        },
        index=["B", "C", "D"],
    )
    text = describe_nearest(table, "A")
    assert text.startswith("B and C point the way of A in 95 % of posterior draws; B most")
    assert "0.90 (90 % interval 0.80 to 0.95)" in text
    assert "correlate 0.71" in text
    assert "No other perturbation" in describe_nearest(table.iloc[2:], "A")
    assert "no shift" in describe_nearest(table.assign(cosine=np.nan), "A")


def test_moved_genes_are_ranked_in_model_and_data(effects: ad.AnnData) -> None:
    condition = str(effects.obs_names[0])
    table = moved_genes(effects, condition, limit=5)
    whole = condition_table(effects, condition, cells="all")
    for name in ("model", "data"):
        top = whole[name].abs().sort_values(ascending=False).index[:5]
        assert set(table.index[table[f"{name}_rank"] <= 5]) == set(top)
    assert 5 <= len(table) <= 10
    assert table[["model_rank", "data_rank"]].min(axis=1).is_monotonic_increasing
    with pytest.raises(ConfigError, match="no effects of 'other'"):
        moved_genes(effects, "other")
