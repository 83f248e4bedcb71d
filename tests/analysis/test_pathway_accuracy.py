from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from sams_core.analysis import pathway_accuracy as pathway_accuracy_module
from sams_core.analysis.pathway_accuracy import (
    pathway_accuracy,
    pathways_from_sets,
    pathways_from_truth,
    target_genes,
)
from sams_core.data.gene_sets import read_gmt
from sams_core.data.simulation import SimulationConfig, simulate_screen

QUICK: dict[str, Any] = {"n_repeats": 2, "n_permutations": 3}


@pytest.fixture(autouse=True)
def small_forests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pathway_accuracy_module, "_N_TREES", 15)


def _masks(
    seed: int, members: int = 8, strength: float = 0.9, guides: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mask probabilities of three pathways, their names, and the gene of every guide."""
    rng = np.random.default_rng(seed)
    genes = 3 * members
    pathway = np.arange(genes) % 3
    truth = np.zeros((genes, 9))
    for row, which in enumerate(pathway):
        truth[row, 3 * which : 3 * which + 3] = rng.random(3) < strength
    gene = np.repeat(np.arange(genes), guides)
    features = np.clip(truth[gene] + rng.normal(scale=0.1, size=(gene.size, 9)), 0, 1)
    return features, np.array(["a", "b", "c"])[pathway[gene]], gene


def test_clear_pathways_are_told_apart_and_noise_is_not() -> None:
    features, labels, _ = _masks(0)
    got = pathway_accuracy(features, labels, **QUICK)
    assert got is not None
    assert got["accuracy_logistic"]["mean"] > 0.9
    assert got["accuracy_forest"]["mean"] > 0.9
    assert got["majority"] == pytest.approx(1 / 3)
    assert got["permutation"]["mean"] < 0.6
    assert (got["n_perturbations"], got["n_pathways"], got["dropped"]) == (24, 3, [])
    noise = np.random.default_rng(1).random(features.shape)
    null = pathway_accuracy(noise, labels, n_repeats=2, n_permutations=10)
    assert null is not None
    assert null["accuracy_logistic"]["mean"] < 0.6
    assert abs(null["accuracy_logistic"]["mean"] - null["permutation"]["mean"]) < 0.3
    assert pathway_accuracy(features, labels, **QUICK) == got


def test_accuracy_matches_a_loop_over_folds() -> None:
    features, labels, _ = _masks(2, strength=0.5)
    got = pathway_accuracy(features, labels, n_splits=4, seed=7, **QUICK)
    assert got is not None
    found = []
    for state in np.random.default_rng(7).integers(2**31, size=2):
        right = []
        folds = StratifiedKFold(4, shuffle=True, random_state=int(state))
        for train, test in folds.split(features, labels):
            model = LogisticRegression(max_iter=2000).fit(features[train], labels[train])
            right += list(model.predict(features[test]) == labels[test])
        found.append(np.mean(right))
    assert got["accuracy_logistic"]["mean"] == pytest.approx(np.mean(found))
    assert got["accuracy_logistic"]["sd"] == pytest.approx(np.std(found, ddof=1))


def test_guides_of_one_gene_do_not_give_each_other_away() -> None:
    """Features that name the gene but not the pathway are learnt only if its guides are split."""
    rng = np.random.default_rng(3)
    gene = np.repeat(np.arange(20), 4)
    features = 3 * rng.normal(size=(20, 12))[gene] + rng.normal(scale=0.1, size=(80, 12))
    labels = np.array(["a", "b"])[gene % 2]
    split = pathway_accuracy(features, labels, **QUICK)
    together = pathway_accuracy(features, labels, groups=gene, **QUICK)
    assert split is not None
    assert together is not None
    assert split["accuracy_forest"]["mean"] > 0.95
    assert together["accuracy_forest"]["mean"] < 0.75


def test_small_pathways_are_dropped_and_named() -> None:
    features, labels, gene = _masks(4)
    labels[:3] = ["", "d", "d"]
    got = pathway_accuracy(features, labels, **QUICK)
    assert got is not None
    assert got["dropped"] == ["d"]
    assert got["n_perturbations"] == 21
    assert pathway_accuracy(features[:6], labels[:6], **QUICK) is None
    assert pathway_accuracy(features, [""] * 24, **QUICK) is None
    few_genes = pathway_accuracy(features, labels, groups=np.where(labels == "a", 0, gene), **QUICK)
    assert few_genes is not None
    assert few_genes["dropped"] == ["a", "d"]


@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**16))
def test_names_of_pathways_and_genes_do_not_matter(seed: int) -> None:
    features, labels, gene = _masks(seed, members=6, strength=0.6)
    renamed = np.array([{"a": "x", "b": "y", "c": "z"}[name] for name in labels])
    plain = pathway_accuracy(features, labels, groups=gene, **QUICK)
    assert plain == pathway_accuracy(features, renamed, groups=gene + 100, **QUICK)


def test_pathways_from_gene_sets() -> None:
    sets = {"one": ["A", "B"], "two": ["C", "B"], "three": ["D", "D"]}
    got = pathways_from_sets(["A", "B", "C", "D", "E", "A+C"], sets)
    assert got.tolist() == ["one", "", "two", "three", "", ""]
    guides = ["Ag1", "Ag2", "Cg1"]
    assert target_genes(guides) == ["A", "A", "C"]
    assert pathways_from_sets(guides, sets).tolist() == ["one", "one", "two"]


def test_pathways_of_real_gene_sets(shared_data: Path) -> None:
    file = sorted((shared_data / "gene_sets").glob("*.gmt"))[0]
    sets = read_gmt(file)
    genes = sorted({gene for members in sets.values() for gene in members})
    got = pathways_from_sets(genes, sets)
    for gene, pathway in zip(genes, got, strict=True):
        homes = [name for name, members in sets.items() if gene in members]
        assert pathway == (homes[0] if len(homes) == 1 else "")


def test_true_masks_of_a_simulated_screen_tell_its_pathways() -> None:
    config = SimulationConfig(
        n_perturbations=40,
        n_latent=10,
        n_genes=20,
        cells_per_perturbation=2,
        n_control=2,
        n_pathways=4,
        mask_density=0.3,
        seed=1,
    )
    truth = simulate_screen(config).uns["truth"]
    labels = pathways_from_truth([*truth["perturbations"], "P001+P002"], truth)
    assert labels[-1] == ""
    assert labels[:-1].tolist() == list(truth["pathways"])
    got = pathway_accuracy(truth["mask"], labels[:-1], **QUICK)
    assert got is not None
    assert got["accuracy_logistic"]["mean"] > 0.8
