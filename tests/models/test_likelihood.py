"""The fused likelihood against the plain one: a log-softmax and a negative binomial, in float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sams_core.models import distributions as dist
from sams_core.models import likelihood
from sams_core.models.likelihood import (
    counting_terms,
    decoded_log_likelihood,
    plain_log_likelihood,
)

DOUBLE = torch.float64
Inputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


def in_double(given_: Inputs) -> Inputs:
    return tuple(value.detach().double() for value in given_)  # type: ignore[return-value]


def inputs(
    seed: int, P: int, n: int, H: int, G: int, log_theta: float = 0.0, depth: float = 5.0
) -> Inputs:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, dtype=DOUBLE, generator=generator)

    rates = torch.rand(n, G, dtype=DOUBLE, generator=generator) * depth
    counts = torch.poisson(rates, generator=generator)
    differentiable = (draw(P, n, H), draw(G, H), draw(G), draw(G) + log_theta)
    made = tuple(value.requires_grad_() for value in differentiable)
    return (*made, counts, counts.sum(1) + 1)  # type: ignore[return-value]


def plain(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    log_theta: Tensor,
    counts: Tensor,
    library: Tensor,
    mean_floor: float = 0.0,
) -> Tensor:
    mean = (hidden @ weight.T + bias).softmax(-1) * library[:, None] + mean_floor
    return dist.gamma_poisson_log_prob(counts, mean.log(), log_theta)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    sizes=st.tuples(*[st.integers(1, 5)] * 3, st.integers(2, 9)),
    log_theta=st.floats(-6, 9),
    depth=st.sampled_from([0.1, 5.0, 400.0]),
    mean_floor=st.sampled_from([0.0, 1e-4, 0.3]),
    block=st.sampled_from([1, 3, 7, 1 << 20]),
    alike=st.booleans(),
)
def test_values_and_gradients_are_those_of_the_plain_path(
    seed: int,
    sizes: tuple[int, int, int, int],
    log_theta: float,
    depth: float,
    mean_floor: float,
    block: int,
    alike: bool,
) -> None:
    """Whatever weight each particle and cell has in the loss, and however cells are blocked."""
    given_ = inputs(seed, *sizes, log_theta, depth)
    weights = torch.randn(sizes[:2], dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))
    if alike:
        weights = weights[0, 0].expand(sizes[:2])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(likelihood, "_BLOCK_ELEMENTS", block * sizes[3])
        ours = decoded_log_likelihood(*given_, mean_floor)
        gradients = torch.autograd.grad((ours * weights).sum(), given_[:4])
    theirs = plain(*given_, mean_floor)
    expected = torch.autograd.grad((theirs * weights).sum(), given_[:4])
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-7)
    for mine, wanted in zip(gradients, expected, strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("mean_floor", [0.0, 0.2])
def test_the_path_for_other_devices_is_the_same(mean_floor: float) -> None:
    given_ = inputs(5, 2, 3, 4, 6)
    expected = plain(*given_, mean_floor)
    torch.testing.assert_close(plain_log_likelihood(*given_, mean_floor), expected)
    constant, _ = counting_terms(given_[4], given_[3].exp(), slope=False)
    torch.testing.assert_close(plain_log_likelihood(*given_, mean_floor, constant), expected)


@pytest.mark.parametrize("mean_floor", [0.0, 0.1])
def test_gradients_are_those_of_finite_differences(mean_floor: float) -> None:
    *differentiable, counts, library = inputs(0, 2, 3, 2, 4)
    assert torch.autograd.gradcheck(
        lambda h, w, b, t: decoded_log_likelihood(h, w, b, t, counts, library, mean_floor),
        tuple(differentiable),
    )


def test_only_what_needs_a_gradient_gets_one() -> None:
    given_ = inputs(1, 2, 3, 2, 4)
    alone = decoded_log_likelihood(*in_double(given_))
    assert not alone.requires_grad
    torch.testing.assert_close(alone, decoded_log_likelihood(*given_).detach())
    hidden = given_[0]
    one = decoded_log_likelihood(hidden, *in_double(given_)[1:])
    (gradient,) = torch.autograd.grad(one.sum(), hidden)
    (expected,) = torch.autograd.grad(plain(*given_).sum(), hidden)
    torch.testing.assert_close(gradient, expected)


def test_order_of_genes_and_cells_does_not_matter() -> None:
    hidden, weight, bias, log_theta, counts, library = inputs(2, 2, 5, 3, 6)
    genes, cells = torch.randperm(6), torch.randperm(5)
    ours = decoded_log_likelihood(
        hidden[:, cells], weight[genes], bias[genes], log_theta[genes],
        counts[cells][:, genes], library[cells],
    )  # fmt: skip
    expected = decoded_log_likelihood(hidden, weight, bias, log_theta, counts, library)
    torch.testing.assert_close(ours, expected[:, cells])


def test_float32_is_close_and_finite_at_extreme_logits() -> None:
    hidden, weight, _, log_theta, counts, library = (
        value.detach().float() for value in inputs(3, 2, 6, 4, 50, depth=40.0)
    )
    for bias in (torch.zeros(50), torch.linspace(-200, 200, 50)):
        given_ = (hidden, weight, bias, log_theta, counts, library)
        ours = decoded_log_likelihood(*given_)
        assert bool(torch.isfinite(ours).all())
        if not bias.any():
            torch.testing.assert_close(ours.double(), plain(*in_double(given_)), rtol=1e-5, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
@pytest.mark.parametrize("height", [1, 3, 64, 10_000])
def test_tables_and_what_is_beyond_them(dtype: torch.dtype, height: int) -> None:
    """Whatever the tables hold: all counts, some, or next to none."""
    counts = torch.poisson(torch.rand(40, 6, dtype=DOUBLE) * 10)
    counts[0, 0], counts[3] = 5000, 0
    theta = torch.logspace(-3, 3, 6, dtype=DOUBLE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(likelihood, "_TABULATED", height)
        value, growth = counting_terms(counts.to(dtype), theta.to(dtype), slope=True)
    expected = torch.lgamma(counts + theta) - torch.lgamma(theta) - torch.lgamma(counts + 1)
    exact = dtype == DOUBLE
    error = 1e-8 if exact else 1e-2  # lgamma(5000) is 37,000
    torch.testing.assert_close(value.double(), expected.sum(-1), rtol=0, atol=error)
    assert growth is not None
    steeper = torch.digamma(counts + theta) - torch.digamma(theta)
    error = 1e-9 if exact else 2e-4
    torch.testing.assert_close(growth.double(), steeper, rtol=1e-9 if exact else 2e-5, atol=error)
