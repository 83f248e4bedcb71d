from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import NegativeBinomial

from sams_core.analysis.expected import expected_given_total, expected_log_normalised

G = 7


def parameters(library: float) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    share = torch.linspace(-3, 3, G, dtype=torch.float64).softmax(-1)
    return (share * library).log(), torch.linspace(-1.5, 3, G, dtype=torch.float64)


@pytest.mark.parametrize("library", [3.0, 60.0, 20_000.0])
def test_expectation_is_the_mean_of_many_draws(library: float) -> None:
    log_mean, log_concentration = parameters(library)
    torch.manual_seed(1)
    counts = NegativeBinomial(log_concentration.exp(), logits=log_mean - log_concentration)
    x = counts.sample(torch.Size((200_000,)))
    y = torch.log2(1e4 * x / x.sum(1, keepdim=True).clamp_min(1) + 1)
    error = y.std(0) / len(y) ** 0.5
    got = expected_log_normalised(log_mean, log_concentration)
    assert ((got - y.mean(0)) / error).abs().max() < 4


def test_expectation_is_exact_where_it_can_be_summed() -> None:
    log_mean, log_concentration = parameters(4.0)
    log_mean, log_concentration = log_mean[-2:], log_concentration[-2:]
    counts = torch.arange(150, dtype=torch.float64)
    theta, mu = log_concentration.exp(), log_mean.exp()
    log_p = (
        torch.lgamma(counts[:, None] + theta)
        - torch.lgamma(theta)
        - torch.lgamma(counts[:, None] + 1)
        + theta * torch.log(theta / (theta + mu))
        + counts[:, None] * torch.log(mu / (theta + mu))
    )
    joint = log_p[:, 0].exp()[:, None] * log_p[:, 1].exp()
    assert float(joint.sum()) == pytest.approx(1.0, abs=1e-9)
    total = (counts[:, None] + counts).clamp_min(1)
    exact = [
        float((joint * torch.log2(1e4 * counts[:, None] / total + 1)).sum()),
        float((joint * torch.log2(1e4 * counts / total + 1)).sum()),
    ]
    got = expected_log_normalised(log_mean, log_concentration)
    np.testing.assert_allclose(got.numpy(), exact, atol=3e-5)


def test_single_precision_keeps_four_digits() -> None:
    log_mean, log_concentration = parameters(500.0)
    double = expected_log_normalised(log_mean, log_concentration)
    single = expected_log_normalised(log_mean.float(), log_concentration.float())
    torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-4)


def test_cells_of_many_sizes_do_not_disturb_each_other() -> None:
    cells = [parameters(library)[0] for library in (0.5, 40.0, 3_000.0, 1e5)] * 40
    log_concentration = parameters(1.0)[1]
    together = expected_log_normalised(torch.stack(cells).view(4, 40, G), log_concentration)
    alone = torch.stack([expected_log_normalised(cell, log_concentration) for cell in cells])
    torch.testing.assert_close(together.view(-1, G), alone, rtol=0, atol=5e-6)


def test_given_the_total_of_the_same_cell_it_is_the_same() -> None:
    log_mean, log_concentration = parameters(60.0)
    expected = expected_log_normalised(log_mean, log_concentration)
    got = expected_given_total(log_mean, log_concentration, log_mean)
    torch.testing.assert_close(got, expected)


def test_given_a_total_of_one_gene_it_is_a_plain_integral() -> None:
    """With concentration 1 the integrand is a rational function, integrated on a fine grid."""
    log_mean = torch.tensor([[-1.0], [0.5]], dtype=torch.float64)
    size, theta = torch.tensor([math.log(20.0)], dtype=torch.float64), torch.zeros(1).double()
    t = torch.logspace(-12, 2, 200_001, dtype=torch.float64)

    def laplace(log_mu: Tensor, at: Tensor) -> Tensor:
        return 1 / (1 + log_mu.exp() * -torch.expm1(-at))

    ratio = 1 - laplace(log_mean, (1 + 1e4) * t) / laplace(log_mean, t)
    expected = torch.trapezoid(laplace(size, t) * ratio / t, t) / math.log(2)
    got = expected_given_total(log_mean, theta, size)
    torch.testing.assert_close(got[:, 0], expected, rtol=1e-4, atol=1e-5)
