"""The sparsest basis is found, and turning to it leaves a model's likelihood alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sams_core.models import CPAVAEModule, SAMSVAEModule
from sams_core.models.rotation import sparsest_rotation, turn
from tests.support.tiny import ALL_INFERENCE, tiny_batch, tiny_variant

ADDITIVE = [*(f"sams_vae {name}" for name in ALL_INFERENCE), "cpa_vae correlated_z"]


def random_rotation(n: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64)).Q


def sparse_effects(n: int, n_latent: int, seed: int, density: float = 0.15) -> Tensor:
    rng = np.random.default_rng(seed)
    mask = rng.random((n, n_latent)) < density
    mask[np.arange(n), rng.integers(n_latent, size=n)] = True
    sizes = rng.normal(5, 0.5, mask.shape) * rng.choice([-1, 1], mask.shape)
    return torch.from_numpy(mask * sizes)


@pytest.mark.parametrize("n_latent", [2, 5, 15])
@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_a_hidden_sparse_basis_is_found(n_latent: int, noise: float) -> None:
    """Up to order and sign of the latents, though all that is seen is a rotation of it."""
    truth = sparse_effects(60, n_latent, seed=n_latent)
    generator = torch.Generator().manual_seed(0)
    seen = truth @ random_rotation(n_latent, 1)
    seen = seen + noise * torch.randn(seen.shape, generator=generator, dtype=torch.float64)
    rotation = sparsest_rotation(seen, 1.0)
    found = seen @ rotation
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(n_latent, dtype=torch.float64))
    alike = (found.T @ truth).abs() / truth.square().sum(0)
    best = alike.max(0)
    assert len(set(best.indices.tolist())) == n_latent
    matched = found[:, best.indices]
    assert torch.equal(matched.abs() > 2, truth != 0)


def test_spare_latents_stay_empty() -> None:
    truth = torch.cat([sparse_effects(40, 5, seed=3), torch.zeros(40, 15)], 1)
    found = (seen := truth @ random_rotation(20, 2)) @ sparsest_rotation(seen, 1.0)
    assert int(((found.abs() > 0.5).sum(0) > 0).sum()) == 5


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000), st.floats(1e-6, 1e6))
def test_scale_and_order_of_perturbations_do_not_matter(seed: int, factor: float) -> None:
    effects = sparse_effects(30, 4, seed) @ random_rotation(4, seed)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(seed))
    rotation = sparsest_rotation(effects, 1.0, n_starts=8)
    scaled = sparsest_rotation(effects[order] * factor, factor, n_starts=8)
    torch.testing.assert_close(rotation, scaled, rtol=0, atol=1e-4)


def test_no_effects_no_rotation() -> None:
    assert torch.equal(sparsest_rotation(torch.zeros(5, 3), 1.0), torch.eye(3, dtype=torch.float64))


@pytest.mark.parametrize("variant", ADDITIVE)
def test_turning_changes_coordinates_and_no_probability(variant: str) -> None:
    """Shifts and basal means turn; the decoder gives the same likelihood at turned states."""
    module = tiny_variant(variant, seed=4, n_batches=3)
    assert isinstance(module, SAMSVAEModule | CPAVAEModule)
    batch = tiny_batch(module, 8)
    rotation = random_rotation(module.n_latent, 5)

    def look(basis: Tensor) -> tuple[Tensor, ...]:
        """Embedding and basal means, and the log-likelihood at states that were the same before."""
        ones = torch.ones(1, module.n_perturbations, module.n_latent, dtype=torch.float64)
        mean, _ = module.embedding_posterior(ones)
        loc, _ = module.encode(batch, batch.dosages @ mean)
        state = torch.linspace(-2, 2, 8 * module.n_latent, dtype=torch.float64)
        state = state.reshape(1, 8, -1) @ basis
        return mean.clone(), loc, module.log_likelihood(state, batch)

    with torch.no_grad():
        before = look(torch.eye(module.n_latent, dtype=torch.float64))
        turn(module.latent_axes(), rotation)
        after = look(rotation)
    torch.testing.assert_close(after[0], before[0] @ rotation)
    torch.testing.assert_close(after[1], before[1] @ rotation)
    torch.testing.assert_close(after[2], before[2])


def test_adams_moments_turn_along() -> None:
    module = tiny_variant("cpa_vae correlated_z", seed=1)
    assert isinstance(module, CPAVAEModule)
    optimiser = torch.optim.Adam(module.parameters())
    module.elbo_terms(tiny_batch(module)).log_likelihood.sum().backward()
    optimiser.step()
    old = {name: value.clone() for name, value in optimiser.state[module.embedding_loc].items()}
    rotation = random_rotation(3, 6)
    turn(module.latent_axes(), rotation, optimiser.state)
    new = optimiser.state[module.embedding_loc]
    torch.testing.assert_close(new["exp_avg"], old["exp_avg"] @ rotation)
    torch.testing.assert_close(new["exp_avg_sq"], old["exp_avg_sq"] @ rotation.square())
    assert float(new["exp_avg_sq"].min()) >= 0


def test_equal_log_scales_stay_equal() -> None:
    module = tiny_variant("cpa_vae correlated_z", seed=1)
    assert isinstance(module, CPAVAEModule)
    with torch.no_grad():
        module.embedding_log_scale.copy_(torch.arange(4.0)[:, None].expand(4, 3))
    turn(module.latent_axes(), random_rotation(3, 6))
    expected = torch.arange(4.0, dtype=torch.float64)[:, None].expand(4, 3)
    torch.testing.assert_close(module.embedding_log_scale.detach(), expected)
