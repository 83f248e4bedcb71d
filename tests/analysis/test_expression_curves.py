from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sams_core.analysis.expected import expected_given_total, expected_log_normalised
from sams_core.analysis.expression_curves import fit_curves, floored

G = 9
LOG_CONCENTRATION = torch.linspace(-3.5, 4, G, dtype=torch.float64)
SIZES = {
    "one": torch.tensor([300.0], dtype=torch.float64),
    "few": torch.tensor([20.0, 150.0, 900.0], dtype=torch.float64),
    "deep": torch.logspace(3, 5, 50, dtype=torch.float64),
}


def profile() -> Tensor:
    return torch.linspace(-3, 3, G, dtype=torch.float64).softmax(-1)


def exact(log_share: Tensor, size: Tensor, floor: float) -> Tensor:
    """Expectation of every gene at (K,) shares, beside the total of the reference cell: (K, G)."""
    log_mean = (log_share[:, None] + size.log()).expand(-1, G)
    reference = floored(profile().log() + size.log(), floor)
    return expected_given_total(floored(log_mean, floor), LOG_CONCENTRATION, reference)


@pytest.mark.parametrize("floor", [0.0, 0.05])
@pytest.mark.parametrize("sizes", SIZES)
def test_curves_follow_the_expectation_over_all_proportions(sizes: str, floor: float) -> None:
    found = fit_curves(
        LOG_CONCENTRATION, reference=profile(), library_sizes=SIZES[sizes], mean_floor=floor
    )
    log_share = torch.linspace(-25, 0, 60, dtype=torch.float64)
    shares = log_share[:, None].expand(-1, G)
    by_size = torch.stack([exact(log_share, size, floor) for size in SIZES[sizes]])
    mean = found.mean(SIZES[sizes])(shares)
    assert (mean - by_size.mean(0)).abs().max() < 0.02
    assert (mean - by_size.mean(0)).square().mean().sqrt() < 0.004
    at = found.at(SIZES[sizes][:, None])(shares.expand(len(SIZES[sizes]), -1, -1))
    assert (at - by_size).abs().max() < 0.03
    torch.testing.assert_close(at.mean(0), mean)


def test_the_reference_cell_has_its_exact_expectation() -> None:
    size = SIZES["one"]
    found = fit_curves(LOG_CONCENTRATION, reference=profile(), library_sizes=size)
    expected = expected_log_normalised(profile().log() + size.log(), LOG_CONCENTRATION)
    torch.testing.assert_close(found.mean(size)(profile().log()), expected, rtol=0, atol=5e-3)


def test_single_precision_keeps_four_digits() -> None:
    log_share = torch.linspace(-20, 0, 50, dtype=torch.float64)[:, None].expand(-1, G)
    double, single = (
        fit_curves(
            LOG_CONCENTRATION.to(dtype), reference=profile().to(dtype), library_sizes=SIZES["few"]
        ).mean(SIZES["few"])(log_share.to(dtype))
        for dtype in (torch.float64, torch.float32)
    )
    torch.testing.assert_close(single.double(), double, rtol=2e-4, atol=2e-4)
