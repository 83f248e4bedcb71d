"""SAMS-VAE's mask: its closed forms by enumeration, and how it closes an effect."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import distributions as td

from sams_core.models import ShiftSample, masks
from tests.support.tiny import tiny_batch, tiny_module


def test_mask_kl_is_exact_by_enumeration() -> None:
    module = tiny_module()
    probability = module.mask_probabilities().detach()
    expected = torch.zeros(module.n_perturbations, dtype=torch.float64)
    for values in itertools.product([0.0, 1.0], repeat=module.config.n_latent):
        mask = torch.tensor(values, dtype=torch.float64).expand_as(probability)
        q = td.Bernoulli(probability).log_prob(mask).sum(-1)
        p = td.Bernoulli(torch.full_like(mask, module.config.mask_prior)).log_prob(mask).sum(-1)
        expected += q.exp() * (p - q)
    terms = module.elbo_terms(tiny_batch(module), 1)
    torch.testing.assert_close(terms.mask[0].detach(), expected)


@pytest.mark.parametrize(("a", "b"), [(1.0, 5.0), (0.5, 2.0)])
def test_a_learned_prior_is_estimated_by_a_point(a: float, b: float) -> None:
    """The mask's own terms cancel, sampled or not; its probability's density remains."""
    module = tiny_module("mean_field", learned_mask_prior=True, mask_prior_a=a, mask_prior_b=b)
    batch = tiny_batch(module)
    terms = [module.elbo_terms(batch, 3, exact=exact).mask for exact in (True, False)]
    probability = module.mask_probabilities().detach()
    expected = td.Beta(*torch.tensor([a, b], dtype=torch.float64)).log_prob(probability).sum(-1)
    for term in terms:
        torch.testing.assert_close(term.detach(), expected[None], rtol=1e-9, atol=1e-9)


def test_a_certain_mask_keeps_a_finite_prior() -> None:
    logits = torch.tensor([[-200.0, 200.0]], requires_grad=True)
    term = masks.learned_prior_term(logits, 0.5, 5.0)
    term.sum().backward()
    assert bool(torch.isfinite(term).all())
    assert logits.grad is not None
    assert bool(torch.isfinite(logits.grad).all())


def test_shift_sample_effect_is_masked() -> None:
    mask = torch.tensor([[[1.0, 0.0]]])
    embedding = torch.tensor([[[2.0, 3.0]]])
    sample = ShiftSample(mask, embedding, embedding, torch.ones_like(embedding))
    torch.testing.assert_close(sample.effect, torch.tensor([[[2.0, 0.0]]]))
