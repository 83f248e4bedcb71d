"""Posterior moments of the shifts against enumerated masks and against draws."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor
from torch import distributions as td

from sams_core.models import (
    ConditionalVAEModule,
    CPAVAEModule,
    PerturbationVAE,
    SVAEPlusModule,
    shift_moments,
)
from tests.support.slow_path import slow_embedding_guide
from tests.support.small_models import small_module, small_variant
from tests.support.tiny import VARIANTS

Moments = dict[str, np.ndarray]


def enumerated(module: PerturbationVAE) -> tuple[Moments, Moments]:
    """Exact moments of E and E * M over all masks, and the sd over masks of what is averaged."""
    T, L = module.n_perturbations, module.n_latent
    weights = {k: v.detach() for k, v in module.named_parameters()}
    sums = torch.zeros(4, 2, T, L, dtype=torch.float64)
    for t, values in itertools.product(range(T), itertools.product([0.0, 1.0], repeat=L)):
        mask = torch.tensor(values, dtype=torch.float64)
        probability, loc, scale = _guide(module, weights, t, mask)
        second = loc**2 + scale**2
        for row, value in enumerate((loc, second, mask * loc, mask * second)):
            sums[row, 0, t] += probability * value
            sums[row, 1, t] += probability * value**2
    mean_e, second_e, mean_s, second_s = sums[:, 0]
    moments = {
        "embedding_mean": mean_e,
        "embedding_sd": (second_e - mean_e**2).clamp_min(0).sqrt(),
        "effect_mean": mean_s,
        "effect_sd": (second_s - mean_s**2).clamp_min(0).sqrt(),
    }
    spread = (sums[:, 1] - sums[:, 0] ** 2).clamp_min(0).sqrt()
    names = ("embedding_mean", "embedding_second", "effect_mean", "effect_second")
    return (
        {name: value.numpy() for name, value in moments.items()},
        dict(zip(names, spread.numpy(), strict=True)),
    )


def _guide(
    module: PerturbationVAE, weights: dict[str, Tensor], t: int, mask: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Probability of a mask, and mean and scale of E given it."""
    if isinstance(module, CPAVAEModule):
        probability = mask.prod()
    else:
        probability = td.Bernoulli(logits=weights["mask_logits"][t]).log_prob(mask).sum().exp()
    if isinstance(module, SVAEPlusModule):
        return probability, weights["prior_shift"][t], torch.zeros_like(mask)
    q = slow_embedding_guide(module, weights, t, mask)
    return probability, q.loc, q.scale


@pytest.mark.parametrize("variant", [v for v in VARIANTS if v != "conditional_vae"])
def test_moments_are_those_of_all_masks(variant: str) -> None:
    module, draws = small_variant(variant).double(), 10_000
    got = shift_moments(module, n_draws=draws, seed=1)
    expected, spread = enumerated(module)
    for kind in ("embedding", "effect"):
        mean, sd = getattr(got, f"{kind}_mean"), getattr(got, f"{kind}_sd")
        error = spread[f"{kind}_mean"] / np.sqrt(draws)
        assert (np.abs(mean - expected[f"{kind}_mean"]) < 5 * error + 1e-9).all(), kind
        second = expected[f"{kind}_sd"] ** 2 + expected[f"{kind}_mean"] ** 2
        error = spread[f"{kind}_second"] / np.sqrt(draws)
        assert (np.abs(sd**2 + mean**2 - second) < 5 * error + 1e-9).all(), kind


@pytest.mark.parametrize("variant", VARIANTS)
def test_moments_are_those_of_many_draws(variant: str) -> None:
    module = small_variant(variant)
    got = shift_moments(module, n_draws=8_000, seed=1)
    sample = module.sample_shift_parameters(8_000, torch.Generator().manual_seed(2))
    embedding, effect = sample.embedding.detach().numpy(), sample.effect.detach().numpy()
    np.testing.assert_allclose(got.embedding_mean, embedding.mean(0), atol=0.1)
    np.testing.assert_allclose(got.embedding_sd, embedding.std(0), rtol=0.06, atol=0.02)
    np.testing.assert_allclose(got.effect_mean, effect.mean(0), atol=0.1)
    np.testing.assert_allclose(got.effect_sd, effect.std(0), rtol=0.08, atol=0.03)
    if module.has_mask:
        assert not got.effect_sd[-1].any(), "the last perturbation's mask is closed"


def test_the_conditional_vae_shifts_nothing() -> None:
    module = small_variant("conditional_vae")
    assert isinstance(module, ConditionalVAEModule)
    moments = shift_moments(module, n_draws=3)
    for values in (
        moments.embedding_mean,
        moments.embedding_sd,
        moments.effect_mean,
        moments.effect_sd,
    ):
        assert values.shape == (module.n_perturbations, module.n_latent)
        assert not values.any()
    assert not module.mask_probabilities().any()


def test_mean_field_moments_are_exact() -> None:
    module = small_module("mean_field")
    got = shift_moments(module, n_draws=3)
    np.testing.assert_allclose(got.embedding_mean, module.embedding_loc.detach(), rtol=1e-5)
    scale = module.embedding_log_scale.exp().detach().numpy() + 1e-4
    np.testing.assert_allclose(got.embedding_sd, scale, rtol=1e-4)
