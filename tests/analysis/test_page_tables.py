"""Tables that the effects, latents and combine pages read from a checkpoint."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from sams_core.analysis import (
    combination_doses,
    combination_tables,
    effect_tables,
    latent_tables,
)

GENES = ["G0", "G1", "G2", "G3"]
CONDITIONS = ["A", "B", "A+B", "C"]


@pytest.fixture
def effects() -> ad.AnnData:
    model = np.array(
        [[1.0, 0.0, 0.0, 0.1], [0.0, -2.0, 0.0, 0.1], [1.0, -2.0, 0.3, 0.2], [0, 0, 0, 0]]
    )
    table = ad.AnnData(
        model,
        obs=pd.DataFrame(
            {
                "perturbations": CONDITIONS,
                "n_perturbations": [1, 1, 2, 1],
                "n_cells": [100, 200, 50, 9],
                "n_cells_train": [64, 128, 0, 6],
                "n_cells_test": [20, 40, 50, 1],
                "seen_in_training": [True, True, False, True],
                "n_significant": [1, 3, 2, 0],
                "pearson": [0.8, 0.9, 0.5, np.nan],
                "pearson_top20": [0.8, 0.9, 0.5, np.nan],
                "ceiling": [0.8, 0.95, np.nan, np.nan],
                "ceiling_top20": [0.8, 0.95, np.nan, np.nan],
            },
            index=CONDITIONS,
        ),
        var=pd.DataFrame(
            {"symbol": GENES, "mean_control": 1.0, "frac_detected": 0.5},
            index=[f"id{i}" for i in range(4)],
        ),
    )
    table.layers["model_se"] = np.full_like(model, 0.01)
    for suffix, shift in (("", 0.01), ("_test", 0.02)):
        table.layers[f"data_ate{suffix}"] = model + shift
        table.layers[f"data_se{suffix}"] = np.full_like(model, 0.1)
        table.layers[f"fdr{suffix}"] = np.where(np.abs(model) > 0.5, 0.01, 0.9)
    table.layers["data_ate_test"][3] = np.nan
    table.layers["fdr_test"][3] = np.nan
    return table


@pytest.fixture
def masks() -> ad.AnnData:
    names = ["A", "B", "C", "D"]
    return ad.AnnData(
        np.array([[0.9, 0.1], [0.8, 0.7], [0.0, 0.2], [0.1, 0.1]], dtype=np.float32),
        obs=pd.DataFrame(
            {
                "n_cells": 10,
                "n_significant": [1, 5, 0, 0],
                "pathway": pd.Categorical(["one", "two", "two", "one"]),
            },
            index=names,
        ),
        var=pd.DataFrame(index=["z0", "z1"]),
        obsm={"X_umap": np.arange(8.0).reshape(4, 2)},
    )


@pytest.fixture
def cells() -> ad.AnnData:
    labels = ["control", "A", "B+C", "A+B", "C"]
    return ad.AnnData(
        np.zeros((5, 0), np.float32),
        obs=pd.DataFrame(
            {
                "condition": pd.Categorical(labels),
                "perturbation": labels,
                "replicate": pd.Categorical(["r1", "r2", None, "r1", "r1"]),
                "lane": [1, 2, 1, 2, 1],
            },
            index=[f"c{i}" for i in range(5)],
        ),
    )


class TestEffectTables:
    def test_condition_table_takes_the_layer_asked_for(self, effects: ad.AnnData) -> None:
        everyone = effect_tables.condition_table(effects, "B", cells="all")
        held_out = effect_tables.condition_table(effects, "B", cells="held-out")
        assert list(everyone.index) == GENES
        assert everyone.loc["G1", "model"] == -2
        assert everyone.loc["G1", "data"] == pytest.approx(-1.99)
        assert held_out.loc["G1", "data"] == pytest.approx(-1.98)

    def test_gene_table_lists_the_strongest_first(self, effects: ad.AnnData) -> None:
        table = effect_tables.gene_table(effects, "G1", cells="held-out")
        assert set(table.index[:2]) == {"B", "A+B"}
        assert table.loc["A+B", "n_cells"] == 50
        assert not table.loc["A+B", "seen_in_training"]
        assert table["data"].isna()["C"]

    def test_fits_are_sorted_and_share_the_ceiling(self, effects: ad.AnnData) -> None:
        fits = effect_tables.fit_table(effects)
        assert list(fits.index) == ["B", "A", "A+B", "C"]
        assert fits.loc["A", "percent_of_ceiling"] == pytest.approx(100)
        assert fits["percent_of_ceiling"].isna()["A+B"]

    @pytest.mark.parametrize(
        ("condition", "choice", "cells"),
        [
            ("A", "auto", "held-out"),
            ("C", "auto", "all"),
            ("C", "held-out", "held-out"),
            ("A", "all", "all"),
        ],
    )
    def test_which_cells(
        self, effects: ad.AnnData, condition: str, choice: str, cells: str
    ) -> None:
        assert effect_tables.resolve_cells(effects, condition, choice) == cells

    def test_a_share_of_next_to_nothing_is_not_given(self, effects: ad.AnnData) -> None:
        effects.obs["ceiling"] = 0.05
        assert effect_tables.fit_table(effects)["percent_of_ceiling"].isna().all()

    def test_what_to_open_first(self, effects: ad.AnnData) -> None:
        assert effect_tables.strongest_condition(effects) == "B"
        assert effect_tables.most_moved_gene(effects) == "G1"

    def test_sentences(self, effects: ad.AnnData) -> None:
        fits = effect_tables.fit_table(effects)
        assert "reaches 95 %" in effect_tables.describe_fit(fits.T["B"], 4)
        assert "ceiling" not in effect_tables.describe_fit(fits.T["A+B"], 4)
        assert "Too few held-out cells (1)" in effect_tables.describe_fit(fits.T["C"], 4)
        assert effect_tables.describe_fits(fits).startswith("3 of 4")
        assert "None of them changes" in effect_tables.describe_fits(fits)
        clear = effect_tables.describe_fits(fits.assign(n_significant=[12, 3, 0, 30]))
        assert clear.endswith("Only B changes 10 genes or more: correlation 0.90, ceiling 0.95.")
        several = effect_tables.describe_fits(fits.assign(n_significant=20, pearson=0.3))
        assert "Over the 4 that change 10 genes or more, the median correlation is 0.30" in several
        behind = fits.assign(n_significant=20, percent_of_ceiling=[95.0, 30.0, 10.0, np.nan])
        assert effect_tables.describe_fits(behind).endswith(
            " A+B and A reach less than half of the ceiling."
        )
        assert effect_tables.describe_fits(fits.iloc[:0]).startswith("None of 0")

    def test_gene_sentences(self, effects: ad.AnnData) -> None:
        table = effect_tables.gene_table(effects, "G1", cells="held-out")
        assert effect_tables.describe_gene(table, "G1", 0.05).startswith("2 of 3 measured")
        assert effect_tables.describe_gene(table, "G1", 0.001).startswith("None of 3 measured")

    def test_a_vanishing_fdr_is_a_bound(self, effects: ad.AnnData) -> None:
        effects.layers["fdr"][:] = 0
        table = effect_tables.condition_table(effects, "B", cells="all")
        assert (table["fdr"] == effect_tables.SMALLEST_FDR).all()

    @pytest.mark.parametrize(
        ("names", "text"),
        [
            ([], ""),
            (["A"], "A"),
            (["A", "B"], "A and B"),
            (["A", "B", "C"], "A, B and C"),
            (list("ABCDEFG"), "A, B, C, D, E and 2 more"),
        ],
    )
    def test_names_in_a_sentence(self, names: list[str], text: str) -> None:
        assert effect_tables.listed(names) == text

    def test_repeated_symbols_give_way_to_names(self, effects: ad.AnnData) -> None:
        effects.var["symbol"] = ["G0", "G0", "G1", "G2"]
        assert list(effect_tables.gene_names(effects)) == list(effects.var_names)

    @pytest.mark.parametrize("values", [[1.0, 1.0, 1.0], [1.0, np.nan, np.nan]])
    def test_no_correlation_without_spread(self, values: list[float]) -> None:
        assert np.isnan(effect_tables.pearson(np.array(values), np.arange(3.0)))


class TestLatentTables:
    def test_choices_hold_each_name_once(self, cells: ad.AnnData, masks: ad.AnnData) -> None:
        choices = latent_tables.colour_choices(cells, masks)
        assert choices == [
            *("perturbation", "pathway", "replicate", "lane"),
            *("gene expression", "latent dimension"),
        ]

    def test_annotations_reach_cells(self, cells: ad.AnnData, masks: ad.AnnData) -> None:
        values = latent_tables.cell_values(cells, masks, "pathway", control="control")
        assert list(values) == ["control", "one", "two", latent_tables.SEVERAL, "two"]

    def test_cells_at_another_dose_keep_their_annotation(
        self, cells: ad.AnnData, masks: ad.AnnData
    ) -> None:
        cells.obs["condition"] = ["control", "A@0.5", "B@2+C", "A+B@0.1", "unheard of"]
        values = latent_tables.cell_values(cells, masks, "pathway", control="control")
        assert list(values) == ["control", "one", "two", latent_tables.SEVERAL, None]

    def test_missing_values_stay_missing(self, cells: ad.AnnData, masks: ad.AnnData) -> None:
        values = latent_tables.cell_values(cells, masks, "replicate", control="control")
        assert values.isna().tolist() == [False, False, True, False, False]

    def test_few_numbers_are_categories(self, cells: ad.AnnData, masks: ad.AnnData) -> None:
        lanes = latent_tables.cell_values(cells, masks, "lane", control="control")
        assert list(lanes) == ["1", "2", "1", "2", "1"]
        assert latent_tables.is_number(pd.Series(np.arange(100.0)))
        assert not latent_tables.is_number(pd.Series([True, False] * 50))

    def test_perturbations_are_ordered_by_strength(
        self, cells: ad.AnnData, masks: ad.AnnData
    ) -> None:
        values = pd.Series(["A", "B", "A+B", "C", "control"])
        order = latent_tables.category_order(values, masks, "perturbation")
        assert order[:3] == ["B", "A", "C"]
        assert latent_tables.category_order(pd.Series(["x", "y", "y"]), masks, "lane") == ["y", "x"]

    def test_splits_are_in_reading_order(self, cells: ad.AnnData) -> None:
        cells.obs["split"] = ["test", "other", "val", "train", "test"]
        assert latent_tables.splits(cells) == ["train", "val", "test", "other"]

    def test_gene_sets_are_annotations(self, masks: ad.AnnData) -> None:
        table = latent_tables.with_gene_sets(masks, {"mine": {"set": ["A", "C"]}})
        assert table.obs["mine"].tolist() == ["set", None, "set", None]
        assert "mine" not in masks.obs

    def test_distances_leave_out_chance(self) -> None:
        rng = np.random.default_rng(0)
        labels = pd.Series(["control"] * 400 + ["A"] * 400 + ["B"] * 3)
        basal = rng.normal(size=(len(labels), 10))
        table = ad.AnnData(np.zeros((len(labels), 0)))
        table.obsm["z_basal"] = basal
        table.obsm["z"] = basal + 3 * (labels == "A").to_numpy()[:, None] * np.eye(1, 10)
        found = latent_tables.distances(table, labels, "control", ["A", "B", "control"])
        assert list(found) == ["A"]
        assert found["A"][0] < 0.2
        assert found["A"][1] == pytest.approx(3, abs=0.3)
        assert "A 0." in latent_tables.describe_distances(found)
        assert latent_tables.describe_distances({}) == ""

    def test_perturbation_table(self, masks: ad.AnnData) -> None:
        table = latent_tables.perturbation_table(masks)
        assert list(table["n_open"]) == [1, 2, 0, 0]
        assert list(table["open_latents"]) == ["z0", "z0, z1", "none", "none"]
        assert list(table["pathway"]) == ["one", "two", "two", "one"]


class TestCombinationTables:
    @pytest.fixture
    def prediction(self) -> pd.DataFrame:
        interaction = np.array([0.4, -0.2, 0.01, 0.3])
        return pd.DataFrame(
            {
                "additive": [1.0, -2.0, 0.0, 0.2],
                "predicted": np.array([1.0, -2.0, 0.0, 0.2]) + interaction,
                "predicted_sd": 0.1,
                "interaction": interaction,
                "interaction_lower": [0.2, -0.3, 0.005, -0.1],
                "interaction_upper": [0.6, -0.1, 0.015, 0.7],
                "interaction_se": [0.01, 0.15, 0.001, 0.01],
            },
            index=pd.Index([f"id{i}" for i in range(4)], name="gene"),
        )

    @pytest.mark.parametrize(
        ("chosen", "name"),
        [(["B", "A"], "A+B"), (["A", "B"], "A+B"), (["A", "C"], None), (["A", "B", "C"], None)],
    )
    def test_measured_in_any_order(
        self, effects: ad.AnnData, chosen: list[str], name: str | None
    ) -> None:
        assert combination_doses.find_condition(effects, chosen) == name

    def test_default_is_a_measured_combination_or_the_strongest(
        self, effects: ad.AnnData, masks: ad.AnnData
    ) -> None:
        assert combination_tables.default_combination(effects, masks) == ["A", "B"]
        singles = effects[[0, 1, 3]].copy()
        assert combination_tables.default_combination(singles, masks) == ["B", "A"]

    def test_default_prefers_a_pair_whose_singles_were_measured(
        self, effects: ad.AnnData, masks: ad.AnnData
    ) -> None:
        other = effects[["A", "B", "A+B", "A+B"]].copy()
        other.obs_names = ["A", "B", "A+B", "A+C"]
        other.obs["perturbations"] = other.obs_names
        other.obs["n_cells"] = [100, 100, 50, 500]
        assert combination_tables.default_combination(other, masks) == ["A", "B"]

    def test_default_prefers_different_masks(self, effects: ad.AnnData, masks: ad.AnnData) -> None:
        masks.X[:] = [[0.9, 0.0], [0.9, 0.0], [0.0, 0.9], [0.0, 0.0]]
        singles = effects[[0, 1, 3]].copy()
        assert combination_tables.default_combination(singles, masks) == ["B", "C"]

    def test_going_beyond_training_is_told(self, effects: ad.AnnData, masks: ad.AnnData) -> None:
        effects.obs["seen_in_training"] = [True, True, False, True]
        masks.layers["effect"] = np.array([[3.0, 0.0], [2.5, 0.0], [0.0, 4.0], [0.3, 0.0]])
        told = combination_tables.extrapolation(masks, effects, {"A": 1.0, "B": 1.0})
        assert "latent dimension z0 the shifts add up to 5.5" in told
        assert "beyond 3.0" in told
        assert not combination_tables.extrapolation(masks, effects, {"A": 1.0, "C": 1.0})
        effects.obs["seen_in_training"] = False
        assert combination_tables.extrapolation(masks, effects, {"A": 1.0, "C": 1.0})
        effects.obs["seen_in_training"] = [False, False, True, False]
        assert not combination_tables.extrapolation(masks, effects, {"A": 1.0, "B": 1.0})

    def test_other_doses_are_another_condition(self, effects: ad.AnnData) -> None:
        effects.obs_names = ["A", "B", "A@2+B", "C"]
        assert combination_doses.find_condition(effects, ["A", "B"]) is None
        assert combination_doses.find_condition(effects, ["A", "B"], {"A": 2.0}) == "A@2+B"

    def test_measurement_is_matched_by_gene(
        self, effects: ad.AnnData, prediction: pd.DataFrame
    ) -> None:
        shuffled = prediction.iloc[::-1]
        table = combination_tables.add_measurement(shuffled, effects, "A+B", cells="all")
        assert table.loc["id1", "measured"] == pytest.approx(-1.99)
        assert "measured" not in combination_tables.add_measurement(
            prediction, effects, None, cells="all"
        )

    def test_only_certain_and_sizeable_deviations_count(self, prediction: pd.DataFrame) -> None:
        # id1 drowns in Monte-Carlo error, id2 is negligible, id3's interval holds zero.
        assert combination_tables.detectable(prediction).tolist() == [True, False, False, False]
        assert "+0.40 for id0" in combination_tables.describe_interaction(prediction)
        rest = combination_tables.describe_interaction(prediction.iloc[1:])
        assert rest.startswith("No interaction detectable")

    def test_measurement_in_words(self, effects: ad.AnnData, prediction: pd.DataFrame) -> None:
        table = combination_tables.add_measurement(prediction, effects, "A+B", cells="held-out")
        words = effect_tables.CELL_WORDS["held-out"]
        text = combination_tables.describe_measurement(table, effects.obs.loc["A+B"], words)
        assert "held-out cells, 50" in text
        assert "ceiling" not in text
        drawn = combination_tables.as_effects(table)
        assert list(drawn.columns) == ["model", "model_se", "data", "data_se", "fdr"]
