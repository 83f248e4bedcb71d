"""The simulator holds what it promises: known truth, additive shifts, sensible counts."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from sams_core.data import Screen, SimulationConfig, simulate_screen

SMALL = SimulationConfig(
    n_perturbations=12,
    n_latent=6,
    n_genes=150,
    cells_per_perturbation=150,
    n_control=400,
    n_pathways=4,
    n_doubles=3,
    depth=4000,
    seed=1,
)


def smaller(**changes: object) -> SimulationConfig:
    return SMALL.model_copy(update=changes)


def test_shapes_and_names() -> None:
    adata = simulate_screen(SMALL)
    assert adata.shape == (400 + 15 * 150, 150)
    assert adata.uns["simulated"] is True
    assert adata.obsm["z_basal_truth"].shape == (adata.n_obs, 6)
    truth = adata.uns["truth"]
    assert truth["mask"].dtype == np.int8
    assert truth["mask"].shape == truth["embedding"].shape == (12, 6)
    assert list(truth["perturbations"][:2]) == ["P001", "P002"]
    sizes = adata.obs["perturbation"].value_counts()
    assert sizes["control"] == 400
    assert (sizes.drop("control") == 150).all()
    assert sum("+" in str(label) for label in sizes.index) == 3
    screen = Screen.from_anndata(adata, perturbation_key="perturbation")
    assert screen.simulated
    assert list(screen.perturbation_names) == list(truth["perturbations"])


def test_seeded() -> None:
    first, second, other = (simulate_screen(smaller(seed=s)) for s in (1, 1, 2))
    assert (first.X != second.X).nnz == 0
    assert list(first.obs["perturbation"]) == list(second.obs["perturbation"])
    assert (first.X != other.X).nnz > 0


def test_effects_are_of_the_size_asked_and_never_none() -> None:
    truth = simulate_screen(smaller(n_perturbations=60, n_pathways=0, n_doubles=0)).uns["truth"]
    assert (truth["mask"].sum(axis=1) >= 1).all()
    assert np.abs(truth["embedding"]).mean() == pytest.approx(5.0, abs=0.2)
    assert np.abs(truth["embedding"]).std() < 1.0
    assert 0.3 < (truth["embedding"] > 0).mean() < 0.7
    assert set(truth["pathways"]) == {""}


def test_perturbations_of_a_pathway_share_latents_and_directions() -> None:
    config = smaller(n_perturbations=80, n_latent=20, n_pathways=8, mask_density=0.15)
    truth = simulate_screen(config).uns["truth"]
    mask, pathways = truth["mask"].astype(bool), truth["pathways"]
    same = pathways[:, None] == pathways[None, :]
    overlap = (mask[:, None] & mask[None]).sum(-1) / (mask[:, None] | mask[None]).sum(-1)
    off_diagonal = ~np.eye(80, dtype=bool)
    assert overlap[same & off_diagonal].mean() > 0.6
    assert overlap[~same].mean() < 0.2
    sign = np.sign(truth["embedding"])
    for pathway in np.unique(pathways):
        members = sign[pathways == pathway]
        assert (members == members[0]).all()


def test_pathway_column() -> None:
    adata = simulate_screen(SMALL)
    label, pathway = adata.obs["perturbation"].astype(str), adata.obs["pathway"].astype(str)
    truth = adata.uns["truth"]
    of_perturbation = dict(zip(truth["perturbations"], truth["pathways"], strict=True))
    assert set(pathway[label == "control"]) == {"control"}
    for name, group in of_perturbation.items():
        assert set(pathway[label == name]) == {group}
    assert "pathway" not in simulate_screen(smaller(n_pathways=0)).obs


def test_counts_are_realistic() -> None:
    adata = simulate_screen(smaller(n_genes=400))
    library = np.asarray(adata.X.sum(axis=1)).ravel()
    assert library.mean() == pytest.approx(4000, rel=0.05)
    assert 0.2 < np.log(library).std() < 0.6
    means = np.asarray(adata.X.mean(axis=0)).ravel()
    assert np.log10(np.quantile(means, 0.95) / np.quantile(means, 0.05)) > 1
    variance = adata.X.toarray().var(axis=0)
    assert np.median(variance / means) > 1


def test_log_fold_changes_follow_the_truth_and_doubles_add() -> None:
    adata = simulate_screen(smaller(cells_per_perturbation=400, n_control=1500, depth=20000))
    truth = adata.uns["truth"]
    label = adata.obs["perturbation"].astype(str).to_numpy()
    effects = truth["mask"] * truth["embedding"]
    shift = dict(zip(truth["perturbations"], effects, strict=True))
    well_seen = np.argsort(-truth["log_base"])[:60]

    def latent_change(name: str) -> np.ndarray:
        """Change of mean log expression, up to a constant."""
        x = adata.X[label == name][:, well_seen].toarray()
        base = adata.X[label == "control"][:, well_seen].toarray()
        return np.log(x + 0.5).mean(axis=0) - np.log(base + 0.5).mean(axis=0)

    for name in sorted(set(label) - {"control"}):
        total = sum(shift[part] for part in name.split("+"))
        expected = (total @ truth["loadings"])[well_seen]
        if expected.std() > 0.1:
            assert np.corrcoef(latent_change(name), expected)[0, 1] > 0.9, name


@pytest.mark.parametrize(
    "bad", [{"n_genes": 1}, {"mask_density": 0}, {"shift": -1}, {"n_latent": 0}, {"colour": 1}]
)
def test_impossible_configurations_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        SimulationConfig(**bad)
