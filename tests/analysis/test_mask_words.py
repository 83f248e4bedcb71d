from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from sams_core.analysis.enrichment import enrich
from sams_core.analysis.latent_enrichment import LatentEnrichment, latent_enrichment, tell_cells
from sams_core.analysis.mask_words import (
    tell_entry,
    tell_latent,
    tell_pathways,
    tell_perturbation,
    typical_step,
)
from sams_core.analysis.perturbation_details import mask_row

NAMES = ["IFNGR1", "JAK2", "STAT1", "SMAD4", "MYC", "SPI1"]
GENES = [f"g{number}" for number in range(200)]
SETS = {
    "hallmark": {"Interferon": NAMES[:3], "Moved": GENES[:10], "Other": GENES[50:60]},
}


@pytest.fixture
def masks() -> ad.AnnData:
    probability = np.full((6, 3), 0.01)
    probability[:3, 0] = probability[2, 1] = 0.99
    effect = np.where(probability > 0.5, -1.5, 0.0)
    effect[1, 0] = 0.4
    table = ad.AnnData(
        probability.astype(np.float32),
        obs=pd.DataFrame(
            {"n_cells": 100, "n_cells_train": 1234, "n_significant": [1, 0, 89, 0, 0, 0]},
            index=NAMES,
        ),
        var=pd.DataFrame(index=["z0", "z1", "z2"]),
        layers={"effect": effect, "effect_sd": np.full(effect.shape, 0.1)},
    )
    table.uns["has_mask"] = True
    return table


def openers(effects: dict[str, float]) -> pd.DataFrame:
    return pd.DataFrame({"effect": effects}).astype(float)


def genes(*names: str) -> pd.DataFrame:
    return pd.DataFrame({"change": 1.0}, index=list(names))


def test_an_entry_is_told_with_its_probability_effect_and_seeds(masks: ad.AnnData) -> None:
    told = tell_entry(masks, "STAT1", "z0", 0.5, "open in 2 of 2 seeds")
    assert told == (
        "**STAT1** opens **z0** (inclusion probability 0.99); it shifts cells by -1.50 ± 0.10 "
        "basal s.d. It is open in 2 of 2 seeds."
    )
    assert "does not open **z2**" in tell_entry(masks, "STAT1", "z2", 0.5)
    masks.uns["has_mask"] = False
    assert "inclusion" not in tell_entry(masks, "STAT1", "z0", 0.5)


def test_a_perturbation_is_told_with_its_latents_and_cells(masks: ad.AnnData) -> None:
    def told(name: str) -> str:
        return tell_perturbation(masks, mask_row(masks, name, 0.5), name)

    assert told("STAT1") == (
        "**STAT1** opens 2 of 3 latent dimensions: z0 (-1.5 ± 0.1, shared with 2) and z1 "
        "(-1.5 ± 0.1, alone). The model learned it from 1,234 training cells; in the data it "
        "changes 89 genes at FDR 5%."
    )
    assert "opens no latent dimension" in told("MYC")
    assert "it changes no gene" in told("MYC")
    assert "it changes 1 gene at" in told("IFNGR1")
    masks.uns["has_mask"] = False
    assert "shifts every latent dimension" in told("STAT1")


@pytest.mark.parametrize(
    ("effects", "step"),
    [
        ({"a": -2.0, "b": -1.0}, -1.5),
        ({"a": -2.0, "b": 0.5}, -2.0),
        ({"a": 3.0, "b": 1.0, "c": -1.0}, 2.0),
        ({"a": 0.0}, 1.0),
        ({}, 1.0),
    ],
)
def test_the_typical_step_goes_the_way_of_most_of_the_push(
    effects: dict[str, float], step: float
) -> None:
    assert typical_step(openers(effects)) == pytest.approx(step)


def test_a_latent_is_told_by_perturbations_genes_and_best_gene_set(masks: ad.AnnData) -> None:
    who = openers({"STAT1": -2.0, "JAK2": -1.5, "IFNGR1": -1.0})
    tests = latent_enrichment(masks, who, genes("g60"), genes(*GENES[:8]), GENES, SETS)
    told = tell_latent(who, "z0", genes("g60"), genes("g0", "g1"), tests, masked=True)
    assert told.startswith(
        "**STAT1, JAK2 and IFNGR1** open **z0**, pushing it down by 1.5 basal s.d. on average. "
        "That step raises g60 and lowers g0 and g1 most. The best gene set is **Moved**, with 8 "
        "of the 8 genes lowered (FDR below 0.001)."
    )


def test_openers_that_push_apart_are_told() -> None:
    who = openers({"a": -2.0, "b": 0.5, "c": -1.0})
    told = tell_latent(who, "z0", genes("g"), genes(), None, masked=True)
    assert "2 pushing it down, 1 up. A step of -1.5 basal s.d. raises g most." in told
    assert "No gene set is enriched" in told
    alone = tell_latent(openers({"a": 1.0}), "z0", genes(), genes(), None, masked=True)
    assert "**a** opens **z0**" in alone
    assert "moves no gene clearly" in alone
    assert "No perturbation opens" in tell_latent(
        openers({}), "z0", genes(), genes(), None, masked=True
    )
    assert "Every perturbation shifts" in tell_latent(
        who, "z0", genes(), genes(), None, masked=False
    )


def test_tests_of_a_latent_are_those_of_its_lists(masks: ad.AnnData) -> None:
    who = openers(dict.fromkeys(NAMES[:3], 1.0))
    tests = latent_enrichment(masks, who, genes("g60"), genes(*GENES[:8]), GENES, SETS)
    assert tests.perturbations is not None
    expected = enrich(NAMES[:3], SETS, NAMES)
    pd.testing.assert_frame_equal(tests.perturbations.table, expected.table)
    assert "6 perturbed genes of this screen" in tests.perturbations.finding
    assert "200 genes of the model" in tests.lowered.finding
    assert tests.lowered.table.iloc[0]["set"] == "Moved"
    assert tests.raised.enriched.empty


def test_the_best_test_has_the_smallest_rate_or_is_none(masks: ad.AnnData) -> None:
    who = openers(dict.fromkeys(NAMES[:3], 1.0))
    tests = latent_enrichment(masks, who, genes("g60"), genes(*GENES[:8]), GENES, SETS)
    assert tests.best is not None
    assert tests.best[0] == "genes lowered"
    nothing = enrich(["g60"], SETS, GENES)
    assert LatentEnrichment(None, nothing, nothing).best is None


@pytest.mark.parametrize("masked", [True, False])
def test_perturbations_are_tested_only_where_a_mask_chooses_some(
    masks: ad.AnnData, masked: bool
) -> None:
    masks.uns["has_mask"] = masked
    everyone, nobody = openers(dict.fromkeys(NAMES, 1.0)), openers({})
    assert latent_enrichment(masks, nobody, genes(), genes(), GENES, SETS).perturbations is None
    found = latent_enrichment(masks, everyone, genes(), genes(), GENES, SETS).perturbations
    assert (found is not None) is masked


def test_guides_count_as_their_target_genes(masks: ad.AnnData) -> None:
    masks.obs_names = ["STAT1g1", "STAT1g2", "JAK2g1", "JAK2g2", "MYCg1", "MYCg2"]
    found = latent_enrichment(
        masks, openers({"STAT1g1": 1.0, "JAK2g2": 1.0}), genes(), genes(), GENES, SETS
    ).perturbations
    assert found is not None
    assert found.n_background == 3
    assert found.table.iloc[0]["members"] == "STAT1, JAK2"


def test_cells_are_told_by_their_mean_position() -> None:
    z = np.array([[0.0, 1.0], [0.0, 3.0], [0.0, -0.02], [0.0, 9.0]], np.float32)
    cells = ad.AnnData(
        np.zeros((4, 0)),
        obs=pd.DataFrame({"condition": ["A", "A", "control", "B"]}, index=list("abcd")),
        obsm={"z": z},
    )
    told = tell_cells(cells, 1, ["A"], "control")
    assert "+2.0 ± 1.0 in 2 cells with one of its perturbations alone" in told
    assert "+0.0 ± 0.0 in 1 control cells" in told
    assert "Neither" in tell_cells(cells, 1, ["nobody"], "no control")


def test_accuracy_of_pathways_is_told_beside_its_nulls() -> None:
    found = {
        "accuracy_logistic": {"mean": 0.62, "sd": 0.03},
        "permutation": {"mean": 0.12, "sd": 0.02},
        "majority": 0.2,
        "n_perturbations": 1200,
        "n_pathways": 8,
        "ate": {"mean": 0.7, "sd": 0.01},
    }
    told = tell_pathways(found)
    assert "**62%** ± 3% of 1,200 (8 pathways)" in told
    assert "largest pathway is right in 20%, masks with shuffled pathways in 12% ± 2%" in told
    assert told.endswith("measured effects themselves in 70%.")
    assert tell_pathways(found | {"ate": None}).endswith("12% ± 2%.")
