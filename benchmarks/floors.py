"""The matrix products that a computation cannot do without, alone and into preallocated outputs.

Sizes: n cells, P particles, R = P n rows, K perturbations that a minibatch carries, G genes, L
latent dimensions, H hidden units.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Layer:
    """A linear layer on ``rows`` rows.

    Attributes
    ----------
    rows, n_in, n_out
        Sizes.
    products
        1 forward, 2 with the gradient of the weights, 3 with that of the input.
    """

    rows: int
    n_in: int
    n_out: int
    products: int = 3

    @property
    def flops(self) -> int:
        """Floating-point operations."""
        return 2 * self.rows * self.n_in * self.n_out * self.products


def step_layers(
    *, n: int, P: int, K: int, G: int, L: int, H: int, embedding_hidden: int
) -> list[Layer]:
    """Layers of one training step of SAMS-VAE with one hidden layer, two for E given M.

    Counts are encoded once a cell, whatever the number of particles, and have no gradient.
    """
    R = P * n
    return [
        Layer(n, G, H, 2),
        Layer(R, L, H),
        Layer(R, H, L), Layer(R, H, L),
        Layer(R, L, H),
        Layer(R, H, G),
        Layer(P * K, L, embedding_hidden),
        Layer(P * K, embedding_hidden, embedding_hidden),
        Layer(P * K, embedding_hidden, L), Layer(P * K, embedding_hidden, L),
    ]  # fmt: skip


def bound_layers(*, n: int, P: int, G: int, L: int, H: int) -> list[Layer]:
    """Layers of the importance-weighted bound of n cells, forward."""
    R = P * n
    return [
        Layer(n, G, H, 1),
        Layer(R, L, H, 1),
        Layer(R, H, L, 1), Layer(R, H, L, 1),
        *decoder_layers(rows=R, G=G, L=L, H=H),
    ]  # fmt: skip


def decoder_layers(*, rows: int, G: int, L: int, H: int) -> list[Layer]:
    """Layers that decode ``rows`` latent states, forward."""
    return [Layer(rows, L, H, 1), Layer(rows, H, G, 1)]


def flops(layers: Sequence[Layer]) -> int:
    """Floating-point operations of all layers."""
    return sum(layer.flops for layer in layers)


def multiply(layers: Sequence[Layer], times: int = 1) -> Callable[[], None]:
    """Return what multiplies every layer's matrices, ``times`` over, on made-up numbers."""
    products = [product for layer in layers for product in _products(layer)]

    def run() -> None:
        with torch.no_grad():
            for _ in range(times):
                for left, right, out in products:
                    torch.mm(left, right, out=out)

    return run


def _products(layer: Layer) -> list[tuple[Tensor, Tensor, Tensor]]:
    x, weight = torch.randn(layer.rows, layer.n_in), torch.randn(layer.n_out, layer.n_in)
    y, gradient = torch.empty(layer.rows, layer.n_out), torch.randn(layer.rows, layer.n_out)
    made = [
        (x, weight.T, y),
        (gradient.T, x, torch.empty_like(weight)),
        (gradient, weight, torch.empty_like(x)),
    ]
    return made[: layer.products]
