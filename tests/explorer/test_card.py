from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from sams_core.data.splits import SplitConfig
from sams_core.explorer import GLOSSARY, card, catalogue
from sams_core.explorer.run import open_run
from sams_core.storage import file_stem
from tests.support.example_run import write_example_run


def metrics(**changes: Any) -> dict[str, Any]:
    quality = {"pearson": 0.81, "ceiling": 0.84, "pearson_top20": 0.9, "ceiling_top20": 0.93}
    baselines = {
        "no_change": {"pearson": None, "pearson_top20": None},
        "perturbed_mean": {"pearson": 0.35, "pearson_top20": 0.4},
    }
    return {"heldout_ate": {**quality, "baselines": baselines, **changes}}


@pytest.mark.parametrize(
    ("score", "changes", "expected"),
    [
        ("pearson", {}, "model **0.81** of a ceiling **0.84** = **96%**."),
        ("pearson_top20", {}, "model **0.90** of a ceiling **0.93** = **97%**."),
        ("pearson", {"ceiling": None}, "model **0.81**; the ceiling is undefined."),
        ("pearson", {"ceiling": -0.1}, "model **0.81**; the ceiling is undefined."),
        ("pearson", {"pearson": None}, "too few of them to measure effects."),
    ],
)
def test_quality_is_told_against_the_ceiling(
    score: str, changes: dict[str, Any], expected: str
) -> None:
    assert card.quality_sentence(metrics(**changes), score).endswith(expected)


def test_beyond_the_ceiling_is_explained() -> None:
    told = card.quality_sentence(metrics(pearson=0.9))
    assert "= **107%**, above it because" in told
    assert "because" not in card.quality_sentence(metrics(pearson=0.842))


def test_a_better_baseline_is_told_plainly() -> None:
    assert not card.baseline_sentence(metrics())
    assert not card.baseline_sentence(metrics(pearson=None))
    assert "A baseline does better here** (0.35)" in card.baseline_sentence(metrics(pearson=0.2))


def test_screens_of_mostly_silent_perturbations_are_told() -> None:
    assert card.noise_sentence([0, 3, 12]).startswith("Only 1 of 3 conditions")
    assert not card.noise_sentence([12, 30, 40, 50, 0])


@pytest.mark.parametrize(
    ("elbo", "words"),
    [([-3.0, -2.0, -1.0], "rose to the end, to -1.0 at step 3"), ([-3.0, -1.0, -2.0], "at step 2")],
)
def test_training_is_told_from_the_curves(elbo: list[float], words: str) -> None:
    history = pd.DataFrame({"step": [1, 2, 3], "split": "validation", "elbo": elbo})
    assert words in card.training_sentence(history)
    assert not card.training_sentence(history.assign(split="train"))


def test_scores_name_the_model_first_and_keep_undefined_baselines() -> None:
    shown = card.scores(metrics())
    assert [(score.label, score.value, score.is_model) for score in shown] == [
        ("This model", 0.81, True),
        ("Mean of all perturbations", 0.35, False),
        ("No change", None, False),
    ]


def test_missing_baselines_count_as_undefined() -> None:
    assert [score.value for score in card.scores(metrics(baselines={}))] == [0.81, None, None]


RECIPE = {"kind": "ood_combinations", "holdout": 0.5, "fraction": 0.25}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            {},
            {
                "Model": "SAMS-VAE",
                "Inference": "correlated",
                "Mask prior": "0.01",
                "Mask trained": "in phases",
                "Combinations are": "sums of perturbations",
                "Split": "random cells",
            },
        ),
        (
            {"learned_mask_prior": True, "inference": "mean_field"},
            {"Mask prior": "learned, Beta(1, 5)", "Inference": "mean field"},
        ),
        (
            {"family": "svae_plus", "mask_prior_b": 2.0},
            {
                "Model": "SVAE+",
                "Inference": "amortised mean field",
                "Mask prior": "learned, Beta(1, 2)",
                "Combinations are": "perturbations of their own",
            },
        ),
        ({"family": "cpa_vae"}, {"Model": "CPA-VAE", "Mask prior": None, "Mask trained": None}),
        ({"family": "conditional_vae"}, {"Model": "Conditional VAE", "Mask prior": None}),
        (
            {"split": SplitConfig.model_validate(RECIPE)},
            {"Split": "held-out combinations, fraction 0.25"},
        ),
    ],
)
def test_the_model_card_says_what_the_model_is(
    tmp_path: Path, options: dict[str, Any], expected: dict[str, str | None]
) -> None:
    write_example_run(tmp_path / "run", title="A screen", **options)
    (entry,) = catalogue.find([tmp_path])
    table = card.model_card(open_run(entry)).set_index("What")
    values = table["Value"].to_dict()
    assert {name: values.get(name) for name in expected} == expected
    assert all(table["In plain words"].str.len() > 0)


def test_the_phases_of_training_are_told_by_their_steps() -> None:
    training = {"max_steps": 2000, "effects_fraction": 0.3, "pruned_fraction": 0.15}
    told = card.phases_sentence({"family": "sams_vae", "training": training})
    assert "Up to step 600 every entry is open" in told
    assert told.endswith("From step 1,700 closed entries stay closed.")
    assert card.phases_sentence({"family": "svae_plus", "training": training}) == ""
    assert card.phases_sentence({"family": "sams_vae", "training": {"max_steps": 9}}) == ""


@pytest.mark.parametrize("term", GLOSSARY)
def test_glossary_explains_in_one_line(term: str) -> None:
    assert GLOSSARY[term].endswith(".")
    assert "\n" not in GLOSSARY[term]


@pytest.mark.parametrize(
    ("text", "stem"),
    [("../../etc/passwd", "etc_passwd"), ("A+B (2)", "A+B_2"), ("…", "sams_core")],
)
def test_file_names_are_safe(text: str, stem: str) -> None:
    assert file_stem(text) == stem
