"""Networks shared by the models: a residual MLP and a Gaussian head on it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

LEAKY_SLOPE = 0.01
VARIANCE_FLOOR = 1e-4


class ResidualMLP(nn.Module):
    """``h_1 = f(W_1 x + b_1)``, then ``h_i = f(W_i h_(i-1) + b_i) + h_(i-1)``; f is LeakyReLU.

    Parameters
    ----------
    n_in, n_hidden, n_layers
        Width of the input, of every layer, and the number of layers (at least 1).
    """

    def __init__(self, n_in: int, n_hidden: int, n_layers: int) -> None:
        super().__init__()
        widths = [n_in] + [n_hidden] * (n_layers - 1)
        self.layers = nn.ModuleList(nn.Linear(width, n_hidden) for width in widths)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(..., n_in)`` to ``(..., n_hidden)``."""
        return self.after_first(self.first(x))

    @property
    def first(self) -> nn.Linear:
        """The first layer."""
        layer = self.layers[0]
        assert isinstance(layer, nn.Linear)
        return layer

    def first_weight(self, start: int, stop: int) -> Tensor:
        """Columns of the first layer's weight that read inputs ``start`` to ``stop``: (H, k)."""
        return self.first.weight[:, start:stop]

    def after_first(self, pre_activation: Tensor) -> Tensor:
        """Go on from the first layer's pre-activation, so that callers may sum it in parts.

        The pre-activation is written over.
        """
        h = F.leaky_relu(pre_activation, LEAKY_SLOPE, inplace=True)
        for layer in list(self.layers)[1:]:
            h = F.leaky_relu(layer(h), LEAKY_SLOPE, inplace=True) + h
        return h


class GaussianHead(nn.Module):
    """Mean ``W h + b`` and scale ``sqrt(exp(V h + c) + 1e-4)`` of a diagonal Gaussian."""

    def __init__(self, n_hidden: int, n_out: int) -> None:
        super().__init__()
        self.mean = nn.Linear(n_hidden, n_out)
        self.log_variance = nn.Linear(n_hidden, n_out)

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Map ``(..., n_hidden)`` to a mean and a scale of shape ``(..., n_out)``."""
        mean, log_variance = self.parts(h)
        variance = log_variance.contiguous().exp()  # several times faster than of a part of rows
        return mean, torch.sqrt(variance + VARIANCE_FLOOR)

    def parts(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance before its floor; with gradients, by one matrix product."""
        if not torch.is_grad_enabled():
            return self.mean(h), self.log_variance(h)
        weight = torch.cat([self.mean.weight, self.log_variance.weight])
        bias = torch.cat([self.mean.bias, self.log_variance.bias])
        mean, log_variance = F.linear(h, weight, bias).chunk(2, dim=-1)
        return mean, log_variance
