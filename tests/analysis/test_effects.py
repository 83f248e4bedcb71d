from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributions as td

from sams_core.analysis.effects import ModelEffects, model_ate
from sams_core.models import SAMSVAEModule
from sams_core.models.config import Inference
from tests.support.fixture_models import SAMS_FIXTURES, load_fixture
from tests.support.small_models import small_module

DOSAGES = np.array([[1, 0, 0], [0, 1, 0], [0.5, 2, 0], [0, 0, 1]], dtype=np.float32)


def brute_force(
    module: SAMSVAEModule, dosages: np.ndarray, sizes: list[float], n: int
) -> tuple[np.ndarray, np.ndarray]:
    """Conditions one by one, nothing shared, by ``torch.distributions``: the ATE and its s.e."""
    concentration = module.log_concentration.exp()
    means, variances = [], []
    with torch.no_grad():
        for dosage in np.vstack([np.zeros_like(dosages[:1]), dosages]):
            mask = td.Bernoulli(module.mask_probabilities()).sample(torch.Size([n]))
            loc, scale = (value.expand(mask.shape) for value in module.embedding_posterior(mask))
            embedding = td.Normal(loc, scale).sample()
            shift = torch.einsum("t,ptl->pl", torch.as_tensor(dosage), mask * embedding)
            z = td.Normal(0.0, 1.0).sample(shift.shape) + shift
            library = torch.as_tensor(np.resize(sizes, n), dtype=torch.float32)
            mean = library[:, None] * module.log_proportions(z).exp()
            rate = td.Gamma(concentration, concentration / mean).sample()
            x = td.Poisson(rate).sample().double()
            y = torch.log2(1e4 * x / x.sum(1, keepdim=True).clamp_min(1) + 1)
            means.append(y.mean(0).numpy())
            variances.append(y.var(0).numpy() / n)
    ate = np.array(means[1:]) - means[0]
    return ate, np.sqrt(np.array(variances[1:]) + variances[0])


@pytest.mark.parametrize("inference", ["correlated", "mean_field"])
@pytest.mark.parametrize("library_size", [[40.0], [30.0, 400.0]])
def test_agrees_with_a_plain_loop(inference: Inference, library_size: list[float]) -> None:
    torch.manual_seed(1)
    module = small_module(inference)
    expected, error = brute_force(module, DOSAGES, library_size, 20_000)
    got = model_ate(module, DOSAGES, library_size=library_size, n_particles=20_000, seed=2)
    z = (got.mean - expected) / np.sqrt(error**2 + got.standard_error**2)
    assert np.abs(z).max() < 4.5
    assert np.square(z).mean() < 1.6
    assert np.abs(expected[:3]).max() > 0.3


def test_standard_error_is_the_spread_over_seeds_and_pairing_pays() -> None:
    module = small_module()
    runs = [
        model_ate(module, DOSAGES, library_size=200.0, n_particles=300, seed=seed)
        for seed in range(30)
    ]
    spread = np.std([run.mean for run in runs], axis=0, ddof=1)
    stated = np.sqrt(np.mean([run.standard_error**2 for run in runs], axis=0))
    ratio = spread[:3] / stated[:3]
    assert 0.9 < np.sqrt(np.mean(ratio**2)) < 1.1
    _, unpaired = brute_force(module, DOSAGES, [200.0], 300)
    assert np.mean(stated[:3]) < 0.8 * np.mean(unpaired[:3])


@pytest.mark.parametrize("max_elements", [1, 5_000, 60_000])
def test_a_memory_bound_changes_draws_but_not_the_answer(max_elements: int) -> None:
    module = small_module()
    n = 200 if max_elements == 1 else 3_000
    whole = model_ate(module, DOSAGES, library_size=100.0, n_particles=3_000)
    shares: list[float] = []
    parts = model_ate(
        module,
        DOSAGES,
        library_size=100.0,
        n_particles=n,
        max_elements=max_elements,
        progress=shares.append,
    )
    z = (parts.mean - whole.mean) / np.hypot(parts.standard_error, whole.standard_error)
    assert np.abs(z[:3]).max() < 5
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)


def test_same_seed_same_answer() -> None:
    module = small_module()
    first, again, other = (
        model_ate(module, DOSAGES, library_size=100.0, n_particles=200, seed=seed)
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first.mean, again.mean)
    np.testing.assert_array_equal(first.standard_error, again.standard_error)
    assert not np.array_equal(first.mean, other.mean)


def test_a_closed_mask_has_no_effect() -> None:
    module = small_module()
    got = model_ate(module, DOSAGES, library_size=100.0, n_particles=4_000)
    closed = np.abs(got.mean[3] / got.standard_error[3])
    assert closed.max() < 4.5
    assert np.isnan(
        model_ate(module, DOSAGES, library_size=100.0, n_particles=1).standard_error
    ).all()


def test_double_precision_agrees() -> None:
    module = small_module()
    single = model_ate(module, DOSAGES, library_size=500.0, n_particles=2_000)
    double = model_ate(module.double(), DOSAGES, library_size=500.0, n_particles=2_000)
    z = (single.mean - double.mean) / np.hypot(single.standard_error, double.standard_error)
    assert np.abs(z[:3]).max() < 5


@pytest.mark.parametrize("name", SAMS_FIXTURES)
def test_stored_effects(shared_fixtures: Path, name: str) -> None:
    fixture = load_fixture(shared_fixtures, name)
    arrays = fixture.arrays
    names = [f"G{i + 1}" for i in range(fixture.module.n_perturbations)]
    dosages = np.array(
        [
            [float(gene in condition.split("+")) for gene in names]
            for condition in arrays["ate/names"]
        ]
    )
    got: ModelEffects = model_ate(fixture.module, dosages, library_size=1e4, n_particles=5_000)
    stored_error = np.sqrt(np.mean(arrays["ate/mc_se"] ** 2, axis=0))  # each from a few repeats
    z = (got.mean - arrays["ate/values"]) / np.hypot(got.standard_error, stored_error)
    assert np.abs(z).max() < 4.5
    assert np.square(z).mean() < 1.3
