"""Every family reproduces the independent implementation's numbers (``../shared/fixtures``)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from sams_core.models import ConditionalVAEModule, ShiftSample, SVAEPlusModule
from sams_core.models.distributions import straight_through_round
from tests.support.fixture_models import FIXTURES, Fixture, load_fixture, our_name


@pytest.fixture(params=FIXTURES)
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
    shift = module.shift(reference.batch.dosages, sample)
    loc, scale = module.encode(reference.batch, shift)
    if module.has_mask:
        assert_close(module.mask_probabilities(), arrays["q/mask_probs"].reshape(-1, 6, 8)[0])
    if "q/E_loc" in arrays:
        assert_close(sample.embedding_loc.squeeze(0), arrays["q/E_loc"])
        assert_close(sample.embedding_scale.squeeze(0), arrays["q/E_scale"])
    if isinstance(module, SVAEPlusModule):
        assert_close(shift, arrays["p/z_loc"])
        loc = loc + shift
    name = "q/z_basal" if "q/z_basal_loc" in arrays else "q/z"
    shape = torch.broadcast_shapes(arrays[f"{name}_loc"].shape, loc.shape)
    assert_close(loc.expand(shape), arrays[f"{name}_loc"])
    assert_close(scale.expand(shape), arrays[f"{name}_scale"])


def test_decoder(reference: Fixture) -> None:
    module, arrays, batch = reference.module, reference.arrays, reference.batch
    shift = module.shift(batch.dosages, reference.sample())
    state = module.state(reference.z_basal(shift), shift, batch.dosages)
    log_mu = module.log_expected_counts(state, batch.library_size)
    assert_close(log_mu.exp(), arrays["p/nb_mean"])
    assert_close(module.log_concentration.exp(), arrays["p/nb_concentration"])
    assert_close(module.log_likelihood(state, batch), arrays["out/log_px_cell"])


@pytest.mark.parametrize("zero_count", [False, True])
def test_elbo_terms(reference: Fixture, zero_count: bool) -> None:
    module, arrays, batch = reference.module, reference.arrays, reference.batch
    sample = reference.sample()
    if zero_count:
        module.cells_per_perturbation[-1] = 0
    shift = module.shift(batch.dosages, sample)
    z_basal = reference.z_basal(shift)
    z = module.z_basal_term(z_basal, *module.encode(batch, shift))
    mask, embedding = module.plated_terms(sample, exact=False)
    weights = module.plate_weights(batch.dosages)
    suffix = "_zerocount" if zero_count else ""
    assert_close(z, arrays[f"out/term_{'z_basal' if 'out/term_z_basal' in arrays else 'z'}"])
    prior = next((k for k in arrays if k.startswith("out/term_mask_prob")), "")
    if prior:  # the mask's own terms cancel, but for rounding
        stored = arrays[prior.removesuffix("_zerocount") + suffix]
        assert_close((mask @ weights.T).expand(stored.shape), stored)
    elif module.has_mask:
        assert_close(mask @ weights.T, arrays[f"out/term_mask{suffix}"])
    else:
        assert not mask.any()
    if "out/term_E" in arrays:
        assert_close(embedding @ weights.T, arrays[f"out/term_E{suffix}"])
    else:
        assert not embedding.any()
    state = module.state(z_basal, shift, batch.dosages)
    assert_close(module.log_likelihood(state, batch), arrays["out/term_reconstruction"])


def paper_loss(reference: Fixture) -> Tensor:
    """The negative ELBO at the stored draws, with their noise held fixed."""
    module, batch = reference.module, reference.batch
    sample = _reparameterised(reference)
    shift = module.shift(batch.dosages, sample)
    loc, scale = module.encode(batch, shift)
    noise = (reference.z_basal(shift.detach()) - loc.detach()) / scale.detach()
    z_basal = loc + scale * noise
    z = module.z_basal_term(z_basal, loc, scale)
    mask, embedding = module.plated_terms(sample, exact=False)
    weights = module.plate_weights(batch.dosages)
    log_px = module.log_likelihood(module.state(z_basal, shift, batch.dosages), batch)
    return -(log_px + z + (mask + embedding) @ weights.T).mean()


def _reparameterised(reference: Fixture) -> ShiftSample:
    module, sample = reference.module, reference.sample()
    if isinstance(module, ConditionalVAEModule):
        return sample
    mask = sample.mask
    if module.mask_logits is not None:
        soft, logits = reference.tensor("sample_soft/mask"), module.mask_logits
        uniform = torch.logit(soft) - logits.detach()
        mask = straight_through_round(torch.sigmoid(logits + uniform))
    if isinstance(module, SVAEPlusModule):
        loc = module.prior_shift[None]
        return ShiftSample(mask, loc.expand(mask.shape), loc, torch.zeros_like(loc))
    loc, scale = module.embedding_posterior(mask)  # type: ignore[operator]
    noise = (reference.tensor("sample/E") - loc.detach()) / scale.detach()
    return ShiftSample(mask, loc + scale * noise, loc, scale)


@pytest.mark.parametrize("name", FIXTURES)
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
