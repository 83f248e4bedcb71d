"""Posterior moments against many draws."""

from __future__ import annotations

import numpy as np
import pytest

from sams_core.models import Inference, shift_moments
from tests.support.small_models import small_module


@pytest.mark.parametrize("inference", ["correlated", "mean_field"])
def test_moments_are_those_of_many_draws(inference: Inference) -> None:
    module = small_module(inference)
    got = shift_moments(module, n_draws=8_000, seed=1)
    sample = module.sample_shift_parameters(8_000)
    embedding, effect = sample.embedding.detach().numpy(), sample.effect.detach().numpy()
    np.testing.assert_allclose(got.embedding_mean, embedding.mean(0), atol=0.06)
    np.testing.assert_allclose(got.embedding_sd, embedding.std(0), rtol=0.06, atol=0.02)
    np.testing.assert_allclose(got.effect_mean, effect.mean(0), atol=0.1)
    np.testing.assert_allclose(got.effect_sd, effect.std(0), rtol=0.08, atol=0.03)
    assert (got.effect_sd[-1] == 0).all()


def test_mean_field_moments_are_exact() -> None:
    module = small_module("mean_field")
    got = shift_moments(module, n_draws=3)
    np.testing.assert_allclose(got.embedding_mean, module.embedding_loc.detach(), rtol=1e-5)
    scale = module.embedding_log_scale.exp().detach().numpy() + 1e-4
    np.testing.assert_allclose(got.embedding_sd, scale, rtol=1e-4)
