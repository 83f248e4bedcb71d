"""Every family's ELBO against plain, slow computations in float64."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from sams_core.models import ElboTerms, Minibatch, PerturbationVAE
from sams_core.training import TrainingConfig
from sams_core.training.objective import minibatch_objective
from tests.support.fixture_models import FIXTURES, load_fixture
from tests.support.slow_path import WEIGHTED, Point, slow_plates, slow_points, slow_terms
from tests.support.tiny import VARIANTS, tiny_batch, tiny_variant

TERMS = ("log_likelihood", "z_basal", "mask", "embedding")


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def dosed_batch(module: PerturbationVAE, n: int = 6) -> Minibatch:
    """Controls, singles and doubles, at doses other than 1."""
    batch = tiny_batch(module, n)
    doses = torch.linspace(0.5, 2.0, module.n_perturbations, dtype=torch.float64)
    return dataclasses.replace(batch, dosages=batch.dosages * doses)


def assert_same_terms(ours: ElboTerms, expected: ElboTerms) -> None:
    for name in TERMS:
        values = getattr(expected, name)
        torch.testing.assert_close(
            getattr(ours, name).expand_as(values), values, rtol=1e-9, atol=1e-9, msg=name
        )


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("n_batches", [0, 3])
@pytest.mark.parametrize("n_layers", [1, 3])
@pytest.mark.parametrize("variant", VARIANTS)
def test_terms_equal_a_slow_computation(
    variant: str, n_layers: int, n_batches: int, exact: bool
) -> None:
    more: dict[str, Any] = (
        {"embedding_n_layers": n_layers} if variant.startswith("sams_vae") else {}
    )
    module = tiny_variant(variant, n_layers=n_layers, n_batches=n_batches, mean_floor=1e-4, **more)
    batch = dosed_batch(module)
    with torch.no_grad():
        ours = module.elbo_terms(batch, 2, exact=exact, generator=seeded(5))
        points = slow_points(module, batch, 2, seed=5)
        assert_same_terms(ours, slow_terms(module, batch, points, exact=exact))
        torch.testing.assert_close(module.plate_weights(batch.dosages), slow_plates(module, batch))


@pytest.mark.parametrize(
    ("variant", "settings"),
    [
        ("sams_vae correlated", {"mask_prior": 0.3, "embedding_prior_scale": 0.4}),
        ("sams_vae mean_field learned", {"mask_prior_a": 0.5, "mask_prior_b": 10.0}),
        ("cpa_vae mean_field", {"embedding_prior_scale": 3.0}),
        ("svae_plus", {"mask_prior_a": 2.5, "mask_prior_b": 2.0}),
    ],
)
@pytest.mark.parametrize("exact", [False, True])
def test_terms_follow_the_priors(variant: str, settings: dict[str, Any], exact: bool) -> None:
    module = tiny_variant(variant, **settings)
    batch = dosed_batch(module)
    with torch.no_grad():
        ours = module.elbo_terms(batch, 2, exact=exact, generator=seeded(7))
        expected = slow_terms(module, batch, slow_points(module, batch, 2, seed=7), exact=exact)
    assert_same_terms(ours, expected)


@pytest.mark.parametrize("name", FIXTURES)
def test_stored_samples_equal_a_slow_computation(name: str, shared_fixtures: Path) -> None:
    """Parity in float64: at the independent implementation's weights, cells and draws."""
    fixture = load_fixture(shared_fixtures, name, torch.float64)
    module, batch, sample = fixture.module, fixture.batch, fixture.sample()
    with torch.no_grad():
        shift = module.shift(batch.dosages, sample)
        z_basal = fixture.z_basal(shift)
        state = module.state(z_basal, shift, batch.dosages)
        ours = ElboTerms(
            module.log_likelihood(state, batch),
            module.z_basal_term(z_basal, *module.encode(batch, shift)),
            *module.plated_terms(sample, exact=False),
        )
        drawn = zip(sample.mask, sample.embedding, z_basal, strict=True)
        assert_same_terms(ours, slow_terms(module, batch, [Point(*values) for values in drawn]))
        torch.testing.assert_close(module.plate_weights(batch.dosages), slow_plates(module, batch))


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_gradients_equal_those_of_a_slow_computation(variant: str, exact: bool) -> None:
    masked = variant.startswith(("sams_vae", "svae_plus"))
    more: dict[str, Any] = {"mask_temperature": 0.7} if masked else {}
    module = tiny_variant(variant, n_batches=3, **more)
    batch = dosed_batch(module)
    weights = slow_plates(module, batch)

    def gradients(terms: ElboTerms) -> list[Tensor]:
        per_cell = terms.log_likelihood + terms.z_basal + (terms.mask + terms.embedding) @ weights.T
        return list(torch.autograd.grad(per_cell.mean(), list(module.parameters())))

    ours = gradients(module.elbo_terms(batch, 2, exact=exact, generator=seeded(3)))
    points = slow_points(module, batch, 2, seed=3)
    expected = gradients(slow_terms(module, batch, points, exact=exact))
    for (name, _), got, wanted in zip(module.named_parameters(), ours, expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-8, atol=1e-9, msg=name)


@pytest.mark.parametrize("objective", ["exact", "sampled"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_loss_reaches_every_parameter(variant: str, objective: str) -> None:
    module = tiny_variant(variant, n_batches=3)
    config = TrainingConfig.model_validate({"n_particles": 4, "objective": objective, **WEIGHTED})
    batch = tiny_batch(module, 12)
    minibatch_objective(module, batch, config, 0, seeded(0))["loss"].backward()
    per_perturbation = ("mask_logits", "embedding_loc", "embedding_log_scale", "prior_shift")
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name
        rows = parameter.grad if name in per_perturbation else parameter.grad[None]
        assert all(float(row.abs().max()) > 0 for row in rows), name


@pytest.mark.parametrize("variant", VARIANTS)
def test_closed_form_terms_are_the_mean_of_the_sampled_ones(variant: str) -> None:
    module = tiny_variant(variant)
    batch, draws = dosed_batch(module), 20_000
    with torch.no_grad():
        exact = module.elbo_terms(batch, draws, generator=seeded(0))
        sampled = module.elbo_terms(batch, draws, exact=False, generator=seeded(1))
    for name in TERMS:
        ours, theirs = getattr(exact, name), getattr(sampled, name)
        variances = [v.var(0) if len(v) > 1 else torch.zeros_like(v[0]) for v in (ours, theirs)]
        error = (sum(variances, torch.zeros(())) / draws).sqrt()
        assert bool(((ours.mean(0) - theirs.mean(0)).abs() < 5 * error + 1e-9).all()), name


@pytest.mark.parametrize("variant", VARIANTS)
def test_plate_weights_of_a_perturbation_sum_to_one(variant: str) -> None:
    module = tiny_variant(variant)
    batch = dosed_batch(module, n=12)
    module.cells_per_perturbation.copy_((batch.dosages != 0).sum(0))
    total = module.plate_weights(batch.dosages).sum(0)
    torch.testing.assert_close(total, torch.ones_like(total))
    module.cells_per_perturbation[0] = 0
    assert not module.plate_weights(batch.dosages)[:, 0].any()
