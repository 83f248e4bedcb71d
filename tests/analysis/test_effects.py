from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor
from torch import distributions as td
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from sams_core.analysis.effects import Method, ModelEffects, model_ate
from sams_core.analysis.sampled_effects import thinned_counts
from sams_core.errors import ConfigError
from sams_core.models import PerturbationVAE, SAMSVAEModule
from sams_core.models.config import Inference
from tests.support.fixture_models import SAMS_FIXTURES, load_fixture
from tests.support.small_models import small_module, small_variant
from tests.support.tiny import VARIANTS

DOSAGES = np.array([[1, 0, 0], [0, 1, 0], [0.5, 2, 0], [0, 0, 1]], dtype=np.float32)
METHODS: tuple[Method, ...] = get_args(Method)


def brute_force(
    module: SAMSVAEModule, dosages: np.ndarray, sizes: list[float], n: int
) -> tuple[np.ndarray, np.ndarray]:
    """Conditions one by one, nothing shared, by ``torch.distributions``: the ATE and its s.e."""
    means, variances = [], []
    with torch.no_grad():
        for dosage in np.vstack([np.zeros_like(dosages[:1]), dosages]):
            mask = td.Bernoulli(module.mask_probabilities()).sample(torch.Size([n]))
            loc, scale = (value.expand(mask.shape) for value in module.embedding_posterior(mask))
            embedding = td.Normal(loc, scale).sample()
            shift = torch.einsum("t,ptl->pl", torch.as_tensor(dosage), mask * embedding)
            z = td.Normal(0.0, 1.0).sample(shift.shape) + shift
            library = torch.as_tensor(np.resize(sizes, n), dtype=torch.float32)
            y = drawn_expression(module, library[:, None] * module.log_proportions(z).exp())
            means.append(y.mean(0).numpy())
            variances.append(y.var(0).numpy() / n)
    ate = np.array(means[1:]) - means[0]
    return ate, np.sqrt(np.array(variances[1:]) + variances[0])


def drawn_expression(module: PerturbationVAE, mean: Tensor) -> Tensor:
    """Log-normalised counts drawn by ``torch.distributions``."""
    concentration = module.log_concentration.exp()
    x = td.Poisson(td.Gamma(concentration, concentration / mean).sample()).sample().double()
    return torch.log2(1e4 * x / x.sum(-1, keepdim=True).clamp_min(1) + 1)


def harsh(variant: str) -> PerturbationVAE:
    """A model in float64 with batches, overdispersed genes, a gene of large share, and a floor."""
    module = small_variant(variant, n_batches=2).double()
    module.config = module.config.model_copy(update={"mean_floor": 0.1})
    torch.manual_seed(5)
    with torch.no_grad():
        module.log_concentration[:3] = -3.0
        module.decoder_head.bias[[0, 5]] += 3.0
        module.decoder_batch.weight.normal_()
    return module


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("inference", ["correlated", "mean_field"])
@pytest.mark.parametrize("library_size", [[40.0], [30.0, 400.0]])
def test_agrees_with_a_plain_loop(
    inference: Inference, library_size: list[float], method: Method
) -> None:
    torch.manual_seed(1)
    module = small_module(inference)
    expected, error = brute_force(module, DOSAGES, library_size, 20_000)
    got = model_ate(
        module, DOSAGES, library_size=library_size, n_particles=20_000, seed=2, method=method
    )
    z = (got.mean - expected) / np.sqrt(error**2 + got.standard_error**2)
    assert np.abs(z).max() < 4.5
    assert np.square(z).mean() < 1.6
    assert np.abs(expected[:3]).max() > 0.3


@pytest.mark.parametrize("variant", VARIANTS)
def test_both_methods_agree_with_drawn_counts_in_harsh_models(variant: str) -> None:
    """Pairs of cells under control and condition share their latent state and nothing else."""
    module, n, sizes = harsh(variant), 20_000, torch.tensor([15.0, 60.0, 900.0])
    torch.manual_seed(3)
    got = {
        method: model_ate(module, DOSAGES, library_size=sizes, n_particles=n, method=method)
        for method in METHODS
    }
    with torch.no_grad():
        sample = module.sample_shift_parameters(n)
        z_basal = torch.randn(n, 1, module.n_latent, dtype=torch.float64)
        library = sizes[torch.randint(3, (n, 1))].double()
        doses = torch.as_tensor(np.vstack([0 * DOSAGES[:1], DOSAGES])).double()
        shift = module.shift(doses, sample)
        state = module.state(z_basal.expand_as(shift), shift, doses)
        mean = library[..., None] * module.log_proportions(state).exp() + module.config.mean_floor
        y = drawn_expression(module, mean)
    drawn = (y[:, 1:] - y[:, :1]).numpy()
    apart = drawn.std(0) / n**0.5
    for method, found in got.items():
        z = (found.mean - drawn.mean(0)) / np.hypot(apart, found.standard_error)
        assert np.abs(z).max() < 4.5, method
        assert np.square(z).mean() < 1.8, method
    expected, sampled = (got[method] for method in METHODS)
    moved = sampled.standard_error > 0  # else the mask is closed, and both are 0
    error = np.hypot(expected.standard_error, sampled.standard_error)[moved]
    assert (np.abs(expected.mean - sampled.mean)[moved] < 4.5 * error).all()
    assert np.mean(expected.standard_error) < 0.8 * np.mean(sampled.standard_error)
    assert np.mean(sampled.standard_error) < 0.9 * np.mean(apart)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_particles", [60, 300])
def test_standard_error_is_the_spread_over_seeds(method: Method, n_particles: int) -> None:
    module = small_module()
    runs = [
        model_ate(
            module, DOSAGES, library_size=200.0, n_particles=n_particles, seed=seed, method=method
        )
        for seed in range(30)
    ]
    spread = np.std([run.mean for run in runs], axis=0, ddof=1)
    stated = np.sqrt(np.mean([run.standard_error**2 for run in runs], axis=0))
    ratio = spread[:3] / stated[:3]
    assert 0.9 < np.sqrt(np.mean(ratio**2)) < 1.1


@pytest.mark.parametrize(("rate", "new_rate"), [(3.0, 4.5), (8.0, 0.7), (0.0, 1.5), (2.0, 2.0)])
def test_thinned_counts_are_poisson_and_close(rate: float, new_rate: float) -> None:
    n, generator = 200_000, torch.Generator().manual_seed(1)
    old, new = torch.full((n, 1), rate), torch.full((n, 1), new_rate)
    counts = torch.poisson(old, generator=generator)
    got = thinned_counts(counts, old, new, generator).long()
    values = torch.arange(int(got.max()) + 1)
    expected = td.Poisson(torch.tensor(new_rate)).log_prob(values).exp()
    found = torch.bincount(got.flatten()) / n
    assert ((found - expected).abs() < 5 * (expected / n).sqrt() + 5 / n).all()
    distance = (got - counts).double().square().mean()
    assert float(distance) == pytest.approx(abs(rate - new_rate) + (rate - new_rate) ** 2, rel=0.02)


@pytest.mark.parametrize("method", METHODS)
def test_effects_do_not_depend_on_which_conditions_are_asked_for(method: Method) -> None:
    module, options = small_module().double(), {"library_size": [50.0, 300.0], "n_particles": 500}
    whole = model_ate(module, DOSAGES, method=method, **options)  # type: ignore[arg-type]
    for rows in ([0], [3, 1], [2, 0, 1]):
        part = model_ate(module, DOSAGES[rows], method=method, **options)  # type: ignore[arg-type]
        np.testing.assert_allclose(part.mean, whole.mean[rows], rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(
            part.standard_error, whole.standard_error[rows], rtol=1e-6, atol=1e-8
        )


class LargestTensor(TorchDispatchMode):
    """Records the number of entries of the largest tensor that is made."""

    entries = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        sizes = [leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        self.entries = max(self.entries, *sizes, 0)
        return result


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("max_elements", [2_000, 20_000])
def test_no_array_is_larger_than_the_bound(method: Method, max_elements: int) -> None:
    doses = np.random.default_rng(0).integers(0, 2, (30, 3))
    with LargestTensor() as largest:
        model_ate(
            small_module(), doses, library_size=[50.0, 90.0], n_particles=400, method=method,
            max_elements=max_elements,
        )  # fmt: skip
    assert max_elements / 3 < largest.entries <= max_elements


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("max_elements", [1, 5_000, 60_000])
def test_a_memory_bound_changes_draws_but_not_the_answer(max_elements: int, method: Method) -> None:
    module = small_module()
    n = 200 if max_elements == 1 else 3_000
    whole = model_ate(module, DOSAGES, library_size=100.0, n_particles=3_000, method=method)
    shares: list[float] = []
    parts = model_ate(
        module,
        DOSAGES,
        library_size=100.0,
        n_particles=n,
        method=method,
        max_elements=max_elements,
        progress=shares.append,
    )
    error = np.hypot(parts.standard_error, whole.standard_error)
    assert (np.abs(parts.mean - whole.mean)[:3] < 5 * error[:3]).all()
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)


@pytest.mark.parametrize("method", METHODS)
def test_same_seed_same_answer(method: Method) -> None:
    module = small_module()
    first, again, other = (
        model_ate(module, DOSAGES, library_size=100.0, n_particles=200, seed=seed, method=method)
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first.mean, again.mean)
    np.testing.assert_array_equal(first.standard_error, again.standard_error)
    assert not np.array_equal(first.mean, other.mean)


@pytest.mark.parametrize("method", METHODS)
def test_a_closed_mask_has_no_effect(method: Method) -> None:
    module = small_module()
    got = model_ate(module, DOSAGES, library_size=100.0, n_particles=400, method=method)
    assert np.abs(got.mean[3]).max() < 1e-5
    one = model_ate(module, DOSAGES, library_size=100.0, n_particles=1, method=method)
    assert np.isfinite(one.mean).all()
    assert np.isnan(one.standard_error).all()


def test_double_precision_agrees() -> None:
    module = small_module()
    single = model_ate(module, DOSAGES, library_size=500.0, n_particles=2_000)
    double = model_ate(module.double(), DOSAGES, library_size=500.0, n_particles=2_000)
    z = (single.mean - double.mean) / np.hypot(single.standard_error, double.standard_error)
    assert np.abs(z[:3]).max() < 5


@pytest.mark.parametrize("library_size", [0.0, [100.0, -1.0], [np.nan]])
def test_library_sizes_are_positive(library_size: float | list[float]) -> None:
    with pytest.raises(ConfigError, match="library_size"):
        model_ate(small_module(), DOSAGES, library_size=library_size, n_particles=2)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", SAMS_FIXTURES)
def test_stored_effects(shared_fixtures: Path, name: str, method: Method) -> None:
    fixture = load_fixture(shared_fixtures, name)
    arrays = fixture.arrays
    names = [f"G{i + 1}" for i in range(fixture.module.n_perturbations)]
    dosages = np.array(
        [
            [float(gene in condition.split("+")) for gene in names]
            for condition in arrays["ate/names"]
        ]
    )
    got: ModelEffects = model_ate(
        fixture.module, dosages, library_size=1e4, n_particles=5_000, method=method
    )
    stored_error = np.sqrt(np.mean(arrays["ate/mc_se"] ** 2, axis=0))  # each from a few repeats
    z = (got.mean - arrays["ate/values"]) / np.hypot(got.standard_error, stored_error)
    assert np.abs(z).max() < 4.5
    assert np.square(z).mean() < 1.3
