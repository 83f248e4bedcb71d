from __future__ import annotations

from typing import Any

import pytest

from sams_core.explorer import GLOSSARY, card
from sams_core.explorer.widgets import file_stem


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


def test_scores_name_the_model_first_and_keep_undefined_baselines() -> None:
    shown = card.scores(metrics())
    assert [(score.label, score.value, score.is_model) for score in shown] == [
        ("This model", 0.81, True),
        ("Mean of all perturbations", 0.35, False),
        ("No change", None, False),
    ]


def test_missing_baselines_count_as_undefined() -> None:
    assert [score.value for score in card.scores(metrics(baselines={}))] == [0.81, None, None]


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
