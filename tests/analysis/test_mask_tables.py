from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from sams_core.analysis import mask_tables
from sams_core.analysis.ordering import Group


@pytest.fixture
def masks() -> ad.AnnData:
    probability = np.array([[0.9, 0.5, 0.0], [0.8, 0.1, 0.0], [0.2, 0.1, 0.0], [0.0, 0.0, 0.0]])
    return ad.AnnData(
        probability.astype(np.float32),
        obs=pd.DataFrame(
            {
                "n_cells": [10, 20, 30, 40],
                "n_cells_train": [6, 12, 18, 24],
                "n_significant": [5, 4, 0, 0],
                "pathway": pd.Categorical(["x", "x", "y", "y"]),
                "guide_score": [0.1, 0.2, 0.3, 0.4],
                "note": ["a", "b", "c", "d"],
            },
            index=["A", "B", "C", "D"],
        ),
        var=pd.DataFrame(index=["z0", "z1", "z2"]),
        layers={"effect": np.array([[1, -2, 0], [-3, 0, 0], [0, 0, 0], [0, 0, 0]], np.float32)},
        uns={"truth_mask": np.array([[0, 1, 0], [0, 1, 0], [0, 0, 0], [0, 0, 0]])},
    )


def test_only_text_with_repeated_values_can_group(masks: ad.AnnData) -> None:
    assert mask_tables.annotation_columns(masks) == ["pathway"]


def test_choices_leave_out_gene_sets_that_group_nothing(masks: ad.AnnData) -> None:
    collections = {"others": {"set": ["X", "Y", "A"]}, "mine": {"set": ["A", "D"]}}
    choices = mask_tables.grouping_choices(masks, collections)
    assert choices == ["pathway", "mine", mask_tables.NO_GROUPING]


def test_grouping_by_annotation_gene_set_or_nothing(masks: ad.AnnData) -> None:
    collections = {"mine": {"set": ["A", "D"]}}
    names = {
        choice: [group.name for group in mask_tables.grouping(masks, choice, collections)]
        for choice in ("pathway", "mine", mask_tables.NO_GROUPING)
    }
    assert names["pathway"] == ["x", "y"]
    assert names["mine"][0] == "set"
    assert names[mask_tables.NO_GROUPING] == [""]


def test_an_entry_at_the_threshold_is_open(masks: ad.AnnData) -> None:
    assert mask_tables.open_entries(masks, 0.5)[0].tolist() == [True, True, False]
    assert mask_tables.used_latents(masks, ["z2", "z1", "z0"], 0.5) == ["z1", "z0"]
    assert mask_tables.used_latents(masks, ["z2", "z1", "z0"], 0.55) == ["z0"]


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.7, 0.95])
def test_float32_tables_meet_the_threshold_they_were_written_at(threshold: float) -> None:
    table = ad.AnnData(np.full((1, 1), threshold, np.float32))
    assert mask_tables.open_entries(table, threshold).all()


def test_perturbation_table_follows_the_groups(masks: ad.AnnData) -> None:
    groups = [Group("y", np.array([3, 2])), Group("x", np.array([1, 0]))]
    table = mask_tables.perturbation_table(masks, groups, 0.5)
    assert table.index.tolist() == ["D", "C", "B", "A"]
    assert table["group"].tolist() == ["y", "y", "x", "x"]
    assert table.loc["A", "open_latents"] == "z1, z0"
    assert table.loc["A", "strength"] == pytest.approx(np.sqrt(5))
    assert table["n_open"].tolist() == [0, 0, 1, 2]


def test_latent_table_names_the_strongest_perturbation_first(masks: ad.AnnData) -> None:
    table = mask_tables.latent_table(masks, 0.5)
    assert table.index.tolist() == ["z0", "z1", "z2"]
    assert table.loc["z0", "perturbations"] == "B, A"
    assert table.loc["z0", "mean_effect"] == pytest.approx(2.0)
    assert table["mean_effect"].isna().tolist() == [False, False, True]


def test_finding_states_counts(masks: ad.AnnData) -> None:
    assert mask_tables.finding(masks, 0.5) == (
        "2 of 4 perturbations shift at least one latent dimension, typically 1.5; 2 of 3 "
        "dimensions are used, and 25.0% of all entries are open."
    )
    assert mask_tables.finding(masks, 0.95).startswith("No perturbation opens")


def test_true_latents_without_partner_have_names_of_their_own(masks: ad.AnnData) -> None:
    masks.uns["truth_mask"] = np.eye(4, 5)
    truth, _ = mask_tables.match_truth(masks, ["z0", "z1", "z2"], 0.5)
    assert truth.columns.is_unique
    assert truth.columns.str.startswith(mask_tables.NO_PARTNER).sum() == 1


def test_truth_is_matched_and_ordered_like_the_model(masks: ad.AnnData) -> None:
    truth, match = mask_tables.match_truth(masks, ["z1", "z0"], 0.5)
    assert truth.columns.tolist() == ["z0"]  # true latents that nothing opens are left out
    assert truth["z0"].tolist() == [True, True, False, False]
    assert match.precision == pytest.approx(2 / 3)
    assert match.recall == 1.0


def test_silent_perturbations_leave_and_take_empty_groups_along(masks: ad.AnnData) -> None:
    silent = mask_tables.silent_rows(masks, 0.5)
    assert silent.tolist() == [False, False, True, True]
    groups = [Group("x", np.array([3, 0, 1])), Group("y", np.array([2]))]
    (kept,) = mask_tables.without_rows(groups, silent)
    assert (kept.name, kept.rows.tolist()) == ("x", [0, 1])


def test_measured_effects_that_the_mask_misses_are_told(masks: ad.AnnData) -> None:
    assert not mask_tables.missed(masks, 0.5)
    masks.obs["n_significant"] = [50, 50, 11, 30]
    assert mask_tables.missed(masks, 0.5).startswith("D and C open none, though")
    assert "D and C" in mask_tables.finding(masks, 0.5)
