"""Evaluations side by side: what is averaged, what is kept apart, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sams_core.analysis import comparison, comparison_text
from sams_core.analysis.paper_results import ORDER, PAPER, PAPER_NORMAN, SOURCE
from sams_core.errors import ConfigError
from tests.support.evaluations import RECIPE, evaluation


def test_the_table_has_means_and_sample_sd_over_seeds() -> None:
    scores = [0.51, 0.58, 0.62]
    table = comparison.paper_table([evaluation(seed=i, pearson=s) for i, s in enumerate(scores)])
    row = table[table["kind"] == "model"].iloc[0]
    assert row["n"] == 3
    assert row["pearson"] == pytest.approx(sum(scores) / 3)
    assert row["pearson_sd"] == pytest.approx(np.std(scores, ddof=1))
    assert row["iwelbo_sd"] == 0


def test_rows_stand_in_the_papers_order_then_baselines_then_the_ceiling() -> None:
    table = comparison.paper_table(
        [
            evaluation("sams_vae", "correlated"),
            evaluation("svae_plus", None),
            evaluation("sams_vae", "mean_field"),
            evaluation("conditional_vae", None),
        ]
    )
    assert list(zip(table["model"], table["inference"], strict=True)) == [
        ("Conditional VAE", "amortised mean-field"),
        ("SVAE+", "amortised mean-field"),
        ("SAMS-VAE", "amortised mean-field"),
        ("SAMS-VAE", "correlated z_basal and E"),
        ("additive", ""),
        ("technical duplicate", ""),
    ]


def test_a_baseline_counts_once_a_split_not_once_a_run() -> None:
    same = [evaluation(seed=seed) for seed in range(3)]
    table = comparison.paper_table(same).set_index("model")
    assert (table.loc["SAMS-VAE", "n"], table.loc["additive", "n"]) == (3, 1)
    assert table["pearson_sd"].isna()["additive"]
    splits = [
        evaluation(seed=seed, additive=value, split=RECIPE | {"seed": seed})
        for seed, value in enumerate((0.3, 0.4))
    ]
    table = comparison.paper_table(splits).set_index("model")
    assert table.loc["additive", "n"] == 2
    assert table.loc["additive", "pearson_sd"] == pytest.approx(np.std([0.3, 0.4], ddof=1))


def test_undefined_scores_are_left_out_and_not_counted_as_zero() -> None:
    table = comparison.paper_table([evaluation(pearson=0.5), evaluation(seed=1, pearson=None)])
    assert table.loc[0, "pearson"] == 0.5
    assert "no change" not in set(table["model"])
    assert "mask_f1" not in table.columns


def test_a_score_below_a_baseline_is_shown_as_it_is() -> None:
    shown = comparison_text.report([evaluation(pearson=-0.2, additive=0.8)])
    assert "| SAMS-VAE | correlated z_basal and E | -100.00 | -0.200 | 1 |" in shown
    assert "| additive |  | – | 0.800 | 1 |" in shown


def test_screens_and_splits_are_never_averaged_with_each_other() -> None:
    one, other = evaluation(), evaluation(seed=1, split=RECIPE | {"test": 0.3})
    with pytest.raises(ConfigError, match="one screen and split"):
        comparison.paper_table([one, other])
    another = evaluation(seed=2, fingerprint="g")
    assert list(comparison.by_setting([one, other, another])) == [
        ("Screen", "random cells"),
        ("Screen", "random cells, test 0.3"),
        ("Screen (2)", "random cells"),
    ]


@pytest.mark.parametrize(
    ("recipe", "name"),
    [
        (None, "the screen's own split"),
        (RECIPE, "random cells"),
        (RECIPE | {"kind": "ood_combinations", "fraction": 0.25},
         "held-out combinations, fraction 0.25"),
        (RECIPE | {"kind": "ood_combinations", "holdout": 0.3},
         "held-out combinations, fraction 1, holdout 0.3"),
        (RECIPE | {"kind": "data_efficiency", "fraction": 0.5, "val": 0.1},
         "data efficiency, fraction 0.5, val 0.1"),
    ],
)  # fmt: skip
def test_names_of_splits(recipe: dict[str, Any] | None, name: str) -> None:
    assert comparison.split_name(recipe) == name


def test_lines_over_fractions() -> None:
    values = {0.0: (0.3, 0.5), 0.5: (0.6,), 1.0: (0.7, 0.9)}
    runs = [
        evaluation(
            seed=seed,
            pearson=value,
            split=RECIPE | {"kind": "ood_combinations", "fraction": fraction},
        )
        for fraction, scores in values.items()
        for seed, value in enumerate(scores)
    ]
    lines = comparison.lines_table([*runs, evaluation(pearson=-1.0)], "pearson")
    model = lines[lines["kind"] == "model"]
    assert model["fraction"].tolist() == [0.0, 0.5, 1.0]
    np.testing.assert_allclose(model["mean"], [0.4, 0.6, 0.8])
    np.testing.assert_allclose(model["sd"], [np.sqrt(0.02), np.nan, np.sqrt(0.02)])
    assert model["n"].tolist() == [2, 1, 2]
    assert set(lines["setting"]) == {"held-out combinations"}
    assert set(lines["kind"]) == {"model", "baseline", "ceiling"}
    with pytest.raises(ConfigError, match="one screen"):
        comparison.lines_table([runs[0], runs[1] | {"fingerprint": "g"}], "pearson")


def test_pathway_nulls_stand_beside_the_accuracy() -> None:
    pathways = {
        "accuracy_logistic": {"mean": 0.8, "sd": 0.1}, "accuracy_forest": {"mean": 0.7, "sd": 0.1},
        "majority": 0.3, "permutation": {"mean": 0.25, "sd": 0.1}, "ate": {"mean": 0.6, "sd": 0.1},
    }  # fmt: skip
    table = comparison.paper_table([evaluation(pathways=pathways)]).set_index("model")
    assert table["pathway_accuracy"].dropna().to_dict() == {
        "SAMS-VAE": 0.8,
        "majority class": 0.3,
        "permuted pathways": 0.25,
        "pathways from the data's effects": 0.6,
    }


def test_unseen_conditions_have_a_table_of_their_own() -> None:
    run = evaluation()
    run["scores"].append(run["scores"][0] | {"scope": "unseen", "value": 0.1})
    run["iwelbo"]["test_unseen"] = -120.0
    tables = dict(comparison_text.sections([run]))
    (unseen,) = (table for heading, table in tables.items() if "no training cell" in heading)
    assert unseen[["iwelbo", "pearson"]].iloc[0].tolist() == [-120.0, 0.1]


def test_simulated_screens_are_called_simulated() -> None:
    ((heading, _),) = comparison_text.sections([evaluation(simulated=True)])
    assert "(simulated)" in heading


def test_a_baseline_that_says_nothing_of_some_conditions_says_so() -> None:
    run = evaluation()
    for score in run["scores"]:
        score["n_conditions"] = 2 if score["predictor"] == "additive" else 3
    table = comparison.paper_table([run])
    assert table.set_index("model")["conditions"].to_dict() == {
        "SAMS-VAE": 3, "additive": 2, "technical duplicate": 3,
    }  # fmt: skip
    assert table["pearson_fewer"].tolist() == [False, True, False]
    shown = comparison_text.report([run])
    assert "| additive (2 of 3 conditions) |" in shown
    assert "| SAMS-VAE |" in shown
    assert "conditions) |" not in comparison_text.report([evaluation()])


def test_conditions_are_held_against_those_of_the_same_runs_and_figure() -> None:
    """Splits whose test cells cover more conditions, and figures that fewer have, mark nothing."""
    runs = [evaluation(seed=seed, split=RECIPE | {"seed": seed}) for seed in range(2)]
    runs.append(evaluation("svae_plus", None, seed=1, split=RECIPE | {"seed": 1}))
    for run, number in zip(runs, (8, 5, 5), strict=True):
        scores = run["scores"]
        for score in scores:
            score["n_conditions"] = number
        scores += [score | {"metric": "de_overlap", "n_conditions": 3} for score in scores]
        scores += [score | {"metric": "r2"} for score in scores[:1]]
    table = comparison.paper_table(runs, metrics=["r2", "pearson", "de_overlap"])
    assert table.set_index("model")["conditions"].to_dict() == {
        "SVAE+": 5, "SAMS-VAE": 6.5, "additive": 6.5, "technical duplicate": 6.5,
    }  # fmt: skip
    only = comparison.paper_table(runs, metrics=["r2", "de_overlap"])
    assert only.set_index("model")["conditions"]["additive"] == 3
    for found in (table, only):
        assert not found.filter(like="_fewer").to_numpy().any()
        assert not comparison.coverage(found).any()


def test_the_papers_numbers() -> None:
    assert "5 seeds" in SOURCE
    assert len(PAPER) == len(set(ORDER)) == 8
    rows = PAPER.astype(object).replace({float("nan"): None}).to_numpy().tolist()
    assert rows[0] == ["conditional_vae", None, -1766.10, 0.18, None, None, 0.765]
    assert rows[-1] == ["sams_vae", "correlated", -1756.27, 0.10, 0.89, 0.03, 0.765]
    assert PAPER_NORMAN.groupby("family").size().to_dict() == {
        "sams_vae": 5, "cpa_vae": 5, "conditional_vae": 5, "svae_plus": 5,
    }  # fmt: skip
