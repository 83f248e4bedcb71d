"""Both real screens, read as their papers describe them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sams_core.data import Screen, random_split, read_screen, summarise


@pytest.fixture(scope="module")
def papalexi(shared_data: Path) -> Screen:
    return read_screen(
        shared_data / "papalexi2021_thp1.h5ad", perturbation_key="perturbation", control="control"
    )


@pytest.fixture(scope="module")
def norman(shared_data: Path) -> Screen:
    return read_screen(shared_data / "norman2019_k562.h5ad", perturbation_key="perturbation")


def test_papalexi(papalexi: Screen) -> None:
    summary = summarise(papalexi)
    assert (papalexi.n_cells, papalexi.n_genes) == (16192, 273)
    assert papalexi.n_perturbations == summary.n_singles == 25
    assert summary.n_controls == 1923
    assert summary.n_doubles == summary.n_higher == 0
    assert papalexi.counts.dtype == np.uint16
    assert papalexi.counts.max() == 875
    assert any("SPI1 (33)" in warning for warning in papalexi.warnings)
    assert summary.cells_per_condition["MYC"] == 73
    assert {"guide", "bio_rep", "p_mito"} <= set(papalexi.obs)
    assert not papalexi.simulated


def test_papalexi_guides_collapse_onto_the_same_screen(shared_data: Path, papalexi: Screen) -> None:
    guides = read_screen(shared_data / "papalexi2021_thp1.h5ad", perturbation_key="guide")
    assert guides.fingerprint() == papalexi.fingerprint()
    assert guides.control == "NT"
    assert any("97 guides collapsed onto 25 targets" in note for note in guides.notes)
    assert any("1,923 cells labelled 'NTg1'" in note for note in guides.notes)
    assert "guide" in guides.obs
    apart = read_screen(
        shared_data / "papalexi2021_thp1.h5ad", perturbation_key="guide", collapse_guides=False
    )
    assert apart.n_perturbations == 97


def test_norman(norman: Screen) -> None:
    summary = summarise(norman)
    assert (norman.n_cells, norman.n_genes) == (3375, 500)
    assert (summary.n_singles, summary.n_doubles, summary.n_controls) == (18, 15, 100)
    assert norman.n_perturbations == 31
    order = np.asarray((norman.dosages > 0).sum(axis=1)).ravel()
    np.testing.assert_array_equal(order, norman.obs["n_perts"].to_numpy())
    assert "KLF1+MAP2K6" in norman.conditions.categories
    assert "frac_detected" in norman.var
    assert any("13 perturbations are seen only in combinations" in w for w in norman.warnings)


@pytest.mark.parametrize("name", ["papalexi", "norman"])
def test_splits_and_round_trips(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    screen: Screen = request.getfixturevalue(name)
    split = random_split(screen, seed=0)
    assert np.mean(split == "train") == pytest.approx(0.64, abs=0.01)
    adata = screen.to_anndata()
    adata.write_h5ad(tmp_path / "again.h5ad")
    again = read_screen(tmp_path / "again.h5ad", perturbation_key="perturbation")
    assert again.fingerprint() == screen.fingerprint()
    assert set(again.obs) == set(screen.obs)
