"""The combine page in each of its states, on a small untrained model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from sams_core.analysis.combination_background import background_cells, control_rows
from sams_core.analysis.combinations import predict_combination
from sams_core.analysis.interval_calibration import IntervalScale
from sams_core.analysis.interval_errors import ErrorModel
from sams_core.analysis.markdown import plain
from sams_core.api import load_model
from sams_core.explorer.lasso import LASSO_KEY, ChosenCells
from sams_core.explorer.run import open_run
from tests.pages.conftest import OpenPage
from tests.support.example_run import DOUBLES, GENES, write_manifest
from tests.support.snippets import check_snippets, shown_figures

pytestmark = pytest.mark.usefixtures("example_runs")


def figures(app: AppTest) -> set[str]:
    return set(shown_figures(app))


def words(app: AppTest) -> str:
    return "\n".join(text.value for text in (*app.markdown, *app.caption))


def cards(app: AppTest) -> dict[str, tuple[str, str]]:
    return {card.label: (card.value, card.delta) for card in app.metric}


def all_genes(open_page: OpenPage, **query: Any) -> pd.DataFrame:
    app = open_page("combine", {"combine_tab": "All genes"} | query)
    assert not app.exception
    assert not app.error
    return app.dataframe[0].value


def test_opens_on_a_measured_combination(open_page: OpenPage) -> None:
    app = open_page("combine")
    assert not app.exception
    assert not app.error
    name = "+".join(app.multiselect(key="combine").value)
    assert name in DOUBLES
    assert figures(app) == {"combination_dots", "combination_measured"}
    assert f"**{name}: The prediction moves" in words(app)
    measured, seen = cards(app)["This combination"]
    assert measured.endswith("cells")
    assert seen == ("seen in training" if name == DOUBLES[0] else "never seen in training")


def test_the_table_has_intervals_and_adds_up(open_page: OpenPage) -> None:
    table = all_genes(open_page, combine=["IFNGR1", "SMAD4"])
    assert len(table) == len(GENES)
    np.testing.assert_allclose(
        table["predicted"] - table["additive"], table["interaction"], atol=1e-5
    )
    for name in ("IFNGR1", "SMAD4", "additive", "predicted", "interaction"):
        assert (table[f"{name}_lower"] <= table[name]).all()
        assert (table[f"{name}_upper"] >= table[name]).all()
    assert {"measured", "fdr"} <= set(table.columns)
    assert table["predicted"].abs().is_monotonic_decreasing


def test_an_unmeasured_combination_says_so(open_page: OpenPage) -> None:
    app = open_page("combine", {"combine": ["MYC", "SPI1", "STAT1"]})
    assert not app.exception
    assert app.multiselect(key="combine").value == ["MYC", "SPI1", "STAT1"]
    assert figures(app) == {"combination_dots", "genes_interaction_scatter"}
    assert cards(app)["This combination"] == ("Not measured", "never seen in training")
    assert "MYC+SPI1+STAT1 was not measured in this screen" in words(app)
    table = all_genes(open_page, combine=["MYC", "SPI1", "STAT1"])
    assert "measured" not in table
    assert {"MYC", "SPI1", "STAT1"} <= set(table.columns)


def test_order_does_not_matter(open_page: OpenPage) -> None:
    forth = all_genes(open_page, combine=["IFNGR1", "SMAD4"])
    back = all_genes(open_page, combine=["SMAD4", "IFNGR1"])
    assert forth["predicted"].equals(back["predicted"])


@pytest.mark.parametrize("chosen", [[], ["STAT1"]])
def test_too_few_perturbations_get_a_hint(open_page: OpenPage, chosen: list[str]) -> None:
    app = open_page("combine")
    app.multiselect(key="combine").set_value(chosen).run()
    assert not app.exception
    assert not app.error
    assert "Choose at least two" in app.info[0].value
    assert not figures(app)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ({"combine": ["NOPE", "MYC"]}, "NOPE"),
        ({"combine_genes": "x"}, "“x”"),
        ({"combine_background": "Martians"}, "Martians"),
        ({"combine_library": "many"}, "“many”"),
        ({"combine": "MYC", "combine_doses": "true", "combine_dose_MYC": "-1"}, "number from 0"),
        ({"combine_tab": "Nowhere"}, "Nowhere"),
        ({"combine_tab": "Volcano", "combine_volcano": "x"}, "“x”"),
    ],
)
def test_bad_addresses_fall_back_with_a_notice(
    open_page: OpenPage, query: dict[str, Any], told: str
) -> None:
    app = open_page("combine", query)
    assert not app.exception
    assert any(told in warning.value for warning in app.warning)


def test_doses_background_and_library_size_reach_the_model(
    open_page: OpenPage, example_folder: Path
) -> None:
    got = all_genes(
        open_page,
        run="real",
        combine=["IFNGR1", "SMAD4"],
        combine_doses="true",
        combine_dose_SMAD4="2.5",
        combine_library="900",
        combine_background="Control cells, replicate: rep_1",
    )
    folder = example_folder / "real"
    model = load_model(folder)
    cells = ad.read_h5ad(folder / "explorer" / "cells.h5ad")
    rows = control_rows(cells, "control", {"replicate": "rep_1"})
    wanted = predict_combination(
        model,
        ["IFNGR1", "SMAD4"],
        doses={"SMAD4": 2.5},
        library_size=900.0,
        background=background_cells(cells, rows),
    ).table
    np.testing.assert_allclose(got["predicted"], wanted["predicted"][got.index], atol=1e-6)
    assert "measured" not in got  # not at this dose
    typical = all_genes(open_page, run="real", combine=["IFNGR1", "SMAD4"])
    assert (typical["predicted"] - got["predicted"]).abs().max() > 1e-3


def test_extrapolation_is_marked(open_page: OpenPage) -> None:
    query = {"combine": ["IFNGR1", "SMAD4"], "combine_doses": "true", "combine_dose_SMAD4": "4"}
    told = " ".join(text.value for text in open_page("combine", query).warning)
    assert "SMAD4 at dose 4 is above every dose in training (1)" in told
    assert "the shifts add up to" in told
    near = open_page("combine", {"combine": ["IFNGR1", "SMAD4"]})
    assert not any("every dose" in text.value for text in near.warning)


def test_cells_chosen_on_latents_are_a_background(
    open_page: OpenPage, example_folder: Path
) -> None:
    from sams_core.explorer import catalogue

    (entry,) = catalogue.find([example_folder / "real"])
    run = open_run(entry)
    app = open_page("combine", {"run": "real", "combine": ["IFNGR1", "SMAD4"]})
    assert "Cells chosen on Latents" not in app.selectbox(key="combine_background").options
    app.session_state[LASSO_KEY] = ChosenCells(
        run.cache_key, tuple(f"cell{i}" for i in range(0, 60, 2))
    )
    app.run()
    app.selectbox(key="combine_background").set_value("Cells chosen on Latents").run()
    assert not app.exception
    assert "in the cells chosen on Latents" in words(app)
    check_snippets(app, example_folder / "real", {"combination_dots"})
    app.session_state[LASSO_KEY] = ChosenCells(run.cache_key, ("cell1", "cell2"))
    app.run()
    assert "The background has 2 cells" in app.error[0].value


def test_every_choice_of_genes_draws(open_page: OpenPage) -> None:
    for sort in ("Deviation from the sum", "Measured shift"):
        app = open_page("combine", {"combine_genes": sort})
        assert not app.exception
        assert "combination_dots" in figures(app)


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
    assert not figures(app)


def test_a_screen_with_doses_opens_at_those_it_was_trained_on(
    open_page: OpenPage,
    example_folder: Path,
    runs_at: Callable[[Path], None],
    tmp_path: Path,
) -> None:
    folder = tmp_path / "doses"
    shutil.copytree(example_folder / "real", folder)
    effects = ad.read_h5ad(folder / "explorer" / "effects.h5ad")
    dosed = {"MYC": "MYC@0.5", "JAK2+MYC": "JAK2+MYC@0.5"}
    effects.obs_names = [dosed.get(name, name) for name in effects.obs_names]
    effects.write_h5ad(folder / "explorer" / "effects.h5ad")
    write_manifest(folder)
    runs_at(tmp_path)
    app = open_page("combine", {"combine": ["JAK2", "MYC"]})
    assert not app.exception
    doses = {box.key: box.value for box in app.number_input if "dose" in str(box.key)}
    assert doses == {"combine_dose_JAK2": 1.0, "combine_dose_MYC": 0.5}
    assert "**JAK2+MYC (dose 0.5): The prediction moves" in words(app)
    assert cards(app)["This combination"][0].endswith("cells")
    assert "combination_measured" in figures(app)
    assert not app.warning
    app.number_input(key="combine_dose_MYC").set_value(0.7).run()
    assert cards(app)["This combination"][0] == "Not measured"
    assert any("MYC at dose 0.7 is above" in text.value for text in app.warning)


def test_intervals_are_those_that_held_out_conditions_ask_for(
    open_page: OpenPage,
    example_folder: Path,
    runs_at: Callable[[Path], None],
    tmp_path: Path,
) -> None:
    told = words(open_page("combine", {"run": "real"}))
    assert "run python -m sams\\_core prepare real" in told
    folder = tmp_path / "calibrated"
    shutil.copytree(example_folder / "real", folder)
    scale = IntervalScale(
        effect=ErrorModel(factor=2.0, constant=0.01, n_conditions=12),
        interaction=ErrorModel(constant=0.25, n_conditions=12),
        along_sum=ErrorModel(constant=4.0, n_conditions=12),
        basis="singles",
    )
    path = folder / "explorer" / "metrics.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"intervals": scale.as_metrics()}))
    write_manifest(folder)
    runs_at(tmp_path)
    query = {"combine": ["IFNGR1", "SMAD4"]}
    app = open_page("combine", query)
    assert plain(scale.sentence) in plain(words(app))
    check_snippets(app, folder, {"combination_dots"})
    wide = all_genes(open_page, **query)
    posterior = predict_combination(load_model(folder), ["IFNGR1", "SMAD4"]).table.loc[wide.index]
    wanted = scale.widen(posterior)
    for column in ("predicted_lower", "predicted_upper", "interaction_lower", "interaction_upper"):
        np.testing.assert_allclose(wide[column], wanted[column], atol=1e-6)
    assert (wide["interaction_upper"] - wide["interaction"]).min() > 1.64 * 0.5
    assert (posterior["interaction_upper"] - posterior["interaction"]).max() < 1.64 * 0.5
    interaction = open_page("combine", query | {"combine_tab": "Interaction"})
    assert "No interaction detectable along the sum" in words(interaction)
