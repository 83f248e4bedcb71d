"""The combine page in each of its states, on a small untrained model."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pages.conftest import OpenPage
from tests.support.example_run import DOUBLES, GENES

pytestmark = pytest.mark.usefixtures("example_runs")


def charts(app) -> int:  # type: ignore[no-untyped-def]
    return len(app.get("plotly_chart"))


def test_opens_on_a_measured_combination(open_page: OpenPage) -> None:
    app = open_page("combine")
    assert not app.exception
    assert not app.error
    assert "+".join(app.multiselect(key="combine").value) in DOUBLES
    assert charts(app) == 3
    table = app.dataframe[0].value
    assert len(table) == len(GENES)
    assert {"additive", "predicted", "interaction", "measured", "fdr"} <= set(table.columns)
    assert (table["predicted"] - table["additive"] - table["interaction"]).abs().max() < 1e-6


def test_an_unmeasured_combination_has_no_measurement(open_page: OpenPage) -> None:
    app = open_page("combine", {"combine": ["MYC", "SPI1", "STAT1"]})
    assert not app.exception
    assert app.multiselect(key="combine").value == ["MYC", "SPI1", "STAT1"]
    assert charts(app) == 2
    table = app.dataframe[0].value
    assert "measured" not in table
    assert {"MYC", "SPI1", "STAT1"} <= set(table.columns)
    assert any("not measured" in text.value for text in app.markdown)


def test_order_does_not_matter(open_page: OpenPage) -> None:
    forth = open_page("combine", {"combine": ["IFNGR1", "SMAD4"]}).dataframe[0].value
    back = open_page("combine", {"combine": ["SMAD4", "IFNGR1"]}).dataframe[0].value
    assert forth["predicted"].equals(back["predicted"])
    assert forth["predicted"].abs().is_monotonic_decreasing
    assert "measured" in back


@pytest.mark.parametrize("chosen", [[], ["STAT1"]])
def test_too_few_perturbations_get_a_hint(open_page: OpenPage, chosen: list[str]) -> None:
    app = open_page("combine")
    app.multiselect(key="combine").set_value(chosen).run()
    assert not app.exception
    assert not app.error
    assert "Choose at least two" in app.info[0].value
    assert charts(app) == 0


def test_bad_addresses_fall_back_with_a_notice(open_page: OpenPage) -> None:
    app = open_page("combine", {"combine": ["NOPE", "MYC"], "combine_genes": "x"})
    assert not app.exception
    assert "NOPE" in app.warning[0].value
    assert app.multiselect(key="combine").value == ["MYC"]


@pytest.mark.parametrize("sort", ["Deviation from the sum", "Measured shift"])
def test_every_choice_of_genes_draws(open_page: OpenPage, sort: str) -> None:
    app = open_page("combine", {"combine_genes": sort})
    assert not app.exception
    assert charts(app) == 3


def test_a_damaged_model_is_told_in_a_sentence(
    open_page: OpenPage,
    example_folder: Path,
    runs_at: Callable[[Path], None],
    tmp_path: Path,
) -> None:
    run = tmp_path / "damaged"
    shutil.copytree(example_folder / "real", run)
    (run / "weights.safetensors").write_bytes(b"nothing of use")
    runs_at(tmp_path)
    app = open_page("combine")
    assert not app.exception
    assert len(app.error) == 1
    assert "weights.safetensors" in app.error[0].value
    assert charts(app) == 0
