"""The Python of every figure of the pages Models and Start makes that figure again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sams_core.explorer.catalogue import DEMO_FOLDER
from tests.pages.conftest import OpenPage
from tests.support.example_run import write_evaluation, write_example_run
from tests.support.snippets import check_snippets


@pytest.fixture
def evaluated(tmp_path: Path, runs_at: Callable[[Path], None]) -> Path:
    folder = tmp_path / "runs"
    for seed in (0, 1):
        run = write_example_run(folder / f"seed{seed}", title="A screen", seed=seed, screen_seed=0)
        write_evaluation(run, 0.7 + seed / 10)
    write_evaluation(write_example_run(folder / "other", title="Another screen", seed=2), 0.5)
    runs_at(folder)
    return folder


def test_scores_of_one_s_own_runs(evaluated: Path, open_page: OpenPage) -> None:
    app = open_page("models", {"run": "seed0"})
    assert not app.exception
    check_snippets(app, evaluated / "seed0", {"models_bars"})


def test_entries_that_replicate(evaluated: Path, open_page: OpenPage) -> None:
    app = open_page("models", {"run": "seed0", "models_view": "Replication"})
    assert not app.exception
    check_snippets(app, evaluated / "seed0", {"replication_map"})


def test_the_paper_s_numbers(evaluated: Path, open_page: OpenPage) -> None:
    app = open_page("models", {"models_view": "The paper"})
    check_snippets(app, evaluated / "seed0", {"paper_pearson", "paper_iwelbo_relative"})


@pytest.mark.parametrize(
    ("view", "key"), [("Side by side", "models_bars"), ("Training fraction", "models_lines")]
)
def test_scores_that_come_with_the_app(view: str, key: str, open_page: OpenPage) -> None:
    named = [
        name for name in open_page("models").selectbox(key="results").options if "sweep" in name
    ]
    shown = 0
    for name in named:
        app = open_page("models", {"results": name, "models_view": view})
        assert not app.exception
        if key in {chart.proto.id.split("-", 2)[2] for chart in app.get("plotly_chart")}:
            check_snippets(app, DEMO_FOLDER / "papalexi2021_thp1", {key})
            shown += 1
    assert shown, f"none of {named} draws {key}"


@pytest.mark.parametrize("name", ["papalexi2021_thp1", "simulated_pathways"])
def test_quality_and_training(name: str, open_page: OpenPage) -> None:
    app = open_page("start", {"run": name})
    assert not app.exception
    check_snippets(
        app, DEMO_FOLDER / name, {"start_pearson", "start_pearson_top20", "start_training"}
    )
