"""Evaluations side by side: what is averaged, what is kept apart, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sams_core.analysis import comparison, comparison_text
from sams_core.analysis.evaluation_files import told_apart
from sams_core.analysis.paper_results import ORDER, PAPER, PAPER_NORMAN, SOURCE
from sams_core.analysis.replication import BOTH, FIRST, SECOND, match_latents
from sams_core.api import CPAVAE, SAMSVAE
from sams_core.errors import CheckpointError, ConfigError
from sams_core.tensors import read_metadata
from tests.support.tiny import tiny_screen

RECIPE = {"kind": "random", "test": 0.2, "val": 0.2, "holdout": 0.5, "fraction": 1.0, "seed": 0}
NAMES = {"sams_vae": "SAMS-VAE", "svae_plus": "SVAE+", "conditional_vae": "Conditional VAE"}


def evaluation(
    family: str = "sams_vae",
    inference: str | None = "correlated",
    seed: int = 0,
    *,
    pearson: float | None = 0.5,
    additive: float = 0.4,
    iwelbo: float = -100.0,
    f1: float | None = None,
    split: dict[str, Any] | None = RECIPE,
    **changes: Any,
) -> dict[str, Any]:
    """What :func:`read_evaluation` would give."""

    def score(predictor: str, kind: str, value: float | None, scope: str = "all") -> dict[str, Any]:
        return {
            "predictor": predictor, "kind": kind, "scope": scope, "metric": "pearson",
            "value": value, "n_conditions": 3,
        }  # fmt: skip

    return {
        "run": f"{family}-{inference}-{seed}", "folder": "x", "model": NAMES[family],
        "family": family, "inference": inference, "seed": seed, "split": split,
        "title": "Screen", "fingerprint": "f", "simulated": False,
        "hyperparameters": {"n_latent": 20},
        "iwelbo": {"test": iwelbo, "val": 0.0, "test_seen": iwelbo, "test_unseen": None},
        "scores": [
            score("model", "model", pearson),
            score("technical_duplicate", "ceiling", 0.9),
            score("additive", "baseline", additive),
            score("no_change", "baseline", None),
        ],
        "mask": None if f1 is None else {"share_open": 0.1, "f1": f1},
        "pathways": None, "predictive_check": {"coverage_90": 0.9, "n": 10},
        "seconds": {"train": 1.0, "evaluate": 1.0},
    } | changes  # fmt: skip


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


def save(
    folder: Path, kind: type[SAMSVAE] | type[CPAVAE] = SAMSVAE, **hyperparameters: Any
) -> Path:
    """A checkpoint with an evaluation made by hand."""
    model = kind(tiny_screen(), n_hidden=4, **{"n_latent": 3, **hyperparameters})
    model.save(folder)
    record = model.record
    made = evaluation(record.family, None)
    own = ("run", "folder", "model", "fingerprint", "hyperparameters")
    found = {name: value for name, value in made.items() if name not in own} | {
        "format": "sams_core.evaluation", "format_version": 1,
        "checkpoint": record.digest, "label": "x", "settings": {},
        "weights": read_metadata(folder / "weights.safetensors")["payload"],
    }  # fmt: skip
    (folder / "evaluation.json").write_text(json.dumps(found))
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return save(tmp_path / "run")


def change(run: Path, **fields: Any) -> None:
    path = run / "evaluation.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_reads_what_belongs_to_the_checkpoint(run: Path) -> None:
    found = comparison.read_evaluation(run)
    assert (found["run"], found["model"]) == ("run", "SAMS-VAE")
    assert found["fingerprint"] == tiny_screen().fingerprint()
    assert found["hyperparameters"]["n_latent"] == 3


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"format": "other"}, "not an evaluation"),
        ({"format_version": 2}, "not an evaluation"),
        ({"checkpoint": "other"}, "older than the config.json"),
        ({"weights": "other"}, "older than the weights.safetensors"),
        ({"scores": [{"predictor": "model"}]}, "bad field 'scores.0.kind'"),
        ({"iwelbo": None}, "bad field 'iwelbo'"),
        ({"pathways": {"majority": 0.5}}, "bad field 'pathways.accuracy_logistic'"),
    ],
)
def test_refuses_what_does_not(fields: dict[str, Any], words: str, run: Path) -> None:
    change(run, **fields)
    with pytest.raises(CheckpointError, match=words) as caught:
        comparison.read_evaluation(run)
    assert f"python -m sams_core evaluate {run}" in str(caught.value)


def test_a_run_without_evaluation_says_what_to_do(run: Path) -> None:
    (run / "evaluation.json").unlink()
    with pytest.raises(CheckpointError, match="was not evaluated: run python -m sams_core evalu"):
        comparison.read_runs([run])


def test_a_damaged_checkpoint_is_one_sentence(run: Path) -> None:
    (run / "weights.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match=r"weights\.safetensors is missing or damaged"):
        comparison.read_evaluation(run)


def test_models_that_differ_in_a_hyperparameter_are_not_averaged(tmp_path: Path) -> None:
    runs = [save(tmp_path / "a"), save(tmp_path / "b", n_latent=4), save(tmp_path / "c", seed=9)]
    found, _ = comparison.read_runs([*runs, runs[0]])
    assert [each["model"] for each in found] == [
        "SAMS-VAE (n_latent 3)",
        "SAMS-VAE (n_latent 4)",
        "SAMS-VAE (n_latent 3)",
    ]


def test_models_of_other_screens_need_not_be_told_apart() -> None:
    one = evaluation() | {"hyperparameters": {"n_latent": 3}}
    other = one | {"fingerprint": "g", "hyperparameters": {"n_latent": 4}}
    assert [each["model"] for each in told_apart([one, other])] == [one["model"]] * 2


def test_figures_at_other_particles_are_not_averaged(tmp_path: Path) -> None:
    runs = [save(tmp_path / name) for name in ("a", "b")]
    for particles, run in zip((10, 100), runs, strict=True):
        change(run, settings={"iwelbo_particles": particles, "seed": particles})
    found, _ = comparison.read_runs(runs)
    assert [each["model"] for each in found] == [
        "SAMS-VAE (iwelbo_particles 10)",
        "SAMS-VAE (iwelbo_particles 100)",
    ]


def test_a_sweep_is_read_with_its_labels_and_without_what_is_not_finished(tmp_path: Path) -> None:
    save(tmp_path / "runs" / "one")
    plan = {"runs": [{"name": "one", "label": "mine"}, {"name": "two", "label": None}]}
    (tmp_path / "sweep.json").write_text(json.dumps(plan))
    found, left_out = comparison.read_runs([tmp_path])
    assert [each["model"] for each in found] == ["mine"]
    assert left_out == ["two"]
    (tmp_path / "runs" / "one" / "evaluation.json").unlink()
    with pytest.raises(CheckpointError, match="None of the 2 runs is finished"):
        comparison.read_runs([tmp_path])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(0, 4))
def test_permuted_and_mirrored_latents_are_found_again(
    seed: int, n_latent: int, n_more: int
) -> None:
    rng = np.random.default_rng(seed)
    names = [f"P{i}" for i in range(12)]
    mask = (rng.random((12, n_latent)) < 0.3).astype(float)
    mask[rng.integers(12, size=n_latent), np.arange(n_latent)] = 1
    effects = rng.normal(0, 1, mask.shape) + 3 * rng.choice([-1, 1], mask.shape)
    order, sign = rng.permutation(n_latent), rng.choice([-1, 1], n_latent)
    rows = rng.permutation(12)
    first = frame(mask, names), frame(effects, names)
    second = (
        frame(np.hstack([mask[:, order], np.zeros((12, n_more))]), names).iloc[rows],
        frame(np.hstack([(effects * sign)[:, order], np.ones((12, n_more))]), names).iloc[rows],
    )
    match = match_latents(first[0], second[0], first[1], second[1])
    assert match.replicated == 1
    np.testing.assert_allclose(match.overlap, 1)
    assert match.partners.tolist() == [f"z{np.flatnonzero(order == i)[0]}" for i in range(n_latent)]
    assert match.signs.tolist() == sign.tolist()


def frame(values: np.ndarray, names: list[str]) -> pd.DataFrame:
    return pd.DataFrame(values, index=names, columns=[f"z{i}" for i in range(values.shape[1])])


def test_effects_decide_between_equal_overlaps_and_the_rest_is_named() -> None:
    names = ["A", "B", "C", "D"]
    first = frame(np.array([[1, 0], [1, 0], [0, 0], [0, 0.9]]), names)
    second = frame(np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0.7], [0, 0, 0]]), names)
    effects = frame(np.array([[1, 9], [5, 9], [9, 9], [1, 9]]), names)
    second_effects = frame(np.array([[1, 9, 9], [9, -5, 9], [9, 9, 2], [9, 9, 9]]), names)
    match = match_latents(first, second, effects, second_effects)
    assert match.partners.tolist() == ["z1", None]
    assert match.signs.tolist() == [-1, 0]
    assert match.overlap.iloc[0] == pytest.approx(5 / np.sqrt(26))
    assert match.entries.columns.tolist() == ["z0", "z1", "z0 (second)", "z2 (second)"]
    assert match.entries.to_numpy().tolist() == [
        [FIRST, 0, SECOND, 0],
        [BOTH, 0, 0, 0],
        [0, 0, 0, SECOND],
        [0, FIRST, 0, 0],
    ]
    assert match.replicated == pytest.approx(1 / 5)


def test_runs_without_a_common_perturbation_cannot_be_matched() -> None:
    with pytest.raises(ConfigError, match="no perturbation in common"):
        match_latents(frame(np.ones((1, 1)), ["A"]), frame(np.ones((1, 1)), ["B"]))
    nothing = frame(np.zeros((1, 1)), ["A"])
    assert np.isnan(match_latents(nothing, nothing).replicated)
