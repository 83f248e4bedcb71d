from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import OpenPage
from tests.support.example_run import write_manifest

PAGES = ("start", "masks", "effects", "latents", "combine")


def text(app: AppTest) -> str:
    return "\n".join(block.value for block in [*app.markdown, *app.caption])


@pytest.mark.usefixtures("example_runs")
def test_says_what_is_loaded_and_how_good_it_is(open_page: OpenPage) -> None:
    app = open_page("start")
    assert not app.exception
    assert {metric.label: metric.value for metric in app.metric} == {
        "Cells": "160",
        "Genes": "40",
        "Perturbations": "8",
        "Combinations": "2",
        "Held-out cells": "32",
    }
    words = text(app)
    assert "model **0.81** of a ceiling **0.84** = **96%**" in words
    assert "model **0.90** of a ceiling **0.93** = **97%**" in words
    assert "“No change”" in words
    assert "Nobody et al. 2020" in words
    assert "Simulated screen" not in words
    assert len(app.get("plotly_chart")) == 3
    assert len(app.page_link) == 6


@pytest.mark.usefixtures("example_runs")
def test_a_simulated_screen_is_called_so_and_held_against_the_truth(open_page: OpenPage) -> None:
    words = text(open_page("start", {"run": "simulated"}))
    assert "Simulated screen" in words
    assert "F1 **0.91**" in words


@pytest.mark.usefixtures("example_runs")
def test_every_control_has_help(open_page: OpenPage) -> None:
    app = open_page("masks", {"run": "simulated"})
    widgets = [*app.selectbox, *app.slider, *app.toggle, *app.get("button_group")]
    assert len(widgets) >= 7
    assert all(widget.proto.help for widget in widgets)


@pytest.mark.usefixtures("example_runs")
@pytest.mark.parametrize("page", PAGES)
def test_the_picked_checkpoint_is_kept_across_pages(open_page: OpenPage, page: str) -> None:
    app = open_page("start")
    app.selectbox(key="run").select("simulated").run()
    app.switch_page(f"pages/{page}.py").run()
    assert app.selectbox(key="run").value == "simulated"
    assert "A made-up screen" in text(app)


@pytest.mark.usefixtures("example_runs")
@pytest.mark.parametrize("wanted", ["nope", "../../etc", "%00", "x" * 500, ""])
def test_an_unknown_checkpoint_in_the_address_falls_back(open_page: OpenPage, wanted: str) -> None:
    app = open_page("start", {"run": wanted})
    assert not app.exception
    assert app.selectbox(key="run").value == "real"
    assert bool(app.warning) is bool(wanted)
    if wanted:
        assert "showing real instead" in app.warning[0].value


def test_a_digest_in_the_address_opens_its_checkpoint(
    example_runs: Path, open_page: OpenPage
) -> None:
    digest = json.loads((example_runs / "simulated" / "config.json").read_text())["digest"]
    app = open_page("start", {"run": digest[:12]})
    assert app.selectbox(key="run").value == "simulated"
    assert not app.warning


@pytest.mark.usefixtures("example_runs")
def test_bad_values_of_other_controls_fall_back(open_page: OpenPage) -> None:
    app = open_page("start", {"image": "BMP"})
    assert not app.exception


@pytest.mark.parametrize("page", PAGES)
def test_without_checkpoints_every_page_says_what_to_do(
    tmp_path: Path, runs_at: Callable[[Path], None], open_page: OpenPage, page: str
) -> None:
    runs_at(tmp_path)
    app = open_page(page)
    assert not app.exception
    assert "python -m sams_core train" in app.info[0].value


BREAK: dict[str, tuple[Callable[[Path], object], str]] = {
    "config": (lambda run: (run / "config.json").write_text("{"), "damaged or cut short"),
    "unprepared": (lambda run: shutil.rmtree(run / "explorer"), "sams_core prepare"),
    "half prepared": (lambda run: (run / "explorer" / "manifest.json").unlink(), "incomplete"),
    "table gone": (lambda run: (run / "explorer" / "masks.h5ad").unlink(), "missing or damaged"),
}


@pytest.fixture
def one_run(example_folder: Path, tmp_path: Path, runs_at: Callable[[Path], None]) -> Path:
    run = Path(shutil.copytree(example_folder / "real", tmp_path / "only"))
    runs_at(tmp_path)
    return run


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("case", BREAK)
def test_a_broken_checkpoint_is_told_in_one_sentence(
    one_run: Path, open_page: OpenPage, case: str, page: str
) -> None:
    damage, words = BREAK[case]
    damage(one_run)
    app = open_page(page)
    assert not app.exception
    assert [words in error.value for error in app.error] == [True]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("name", ["masks.h5ad", "effects.h5ad", "cells.h5ad", "metrics.json"])
def test_a_damaged_table_is_told_by_every_page_that_needs_it(
    one_run: Path, open_page: OpenPage, name: str, page: str
) -> None:
    table = one_run / "explorer" / name
    table.write_bytes(table.read_bytes()[:-100])
    app = open_page(page)
    assert not app.exception
    assert all(f"{name} of only is missing or damaged" in error.value for error in app.error)


def test_a_table_that_is_not_hdf5_is_told_even_if_the_manifest_agrees(
    one_run: Path, open_page: OpenPage
) -> None:
    (one_run / "explorer" / "masks.h5ad").write_text("not HDF5")
    write_manifest(one_run)
    assert "masks.h5ad of only is missing or damaged" in open_page("masks").error[0].value


def test_missing_or_damaged_training_curves_are_told(one_run: Path, open_page: OpenPage) -> None:
    (one_run / "history.csv").unlink()
    assert "without training curves" in open_page("start").info[0].value
    (one_run / "history.csv").write_text("a,b\n1,2\n")
    st.cache_data.clear()
    assert "only/history.csv should have the columns" in open_page("start").error[0].value


def test_broken_checkpoints_are_listed_beside_good_ones(
    example_folder: Path, tmp_path: Path, runs_at: Callable[[Path], None], open_page: OpenPage
) -> None:
    shutil.copytree(example_folder / "real", tmp_path / "good")
    broken = shutil.copytree(example_folder / "real", tmp_path / "a_broken")
    shutil.rmtree(Path(broken) / "explorer")
    runs_at(tmp_path)
    app = open_page("start")
    assert app.selectbox(key="run").options == ["good", "a_broken"]
    assert app.selectbox(key="run").value == "good"
    assert "prepare" in app.sidebar.expander[0].markdown[0].value
    assert not app.error


def test_undefined_quality_is_said(one_run: Path, open_page: OpenPage) -> None:
    path = one_run / "explorer" / "metrics.json"
    metrics = json.loads(path.read_text())
    metrics["heldout_ate"].update(pearson=None, ceiling=None, pearson_top20=None, baselines={})
    path.write_text(json.dumps(metrics))
    write_manifest(one_run)
    app = open_page("start")
    assert not app.exception
    assert "too few of them" in text(app)
