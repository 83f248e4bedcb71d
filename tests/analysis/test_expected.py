from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import NegativeBinomial

from sams_core.analysis.expected import expected_log_normalised, tabulate

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


def test_table_follows_the_exact_expectation_and_averages_library_sizes() -> None:
    sizes = torch.tensor([200.0, 900.0], dtype=torch.float64)
    log_mean, log_concentration = parameters(1.0)
    torch.manual_seed(3)
    cells = (log_mean + 0.2 * torch.randn(40, G, dtype=torch.float64)).log_softmax(-1)
    by_size = [expected_log_normalised(cells + s.log(), log_concentration) for s in sizes]
    exact = torch.stack(by_size).mean(0)
    table = tabulate(
        cells.min(0).values,
        cells.max(0).values,
        log_concentration,
        reference=cells.exp().mean(0),
        library_sizes=sizes,
    )
    assert (table(cells) - exact).abs().max() < 0.02
    centred, expected = table(cells) - table(cells).mean(0), exact - exact.mean(0)
    assert (centred - expected).abs().max() < 0.02


def test_table_of_one_cell_is_exact_there() -> None:
    log_mean, log_concentration = parameters(1.0)
    library = torch.tensor([300.0], dtype=torch.float64)
    exact = expected_log_normalised(log_mean + library.log(), log_concentration)
    table = tabulate(
        log_mean - 1,
        log_mean + 1,
        log_concentration,
        reference=log_mean.exp(),
        library_sizes=library,
    )
    torch.testing.assert_close(table(log_mean), exact, rtol=0, atol=1e-3)
    outside = table(log_mean - 5)
    assert torch.isfinite(outside).all()
    assert (outside < exact).all()
