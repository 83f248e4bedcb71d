"""The search page in a real browser: find pairs, cancel a long search, click, order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser

from sams_core.explorer.catalogue import DEMO_FOLDER
from sams_core.record import read_config
from tests.browser.chromium import View, view

RUN = "papalexi2021_thp1"
PAGE = f"/search?run={RUN}"
FIND = """names => {
  const chart = document.querySelector('.st-key-search_map .js-plotly-plot');
  const {xaxis, yaxis} = chart._fullLayout;
  const box = chart.getBoundingClientRect();
  const points = chart._fullData.find(each => each.type === 'scattergl');
  const at = points.text.indexOf(names.join(' + '));
  return at < 0 ? null : [box.x + xaxis._offset + xaxis.c2p(points.x[at]),
                          box.y + yaxis._offset + yaxis.c2p(points.y[at])];
}"""


@pytest.fixture
def window(browser: Browser, app_url: str) -> Iterator[View]:
    with view(browser, app_url, height=1500) as opened:
        yield opened
        assert opened.errors() == []
        assert opened.complaints == []


def saved(shown: View, key: str) -> pd.DataFrame:
    with shown.page.expect_download() as download:
        shown.page.locator(f".st-key-{key}_csv").get_by_role("button", name="Download CSV").click()
    path = download.value.path()
    assert path is not None
    return pd.read_csv(Path(path))


def test_from_a_goal_to_an_order_list(window: View) -> None:
    window.open(f"{PAGE}&search_goal=lower+genes&search_gene=PSMB9")
    main = window.page.get_by_test_id("stMain")
    main.get_by_text("comes first of 300 to lower PSMB9").wait_for()
    assert "shifts of the two simply add up" in main.inner_text()
    assert "unseen pairs is not known" in main.inner_text()
    assert window.blank_charts() == []
    assert window.overflow() == 0
    number = window.page.locator(".st-key-search_order input")
    number.fill("4")
    number.press("Enter")
    main.get_by_text("4 pairs, the").wait_for()
    window.settle()
    arms = saved(window, "search_order_list")
    pairs = arms[arms["arm"] == "pair"]
    assert len(pairs) == 4
    assert (pairs["lower"] < pairs["score"]).all()
    assert (pairs["score"] < pairs["upper"]).all()
    assert pairs["upper"].is_monotonic_increasing  # cautious: the less good end counts
    singles = arms.loc[arms["arm"] == "single", "perturbation_a"]
    assert sorted(singles) == sorted({*pairs["perturbation_a"], *pairs["perturbation_b"]})
    assert list(arms["arm"])[-1] == "control"
    assert set(arms["model_digest"]) == {read_config(DEMO_FOLDER / RUN).digest}


def test_a_cell_of_the_map_opens_the_pair_and_leads_to_combine(window: View) -> None:
    window.open(f"{PAGE}&search_goal=raise+genes&search_gene=MARCKSL1&search_view=Map")
    place = window.page.evaluate(FIND, ["SMAD4", "IFNGR2"])
    assert place is not None
    window.page.mouse.move(*place)
    window.page.mouse.click(*place)
    window.page.get_by_role("heading", name="IFNGR2 + SMAD4").wait_for()
    window.settle()
    assert {window.state("search_a"), window.state("search_b")} == {"IFNGR2", "SMAD4"}
    assert "search_a=SMAD4" in window.page.url
    window.page.reload()
    window.page.get_by_role("heading", name="IFNGR2 + SMAD4").wait_for()
    window.settle()
    assert "not measured in this screen" in window.page.get_by_test_id("stMain").inner_text()
    window.page.get_by_role("link", name="All genes of this pair on the Combine page").click()
    window.page.get_by_role("heading", name="Combine", level=1).wait_for()
    window.settle()
    assert window.state("combine").split("\n") == ["IFNGR2", "SMAD4"]


def test_a_pair_of_the_ranking_opens_at_a_click(window: View) -> None:
    window.open(PAGE)
    place = window.page.evaluate(
        """() => {
          const chart = document.querySelector('.st-key-search_ranking .js-plotly-plot');
          const {xaxis, yaxis} = chart._fullLayout;
          const box = chart.getBoundingClientRect();
          const points = chart._fullData.at(-1);
          return [box.x + xaxis._offset + xaxis.c2p(points.x[2]),
                  box.y + yaxis._offset + yaxis.c2p(points.y[2]), ...points.customdata[2]];
        }"""
    )
    window.page.mouse.move(*place[:2])
    window.page.mouse.click(*place[:2])
    window.page.get_by_role("heading", name=f"{place[2]} + {place[3]}").wait_for()
    window.settle()
    assert "rank 3 of 300" in window.page.get_by_test_id("stMain").inner_text()


def test_a_long_search_tells_its_progress_and_keeps_its_part_when_cancelled(window: View) -> None:
    window.open("/search?run=simulated_pathways&search_view=Table")
    window.page.get_by_role("button", name="Search 44,850 pairs").click()
    bar = window.page.get_by_role("progressbar")
    bar.wait_for()
    window.page.get_by_text("of the pairs predicted").wait_for()
    window.page.get_by_role("button", name="Cancel").click()
    warning = window.page.get_by_text("Incomplete:")
    warning.wait_for()
    window.settle()
    assert bar.count() == 0
    n_found = int(warning.inner_text().split()[1].replace(",", ""))
    assert 0 < n_found < 44_850
    assert f"comes first of {n_found:,}" in window.page.get_by_test_id("stMain").inner_text()
    table = saved(window, "search_table")
    assert len(table) == n_found
    assert table["lower"].is_monotonic_decreasing
    assert np.isfinite(table["value"]).all()
    assert window.page.get_by_role("button", name="Search all pairs").count() == 1
