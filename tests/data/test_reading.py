"""Screens from files: every store reads alike, and damage is always one sentence."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import anndata
import numpy as np
import pytest

from sams_core.data import ReaderOptions, Screen, SimulationConfig, read_screen, simulate_screen
from sams_core.errors import ScreenError
from tests.data.builders import tiny

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


def test_flipped_and_missing_bytes_give_a_sentence_or_a_screen(tmp_path: Path) -> None:
    path = tmp_path / "screen.h5ad"
    rich().write_h5ad(path, compression="gzip")
    good = path.read_bytes()
    rng = np.random.default_rng(0)
    refused: list[str] = []
    for attempt in range(150):
        bad = bytearray(good)
        if attempt % 3 == 0:
            del bad[int(rng.integers(len(bad))) :]
        else:
            for at in rng.integers(len(bad), size=8):
                bad[at] = int(rng.integers(256))
        path.write_bytes(bytes(bad))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                screen = read_screen(path, perturbation_key=KEY)
        except ScreenError as error:
            refused.append(str(error))
        else:
            assert (screen.library_size > 0).all()
    assert len(refused) > 50
    assert not any("\n" in sentence for sentence in refused)
