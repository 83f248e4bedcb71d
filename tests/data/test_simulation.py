"""The simulator holds what it promises: known truth, additive shifts, sensible counts."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from pydantic import ValidationError
from scipy.special import softmax

from sams_core.data import Screen, SimulationConfig, read_screen, simulate_screen
from sams_core.data.simulation import LIBRARY_SD
from sams_core.demo import CHECKPOINTS, SIMULATION
from sams_core.errors import ConfigError
from sams_core.settings import validated

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


def test_mean_counts_are_those_of_the_true_latent_states() -> None:
    """Each gene's total in each condition, standardised by the closed-form moments given z."""
    adata = simulate_screen(smaller(cells_per_perturbation=300))
    truth = adata.uns["truth"]
    proportions = softmax(truth["log_base"] + adata.obsm["z_truth"] @ truth["loadings"], axis=1)
    mean = 4000 * proportions
    variance = mean + mean**2 * (np.exp(LIBRARY_SD**2) * (1 + 1 / truth["concentration"]) - 1)
    cells = pd.get_dummies(adata.obs["perturbation"], dtype=float).to_numpy().T
    error = cells @ (adata.X.toarray() - mean) / np.sqrt(cells @ variance)
    assert np.abs(error.mean()) < 0.15
    assert error.std() == pytest.approx(1, abs=0.1)
    assert np.abs(error).max() < 5.5


INTERACTING = smaller(n_doubles=8, n_interactions=3, n_pathways=0, depth=20000)


def latent_shifts(adata: AnnData) -> pd.DataFrame:
    """What was added to the basal states of every condition, the same for all its cells."""
    shift = pd.DataFrame(adata.obsm["z_truth"] - adata.obsm["z_basal_truth"])
    groups = shift.groupby(adata.obs["perturbation"].astype(str).to_numpy())
    assert (groups.std().to_numpy() < 1e-5).all()
    return groups.mean()


def test_shifts_are_additive_but_where_an_interaction_is_stated() -> None:
    adata = simulate_screen(INTERACTING)
    truth = adata.uns["truth"]
    effects = pd.DataFrame(truth["mask"] * truth["embedding"], index=truth["perturbations"])
    interactions = pd.DataFrame(truth["interaction"], index=truth["interactions"])
    found = latent_shifts(adata)
    pairs = [name for name in found.index if "+" in name]
    assert len(interactions) == 3
    assert set(interactions.index) < set(pairs)
    for name in found.index.drop("control"):
        beyond = found.loc[name] - effects.loc[name.split("+")].sum()
        if name in interactions.index:
            np.testing.assert_allclose(beyond, interactions.loc[name], atol=1e-4)
            assert np.abs(beyond).max() > 3
        else:
            np.testing.assert_allclose(beyond, 0, atol=1e-4)
    np.testing.assert_allclose(found.loc["control"], 0, atol=1e-6)


def test_interactions_show_in_the_counts_of_their_pairs() -> None:
    adata = simulate_screen(INTERACTING.model_copy(update={"cells_per_perturbation": 400}))
    truth = adata.uns["truth"]
    well_seen = np.argsort(-truth["log_base"])[:60]
    logged = np.log(adata.X[:, well_seen].toarray() + 0.5)
    means = pd.DataFrame(logged).groupby(adata.obs["perturbation"].astype(str).to_numpy()).mean()
    change = means - means.loc["control"]
    stated = pd.DataFrame(truth["interaction"] @ truth["loadings"], index=truth["interactions"])
    spread = {}
    for name in (name for name in change.index if "+" in name):
        beyond = change.loc[name] - change.loc[name.split("+")].sum()
        spread[name] = beyond.std()
        if name in stated.index:
            assert np.corrcoef(beyond, stated.loc[name].iloc[well_seen])[0, 1] > 0.9
    additive = [value for name, value in spread.items() if name not in stated.index]
    assert min(spread[name] for name in stated.index) > 3 * max(additive)


def test_interactions_change_nothing_else() -> None:
    without, with_them = (
        simulate_screen(INTERACTING.model_copy(update={"n_interactions": n})) for n in (0, 3)
    )
    assert without.uns["truth"]["interaction"].shape == (0, 6)
    assert list(without.obs["perturbation"]) == list(with_them.obs["perturbation"])
    np.testing.assert_array_equal(*(a.obsm["z_basal_truth"] for a in (without, with_them)))
    for name in ("mask", "embedding", "loadings", "log_base", "concentration"):
        np.testing.assert_array_equal(*(a.uns["truth"][name] for a in (without, with_them)))


def test_the_embedded_simulated_screen_can_be_made_again() -> None:
    config = json.loads((CHECKPOINTS / "simulated_pathways" / "config.json").read_text())
    adata = simulate_screen(SIMULATION)
    screen = Screen.from_anndata(adata, perturbation_key="perturbation", control="control")
    assert screen.fingerprint() == config["data"]["fingerprint"]


@pytest.mark.parametrize("n_interactions", [0, 2])
def test_the_truth_survives_a_file(n_interactions: int, tmp_path: Path) -> None:
    adata = simulate_screen(smaller(n_interactions=n_interactions))
    adata.write_h5ad(tmp_path / "screen.h5ad")
    screen = read_screen(tmp_path / "screen.h5ad", perturbation_key="perturbation")
    assert screen.truth is not None
    assert screen.truth.keys() == adata.uns["truth"].keys()
    for name, value in adata.uns["truth"].items():
        np.testing.assert_array_equal(screen.truth[name], value)


def test_only_pairs_that_exist_are_measured_and_interact() -> None:
    with pytest.raises(ConfigError, match=r"n_doubles = 4 cannot.*3 perturbations.*only 3 pairs"):
        validated(SimulationConfig, {"n_perturbations": 3, "n_doubles": 4})
    with pytest.raises(ConfigError, match=r"n_interactions = 3 cannot.*n_doubles bounds it"):
        validated(SimulationConfig, {"n_doubles": 2, "n_interactions": 3})


@pytest.mark.parametrize(
    "bad", [{"n_genes": 1}, {"mask_density": 0}, {"shift": -1}, {"n_latent": 0}, {"colour": 1}]
)
def test_impossible_configurations_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        SimulationConfig(**bad)
