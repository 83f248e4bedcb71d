"""A screen whose counts stay in the file is the screen that is read into memory."""

from __future__ import annotations

import pickle
import threading
import warnings
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from anndata import AnnData
from numpy.testing import assert_array_equal
from scipy import sparse

from sams_core.data import Screen, read_screen, summarise
from sams_core.data.minibatches import TrainingBatches, sequential_batches
from sams_core.data.shuffling import order_of_blocks, ordered_cells
from sams_core.data.totals import cells_detecting, extremes, row_sums
from sams_core.errors import ScreenError
from sams_core.models.batch import Minibatch, Share
from tests.data.builders import labelled
from tests.malformed import MALFORMED_SCREENS, Malformed

KEY: dict[str, Any] = {"perturbation_key": "perturbation"}
LABELS = ["ctrl", "A", "B", "A+B"] * 50


def cells_and_genes() -> AnnData:
    adata = labelled(LABELS, n_genes=9)
    adata.X[3] = 0
    adata.X[150, 4] = 700
    adata.X.eliminate_zeros()
    return adata


def untidy(path: Path) -> Path:
    """Columns out of order, entries in two parts, and zeros that are stored."""
    adata = cells_and_genes()
    order = np.concatenate(
        [np.arange(*adata.X.indptr[i : i + 2])[::-1] for i in range(adata.n_obs)]
    )
    halves = sparse.csr_matrix(
        (
            np.stack([adata.X.data[order] - 1, np.ones(order.size)], axis=1).ravel(),
            np.repeat(adata.X.indices[order], 2),
            adata.X.indptr * 2,
        ),
        shape=adata.shape,
    )
    adata.X = halves
    adata.write_h5ad(path / "untidy.h5ad")
    return path / "untidy.h5ad"


def written(folder: Path, kind: str) -> Path:
    if kind == "untidy":
        return untidy(folder)
    adata = cells_and_genes()
    if "dense" in kind:
        adata.X = adata.X.toarray()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if "zarr" in kind:
            adata.write_zarr(folder / "screen.zarr")
            return folder / "screen.zarr"
        compression: Any = "gzip" if "gzip" in kind else None
        adata.write_h5ad(folder / "screen.h5ad", compression=compression)
    return folder / "screen.h5ad"


KINDS = ("h5ad", "h5ad-gzip", "zarr", "h5ad-dense", "h5ad-dense-gzip", "zarr-dense", "untidy")


@pytest.mark.parametrize("chunk_values", [1, 100, 1 << 22])
@pytest.mark.parametrize("kind", KINDS)
def test_everything_is_as_in_memory(
    kind: str, chunk_values: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, kind)
    memory = Screen.from_anndata(cells_and_genes(), **KEY)
    monkeypatch.setattr("sams_core.data.counts.CHUNK_VALUES", chunk_values)
    monkeypatch.setattr("sams_core.data.stored.CHUNK_VALUES", chunk_values)
    monkeypatch.setattr("sams_core.data.stored.GAP_VALUES", min(chunk_values, 40))
    disk = read_screen(path, **KEY, on_disk=True)
    assert disk.on_disk
    assert not read_screen(path, **KEY).on_disk
    assert disk.fingerprint() == memory.fingerprint() == read_screen(path, **KEY).fingerprint()
    assert disk.counts.dtype == memory.counts.dtype == np.uint16
    assert disk.counts.shape == memory.counts.shape
    assert disk.counts.nnz == memory.counts.nnz
    assert disk.warnings == memory.warnings
    compressed = [note for note in disk.notes if note not in memory.notes]
    assert len(compressed) == ("gzip" in kind or "zarr" in kind)
    assert all("decompressed (" in note for note in compressed)
    assert_array_equal(row_sums(disk.counts), row_sums(memory.counts))
    assert_array_equal(disk.library_size, memory.counts.toarray().sum(1))
    assert_array_equal(cells_detecting(disk.counts), (memory.counts.toarray() > 0).sum(0))
    assert_array_equal(cells_detecting(disk.counts), cells_detecting(memory.counts))
    assert extremes(disk.counts) == extremes(memory.counts)
    told = summarise(replace(disk, notes=memory.notes, source=None)).to_text()
    assert told == summarise(memory).to_text()
    again = sparse.vstack(list(disk.counts.blocks()))
    assert_array_equal(again.toarray(), memory.counts.toarray())
    rng = np.random.default_rng(0)
    for cells in (
        np.array([], dtype=int), np.array([7]), np.arange(199), rng.permutation(199),
        rng.integers(0, 199, 50), np.sort(rng.choice(199, 40)), rng.random(199) < 0.3,
    ):  # fmt: skip
        rows = disk.counts[cells]
        assert rows.dtype == np.uint16
        assert rows.has_canonical_format
        assert_array_equal(rows.toarray(), memory.counts[cells].toarray())


@pytest.mark.parametrize("case", MALFORMED_SCREENS, ids=lambda case: case.name)
def test_what_is_wrong_is_said_in_the_same_words(case: Malformed, tmp_path: Path) -> None:
    path = case.write(tmp_path)
    with pytest.raises(ScreenError) as memory:
        read_screen(path, **case.options)
    with pytest.raises(ScreenError) as disk:
        read_screen(path, **case.options, on_disk=True)
    assert str(disk.value) == str(memory.value)


def test_a_screen_stored_by_genes_can_only_be_read_into_memory(tmp_path: Path) -> None:
    adata = cells_and_genes()
    adata.X = adata.X.tocsc()
    adata.write_h5ad(tmp_path / "screen.h5ad")
    whole = read_screen(tmp_path / "screen.h5ad", **KEY)
    assert whole.fingerprint() == Screen.from_anndata(cells_and_genes(), **KEY).fingerprint()
    with pytest.raises(ScreenError, match=r"X of screen\.h5ad is not stored by cells"):
        read_screen(tmp_path / "screen.h5ad", **KEY, on_disk=True)


def test_a_subset_is_in_memory(tmp_path: Path) -> None:
    disk = read_screen(written(tmp_path, "h5ad"), **KEY, on_disk=True)
    memory = Screen.from_anndata(cells_and_genes(), **KEY)
    assert disk.subset(np.arange(50)).fingerprint() == memory.subset(np.arange(50)).fingerprint()
    with pytest.raises(ScreenError, match="are on disk"):
        disk.to_anndata()


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
def test_another_process_opens_the_file_again(kind: str, tmp_path: Path) -> None:
    disk = read_screen(written(tmp_path, kind), **KEY, on_disk=True)
    sent = pickle.dumps(disk)
    assert len(sent) < 50_000
    assert_array_equal(pickle.loads(sent).counts[[5]].toarray(), disk.counts[[5]].toarray())


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, "h5ad")
    sent = pickle.dumps(read_screen(path, **KEY, on_disk=True))
    path.unlink()
    with pytest.raises(ScreenError, match="There is no file"):
        pickle.loads(sent).counts[[5]]


def test_an_epoch_on_disk_has_every_cell_once_and_starts_at_any_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sams_core.data.shuffling.BUFFER_VALUES", 500)
    monkeypatch.setattr("sams_core.data.stored.FEWEST_NEIGHBOURS", 5)
    disk = read_screen(written(tmp_path, "h5ad"), **KEY, on_disk=True)
    cells = np.setdiff1d(np.arange(199), np.arange(40, 90, 3))
    rank = np.array([1, 0])

    def stream(start: int = 0, **process: Any) -> Iterator[Minibatch]:
        return iter(TrainingBatches(
            disk, cells, batch_size=10, seed=3, start_step=start, draw_rank=rank, **process
        ))  # fmt: skip

    steps = len(cells) // 10
    drawn = [copied(batch) for batch in islice(stream(), 3 * steps)]
    buffers = ordered_cells(disk.counts, cells, batch_size=10, seed=3)
    order = list(islice(chain.from_iterable(buffers), 3 * steps))
    for chosen, batch in zip(order, drawn, strict=True):
        assert_array_equal(batch.counts, disk.counts[chosen].toarray())
        assert_array_equal(batch.library_size, disk.library_size[chosen])
    for epoch in range(3):
        once = np.concatenate(order[epoch * steps : (epoch + 1) * steps])
        assert len(np.unique(once)) == len(once) == 10 * steps
        assert np.isin(once, cells).all()
    assert not np.array_equal(order[0], order[steps])
    for start in (1, steps - 1, steps, steps + 7):
        later = next(stream(start))
        assert torch.equal(later.counts, drawn[start].counts)
    for r in range(2):
        share = next(stream(4, rank=r, world_size=2))
        assert torch.equal(share.counts, drawn[4].counts[r::2])
        assert share.share == Share(r, 2, 10)


def test_blocks_stay_together_in_a_buffer_and_are_mixed_there() -> None:
    rng = np.random.default_rng(0)
    order = order_of_blocks(np.arange(10_000), neighbours=50, buffered=1000, rng=rng)
    assert_array_equal(np.sort(order), np.arange(10_000))
    for start in range(0, 10_000, 1000):
        buffer = order[start : start + 1000]
        assert len(np.unique(buffer // 50)) == 20
        assert np.unique(buffer[:100] // 50).size > 15
    assert np.unique(order[:1000] // 1000).size > 5


def test_reading_ahead_ends_with_the_stream(tmp_path: Path) -> None:
    disk = read_screen(written(tmp_path, "h5ad"), **KEY, on_disk=True)
    stream = iter(TrainingBatches(disk, np.arange(199), batch_size=10, seed=0))
    next(stream)
    assert any("read-ahead" in thread.name for thread in threading.enumerate())
    stream.close()  # type: ignore[attr-defined]
    assert not any("read-ahead" in thread.name for thread in threading.enumerate())


def test_damage_that_is_met_in_training_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, "h5ad-gzip")
    disk = pickle.loads(pickle.dumps(read_screen(path, **KEY, on_disk=True)))
    path.write_bytes(path.read_bytes()[:2000])
    stream = iter(TrainingBatches(disk, np.arange(199), batch_size=10, seed=0))
    with pytest.raises(ScreenError, match="damaged or cut short"):
        next(stream)
    assert not any("read-ahead" in thread.name for thread in threading.enumerate())


def test_batches_in_order_are_as_in_memory(tmp_path: Path) -> None:
    disk = read_screen(written(tmp_path, "h5ad"), **KEY, on_disk=True)
    memory = Screen.from_anndata(cells_and_genes(), **KEY)
    cells = np.arange(0, 199, 3)
    for one, other in zip(
        sequential_batches(disk, cells, 16, np.array([1, 0])),
        sequential_batches(memory, cells, 16, np.array([1, 0])),
        strict=True,
    ):
        assert torch.equal(one.counts, other.counts)
        assert torch.equal(one.dosages, other.dosages)


def copied(batch: Minibatch) -> Minibatch:
    """The minibatch with counts of its own."""
    return replace(batch, counts=batch.counts.clone())


def test_chunks_of_many_cells_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sams_core.data.stored.MOST_NEIGHBOURS", 3)
    disk = read_screen(written(tmp_path, "h5ad"), **KEY, on_disk=True)
    assert any("cells in a chunk, of which 3 are read" in note for note in disk.notes)


def test_a_file_that_was_written_again_is_told(tmp_path: Path) -> None:
    """As it may be where another process opens it."""
    path = written(tmp_path, "h5ad-dense")
    sent = pickle.dumps(read_screen(path, **KEY, on_disk=True))
    again = cells_and_genes()
    again.X = np.ones(again.shape, dtype=np.float32)
    path.unlink()
    again.write_h5ad(path)
    with pytest.raises(ScreenError, match="has changed since it was read"):
        pickle.loads(sent).counts[np.arange(20)]
