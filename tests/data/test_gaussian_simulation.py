"""The papers' Gaussian simulation: its moments, and the counts made of it."""

from __future__ import annotations

from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import torch
from anndata import AnnData
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import stats
from scipy.special import softmax
from typer.testing import CliRunner, Result

from sams_core.cli import build
from sams_core.data import (
    GaussianSimulationConfig,
    Screen,
    read_screen,
    simulate_gaussian_screen,
    simulate_screen,
)
from sams_core.data.simulation import SimulationConfig

SMALL = GaussianSimulationConfig(n_perturbations=30, cells_per_perturbation=120, n_control=150)


@pytest.fixture(scope="module")
def adata() -> AnnData:
    return simulate_gaussian_screen(SMALL)


def decoded(adata: AnnData) -> np.ndarray:
    """Features' means from the stated truth, by torch: (n, G)."""
    weights = adata.uns["truth"]["decoder"]
    value = torch.from_numpy(adata.obsm["z_truth"]).double()
    for i in range(1, 6):
        value = value @ torch.from_numpy(weights[str(i)]).double()
        if i < 5:
            value = torch.nn.functional.leaky_relu(value, 0.2)
    return value.numpy()


def test_defaults_are_the_papers() -> None:
    config = GaussianSimulationConfig()
    assert (config.n_latent, config.n_perturbations, config.n_genes) == (15, 100, 100)
    assert (config.shift, config.noise) == (5.0, 0.2)
    assert config.mask_density == pytest.approx(2 / 15)
    assert config.cells_per_perturbation == 500 + 100 + 100


def test_shapes_and_names(adata: AnnData) -> None:
    assert adata.shape == adata.layers["gaussian"].shape == (150 + 30 * 120, 100)
    sizes = adata.obs["perturbation"].value_counts()
    assert sizes["control"] == 150
    assert (sizes.drop("control") == 120).all()
    screen = Screen.from_anndata(adata, perturbation_key="perturbation", control="control")
    assert screen.simulated
    assert screen.truth is not None
    assert list(screen.perturbation_names) == list(screen.truth["perturbations"])


def test_effects_are_sparse_and_of_the_papers_size() -> None:
    config = SMALL.model_copy(
        update={"n_perturbations": 1000, "cells_per_perturbation": 1, "n_control": 1}
    )
    truth = simulate_gaussian_screen(config).uns["truth"]
    size = np.abs(truth["embedding"]).ravel()
    assert stats.kstest(size, stats.norm(5, 0.5).cdf).pvalue > 0.01
    assert (truth["embedding"] > 0).mean() == pytest.approx(0.5, abs=0.02)
    n_open = truth["mask"].sum(axis=1)
    assert n_open.min() == 1
    none = stats.binom(15, 2 / 15).pmf(0)
    assert n_open.mean() == pytest.approx(2 + none, abs=0.15)


def test_shifts_are_those_of_the_truth(adata: AnnData) -> None:
    truth = adata.uns["truth"]
    label = adata.obs["perturbation"].astype(str).to_numpy()
    row = dict(zip(truth["perturbations"], truth["mask"] * truth["embedding"], strict=True))
    expected = np.stack([row.get(name, np.zeros(15)) for name in label])
    found = adata.obsm["z_truth"] - adata.obsm["z_basal_truth"]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert stats.kstest(adata.obsm["z_basal_truth"].ravel(), stats.norm.cdf).pvalue > 0.01


def test_a_fifth_of_every_features_variance_is_gaussian_noise(adata: AnnData) -> None:
    mean = decoded(adata)
    np.testing.assert_allclose(mean.std(axis=0), 1, rtol=1e-4)
    noise = adata.layers["gaussian"] - mean
    share = noise.var(axis=0) / adata.layers["gaussian"].var(axis=0)
    assert share.mean() == pytest.approx(0.2, abs=0.005)
    assert np.abs(share - 0.2).max() < 0.03
    sample = noise[:, ::10].ravel() / adata.uns["truth"]["noise_sd"]
    assert stats.kstest(sample, stats.norm.cdf).pvalue > 0.01
    assert abs(np.corrcoef(noise.ravel(), mean.ravel())[0, 1]) < 0.01


def test_the_decoder_is_orthogonal(adata: AnnData) -> None:
    weights = adata.uns["truth"]["decoder"]
    assert [weights[str(i)].shape for i in range(1, 6)] == [
        (15, 50), (50, 50), (50, 50), (50, 50), (50, 100),
    ]  # fmt: skip
    for i in range(1, 5):
        gram = weights[str(i)] @ weights[str(i)].T
        np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-5)


def test_counts_are_poisson_about_the_softmax_of_the_observations(adata: AnnData) -> None:
    counts = adata.X.toarray()
    mean = 2000 * softmax(adata.layers["gaussian"].astype(float), axis=1)
    error = (counts - mean) / np.sqrt(mean)
    assert error.mean() == pytest.approx(0, abs=0.01)
    assert error.var() == pytest.approx(1, abs=0.01)
    rare = mean < 3
    assert (counts[rare] == 0).mean() == pytest.approx(np.exp(-mean[rare]).mean(), abs=0.01)
    assert counts.sum(axis=1).mean() == pytest.approx(2000, abs=5)


def test_without_noise_the_observations_are_their_means() -> None:
    adata = simulate_gaussian_screen(SMALL.model_copy(update={"noise": 0.0}))
    assert adata.uns["truth"]["noise_sd"] == 0
    np.testing.assert_allclose(adata.layers["gaussian"], decoded(adata), atol=1e-4)


def test_seeded() -> None:
    first, second, other = (
        simulate_gaussian_screen(SMALL.model_copy(update={"seed": seed})) for seed in (1, 1, 2)
    )
    assert (first.X != second.X).nnz == 0
    np.testing.assert_array_equal(first.layers["gaussian"], second.layers["gaussian"])
    assert (first.X != other.X).nnz > 0


@settings(max_examples=25, deadline=None)
@given(
    st.integers(1, 5),
    st.integers(1, 50),
    st.integers(2, 120),
    st.floats(0.01, 1),
    st.floats(0, 0.9),
)
def test_properties(T: int, L: int, G: int, density: float, noise: float) -> None:
    config = GaussianSimulationConfig(
        n_perturbations=T, n_latent=L, n_genes=G, cells_per_perturbation=4, n_control=3,
        mask_density=density, noise=noise,
    )  # fmt: skip
    adata = simulate_gaussian_screen(config)
    assert adata.shape == (4 * T + 3, G)
    assert adata.uns["truth"]["mask"].shape == (T, L)
    assert (adata.uns["truth"]["mask"].sum(axis=1) >= 1).all()
    assert np.isfinite(adata.layers["gaussian"]).all()
    np.testing.assert_allclose(decoded(adata).std(axis=0), 1, rtol=1e-3)


def test_the_truth_survives_a_file_and_matches_the_other_simulators(
    adata: AnnData, tmp_path: Path
) -> None:
    adata.write_h5ad(tmp_path / "screen.h5ad")
    screen = read_screen(tmp_path / "screen.h5ad", perturbation_key="perturbation")
    assert screen.truth is not None
    np.testing.assert_array_equal(screen.truth["mask"], adata.uns["truth"]["mask"])
    np.testing.assert_array_equal(screen.truth["decoder"]["5"], adata.uns["truth"]["decoder"]["5"])
    other = simulate_screen(SimulationConfig(n_perturbations=2, cells_per_perturbation=2))
    assert adata.obsm.keys() == other.obsm.keys()
    assert {"mask", "embedding", "perturbations"} <= other.uns["truth"].keys() & screen.truth.keys()


@pytest.mark.parametrize(
    "bad", [{"noise": 1}, {"mask_density": 0}, {"n_latent": 51}, {"n_doubles": 3}]
)
def test_impossible_configurations_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        GaussianSimulationConfig(**bad)


def simulated_on_the_command_line(*words: str) -> Result:
    return CliRunner().invoke(build(["simulate"]), ["simulate", *words])


def test_the_command_line_writes_it(tmp_path: Path) -> None:
    out = tmp_path / "gaussian.h5ad"
    settings = ("--n-perturbations", "4", "--cells-per-perturbation", "5", "--noise", "0.5")
    result = simulated_on_the_command_line("--out", str(out), "--kind", "gaussian", *settings)
    assert result.exit_code == 0, result.output
    assert "(simulated)" in result.stdout
    adata = ad.read_h5ad(out)
    assert adata.shape == adata.layers["gaussian"].shape == (700 + 4 * 5, 100)
    assert adata.uns["truth"]["noise_sd"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("kind", "flag"),
    [("gaussian", "--n-doubles"), ("gaussian", "--n-pathways"), ("counts", "--noise")],
)
def test_settings_of_the_other_kind_are_refused(kind: str, flag: str, tmp_path: Path) -> None:
    out = tmp_path / "screen.h5ad"
    result = simulated_on_the_command_line("--out", str(out), "--kind", kind, flag, "0")
    assert result.exit_code == 2
    assert f"{flag} is no setting of --kind {kind}" in result.stderr
    assert not out.exists()
