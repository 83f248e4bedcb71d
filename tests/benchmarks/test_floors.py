"""The floor's products are those of the computation, counted by hand and by torch."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.floors import Layer, bound_layers, decoder_layers, flops, multiply, step_layers

SIZES = {"n": 5, "P": 3, "K": 4, "G": 11, "L": 7, "H": 13}


def test_step_by_hand() -> None:
    n, P, K, G, L, H = SIZES.values()
    h, R = 6, P * n
    encoder = 2 * (2 * n * G * H) + 3 * (2 * R * L * H)
    heads = 2 * 3 * (2 * R * H * L)
    decoder = 3 * (2 * R * L * H) + 3 * (2 * R * H * G)
    embedding = 3 * (2 * P * K * (L * h + h * h + 2 * h * L))
    layers = step_layers(**SIZES, embedding_hidden=h)
    assert flops(layers) == encoder + heads + decoder + embedding


def test_step_at_the_larger_size_needs_what_is_known() -> None:
    layers = step_layers(n=512, P=5, K=722, G=1187, L=200, H=400, embedding_hidden=64)
    assert flops(layers) / 1e9 == pytest.approx(15, rel=0.1)


def test_bound_and_decoder_by_hand() -> None:
    n, P, G, L, H = (SIZES[name] for name in ("n", "P", "G", "L", "H"))
    decoder = 2 * P * n * (L * H + H * G)
    assert flops(decoder_layers(rows=P * n, G=G, L=L, H=H)) == decoder
    bound = 2 * n * G * H + 2 * P * n * (L * H + 2 * H * L) + decoder
    assert flops(bound_layers(n=n, P=P, G=G, L=L, H=H)) == bound


@pytest.mark.parametrize("products", [1, 2, 3])
def test_what_is_multiplied_is_what_is_counted(products: int) -> None:
    layers = [Layer(4, 3, 5, products), Layer(2, 6, 7, products)]
    run = multiply(layers, times=2)
    with FlopCounterMode(display=False) as counted:
        run()
    assert counted.get_total_flops() == 2 * flops(layers)


def test_products_are_those_of_a_linear_layer() -> None:
    x = torch.randn(4, 3, requires_grad=True)
    layer = torch.nn.Linear(3, 5, bias=False)
    with FlopCounterMode(display=False) as counted:
        layer(x).sum().backward()
    assert counted.get_total_flops() == Layer(4, 3, 5).flops
