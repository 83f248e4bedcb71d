"""SAMS-VAE reproduces the independent implementation's numbers (``../shared/fixtures``)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sams_core.models.distributions import straight_through_round
from sams_core.models.sams_vae import ShiftSample
from tests.support.fixture_models import SAMS_FIXTURES, Fixture, load_fixture, our_name


@pytest.fixture(params=SAMS_FIXTURES)
def reference(request: pytest.FixtureRequest, shared_fixtures: Path) -> Fixture:
    return load_fixture(shared_fixtures, request.param)


def assert_close(ours: Tensor, theirs: np.ndarray, rtol: float = 1e-4) -> None:
    """Largest deviation relative to the largest entry, so that zeros are judged fairly."""
    expected = torch.as_tensor(theirs).to(ours.dtype).expand_as(ours)
    scale = expected.abs().clamp_min(1e-2 * expected.abs().max())
    worst = float(((ours.detach() - expected).abs() / scale).max())
    assert worst < rtol, f"relative deviation {worst:.2e}"


def test_guide_parameters(reference: Fixture) -> None:
    module, arrays, sample = reference.module, reference.arrays, reference.sample()
    assert_close(module.mask_probabilities(), arrays["q/mask_probs"])
    assert_close(sample.embedding_loc.squeeze(0), arrays["q/E_loc"])
    assert_close(sample.embedding_scale.squeeze(0), arrays["q/E_scale"])
    loc, scale = module.encode(reference.batch, module.shift(reference.batch.dosages, sample))
    shape = arrays["q/z_basal_loc"].shape
    assert_close(loc.expand(shape), arrays["q/z_basal_loc"])
    assert_close(scale.expand(shape), arrays["q/z_basal_scale"])


def test_decoder(reference: Fixture) -> None:
    module, arrays, batch = reference.module, reference.arrays, reference.batch
    z = reference.tensor("sample/z_basal") + module.shift(batch.dosages, reference.sample())
    log_mu = module.log_expected_counts(z, batch.library_size)
    assert_close(log_mu.exp(), arrays["p/nb_mean"])
    assert_close(module.log_concentration.exp(), arrays["p/nb_concentration"])
    assert_close(module.log_likelihood(z, batch), arrays["out/log_px_cell"])


@pytest.mark.parametrize("zero_count", [False, True])
def test_elbo_terms(reference: Fixture, zero_count: bool) -> None:
    module, arrays, batch, sample = (
        reference.module,
        reference.arrays,
        reference.batch,
        reference.sample(),
    )
    if zero_count:
        module.cells_per_perturbation[-1] = 0
    shift = module.shift(batch.dosages, sample)
    z_basal = reference.tensor("sample/z_basal")
    z, mask, embedding = module.log_ratios(sample, z_basal, *module.encode(batch, shift))
    weights = module.plate_weights(batch.dosages)
    suffix = "_zerocount" if zero_count else ""
    assert_close(z, arrays["out/term_z_basal"])
    assert_close(mask @ weights.T, arrays[f"out/term_mask{suffix}"])
    assert_close(embedding @ weights.T, arrays[f"out/term_E{suffix}"])
    assert_close(module.log_likelihood(z_basal + shift, batch), arrays["out/term_reconstruction"])


def paper_loss(reference: Fixture) -> Tensor:
    """The negative ELBO at the stored draws, with their noise held fixed."""
    module, batch = reference.module, reference.batch
    soft = reference.tensor("sample_soft/mask")
    uniform = torch.logit(soft) * module.config.mask_temperature - module.mask_logits.detach()
    soft = torch.sigmoid((module.mask_logits + uniform) / module.config.mask_temperature)
    mask = straight_through_round(soft)
    loc, scale = module.embedding_posterior(mask)
    noise = (reference.tensor("sample/E") - loc.detach()) / scale.detach()
    sample = ShiftSample(mask, loc + scale * noise, loc, scale)
    shift = module.shift(batch.dosages, sample)
    z_loc, z_scale = module.encode(batch, shift)
    z_noise = (reference.tensor("sample/z_basal") - z_loc.detach()) / z_scale.detach()
    z_basal = z_loc + z_scale * z_noise
    z, mask_ratio, embedding = module.log_ratios(sample, z_basal, z_loc, z_scale)
    weights = module.plate_weights(batch.dosages)
    log_px = module.log_likelihood(z_basal + shift, batch)
    return -(log_px + z + (mask_ratio + embedding) @ weights.T).mean()


@pytest.mark.parametrize("name", SAMS_FIXTURES)
def test_loss_and_gradients(name: str, shared_fixtures: Path) -> None:
    reference = load_fixture(shared_fixtures, name, torch.float64)
    loss = paper_loss(reference)
    assert float(loss.detach()) == pytest.approx(float(reference.arrays["out/elbo_loss"]), rel=1e-4)
    loss.backward()
    compared = 0
    for key, theirs in reference.arrays.items():
        ours = our_name(key.removeprefix("grad/")) if key.startswith("grad/") else None
        if ours is None:
            continue
        gradient = reference.module.get_parameter(ours).grad
        assert gradient is not None
        deviation = (gradient - torch.as_tensor(theirs)).abs().max() / np.abs(theirs).max()
        assert float(deviation) < 1e-5, f"{ours}: {float(deviation):.1e}"
        compared += 1
    assert compared == len(list(reference.module.parameters()))
