"""Minibatches hold what the screen holds of their cells, in the order of the draws."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from sams_core.data import Screen
from sams_core.data.minibatches import N_BLOCKS, TrainingBatches, minibatch, sequential_batches
from sams_core.models.batch import Minibatch, Share
from sams_core.models.order import perturbation_rank
from tests.data.builders import labelled

LABELS = np.random.default_rng(3).choice(["ctrl", "A", "B", "C", "D+B", "A+C+D"], size=90)


@pytest.fixture(scope="module")
def screen() -> Screen:
    adata = labelled([*LABELS], n_genes=7)
    adata.obs["dose"] = [
        "+".join(str(1 + i % 3) for _ in label.split("+")) for i, label in enumerate(LABELS)
    ]
    adata.obs["lane"] = [f"lane{i % 3}" for i in range(len(LABELS))]
    return Screen.from_anndata(
        adata, perturbation_key="perturbation", dose_key="dose", batch_key="lane"
    )


def assert_holds(batch: Minibatch, screen: Screen, cells: np.ndarray, named: np.ndarray) -> None:
    """Every field against the screen's dense matrices."""
    assert batch.batch_index is not None
    assert batch.perturbations is not None
    assert batch.carried is not None
    assert screen.batch is not None
    dosages = screen.dosages.toarray()[cells]
    np.testing.assert_array_equal(batch.counts, screen.counts.toarray()[cells])
    np.testing.assert_array_equal(batch.library_size, screen.library_size[cells])
    np.testing.assert_array_equal(batch.batch_index, screen.batch.codes[cells])
    np.testing.assert_array_equal(batch.perturbations, named)
    np.testing.assert_array_equal(batch.dosages, dosages[:, named])
    assert not np.delete(dosages, named, axis=1).any()
    again = torch.zeros_like(batch.dosages)
    again.scatter_add_(1, batch.carried.column, batch.carried.dose)
    assert torch.equal(again, batch.dosages)
    assert batch.carried.column.shape[1] == max(1, (dosages > 0).sum(1).max())


def test_a_minibatch_names_the_perturbations_of_its_cells_in_the_order_of_draws(
    screen: Screen,
) -> None:
    rank = perturbation_rank(screen.dosages).numpy()
    cells = np.arange(5, 85)
    stream = TrainingBatches(screen, cells, batch_size=4, seed=2, draw_rank=rank)
    for k, batch in enumerate(itertools.islice(stream, 40)):
        order = np.random.default_rng((2, k // 20)).permutation(cells)
        chosen = np.sort(order[4 * (k % 20) : 4 * (k % 20) + 4])
        present = np.flatnonzero(screen.dosages.toarray()[chosen].any(0))
        assert_holds(batch, screen, chosen, present[np.argsort(rank[present])])
        assert batch.share is None


def test_all_perturbations_follow_the_draws_in_batches_for_validation(screen: Screen) -> None:
    rank = np.array([2, 0, 3, 1])
    cells = np.array([3, 1, 80, 8, 9])
    parts = list(sequential_batches(screen, cells, 2, draw_rank=rank))
    assert [len(part) for part in parts] == [2, 2, 1]
    for part, rows in zip(parts, (cells[:2], cells[2:4], cells[4:]), strict=True):
        assert_holds(part, screen, rows, np.array([1, 3, 0, 2]))


def test_without_an_order_of_draws_dosages_are_in_the_models_order(screen: Screen) -> None:
    cells = np.arange(20)
    batch = next(iter(TrainingBatches(screen, cells, batch_size=20, seed=0)))
    for whole in (batch, minibatch(screen, cells), next(sequential_batches(screen, cells))):
        np.testing.assert_array_equal(whole.dosages, screen.dosages[:20].toarray())
        assert whole.perturbations is None
        assert whole.carried is None


def test_control_cells_alone_name_the_first_perturbation(screen: Screen) -> None:
    controls = np.flatnonzero(screen.is_control)
    rank = np.array([1, 2, 0, 3])
    batch = next(iter(TrainingBatches(screen, controls, batch_size=5, seed=0, draw_rank=rank)))
    assert batch.perturbations is not None
    assert batch.carried is not None
    assert batch.perturbations.tolist() == [2]
    assert not batch.dosages.any()
    assert batch.dosages.shape == batch.carried.column.shape == (5, 1)


@pytest.mark.parametrize("world_size", [2, 3])
def test_shares_are_rows_of_the_whole(world_size: int, screen: Screen) -> None:
    rank = perturbation_rank(screen.dosages).numpy()

    def stream(**process: Any) -> list[Minibatch]:
        batches = TrainingBatches(
            screen, np.arange(90), batch_size=8, seed=4, draw_rank=rank, **process
        )
        return list(itertools.islice(batches, N_BLOCKS))

    shares = [stream(rank=r, world_size=world_size) for r in range(world_size)]
    for step, whole in enumerate(stream()):
        for r in range(world_size):
            part = shares[r][step]
            assert part.share == part.to("cpu").share == Share(r, world_size, 8)
            assert part.carried is not None
            for name in ("counts", "dosages", "library_size", "batch_index"):
                assert torch.equal(getattr(part, name), getattr(whole, name)[r::world_size])
            assert torch.equal(
                torch.as_tensor(part.perturbations), torch.as_tensor(whole.perturbations)
            )


def test_blocks_are_used_in_turn(screen: Screen) -> None:
    stream = TrainingBatches(screen, np.arange(90), batch_size=10, seed=0)
    addresses = [batch.counts.data_ptr() for batch in itertools.islice(stream, 2 * N_BLOCKS)]
    assert len(set(addresses)) == N_BLOCKS
    assert addresses[:N_BLOCKS] == addresses[N_BLOCKS:]


@pytest.mark.parametrize("largest", [200, 60_000, 16_777_217])
def test_counts_of_every_type_become_floats(largest: int) -> None:
    adata = labelled(["ctrl", "A"] * 5)
    adata.X = adata.X.astype(np.int64)
    adata.X.data[::2] += largest
    screen = Screen.from_anndata(adata, perturbation_key="perturbation")
    batch = next(iter(TrainingBatches(screen, np.arange(10), batch_size=10, seed=0)))
    np.testing.assert_array_equal(batch.counts, screen.counts.toarray().astype(np.float32))
