from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch

from sams_core.analysis.expected import expected_log_normalised
from sams_core.analysis.latent_dimension import (
    BasalStates,
    basal_states,
    describe_response,
    latent_response,
    openers,
    top_genes,
)
from sams_core.api import SAMSVAE
from sams_core.data.minibatches import minibatch
from sams_core.errors import ConfigError
from tests.analysis.conftest import PreparedRun
from tests.support.loaded_models import small_model

LIBRARY = 150.0


@pytest.mark.parametrize(
    ("variant", "step"),
    [("sams_vae correlated", 1.0), ("conditional_vae", -2.0), ("cpa_vae mean_field", 0.5)],
)
def test_response_is_the_exact_expectation_cell_by_cell(variant: str, step: float) -> None:
    model = small_model(variant, n_batches=2, n_genes=80)
    states = basal_states(model, n_cells=300)
    got = latent_response(model, states, "z1", step=step, library_size=LIBRARY)
    module = model.module.double()
    z = torch.from_numpy(states.values).double()
    moved = z.clone()
    moved[:, 1] += step
    library = torch.full((len(z),), LIBRARY, dtype=torch.float64)
    still = z.new_zeros(len(z), module.n_perturbations)
    with torch.no_grad():
        before, after = (
            expected_log_normalised(
                module.log_expected_counts(module.state(part, 0 * part, still), library),
                module.log_concentration,
            ).numpy()
            for part in (z, moved)
        )
    change = after - before
    assert np.abs(change).max() > 0.5
    # The total's distribution is taken at the mean profile.
    np.testing.assert_allclose(got["change"], change.mean(0), atol=0.06)
    np.testing.assert_allclose(got["sd"], change.std(0), atol=0.06)
    np.testing.assert_allclose(got["lower"], np.quantile(change, 0.05, axis=0), atol=0.12)
    np.testing.assert_allclose(got["upper"], np.quantile(change, 0.95, axis=0), atol=0.12)
    np.testing.assert_allclose(got["unmoved"], before.mean(0), atol=0.06)
    same = (np.sign(change) == np.sign(change.mean(0))).mean(0)
    clear = np.abs(change.mean(0)) > 0.1
    np.testing.assert_allclose(got["same_sign"][clear], same[clear], atol=0.03)


def test_no_step_no_change() -> None:
    model = small_model()
    got = latent_response(model, basal_states(model), "z0", step=0.0)
    assert (got[["change", "sd", "lower", "upper"]] == 0).all(axis=None)
    assert "moves no gene" in describe_response(got, "z0", 0.0, "cells")


def test_states_of_control_cells_come_from_their_posterior(prepared: PreparedRun) -> None:
    model, screen = prepared.model, prepared.screen
    control = np.flatnonzero(np.diff(screen.dosages.indptr) == 0)
    draws = np.stack(
        [basal_states(model, screen=screen, n_cells=999, seed=seed).values for seed in range(40)]
    )
    assert draws.shape == (40, len(control), 8)
    batch = minibatch(screen, control)
    with torch.no_grad():
        loc, scale = model.module.encode(batch, torch.zeros(1, len(control), 8))
    scores = (draws - loc[0].numpy()) / scale[0].numpy()
    assert abs(scores.mean()) < 5 / np.sqrt(scores.size)
    assert abs(scores.std() - 1) < 5 / np.sqrt(scores.size)
    some = basal_states(model, screen=screen, n_cells=30)
    assert some.values.shape == (30, 8)
    assert some.source == "30 control cells, drawn from their posterior"


def test_states_fall_back_to_the_table_of_cells_and_to_the_prior(prepared: PreparedRun) -> None:
    cells = ad.read_h5ad(prepared.folder / "explorer" / "cells.h5ad")
    control = (cells.obs["condition"] == prepared.model.control).to_numpy()
    states = basal_states(prepared.model, cells=cells, n_cells=10_000)
    np.testing.assert_array_equal(states.values, cells.obsm["z_basal"][control])
    assert "posterior means" in states.source
    few = cells[np.r_[np.flatnonzero(~control), np.flatnonzero(control)[:5]]]
    prior = basal_states(prepared.model, cells=few, n_cells=4_000)
    assert "drawn from the prior" in prior.source
    assert abs(prior.values.std() - 1) < 0.03
    again = basal_states(prepared.model, n_cells=4_000)
    np.testing.assert_array_equal(prior.values, again.values)


def test_unknown_dimensions_and_steps_are_refused() -> None:
    model = small_model()
    states = BasalStates(np.zeros((2, 4), np.float32), "cells")
    with pytest.raises(ConfigError, match=r"'z9'.*z0 to z3"):
        latent_response(model, states, "z9")
    with pytest.raises(ConfigError, match="give a number"):
        latent_response(model, states, "z0", step=float("nan"))


def test_top_genes_agree_over_cells() -> None:
    response = pd.DataFrame(
        {
            "change": [0.5, 0.9, 0.3, -0.4, 0.01, *[0.0] * 35],
            "lower": [0.1, -0.1, 0.2, -0.9, 0.01, *[0.0] * 35],
            "upper": [0.9, 1.9, 0.4, -0.1, 0.02, *[0.0] * 35],
        },
        index=[f"g{i}" for i in range(40)],
    )
    assert list(top_genes(response, "up").index) == ["g0", "g2"]
    assert list(top_genes(response, "up", limit=1).index) == ["g0"]
    assert list(top_genes(response, "down").index) == ["g3"]
    text = describe_response(response, "z0", 1.0, "9 cells")
    assert "raises g0 (+0.50) and g2 (+0.30) most and lowers g3 (-0.40) most" in text


def test_openers(prepared: PreparedRun) -> None:
    masks = ad.read_h5ad(prepared.folder / "explorer" / "masks.h5ad")
    masks.X = np.zeros_like(masks.X)
    masks.X[[2, 5, 7], 3] = [0.9, 0.3, 1.0]
    masks.layers["effect"][[2, 5, 7], 3] = [-1.0, 9.0, 2.0]
    table = openers(masks, "z3", 0.3)
    names = masks.obs_names[[5, 7, 2]]
    assert list(table.index) == list(names)
    np.testing.assert_allclose(table["inclusion"], [0.3, 1.0, 0.9])
    np.testing.assert_allclose(table["effect_sd"], masks.layers["effect_sd"][[5, 7, 2], 3])
    np.testing.assert_array_equal(
        table["n_cells_train"], masks.obs["n_cells_train"].iloc[[5, 7, 2]]
    )
    np.testing.assert_array_equal(table["pathway"], masks.obs["pathway"].iloc[[5, 7, 2]])
    assert openers(masks, "z0", 0.5).empty
    masks.uns["has_mask"] = False
    assert len(openers(masks, "z3", 0.5)) == 10


def test_a_loaded_model_needs_no_screen(prepared: PreparedRun) -> None:
    model = SAMSVAE.load(prepared.folder)
    response = latent_response(model, basal_states(model), "z0")
    assert list(response.index) == list(model.gene_names)
    assert np.isfinite(response).all(axis=None)
