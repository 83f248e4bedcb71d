"""Tables and sentences of the models page against figures worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from sams_core.analysis import model_tables, replication_tables
from sams_core.analysis.comparison import WHOLE, lines_table, paper_table, tidy
from sams_core.analysis.paper_results import PAPER, PAPER_NORMAN
from sams_core.analysis.replication import match_latents
from sams_core.analysis.score_names import METRICS, NOTHING, mean_and_sd
from sams_core.explorer.glossary import FIGURES

NAMES = {"sams_vae": "SAMS-VAE", "cpa_vae": "CPA-VAE"}


def run(family: str, seed: int, pearson: dict[str, float], **changes: Any) -> pd.DataFrame:
    """Tidy rows of one run: its scores by scope, and an additive baseline of 0.6."""
    shared = {
        "run": f"{family}-{seed}", "model": NAMES[family], "family": family,
        "inference": "mean_field", "seed": seed, "title": "Screen", "fingerprint": "f",
        "simulated": False, "split": "held-out combinations, fraction 1",
        "setting": "held-out combinations", "fraction": 1.0, "split_seed": 0, "metric": "pearson",
        "n_conditions": 4,
    }  # fmt: skip
    rows = []
    for scope, value in pearson.items():
        rows.append({"predictor": "model", "kind": "model", "scope": scope, "value": value})
        rows.append({"predictor": "additive", "kind": "baseline", "scope": scope, "value": 0.6})
    return pd.DataFrame([shared | row | changes for row in rows])[tidy([]).columns]


def runs(*parts: pd.DataFrame) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True)


BOTH_SEEDS = runs(
    run("sams_vae", 0, {"seen": 0.80, "unseen": 0.50}),
    run("sams_vae", 1, {"seen": 0.84, "unseen": 0.54}),
    run("cpa_vae", 0, {"seen": 0.70, "unseen": 0.40}),
    run("cpa_vae", 1, {"seen": 0.71, "unseen": 0.42}),
)


def test_the_best_model_is_told_with_its_spread() -> None:
    told, beaten = model_tables.verdict(paper_table(BOTH_SEEDS, scope="seen"), "pearson") or ("", 1)
    assert not beaten
    assert told == (
        "**ATE Pearson**: SAMS-VAE, amortised mean-field (0.820 ± 0.028) is best, before the "
        "baselines' best, additive (0.600)."
    )


def test_a_baseline_that_beats_every_model_is_told_plainly() -> None:
    rows = paper_table(BOTH_SEEDS, scope="unseen")
    told, beaten = model_tables.verdict(rows, "pearson") or ("", False)
    assert beaten
    assert told.startswith("**ATE Pearson: a baseline beats every model.** It is additive (0.600)")
    assert "SAMS-VAE, amortised mean-field (0.520 ± 0.028)" in told


def test_lower_is_better_where_it_is() -> None:
    table = BOTH_SEEDS.assign(metric="rmse")
    rows = paper_table(table, scope="seen", metrics=["rmse"])
    told, beaten = model_tables.verdict(rows, "rmse") or ("", False)
    assert beaten
    assert "additive (0.600); the best model, CPA-VAE" in told
    assert model_tables.best_row(rows, "rmse", "model") == 0
    rows = paper_table(table.assign(metric="mask_share_open"), scope="seen",
                       metrics=["mask_share_open"])  # fmt: skip
    assert model_tables.verdict(rows, "mask_share_open") is None


def test_models_no_worse_than_seeds_vary_are_named() -> None:
    near = runs(
        run("sams_vae", 0, {"all": 0.80}), run("sams_vae", 1, {"all": 0.84}),
        run("cpa_vae", 0, {"all": 0.79}), run("cpa_vae", 1, {"all": 0.83}),
    )  # fmt: skip
    told, _ = model_tables.verdict(paper_table(near), "pearson") or ("", False)
    assert told.endswith("Within the spread over seeds of it: CPA-VAE, amortised mean-field.")
    single = near[near["seed"] == 0]
    told, _ = model_tables.verdict(paper_table(single), "pearson") or ("", False)
    assert told.endswith("their differences may be chance.")


def test_without_a_defined_figure_there_is_no_verdict() -> None:
    nothing = run("sams_vae", 0, {"all": np.nan}).assign(value=np.nan)
    assert model_tables.verdict(paper_table(nothing), "pearson") is None


def test_scopes_are_those_scored_and_repetitions_are_left_out() -> None:
    table = runs(
        run("sams_vae", 0, {"seen": 0.8, "unseen": 0.5, "unseen_combinations": 0.5, "all": 0.7}),
        run("sams_vae", 0, {"singles": np.nan}).assign(value=np.nan),
        run("sams_vae", 0, {WHOLE: 0.3}, metric="mask_f1"),
        run("sams_vae", 0, {"all": -1.0, "unseen": -2.0}, metric="iwelbo"),
    )
    assert list(model_tables.scopes_in(table).values()) == ["all", "seen", "unseen"]
    assert model_tables.metrics_in(table) == ["iwelbo", "mask_f1", "pearson"]


@pytest.mark.parametrize(
    ("there", "chosen"),
    [
        (["all", "singles", "combinations", "seen", "unseen"], ["seen", "unseen"]),
        (["all", "singles", "combinations"], ["singles", "combinations"]),
        (["all"], ["all"]),
        ([], []),
    ],
)
def test_generalisation_is_read_from_what_there_is(there: list[str], chosen: list[str]) -> None:
    assert model_tables.generalisation_scopes(there) == chosen


def test_one_figure_over_scopes_is_the_mean_over_seeds() -> None:
    table = model_tables.scope_table(BOTH_SEEDS, "pearson", ["seen", "unseen"])
    means = table.set_index(["scope", "name"])["mean"]
    assert means["seen", "SAMS-VAE, amortised mean-field"] == pytest.approx(0.82)
    assert means["unseen", "CPA-VAE, amortised mean-field"] == pytest.approx(0.41)
    assert means["unseen", "additive"] == pytest.approx(0.6)
    assert model_tables.scope_table(BOTH_SEEDS, "r2", ["seen"]).empty


def fewer(table: pd.DataFrame, *scopes: str) -> pd.DataFrame:
    """The same, its additive baseline over half of the conditions of some scopes."""
    half = table["predictor"].eq("additive") & table["scope"].isin(scopes)
    return table.assign(n_conditions=table["n_conditions"].mask(half, 2.0))


def test_a_baseline_over_fewer_conditions_is_never_best() -> None:
    table = fewer(BOTH_SEEDS, "unseen")
    rows = paper_table(table, scope="unseen")
    assert rows["pearson"].max() == 0.6
    assert model_tables.best_row(rows, "pearson", "baseline") is None
    told, beaten = model_tables.verdict(rows, "pearson") or ("", True)
    assert not beaten
    assert told == "**ATE Pearson**: SAMS-VAE, amortised mean-field (0.520 ± 0.028) is best."
    assert model_tables.names(rows).iloc[-1] == "additive (2 of 4 conditions)"
    others = table[table["predictor"].eq("additive")].assign(
        predictor="matching_mean", value=0.55, n_conditions=4.0
    )
    rows = paper_table(runs(table, others), scope="unseen")
    told, beaten = model_tables.verdict(rows, "pearson") or ("", False)
    assert beaten
    assert "It is matching mean (0.550)" in told


def test_a_baseline_over_fewer_conditions_says_so_in_figures() -> None:
    both = model_tables.scope_table(
        fewer(BOTH_SEEDS, "seen", "unseen"), "pearson", ["seen", "unseen"]
    )
    assert set(both.loc[both["kind"] == "baseline", "name"]) == {"additive (2 of 4 conditions)"}
    assert set(both.loc[both["kind"] == "model", "coverage"]) == {""}
    one = model_tables.scope_table(fewer(BOTH_SEEDS, "unseen"), "pearson", ["seen", "unseen"])
    additive = one[one["kind"] == "baseline"]
    assert set(additive["name"]) == {"additive (fewer conditions)"}
    assert additive["coverage"].tolist() == ["", " (2 of 4 conditions)"]
    lines = lines_table(fewer(BOTH_SEEDS, "unseen"), "pearson", scope="unseen")
    assert model_tables.tell_lines(lines, "pearson").startswith(
        "- With 100% in training. **ATE Pearson**: SAMS-VAE"
    )
    assert model_tables.shared_names(lines).iloc[-1] == "additive (2 of 4 conditions)"


def test_scopes_are_told_a_line_each() -> None:
    lines = model_tables.tell_scopes(BOTH_SEEDS, "pearson", ["seen", "unseen"]).splitlines()
    assert lines[0].startswith("- Conditions seen in training. **ATE Pearson**: SAMS-VAE")
    assert lines[1].startswith("- Conditions not seen in training. **ATE Pearson: a baseline beats")


def test_the_scope_of_generalisation_is_chosen_first() -> None:
    words = {text: scope for scope, text in model_tables.SCOPES.items()}
    assert words[model_tables.unseen_first(words)] == "unseen_combinations"
    assert model_tables.unseen_first({"all conditions": "all"}) == "all conditions"


def test_text_has_no_digits_that_nobody_measured() -> None:
    assert mean_and_sd(-1756.2712, 0.104, 2) == "-1,756.27 ± 0.10"
    assert mean_and_sd(0.5, float("nan"), 3) == "0.500"
    assert mean_and_sd(float("nan"), float("nan"), 3) == NOTHING


def test_every_figure_has_words() -> None:
    assert {name for name, metric in METRICS.items() if metric.direction} <= set(FIGURES)
    assert all(text.endswith(".") and "\n" not in text for text in FIGURES.values())


def test_the_paper_s_numbers_are_the_paper_s() -> None:
    rows = model_tables.paper_rows()
    assert len(rows) == len(PAPER) == 8
    best = rows.iloc[model_tables.best_row(rows, "iwelbo", "model") or 0]
    assert (best["model"], best["inference"]) == ("SAMS-VAE", "correlated z_basal and E")
    assert (best["iwelbo"], best["iwelbo_sd"], best["n"]) == (-1756.27, 0.10, 5)
    lines = model_tables.norman_rows()
    assert len(lines) == len(PAPER_NORMAN) == 20
    svae = lines[(lines["name"] == "SVAE+") & (lines["fraction"] == 0.5)].iloc[0]
    assert (svae["iwelbo_relative"], svae["pearson"]) == (0.07, -0.08)


def frame(values: list[list[float]]) -> pd.DataFrame:
    table = pd.DataFrame(values, index=list("ABC"))
    return table.rename(columns=lambda number: f"z{number}")


FIRST = frame([[1, 0, 0], [1, 1, 0], [0, 1, 0]])
SECOND = frame([[0, 1, 0], [0, 0, 0], [1, 0, 1]])


def test_replication_is_told_in_numbers() -> None:
    match = match_latents(FIRST, SECOND)
    told = replication_tables.tell_replication(match, "one", "two")
    assert told.startswith("**40%** of the 5 mask entries that either checkpoint opens are open in")
    assert (
        "2 are only in one, 1 only in two. Of the 2 latent dimensions that one uses, 2 have" in told
    )
    nothing = match_latents(FIRST * 0, SECOND * 0)
    assert "Neither" in replication_tables.tell_replication(nothing, "one", "two")
    assert replication_tables.entries_in_order(nothing).empty


def test_replicated_latents_are_listed_with_their_partners() -> None:
    match = match_latents(FIRST, SECOND)
    table = replication_tables.latent_pairs(match)
    assert set(table.index[:2]) == {"z0", "z1"}
    assert table.loc["z0", "partner"] == "z1"
    assert table.loc["z0", "n_both"] == table.loc["z0", "n_first"] == 1
    assert table.loc["z0", "n_second"] == 0
    assert table.loc["z0", "overlap"] == pytest.approx(1 / np.sqrt(2))
    assert len(table) == 3
    assert table["partner"].isna().tolist() == [False, False, True]
    entries = replication_tables.entries_in_order(match)
    assert set(entries.columns) == set(table.index)
    assert (
        entries.loc[:, match.entries.columns.intersection(entries.columns)].to_numpy() > 0
    ).sum() == 5
