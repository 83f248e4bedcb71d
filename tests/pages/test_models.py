"""The models page in each of its states."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from sams_core.data.splits import SplitConfig
from tests.pages.conftest import OpenPage
from tests.support.example_run import (
    GENES,
    N_LATENT,
    write_evaluation,
    write_example_run,
    write_manifest,
)

VIEWS = ("Side by side", "Training fraction", "Replication", "The paper")
FULL, NONE = (
    SplitConfig(kind="ood_combinations", holdout=0.5, fraction=fraction) for fraction in (1.0, 0.0)
)


@pytest.fixture(scope="session")
def evaluated_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs at one fraction and one at another on a simulated screen, and one on another."""
    folder = tmp_path_factory.mktemp("evaluated")
    for name, family, seed, split, pearson in (
        ("sams0", "sams_vae", 0, FULL, 0.80),
        ("sams1", "sams_vae", 1, FULL, 0.84),
        ("cpa", "cpa_vae", 0, FULL, 0.70),
        ("few", "sams_vae", 0, NONE, 0.55),
    ):
        run = write_example_run(
            folder / name, title="Pairs", simulated=True, family=family, seed=seed, split=split,
            screen_seed=0,
        )  # fmt: skip
        write_evaluation(run, pearson, f1=0.5 if family == "sams_vae" else None)
    write_evaluation(write_example_run(folder / "real", title="Cells", seed=9), 0.3, additive=0.6)
    return folder


@pytest.fixture
def evaluated(evaluated_folder: Path, runs_at: Callable[[Path], None]) -> None:
    runs_at(evaluated_folder)


def words(app: AppTest) -> str:
    told = [*app.markdown, *app.caption, *app.info, *app.warning]
    return "\n".join(block.value for block in told)


@pytest.mark.usefixtures("evaluated")
def test_the_table_is_of_the_chosen_checkpoint_s_screen_and_averages_seeds(
    open_page: OpenPage,
) -> None:
    app = open_page("models", {"run": "sams0"})
    assert not app.exception
    assert app.selectbox(key="results").value == "Pairs"
    table = app.dataframe[0].value
    sams = table[table["inference"] == "correlated z_basal and E"].to_dict("records")
    assert [(row["pearson"], row["n"], row["mask_f1"]) for row in sams] == [
        (pytest.approx(0.82), 2, 0.5)
    ]
    assert list(table["model"]) == [
        "CPA-VAE", "SAMS-VAE", "additive", "technical duplicate",
    ]  # fmt: skip
    assert list(table["inference"].iloc[-2:]) == ["baseline", "ceiling"]
    assert "SAMS-VAE, correlated z_basal and E (0.820 ± 0.028) is best" in words(app)
    assert "Simulated" in words(app)


@pytest.mark.usefixtures("evaluated")
def test_a_baseline_that_beats_every_model_is_a_warning(open_page: OpenPage) -> None:
    app = open_page("models", {"results": "Cells"})
    assert not app.exception
    assert "ATE Pearson: a baseline beats every model" in app.warning[0].value
    assert "never called best" not in words(app)
    assert "Simulated screen" not in words(app)
    assert [metric.split(": ")[0] for metric in words(app).splitlines() if "is best" in metric]


def test_a_baseline_over_fewer_conditions_is_marked_and_beats_nobody(
    evaluated_folder: Path, tmp_path: Path, runs_at: Callable[[Path], None], open_page: OpenPage
) -> None:
    folder = Path(shutil.copytree(evaluated_folder, tmp_path / "runs"))
    for path in folder.glob("*/evaluation.json"):
        evaluation = json.loads(path.read_text())
        for score in evaluation["scores"]:
            score["n_conditions"] -= score["predictor"] == "additive"
        path.write_text(json.dumps(evaluation))
    runs_at(folder)
    app = open_page("models", {"results": "Cells"})
    assert not app.exception
    assert "additive (4 of 5 conditions)" in set(app.dataframe[0].value["model"])
    assert "never called best" in words(app)
    assert "beats every model" not in words(app)
    (chart,) = app.get("plotly_chart")
    drawn = {trace["name"] for trace in json.loads(chart.proto.spec)["data"]}
    assert {"baselines", "ceiling"} <= drawn
    assert "best baseline" not in drawn
    app = open_page("models", {"run": "sams0", "models_view": "Training fraction"})
    assert not app.exception
    assert "additive (1 of 2 conditions)" in set(app.dataframe[0].value["name"])
    assert "never called best" in words(app)
    assert "beats every model" not in words(app)


@pytest.mark.usefixtures("evaluated")
def test_the_scope_changes_the_scores(open_page: OpenPage) -> None:
    query = {"run": "sams0", "scope": "conditions not seen in training"}
    table = open_page("models", query).dataframe[0].value
    assert table.loc[table["model"] == "SAMS-VAE", "pearson"].iloc[0] == pytest.approx(0.72)


@pytest.mark.usefixtures("evaluated")
def test_bars_hold_seen_beside_unseen_conditions(open_page: OpenPage) -> None:
    app = open_page("models", {"run": "sams0"})
    (chart,) = app.get("plotly_chart")
    spec = json.loads(chart.proto.spec)
    titles = {note["text"] for note in spec["layout"]["annotations"]}
    assert titles == {"conditions seen in training", "conditions not seen in training"}
    assert "ATE Pearson (higher is better)" in chart.proto.alt
    assert spec["layout"]["title"]["text"].count("simulated screen") == 1


@pytest.mark.usefixtures("evaluated")
def test_splits_are_never_in_one_table(open_page: OpenPage) -> None:
    app = open_page("models", {"run": "sams0"})
    assert len(app.selectbox(key="split").options) == 2
    app.selectbox(key="split").set_value("held-out combinations, fraction 0").run()
    assert not app.exception
    table = app.dataframe[0].value
    assert table.loc[table["model"] == "SAMS-VAE", "pearson"].iloc[0] == 0.55


@pytest.mark.usefixtures("evaluated")
def test_figures_can_be_chosen_and_none_is_no_error(open_page: OpenPage) -> None:
    app = open_page("models", {"run": "sams0", "figures": ["training seconds"]})
    assert "seconds" in app.dataframe[0].value
    assert "pearson" not in app.dataframe[0].value
    app.multiselect(key="figures").set_value([]).run()
    assert not app.exception


@pytest.mark.usefixtures("evaluated")
def test_lines_run_over_the_fractions(open_page: OpenPage) -> None:
    app = open_page("models", {"run": "sams0", "models_view": "Training fraction"})
    assert not app.exception
    assert app.selectbox(key="fraction_scope").value == "conditions not seen in training"
    table = app.dataframe[0].value
    sams = table[table["name"].str.startswith("SAMS")]
    assert sams["fraction"].tolist() == [0.0, 1.0]
    assert sams["mean"].tolist() == pytest.approx([0.45, 0.72])
    assert "With 0% in training. **ATE Pearson: a baseline beats every model.**" in words(app)


@pytest.mark.usefixtures("evaluated")
def test_without_fractions_the_page_says_how_to_make_them(open_page: OpenPage) -> None:
    app = open_page("models", {"results": "Cells", "models_view": "Training fraction"})
    assert "ood_combinations" in app.info[0].value


@pytest.mark.usefixtures("evaluated")
def test_latents_of_two_seeds_are_matched(open_page: OpenPage) -> None:
    app = open_page("models", {"run": "sams1", "models_view": "Replication"})
    assert not app.exception
    assert app.selectbox(key="first").value == "sams1"
    assert set(app.selectbox(key="second").options) == {"sams0", "few"}
    # The made-up masks of one screen are equal but for their probabilities.
    assert "**100%** of the 10 mask entries" in words(app)
    assert app.dataframe[0].value["n_both"].tolist() == [4, 4, 2]


def test_latents_are_matched_by_what_they_do_to_genes_where_both_tables_say_so(
    tmp_path: Path, runs_at: Callable[[Path], None], open_page: OpenPage
) -> None:
    responses = np.eye(N_LATENT, len(GENES), dtype=np.float32)
    for seed in (0, 1):
        run = write_example_run(tmp_path / f"seed{seed}", title="Cells", seed=seed, screen_seed=0)
        path = run / "explorer" / "masks.h5ad"
        table = ad.read_h5ad(path)
        table.X[4:6, 2], table.X[:4, 3] = 0, 0.9
        table.X[0, 0] = 0
        table.layers["effect"][:] = 1
        # Seed 1 swaps what z0 and z1 do to the genes, and keeps who opens them.
        order = [1, 0, 2, 3, 4, 5] if seed else range(N_LATENT)
        table.varm["response"] = responses[list(order)]
        table.write_h5ad(path)
        write_manifest(run)
    runs_at(tmp_path)
    query = {"first": "seed0", "models_view": "Replication"}

    def partners() -> dict[str, str]:
        app = open_page("models", query)
        assert not app.exception
        told.append(words(app))
        return dict(app.dataframe[0].value["partner"])

    told: list[str] = []
    assert partners() == {"z0": "z1", "z1": "z0", "z3": "z3"}
    assert "what they do to the genes" in told[-1]
    del table.varm["response"]
    table.write_h5ad(path)
    write_manifest(run)
    assert partners() == {"z0": "z0", "z1": "z1", "z3": "z3"}
    assert "what they do to the genes" not in told[-1]


@pytest.mark.usefixtures("evaluated")
def test_the_paper_stands_apart_and_is_not_simulated(open_page: OpenPage) -> None:
    app = open_page("models", {"run": "sams0", "models_view": "The paper"})
    assert not app.exception
    assert any("replogle-filtered, 5 seeds" in block.value for block in app.subheader)
    assert len(app.dataframe[0].value) == 8
    assert len(app.get("plotly_chart")) == 2
    for chart in app.get("plotly_chart"):
        assert "title" not in json.loads(chart.proto.spec)["layout"]


@pytest.mark.usefixtures("evaluated")
@pytest.mark.parametrize("view", VIEWS)
def test_bad_addresses_fall_back(open_page: OpenPage, view: str) -> None:
    bad = dict.fromkeys(
        ("results", "split", "scope", "figures", "figure", "setting", "fraction_scope",
         "fraction_figure", "first", "second", "pair_threshold"), "NOPE",
    )  # fmt: skip
    app = open_page("models", {"models_view": view, **bad})
    assert not app.exception
    assert not app.error
    assert "NOPE" in app.warning[0].value


@pytest.mark.usefixtures("evaluated")
def test_every_control_has_help(open_page: OpenPage) -> None:
    for view in VIEWS:
        app = open_page("models", {"models_view": view})
        assert all(widget.proto.help for widget in [*app.selectbox, *app.multiselect, *app.slider])


def test_without_evaluations_the_page_says_how_to_make_them(
    example_folder: Path, runs_at: Callable[[Path], None], open_page: OpenPage
) -> None:
    runs_at(example_folder)
    app = open_page("models")
    assert not app.exception
    for verb in ("train", "evaluate", "sweep"):
        assert f"python -m sams_core {verb}" in app.info[0].value
    app = open_page("models", {"models_view": "Replication"})
    assert "--seed 1" in app.info[0].value


def test_only_evaluated_runs_are_compared_but_not_offered_to_open(
    evaluated_folder: Path, tmp_path: Path, runs_at: Callable[[Path], None], open_page: OpenPage
) -> None:
    folder = Path(shutil.copytree(evaluated_folder, tmp_path / "runs"))
    shutil.rmtree(folder / "sams1" / "explorer")
    runs_at(folder)
    app = open_page("models", {"run": "sams0"})
    assert "sams1" not in app.selectbox(key="run").options
    assert "1 more are evaluated but not prepared" in app.sidebar.caption[-1].value
    table = app.dataframe[0].value
    assert table.loc[table["model"] == "SAMS-VAE", "n"].iloc[0] == 2
    app = open_page("start", {"run": "sams1"})
    assert "not prepared" in app.warning[0].value
