"""The search page in each of its states, on a small untrained model."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from sams_core.analysis import pair_search
from sams_core.analysis.pair_search import PairSearch
from sams_core.explorer import search_map, search_page, search_results, search_run
from sams_core.explorer.own_gene_sets import STATE, OwnSets
from sams_core.explorer.search_jobs import searches
from tests.pages.conftest import OpenPage
from tests.support.example_run import (
    DOUBLES,
    GENES,
    SINGLES,
    write_evaluation,
    write_example_run,
    write_manifest,
)
from tests.support.snippets import check_snippets

pytestmark = pytest.mark.usefixtures("example_runs")

N_PAIRS = len(SINGLES) * (len(SINGLES) - 1) // 2
OWN = OwnSets("Your file mine", {"three": list(GENES[:3]), "none here": ["X", "Y"]})


def charts(app: AppTest) -> set[str]:
    return {chart.proto.id.split("-", 2)[2] for chart in app.get("plotly_chart")}


def words(app: AppTest) -> str:
    told = [*app.markdown, *app.caption, *app.info, *app.warning]
    return "\n".join(block.value for block in told)


def order(app: AppTest) -> pd.DataFrame:
    (table,) = (each.value for each in app.dataframe if "arm" in each.value)
    return table


def pairs(app: AppTest) -> pd.DataFrame:
    (table,) = (each.value for each in app.dataframe if "first" in each.value)
    return table


@pytest.fixture
def slow_search(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Searches are large ones, and go on until they are cancelled or the event is set."""
    done = threading.Event()
    search = pair_search.search_for

    def slowly(*arguments: Any, progress: Any, cancelled: Any, **options: Any) -> PairSearch:
        whole = search(*arguments, **options)
        progress(0.5)
        while not (done.is_set() or cancelled()):
            time.sleep(0.01)
        if done.is_set():
            return whole
        return PairSearch(whole.table.iloc[::2], whole.n_pairs, complete=False)

    monkeypatch.setattr(pair_search, "search_for", slowly)
    monkeypatch.setattr(search_run, "LARGE", 10)
    yield done
    done.set()


def test_opens_on_a_whole_ranking(open_page: OpenPage) -> None:
    app = open_page("search")
    assert not app.exception
    assert not app.error
    assert charts(app) == {"search_ranking"}
    assert f"comes first of {N_PAIRS} to interact" in words(app)
    assert "simply add up" in words(app)
    assert "is **not known**" in words(app)
    assert "search_begin" not in {button.key for button in app.button}


@pytest.mark.parametrize(
    ("goal", "query", "column", "told"),
    [
        ("interact most", {}, "interaction", "to interact"),
        ("raise genes", {"search_gene": "GENE07"}, "gain", "to raise GENE07"),
        ("lower genes", {"search_gene": "GENE07"}, "gain", "to lower GENE07"),
        ("move towards a condition", {"search_towards": "MYC"}, "cosine", "towards MYC"),
        ("are unlike training", {}, "novelty", "to differ from everything in training"),
    ],
)
def test_every_goal_ranks_and_orders(
    open_page: OpenPage, goal: str, query: dict[str, str], column: str, told: str
) -> None:
    app = open_page("search", {"search_goal": goal, "search_view": "Table", **query})
    assert not app.exception
    assert not app.error
    assert told in words(app)
    table = pairs(app)
    n_names = len(SINGLES) - ("towards" in goal)
    assert len(table) == n_names * (n_names - 1) // 2
    assert column in table
    assert list(table["rank"]) == list(range(1, len(table) + 1))
    arms = order(app)
    assert list(arms["arm"].value_counts()[["pair", "control"]]) == [10, 1]
    first = table.iloc[0]
    assert list(arms.iloc[0][["perturbation_a", "perturbation_b"]]) == [
        first["first"], first["second"],
    ]  # fmt: skip


def test_raised_and_lowered_pairs_are_those_that_the_model_moves_most(open_page: OpenPage) -> None:
    query = {"search_view": "Table", "search_gene": "GENE05", "search_by": "Prediction"}
    up = pairs(open_page("search", {"search_goal": "raise genes", **query}))
    down = pairs(open_page("search", {"search_goal": "lower genes", **query}))
    assert up["value"].is_monotonic_decreasing
    assert down["value"].is_monotonic_increasing
    assert set(up["value"].round(5)) == set(down["value"].round(5))


def test_measured_pairs_are_marked_and_can_be_left_out(open_page: OpenPage) -> None:
    app = open_page("search", {"search_goal": "raise genes", "search_view": "Table"})
    table = pairs(app)
    assert set(table.index[table["n_cells"] > 0]) == set(DOUBLES)
    assert set(table.index[table["in_training"]]) == {DOUBLES[0]}
    assert table["measured"].notna().sum() == len(DOUBLES)
    app.pills(key="search_skip").set_value(["Measured pairs"]).run()
    assert len(pairs(app)) == N_PAIRS - len(DOUBLES)
    assert not order(app)["cells_measured"].dropna().astype(bool).any()


def test_one_given_and_some_perturbations(open_page: OpenPage) -> None:
    query = {"search_pairs": "With a given one", "search_given": "MYC", "search_view": "Table"}
    app = open_page("search", query)
    table = pairs(app)
    assert set(table["first"]) == {"MYC"}
    assert sorted(table["second"]) == sorted(set(SINGLES) - {"MYC"})
    assert [tab.label for tab in app.tabs] == ["Ranking", "Table"]
    app = open_page("search", {"search_among": ["JAK2", "STAT1", "MYC"], "search_view": "Table"})
    assert set(pairs(app).index) == {"JAK2+STAT1", "JAK2+MYC", "STAT1+MYC"}
    assert "3 of 8 perturbations" in [box.proto.popover.label for box in app.get("popover")]


def test_a_single_perturbation_is_no_pair(open_page: OpenPage) -> None:
    app = open_page("search", {"search_among": ["JAK2"]})
    assert "Choose two or more" in app.info[0].value
    assert not charts(app)


def test_pairs_of_the_target_itself_are_left_out(open_page: OpenPage) -> None:
    query = {"search_goal": "move towards a condition", "search_towards": DOUBLES[0]}
    app = open_page("search", {**query, "search_view": "Table"})
    names = set(SINGLES) - set(DOUBLES[0].split("+"))
    assert {*pairs(app)["first"], *pairs(app)["second"]} == names
    assert "Without IFNGR1 and SMAD4" in words(app)


def test_a_gene_set_is_averaged(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("search", {"search_goal": "raise genes", "search_view": "Table"})
    assert app.selectbox(key="search_from").options == ["One gene"]  # made-up names are in no set
    app.session_state[STATE] = OWN
    app.run()
    app.selectbox(key="search_from").set_value(OWN.label).run()
    assert app.selectbox(key="search_set").options == ["three"]
    assert "raise the 3 genes of three" in words(app)
    whole = pairs(app)["value"]
    each = [
        pairs(
            open_page(
                "search",
                {"search_goal": "raise genes", "search_gene": gene, "search_view": "Table"},
            )
        )["value"]
        for gene in GENES[:3]
    ]
    mean = sum(each[1:], each[0]) / 3
    np.testing.assert_allclose(whole, mean.loc[whole.index], atol=1e-4)


def test_nothing_of_an_own_set_is_kept(open_page: OpenPage) -> None:
    app = open_page("search", {"search_goal": "lower genes"})
    n_kept = len(searches()._kept)
    app.session_state[STATE] = OWN
    app.run()
    app.selectbox(key="search_from").set_value(OWN.label).run()
    assert "lower the 3 genes of three" in words(app)
    assert len(searches()._kept) == n_kept


def test_one_pair_in_detail_and_on_the_combine_page(open_page: OpenPage) -> None:
    query = {"search_goal": "raise genes", "search_a": "SMAD4", "search_b": "IFNGR1"}
    app = open_page("search", query)
    assert charts(app) == {"search_ranking", "search_pair"}
    assert app.subheader[0].value == "IFNGR1 + SMAD4"
    (link,) = (each for each in app.page_link if "Combine" in each.proto.label)
    assert link.proto.query_string == "run=real&combine=IFNGR1&combine=SMAD4"
    app.selectbox(key="search_b").set_value("SMAD4").run()
    assert "are no pair of this ranking" in words(app)


def test_the_map_follows_its_colour(open_page: OpenPage) -> None:
    app = open_page("search", {"search_goal": "lower genes", "search_view": "Map"})
    assert charts(app) == {"search_map", "search_pair"}
    for colour in app.selectbox(key="search_colour").options:
        app.selectbox(key="search_colour").set_value(colour).run()
        assert not app.exception
        alts = [chart.proto.alt for chart in app.get("plotly_chart")]
        assert any(text.startswith(f"{colour} of 8 x 8") for text in alts)


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ({"search_goal": "raise genes", "search_a": "MYC", "search_b": "SPI1"},
         {"search_ranking", "search_pair"}),
        ({"search_goal": "move towards a condition", "search_view": "Map"}, {"search_map"}),
        ({"search_goal": "are unlike training", "search_pairs": "With a given one",
          "search_given": "JAK2", "search_skip": "Pairs in training"}, {"search_ranking"}),
        ({"search_among": ["MYC", "SPI1", "JAK2"], "search_view": "Map"}, {"search_map"}),
    ],
)  # fmt: skip
def test_the_python_of_each_figure_makes_it_again(
    open_page: OpenPage, example_folder: Path, query: dict[str, Any], keys: set[str]
) -> None:
    app = open_page("search", {"run": "real", **query})
    check_snippets(app, example_folder / "real", keys)


@pytest.mark.parametrize(
    "key",
    ["search_goal", "search_by", "search_skip", "search_pairs", "search_view", "search_a"],
)
def test_an_unknown_name_in_the_address_is_told_and_left(open_page: OpenPage, key: str) -> None:
    app = open_page("search", {key: "Magic"})
    assert not app.exception
    assert "Magic" in app.warning[0].value
    assert charts(app) == {"search_ranking"}


def test_a_large_search_begins_by_its_button_and_tells_its_progress(
    open_page: OpenPage, slow_search: threading.Event
) -> None:
    app = open_page("search")
    assert f"{N_PAIRS} pairs are to be predicted" in words(app)
    assert not charts(app)
    app.button(key="search_begin").click().run()
    assert app.button(key="search_cancel").label == "Cancel"
    app.run()
    assert len(app.get("progress")) == 1
    assert not charts(app)
    slow_search.set()
    assert app.session_state[search_run.JOB].wait(20)
    app.run()
    assert not app.exception
    assert f"comes first of {N_PAIRS}" in words(app)
    assert not app.get("progress")
    again = open_page("search")  # another session has it at once
    assert f"comes first of {N_PAIRS}" in words(again)


def test_a_cancelled_search_leaves_its_part_on_the_page(
    open_page: OpenPage, slow_search: threading.Event
) -> None:
    app = open_page("search", {"search_view": "Map"})
    app.button(key="search_begin").click().run()
    app.button(key="search_cancel").click().run()
    app.run()
    assert not app.exception
    assert f"Incomplete: {N_PAIRS // 2} of {N_PAIRS} pairs" in app.warning[0].value
    assert f"comes first of {N_PAIRS // 2}" in words(app)
    assert charts(app) == {"search_map"}
    other = open_page("search")
    assert "are to be predicted" in words(other)
    slow_search.set()
    app.button(key="search_begin").click().run()
    assert app.session_state[search_run.JOB].wait(20)
    app.run()
    assert f"comes first of {N_PAIRS} " in words(app)


def test_a_session_has_one_search_at_most(
    open_page: OpenPage, slow_search: threading.Event
) -> None:
    app = open_page("search")
    app.button(key="search_begin").click().run()
    first = app.session_state[search_run.JOB]
    app.selectbox(key="search_goal").set_value("raise genes").run()
    assert first.wait(20)
    assert "are to be predicted" in words(app)
    app.button(key="search_begin").click().run()
    second = app.session_state[search_run.JOB]
    assert second is not first
    assert not second.done


def test_too_many_pairs_are_refused_in_a_sentence(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pair_search, "MAX_PAIRS", 20)
    app = open_page("search")
    assert not app.exception
    assert "a search takes 20" in app.error[0].value
    app.multiselect(key="search_among").set_value(["MYC", "JAK2"]).run()
    assert not app.error
    assert "comes first of 1 " in words(app)


def test_the_score_on_unseen_pairs_is_told(
    tmp_path: Path, runs_at: Callable[[Path], None], open_page: OpenPage
) -> None:
    folder = write_example_run(tmp_path / "mine", title="Mine")
    write_evaluation(folder, 0.8)
    path = folder / "evaluation.json"
    path.write_text(path.read_text().replace('"unseen"', '"unseen_combinations"'))
    runs_at(tmp_path)
    told = words(open_page("search"))
    assert "never saw in training" in told
    assert "**0.70** (2 combinations)" in told
    assert "0.60" in told


@pytest.mark.parametrize("family", ["cpa_vae", "svae_plus", "conditional_vae"])
def test_every_family_searches_or_says_why_not(
    tmp_path: Path, runs_at: Callable[[Path], None], open_page: OpenPage, family: str
) -> None:
    write_example_run(tmp_path / family, title="Mine", family=family)
    runs_at(tmp_path)
    app = open_page("search")
    assert not app.exception
    if family == "svae_plus":
        assert "cannot predict pairs that it was not trained on" in words(app)
        assert not charts(app)
        return
    assert charts(app) == {"search_ranking"}
    assert ("no shifts that could add up" in words(app)) == (family == "conditional_vae")


def test_names_like_columns_and_like_markup(
    tmp_path: Path, runs_at: Callable[[Path], None], open_page: OpenPage
) -> None:
    folder = write_example_run(tmp_path / "mine", title="Mine")
    path = folder / "explorer" / "effects.h5ad"
    effects = ad.read_h5ad(path)
    symbols = list(GENES)
    symbols[:4] = ["interaction", "rank", "novelty", "*bold* [x](y)"]
    effects.var["symbol"] = symbols
    effects.write_h5ad(path)
    write_manifest(folder)
    runs_at(tmp_path)
    for name in symbols[:4]:
        app = open_page("search", {"search_goal": "raise genes", "search_gene": name})
        assert not app.exception
        assert app.selectbox(key="search_gene").value == name
        assert charts(app) == {"search_ranking", "search_pair"}
    assert "\\*bold\\*" in words(app)


def test_clicks_choose_a_pair(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    state: dict[str, Any] = {}
    for module in (search_map, search_results, search_page):
        monkeypatch.setattr(module.st, "session_state", state)

    def point(key: str, **what: Any) -> None:
        state[key] = {"selection": {"points": [what] if what else []}}

    point("search_ranking", customdata=["MYC", "JAK2"])
    search_results._clicked()
    assert (state["search_a"], state["search_b"]) == ("MYC", "JAK2")
    point("search_map", x=2, y=0)
    search_map._clicked(["a", "b", "c"])
    assert (state["search_a"], state["search_b"]) == ("a", "c")
    for what in ({}, {"x": 9, "y": 0}):
        point("search_map", **what)
        search_map._clicked(["a", "b", "c"])
        assert (state["search_a"], state["search_b"]) == ("a", "c")
