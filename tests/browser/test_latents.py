"""The latents page in a real browser: a lasso around cells, and what it tells."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, expect

from sams_core.explorer.catalogue import DEMO_FOLDER
from tests.browser.chromium import View, view

RUN = "papalexi2021_thp1"
PAGE = f"/latents?run={RUN}"
PANEL = """([panel, points]) => {
  const chart = document.querySelector('.st-key-cell_maps .js-plotly-plot');
  const {xaxis, yaxis} = {
    xaxis: chart._fullLayout['xaxis' + (panel ? panel + 1 : '')],
    yaxis: chart._fullLayout['yaxis' + (panel ? panel + 1 : '')],
  };
  const box = chart.getBoundingClientRect();
  return points.map(([x, y]) => [box.x + xaxis._offset + xaxis.c2p(x),
                                 box.y + yaxis._offset + yaxis.c2p(y)]);
}"""
FADING = """() => document.querySelector('.st-key-cell_maps .js-plotly-plot')._fullData
  .filter(trace => trace.selectedpoints).reduce((n, t) => n + t.selectedpoints.length, 0)"""


@pytest.fixture
def window(browser: Browser, app_url: str) -> Iterator[View]:
    with view(browser, app_url, height=1700) as opened:
        yield opened
        assert opened.errors() == []
        assert opened.complaints == []


def cells(run: str = RUN) -> ad.AnnData:
    return ad.read_h5ad(DEMO_FOLDER / run / "explorer" / "cells.h5ad")


def drag(shown: View, panel: int, corners: Sequence[tuple[float, float]]) -> None:
    """Draw a closed line around cells, with the button down."""
    shown.page.locator(".st-key-cell_maps").scroll_into_view_if_needed()
    places = shown.page.evaluate(PANEL, [panel, [list(map(float, c)) for c in corners]])
    shown.page.mouse.move(*places[0])
    shown.page.mouse.down()
    for place in [*places[1:], places[0]]:
        shown.page.mouse.move(*place, steps=3)
    shown.page.mouse.up()


def box_around(points: np.ndarray, margin: float = 0.3) -> list[tuple[float, float]]:
    """Corners of a box that holds nearly all of these points."""
    x0, y0 = np.quantile(points, 0.02, axis=0) - margin
    x1, y1 = np.quantile(points, 0.98, axis=0) + margin
    return [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]


def chosen(shown: View) -> int:
    """How many cells the page says are chosen."""
    heading = shown.page.get_by_role("heading", name=re.compile("chosen cells")).inner_text()
    return int(heading.split()[0].replace(",", ""))


def test_a_lasso_tells_what_the_cells_are_and_hands_them_out(window: View) -> None:
    table = cells()
    of = (table.obs["condition"] == "IFNGR2").to_numpy()
    window.open(PAGE)
    drag(window, 1, box_around(table.obsm["X_umap"][of]))
    window.page.get_by_role("heading", name=re.compile("chosen cells")).wait_for()
    window.settle()
    n = chosen(window)
    assert 0.9 * of.sum() < n < 1.3 * of.sum()
    main = window.page.get_by_test_id("stMain")
    assert "of them are IFNGR2" in main.inner_text()
    assert window.page.evaluate(FADING) == 2 * n  # the same cells stand out on both maps

    window.page.get_by_role("tab", name="The cells", exact=True).click()
    window.settle()
    with window.page.expect_download() as download:
        window.page.get_by_role("button", name="Download CSV").first.click()
    path = download.value.path()
    assert path is not None
    saved = pd.read_csv(Path(path), index_col="cell")
    assert len(saved) == n
    assert (saved["condition"] == "IFNGR2").mean() > 0.9
    rows = table.obs_names.get_indexer(saved.index)
    np.testing.assert_allclose(saved["full_z0"], table.obsm["z"][rows, 0], rtol=1e-4, atol=1e-5)

    window.page.get_by_role("tab", name="Top genes", exact=True).click()
    window.settle()
    assert "This checkpoint holds no measured counts" in main.inner_text()
    assert "ower in them" in main.inner_text()
    window.page.reload()  # the address has it all
    window.settle()
    assert chosen(window) == n
    assert "ower in them" in main.inner_text()

    window.page.get_by_role("button", name="Choose none").click()
    window.page.get_by_text("Draw a lasso or a box around cells").wait_for()
    window.settle()
    assert "lasso=" not in window.page.url
    assert window.page.evaluate(FADING) == 0


def test_a_box_on_the_basal_map_and_a_lasso_after_it(window: View) -> None:
    window.open(f"{PAGE}&space=Basal")
    window.page.locator(".st-key-cell_maps .js-plotly-plot").hover()
    window.page.locator('.st-key-cell_maps .modebar-btn[data-val="select"]').click()
    points = cells().obsm["X_umap_basal"]
    (x0, y0), (x1, y1) = np.quantile(points, [0.3, 0.7], axis=0)
    start, end = window.page.evaluate(PANEL, [0, [[float(x0), float(y0)], [float(x1), float(y1)]]])
    window.page.mouse.move(*start)
    window.page.mouse.down()
    window.page.mouse.move(*end, steps=4)
    window.page.mouse.up()
    window.page.get_by_role("heading", name=re.compile("chosen cells")).wait_for()
    window.settle()
    inside = ((points > [x0, y0]) & (points < [x1, y1])).all(axis=1).sum()
    first = chosen(window)
    assert first == pytest.approx(inside, rel=0.1)
    assert "lasso=basal" in window.page.url
    window.page.locator('.st-key-cell_maps .modebar-btn[data-val="lasso"]').click()
    drag(window, 0, box_around(points[points[:, 0] > np.median(points[:, 0])]))
    window.page.get_by_role("heading", name=f"{first:,} chosen cells").wait_for(state="hidden")
    window.settle()
    assert chosen(window) > 1.5 * inside  # the last outline counts, not both
    assert window.page.url.count("basal~") == 1


def test_genes_perturbations_and_the_check(window: View) -> None:
    run = "simulated_pathways"
    gene = str(cells(run).var_names[0])
    window.open(f"/latents?run={run}&colour=gene+expression&gene={gene}")
    caption = window.page.get_by_text(re.compile(f"Measured expression of {gene}"))
    expect(caption).to_contain_text("of the cells")
    assert window.blank_charts() == []
    window.page.get_by_role("radio", name="Expected", exact=True).click()
    window.page.get_by_text(re.compile(f"Expected expression of {gene}")).wait_for()
    window.settle()
    window.open(f"{PAGE}&latents_view=Perturbations")
    assert "Most alike, by cosine: IFNGR1 and JAK2" in (
        window.page.get_by_test_id("stMain").inner_text()
    )
    window.page.get_by_role("tab", name="Basal check", exact=True).click()
    window.page.get_by_text("From a cell's basal state, a classifier names").wait_for()
    window.settle()
    assert window.blank_charts() == []
    assert "latents_view=Basal+check" in window.page.url
