"""Screens from files: every store reads alike, and damage is always one sentence."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import anndata
import h5py
import numpy as np
import pytest

from sams_core.data import ReaderOptions, Screen, SimulationConfig, read_screen, simulate_screen
from sams_core.errors import ScreenError
from tests.data.builders import labelled, tiny

KEY = "perturbation"


def rich() -> anndata.AnnData:
    adata = tiny(cells_each=6)
    adata.layers["counts"] = adata.X.copy()
    adata.obs["lane"] = ["a", "b"] * 12
    adata.obs["mito"] = np.linspace(0, 1, 24)
    adata.var["symbol"] = [f"S{i}" for i in range(8)]
    return adata


@pytest.mark.parametrize("suffix", [".h5ad", ".zarr"])
@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_file_reads_like_the_anndata_it_holds(tmp_path: Path, suffix: str, dense: bool) -> None:
    adata = rich()
    if dense:
        adata.X = adata.X.toarray()
    path = tmp_path / f"screen{suffix}"
    adata.write_h5ad(path) if suffix == ".h5ad" else adata.write_zarr(path)
    options = ReaderOptions(perturbation_key=KEY, batch_key="lane", gene_symbols="symbol")
    expected = Screen.from_anndata(
        adata, perturbation_key=KEY, batch_key="lane", gene_symbols="symbol"
    )
    for screen in (
        read_screen(path, options=options),
        read_screen(str(path), perturbation_key=KEY, batch_key="lane", gene_symbols="symbol"),
        read_screen(path, options=options.model_copy(update={"layer": "counts"})),
    ):
        assert screen.fingerprint() == expected.fingerprint()
        assert list(screen.obs) == list(expected.obs) == ["mito"]
        assert screen.source == path
    assert read_screen(path, options=options).reader == options


@pytest.mark.parametrize("dense", [False, True])
def test_backed(tmp_path: Path, dense: bool) -> None:
    adata = rich()
    if dense:
        adata.X = adata.X.toarray()
    adata.write_h5ad(tmp_path / "screen.h5ad")
    backed = anndata.read_h5ad(tmp_path / "screen.h5ad", backed="r")
    assert backed.isbacked
    screen = Screen.from_anndata(backed, perturbation_key=KEY)
    assert screen.fingerprint() == Screen.from_anndata(adata, perturbation_key=KEY).fingerprint()
    odd = Screen.from_anndata(backed[::2], perturbation_key=KEY)
    assert odd.fingerprint() == screen.subset(np.arange(0, 24, 2)).fingerprint()
    backed.file.close()


def test_reader_options_survive_json() -> None:
    options = ReaderOptions(perturbation_key=KEY, control=("NT", "ctrl"), dose_key="dose")
    assert ReaderOptions(**json.loads(options.model_dump_json())) == options


@pytest.mark.parametrize("suffix", [".h5ad", ".zarr"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_simulated_file_says_so(tmp_path: Path, suffix: str) -> None:
    config = SimulationConfig(
        n_perturbations=3, n_latent=2, n_genes=20, cells_per_perturbation=5, n_control=5
    )
    adata = simulate_screen(config)
    path = tmp_path / f"screen{suffix}"
    adata.write_h5ad(path) if suffix == ".h5ad" else adata.write_zarr(path)
    screen = read_screen(path, perturbation_key=KEY)
    assert screen.simulated
    assert screen.truth is not None
    np.testing.assert_array_equal(screen.truth["mask"], adata.uns["truth"]["mask"])
    assert list(screen.truth["perturbations"]) == list(screen.perturbation_names)
    again = Screen.from_anndata(screen.to_anndata(), perturbation_key=KEY)
    assert again.simulated
    assert again.truth is not None


def test_anything_but_an_anndata_is_refused() -> None:
    with pytest.raises(ScreenError, match="not from a list"):
        Screen.from_anndata([1, 2], perturbation_key=KEY)


def outcome(path: Path) -> str | None:
    """The sentence that refuses a file, or ``None`` if it gives a screen fit for use."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            screen = read_screen(path, perturbation_key=KEY, batch_key="lane")
    except ScreenError as error:
        return str(error)
    assert (screen.library_size > 0).all()
    assert np.isfinite(screen.dosages.data).all()
    return None


def test_files_cut_anywhere_give_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "screen.h5ad"
    rich().write_h5ad(path, compression="gzip")
    good = path.read_bytes()
    for length in np.random.default_rng(0).integers(len(good), size=60):
        path.write_bytes(good[:length])
        sentence = outcome(path)
        assert sentence is not None
        assert "\n" not in sentence


def stored_numbers(path: Path) -> list[tuple[int, int]]:
    """Where a file's numbers lie: offset and length of every plain dataset.

    Bytes that describe the file's structure are left alone: the HDF5 library itself can crash on
    them, which no Python code can turn into a sentence.
    """
    places: list[tuple[int, int]] = []

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "iuf":
            start = item.id.get_offset()
            if start is not None:
                places.append((start, item.id.get_storage_size()))

    with h5py.File(path) as file:
        file.visititems(visit)
    return places


def test_flipped_numbers_give_a_sentence_or_a_screen(tmp_path: Path) -> None:
    path = tmp_path / "screen.h5ad"
    rich().write_h5ad(path)
    places, good = stored_numbers(path), path.read_bytes()
    rng = np.random.default_rng(0)
    sentences = []
    for _ in range(150):
        bad = bytearray(good)
        start, length = places[rng.integers(len(places))]
        for at in rng.integers(length, size=3):
            bad[start + at] = rng.integers(256)
        path.write_bytes(bad)
        sentences.append(outcome(path))
    refused = [sentence for sentence in sentences if sentence is not None]
    assert 20 < len(refused) < 150
    assert not any("\n" in sentence for sentence in refused)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_zarr_folders_with_missing_or_flipped_files(tmp_path: Path) -> None:
    path = tmp_path / "screen.zarr"
    rich().write_zarr(path)
    used = (path / "X", path / "obs", path / "var")
    files = sorted(file for folder in used for file in folder.rglob("*") if file.is_file())
    rng = np.random.default_rng(0)
    refused = 0
    for attempt, file in enumerate(files):
        good = file.read_bytes()
        if attempt % 2:
            file.unlink()
        else:
            file.write_bytes(bytes(rng.integers(256, size=len(good), dtype=np.uint8)))
        refused += outcome(path) is not None
        file.write_bytes(good)
    assert refused > len(files) // 5
    assert outcome(path) is None


def test_a_usual_column_is_recognised_and_told(tmp_path: Path) -> None:
    adata = labelled(["ctrl", "A", "B", "A"])
    column = adata.obs.columns[0]
    for name in ("Condition", "perturbation"):
        adata.obs = adata.obs.rename(columns={column: name})
        column = name
        adata.write_h5ad(tmp_path / f"{name}.h5ad")
        screen = read_screen(tmp_path / f"{name}.h5ad")
        assert screen.reader.perturbation_key == name
        assert f"obs column '{name}', recognised by its name" in screen.notes[0]


def test_two_usual_columns_are_for_the_user_to_choose_from(tmp_path: Path) -> None:
    adata = labelled(["ctrl", "A", "B", "A"])
    adata.obs["condition"] = adata.obs["perturbation"]
    adata.write_h5ad(tmp_path / "two.h5ad")
    with pytest.raises(ScreenError, match=r"Name the column .* 'condition'"):
        read_screen(tmp_path / "two.h5ad")
