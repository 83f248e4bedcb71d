from __future__ import annotations

import numpy as np
import pytest
import torch

from sams_core.analysis.likelihood import elbo_by_split
from sams_core.data.minibatches import minibatch
from tests.analysis.conftest import PreparedRun


def test_elbo_is_the_sum_of_its_terms_and_near_training(prepared: PreparedRun) -> None:
    model, screen = prepared.model, prepared.screen
    got = elbo_by_split(model.module, screen, model.split, n_particles=4)
    assert set(got.index) == {"train", "val", "test"}
    assert got["n_cells"].sum() == screen.n_cells
    total = got["log_likelihood"] - got[["kl_z_basal", "kl_mask", "kl_embedding"]].sum(axis=1)
    np.testing.assert_allclose(got["elbo"], total)
    assert (got[["kl_z_basal", "kl_mask", "kl_embedding"]] >= 0).to_numpy().all()
    best = model.history.query("split == 'validation'")["elbo"].max()
    assert got.loc["val", "elbo"] == pytest.approx(best, abs=0.5)


def test_plated_terms_of_training_cells_are_counted_once(prepared: PreparedRun) -> None:
    model, screen = prepared.model, prepared.screen
    got = elbo_by_split(model.module, screen, model.split, n_particles=1)
    with torch.no_grad():
        terms = model.module.elbo_terms(minibatch(screen, np.arange(2)))
    once = -float(terms.mask.mean(0).sum()) / (model.split == "train").sum()
    assert got.loc["train", "kl_mask"] == pytest.approx(once, rel=1e-5)


def test_minibatches_do_not_change_the_answer(prepared: PreparedRun) -> None:
    model, screen = prepared.model, prepared.screen
    shares: list[float] = []
    whole = elbo_by_split(model.module, screen, model.split, n_particles=20, batch_size=5_000)
    parts = elbo_by_split(
        model.module, screen, model.split, n_particles=20, batch_size=37, progress=shares.append
    )
    np.testing.assert_allclose(whole, parts, rtol=2e-3, atol=0.03)
    assert shares[-1] == 1
