"""Counts on the training device give the minibatches that counts in memory give.

The device is the CPU here; the same code runs on a GPU.
"""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from scipy import sparse

from sams_core.data.minibatches import TrainingBatches
from sams_core.data.resident import ResidentCounts, fits
from tests.support.tiny import tiny_screen

CPU = torch.device("cpu")


@pytest.mark.parametrize("largest", [255, 65_535, 4_294_967_295])
@pytest.mark.parametrize("n_genes", [40, 40_000])
def test_rows_are_exact(largest: int, n_genes: int) -> None:
    rng = np.random.default_rng(0)
    dense = np.zeros((9, n_genes), dtype=np.min_scalar_type(largest))
    dense[rng.integers(0, 9, 50), rng.integers(0, n_genes, 50)] = rng.integers(1, 250, 50)
    dense[3], dense[5, -1] = 0, largest
    cells = np.array([5, 3, 0, 5, 8])
    resident = ResidentCounts(sparse.csr_matrix(dense), CPU)
    np.testing.assert_array_equal(resident[cells].numpy(), dense[cells].astype(np.float32))


@pytest.mark.parametrize("share", [(0, 1), (1, 2)])
def test_minibatches_are_the_same(share: tuple[int, int]) -> None:
    screen = tiny_screen()
    cells = np.arange(5, screen.n_cells)
    streams = [
        TrainingBatches(
            screen, cells, batch_size=32, seed=3, rank=share[0], world_size=share[1],
            draw_rank=np.arange(screen.n_perturbations), resident=resident,
        )
        for resident in (None, ResidentCounts(screen.counts, CPU))
    ]  # fmt: skip
    for expected, ours in islice(zip(*streams, strict=True), 12):
        torch.testing.assert_close(ours.counts, expected.counts)
        torch.testing.assert_close(ours.dosages, expected.dosages)


def test_memory_of_this_machine_is_not_taken_twice() -> None:
    assert not fits(tiny_screen().counts, CPU)
