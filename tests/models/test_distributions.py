"""Each distribution against ``torch.distributions`` or a closed form, in float64."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import distributions as td

from sams_core.models import distributions as dist

torch.set_default_dtype(torch.float32)
DOUBLE = torch.float64


def negative_binomial(mean: torch.Tensor, concentration: torch.Tensor) -> td.NegativeBinomial:
    return td.NegativeBinomial(concentration, logits=(mean / concentration).log())


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    n=st.integers(1, 5),
    genes=st.integers(1, 9),
    particles=st.integers(1, 3),
    log_theta=st.floats(-6, 9),
    log_scale=st.floats(-8, 8),
)
def test_gamma_poisson_is_torchs_negative_binomial(
    seed: int, n: int, genes: int, particles: int, log_theta: float, log_scale: float
) -> None:
    generator = torch.Generator().manual_seed(seed)
    log_mean = torch.randn(particles, n, genes, dtype=DOUBLE, generator=generator) + log_scale
    log_theta_ = torch.randn(genes, dtype=DOUBLE, generator=generator) + log_theta
    counts = torch.poisson(log_mean[0].exp(), generator=generator)
    ours = dist.gamma_poisson_log_prob(counts, log_mean, log_theta_)
    theirs = negative_binomial(log_mean.exp(), log_theta_.exp()).log_prob(counts).sum(-1)
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-6)


def test_gamma_poisson_gradients() -> None:
    generator = torch.Generator().manual_seed(0)
    log_mean = torch.randn(2, 3, 4, dtype=DOUBLE, generator=generator, requires_grad=True)
    log_theta = torch.randn(4, dtype=DOUBLE, generator=generator, requires_grad=True)
    counts = torch.tensor([[0.0, 1, 2, 7]] * 3, dtype=DOUBLE)
    assert torch.autograd.gradcheck(
        lambda mean, theta: dist.gamma_poisson_log_prob(counts, mean, theta), (log_mean, log_theta)
    )


def test_gamma_poisson_is_finite_where_float32_overflows() -> None:
    counts = torch.tensor([[0.0, 5.0]])
    for log_mean in (-80.0, 60.0):
        value = dist.gamma_poisson_log_prob(counts, torch.full((1, 2), log_mean), torch.zeros(2))
        assert torch.isfinite(value).all()


def test_normal_terms() -> None:
    generator = torch.Generator().manual_seed(0)
    x, loc = torch.randn(2, 5, 3, dtype=DOUBLE, generator=generator)
    scale = torch.rand(5, 3, dtype=DOUBLE, generator=generator) + 0.1
    torch.testing.assert_close(
        dist.normal_log_prob(x, loc, scale), td.Normal(loc, scale).log_prob(x)
    )
    prior = td.Normal(torch.zeros_like(loc), torch.full_like(loc, 1.7))
    expected = td.kl_divergence(td.Normal(loc, scale), prior).sum(-1)
    torch.testing.assert_close(dist.normal_kl(loc, scale, 1.7), expected)
    loc.requires_grad_(), scale.requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: dist.normal_kl(a, b, 1.7), (loc, scale))


@pytest.mark.parametrize("prior", [0.001, 0.1, 0.9])
def test_bernoulli_terms(prior: float) -> None:
    logits = torch.linspace(-12, 12, 25, dtype=DOUBLE)
    posterior = td.Bernoulli(logits=logits)
    expected = td.kl_divergence(posterior, td.Bernoulli(torch.full_like(logits, prior)))
    torch.testing.assert_close(dist.bernoulli_kl(logits, prior), expected)
    for value in (0.0, 1.0):
        x = torch.full_like(logits, value)
        torch.testing.assert_close(
            dist.bernoulli_log_prob(x, prior),
            td.Bernoulli(torch.full_like(logits, prior)).log_prob(x),
        )


def test_bernoulli_log_prob_clips_certainty() -> None:
    eps = torch.finfo(torch.float32).eps
    value = dist.bernoulli_log_prob(torch.ones(1, dtype=DOUBLE), torch.zeros(1, dtype=DOUBLE))
    assert float(value) == pytest.approx(math.log(eps))


def test_relaxed_bernoulli_rounds_to_a_bernoulli() -> None:
    logits = torch.tensor([-3.0, 0.0, 1.5])
    generator = torch.Generator().manual_seed(1)
    soft = dist.relaxed_bernoulli_sample(logits, 0.7, torch.Size((100_000, 3)), generator)
    assert bool(((soft >= 0) & (soft <= 1)).all())
    torch.testing.assert_close(
        (soft > 0.5).float().mean(0), torch.sigmoid(logits), rtol=0, atol=0.006
    )
    reference = td.RelaxedBernoulli(torch.tensor(0.7), logits=logits)
    torch.manual_seed(2)
    torch.testing.assert_close(
        soft.mean(0), reference.sample(torch.Size((100_000,))).mean(0), rtol=0, atol=0.006
    )


def test_straight_through_rounds_forward_and_not_backward() -> None:
    soft = torch.tensor([0.2, 0.7], requires_grad=True)
    hard = dist.straight_through_round(soft)
    torch.testing.assert_close(hard.detach(), torch.tensor([0.0, 1.0]))
    (hard * torch.tensor([3.0, 5.0])).sum().backward()
    assert soft.grad is not None
    torch.testing.assert_close(soft.grad, torch.tensor([3.0, 5.0]))


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (1.0, 5.0), (0.5, 0.5), (2.0, 10.0), (30.0, 0.1)])
def test_beta_log_prob(a: float, b: float) -> None:
    eps = torch.finfo(torch.float32).eps
    ends = torch.tensor([eps, 1 - eps], dtype=DOUBLE)
    x = torch.cat([ends, torch.linspace(0.001, 0.999, 41, dtype=DOUBLE)]).requires_grad_()
    reference = td.Beta(torch.tensor(a, dtype=DOUBLE), torch.tensor(b, dtype=DOUBLE))
    torch.testing.assert_close(
        dist.beta_log_prob(x, a, b), reference.log_prob(x), rtol=1e-10, atol=1e-9
    )
    assert torch.autograd.gradcheck(lambda x: dist.beta_log_prob(x, a, b), x[2:])
