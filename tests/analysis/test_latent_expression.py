"""Expression in cells, measured and expected."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch

from sams_core.analysis import latent_expression
from sams_core.analysis.latents import cells_table
from sams_core.api import FAMILIES
from sams_core.data import Screen
from sams_core.errors import ConfigError
from tests.analysis.conftest import PreparedRun


@pytest.fixture
def cells(prepared: PreparedRun) -> ad.AnnData:
    return ad.read_h5ad(prepared.folder / "explorer" / "cells.h5ad")


def test_measured_expression(prepared: PreparedRun, cells: ad.AnnData) -> None:
    gene = str(cells.var_names[7])
    counts = cells.X.toarray().astype(float)
    expected = np.log2(1e4 * counts[:, 7] / counts.sum(1) + 1)
    found = latent_expression.measured_expression(cells, gene)
    np.testing.assert_allclose(found, expected)
    mean, detected = latent_expression.mean_expression(cells, np.arange(50))
    assert mean[7] == pytest.approx(expected[:50].mean())
    assert detected[7] == (counts[:50, 7] > 0).mean()


def test_expected_expression_is_the_decoders(prepared: PreparedRun, cells: ad.AnnData) -> None:
    module, gene = prepared.model.module, str(cells.var_names[3])
    for space, key in (("basal", "z_basal"), ("full", "z")):
        with torch.no_grad():
            logits = module.decoder_head(module.decode(torch.from_numpy(cells.obsm[key])))
        share = np.exp(logits.double().numpy())
        share /= share.sum(1, keepdims=True)
        expected = np.log2(1e4 * share + 1)
        found = latent_expression.expected_expression(prepared.model, cells, gene, space)  # type: ignore[arg-type]
        np.testing.assert_allclose(found, expected[:, 3], rtol=1e-4)
        rows = np.array([5, 2, 77])
        mean = latent_expression.mean_expected(prepared.model, cells, rows, space)  # type: ignore[arg-type]
        np.testing.assert_allclose(mean, expected[rows].mean(0), rtol=1e-4)


def test_blocks_change_nothing(
    prepared: PreparedRun, cells: ad.AnnData, monkeypatch: pytest.MonkeyPatch
) -> None:
    gene = str(cells.var_names[0])
    whole = latent_expression.expected_expression(prepared.model, cells, gene, "full")
    monkeypatch.setattr(latent_expression, "_AT_ONCE", 7 * cells.n_vars)
    parts = latent_expression.expected_expression(prepared.model, cells, gene, "full")
    np.testing.assert_allclose(parts, whole, rtol=1e-5)


def test_a_model_without_shifts_is_told_the_perturbation(prepared: PreparedRun) -> None:
    model = FAMILIES["conditional_vae"](prepared.screen, n_latent=4, n_hidden=16, seed=0)
    cells = cells_table(model, prepared.screen, max_cells=60)
    gene = str(cells.var_names[1])
    rows = prepared.screen.cell_names.get_indexer(cells.obs_names)
    doses = torch.from_numpy(prepared.screen.dosages[rows].toarray())
    z = torch.from_numpy(cells.obsm["z"])
    with torch.no_grad():
        share = model.module.log_proportions(torch.cat([z, doses], -1)).exp().numpy()
    found = latent_expression.expected_expression(model, cells, gene, "full")
    np.testing.assert_allclose(found, np.log2(1e4 * share[:, 1] + 1), rtol=1e-4)
    control = latent_expression.expected_expression(model, cells, gene, "basal")
    perturbed = (cells.obs["n_perturbations"] > 0).to_numpy()
    np.testing.assert_allclose(control[~perturbed], found[~perturbed], rtol=1e-6)
    assert (control[perturbed] != found[perturbed]).all()


def test_dosages_are_read_from_conditions(prepared: PreparedRun) -> None:
    screen: Screen = prepared.screen
    found = latent_expression.dosages(prepared.model, pd.Series(screen.conditions))
    np.testing.assert_array_equal(found, screen.dosages.toarray())
    first, second = map(str, prepared.model.perturbation_names[:2])
    (row,) = latent_expression.dosages(prepared.model, pd.Series([f"{first}@0.5+{second}"]))
    assert (row[0], row[1], row.sum()) == (0.5, 1, 1.5)


def test_without_counts_the_reason_is_told(prepared: PreparedRun, cells: ad.AnnData) -> None:
    assert latent_expression.tell_counts(cells) == ""
    older = cells[:, []].copy()
    assert "prepared without them" in latent_expression.tell_counts(older)
    kept_out = cells_table(prepared.model, prepared.screen, max_cells=20, keep_counts=False)
    assert "were left out when its tables were prepared" in latent_expression.tell_counts(kept_out)
    with pytest.raises(ConfigError, match="no measured counts"):
        latent_expression.measured_expression(older, "G0")
    with pytest.raises(ConfigError, match="no gene 'NOPE'"):
        latent_expression.measured_expression(cells, "NOPE")
