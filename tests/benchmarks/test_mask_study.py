"""The tables of the mask study, from figures and masks that can be reckoned by hand."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from benchmarks.mask_study import (
    WITH_EFFECT,
    arm_scores,
    between_seeds,
    calibration_table,
    jaccard_between,
    mask_table,
    mean_table,
    pathway_table,
)
from sams_core.analysis.agreement import seed_agreement
from tests.support.evaluations import evaluation

NAMES = [*WITH_EFFECT, "weak1", "weak2"]
OPENED = {"STAT1": [0], "JAK2": [0], "IFNGR1": [0, 1], "IFNGR2": [0], "SMAD4": [1], "weak2": [2, 3]}


def mask(opened: Mapping[str, list[int]]) -> pd.DataFrame:
    table = pd.DataFrame(0.01, index=NAMES, columns=[f"Z{k}" for k in range(4)])
    for name, latents in opened.items():
        table.loc[name, [f"Z{k}" for k in latents]] = 0.99
    return table


def test_one_seed_of_papalexi() -> None:
    scores = arm_scores(mask(OPENED))
    assert scores["arm"] == pytest.approx((3 * 1 + 3 * 0.5) / 6)
    assert scores["SMAD4 with the arm"] == pytest.approx(0.5)
    counts = {name: value for name, value in scores.items() if name.endswith("open")}
    assert counts == {
        "arm, open": 5, "SMAD4, open": 1, "IRF1, open": 0, "weak, open": 2, "all, open": 8,
    }  # fmt: skip


def test_two_seeds_are_compared_in_matched_latents() -> None:
    moved = {0: 3, 1: 2, 2: 1, 3: 0}
    elsewhere = {name: [moved[k] for k in latents] for name, latents in OPENED.items()}
    same = seed_agreement([mask(OPENED), mask(elsewhere)])
    names = list(OPENED)
    np.testing.assert_array_equal(jaccard_between(same, names), np.ones((1, len(names))))
    differing = seed_agreement([mask(OPENED), mask(elsewhere | {"JAK2": [3, 2], "SMAD4": []})])
    (row,) = between_seeds(differing)
    assert row["JAK2"] == pytest.approx(0.5)
    assert row["SMAD4"] == 0
    assert row["mean of the arm"] == pytest.approx(3.5 / 4)
    assert jaccard_between(same, ["SPI1"]).item() == 0, "nothing open in either is nothing found"


def test_an_entry_in_a_latent_without_a_partner_counts_as_differing() -> None:
    agreement = seed_agreement([mask({"STAT1": [0]}), mask({"STAT1": [0, 1]})])
    assert jaccard_between(agreement, ["STAT1"]).item() == pytest.approx(0.5)


def test_each_model_has_its_row_and_the_f1_of_each_seed() -> None:
    runs = [
        evaluation(seed=seed, model=name, f1=f1 + seed / 10)
        for name, f1 in (("The paper's way", 0.2), ("Default", 0.5))
        for seed in (2, 0, 1)
    ]
    table = mask_table(runs, {"Default": "0.900"}).set_index("model")
    assert table.index.tolist() == ["Default", "The paper's way", "technical duplicate"]
    assert table["F1 of each seed"].tolist() == ["0.500, 0.600, 0.700", "0.200, 0.300, 0.400", "–"]
    assert table["seed agreement"].tolist() == ["0.900", "–", "–"]
    assert table.loc["Default", "mask F1"] == "0.600 ± 0.100"
    assert table.loc["technical duplicate", "ATE Pearson"] == "0.900"


def test_pathway_accuracy_stands_beside_what_it_has_to_beat() -> None:
    assert pathway_table([evaluation()]) is None
    accuracy = {"mean": 0.8, "sd": 0.1}
    pathways = {
        "accuracy_logistic": accuracy, "accuracy_forest": accuracy, "majority": 0.1,
        "permutation": {"mean": 0.12, "sd": 0.1}, "ate": {"mean": 0.7, "sd": 0.1},
    }  # fmt: skip
    table = pathway_table([evaluation(pathways=pathways)])
    assert table is not None
    assert dict(zip(table["model"], table["pathway accuracy"], strict=True)) == {
        "SAMS-VAE": "0.800",
        "majority class": "0.100",
        "permuted pathways": "0.120",
        "pathways from the data's effects": "0.700",
    }


def test_calibration_counts_the_entries_of_all_seeds() -> None:
    def run(seed: int, n: int, n_real: int, probability: float) -> dict[str, object]:
        found = {
            "lower": 0.9, "upper": 0.99, "n": n, "n_real": n_real, "mean_probability": probability,
        }  # fmt: skip
        calibration = {"bins": [found], "n_unpaired": 0, "ece": 0.1}
        return evaluation(seed=seed, mask={"f1": 1.0, "calibration": calibration})

    assert calibration_table([evaluation(f1=0.5)]) is None
    table = calibration_table([run(0, 10, 10, 0.9), run(1, 30, 20, 0.98)])
    assert table is not None
    (row,) = table.to_dict(orient="records")
    assert row["entries"] == "40"
    assert (row["mean probability"], row["share real"]) == ("0.960", "0.750")


def test_means_over_seeds() -> None:
    table = mean_table({"a": [{"x": 1.0}, {"x": 3.0}], "one seed": []}, 1, "pairs")
    assert table.to_dict(orient="records") == [{"model": "a", "x": "2.0 ± 1.4", "pairs": "2"}]
