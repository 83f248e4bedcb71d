"""The masks page in a real browser: what a click on the map tells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, Locator

from sams_core.explorer.catalogue import DEMO_FOLDER
from tests.browser.chromium import View, view

RUN = "papalexi2021_thp1"
PAGE = f"/masks?run={RUN}"
FIND = """([kind, row, latent]) => {
  const chart = document.querySelector('.st-key-mask_map .js-plotly-plot');
  const {xaxis, yaxis} = chart._fullLayout;
  const box = chart.getBoundingClientRect();
  for (const trace of chart._fullData.filter(each => each.type === 'scattergl')) {
    for (let at = 0; at < trace.x.length; at++) {
      const data = trace.customdata[at];
      if (data[0] === kind && (data[1] ?? '') === row && (data[2] ?? '') === latent) {
        return [box.x + xaxis._offset + xaxis.c2p(trace.x[at]),
                box.y + yaxis._offset + yaxis.c2p(trace.y[at])];
      }
    }
  }
  return null;
}"""


@pytest.fixture
def window(browser: Browser, app_url: str) -> Iterator[View]:
    with view(browser, app_url, height=1400) as opened:
        yield opened
        assert opened.errors() == []
        assert opened.complaints == []


def click(shown: View, kind: str, *, row: str = "", latent: str = "") -> None:
    """Click a cell, a row's name or a latent's name on the map."""
    place = shown.page.evaluate(FIND, [kind, row, latent])
    assert place is not None
    shown.page.mouse.move(*place)
    shown.page.mouse.click(*place)


def tab(shown: View, name: str) -> Locator:
    """Open a tab of the details; what it shows."""
    shown.page.get_by_role("tab", name=name, exact=True).first.click()
    shown.settle()
    return shown.page.get_by_role("tabpanel", name=name, exact=True).first


def saved(shown: View, panel: Locator, number: int = 0) -> pd.DataFrame:
    """A table of a tab, through its download button."""
    with shown.page.expect_download() as download:
        panel.get_by_role("button", name="Download CSV").nth(number).click()
    path = download.value.path()
    assert path is not None
    return pd.read_csv(Path(path))


def masks() -> ad.AnnData:
    return ad.read_h5ad(DEMO_FOLDER / RUN / "explorer" / "masks.h5ad")


def shared_latent(*names: str) -> str:
    """The latent dimension that all of these perturbations open."""
    table = masks()
    rows = [list(table.obs_names).index(name) for name in names]
    (latent,) = np.flatnonzero((np.asarray(table.X)[rows] >= 0.5).all(axis=0))
    return str(table.var_names[latent])


def test_the_dimension_that_jak2_and_stat1_share_is_interferon_gamma(window: View) -> None:
    latent = shared_latent("JAK2", "STAT1")
    window.open(PAGE)
    click(window, "latent", latent=latent)
    window.page.get_by_role("heading", name=f"Latent dimension {latent}").wait_for()
    window.settle()
    assert f"mask_latent={latent}" in window.page.url
    main = window.page.get_by_test_id("stMain")
    assert "nterferon gamma" in main.get_by_text("The best gene set is").inner_text()
    sets = tab(window, "Gene sets")
    assert "Interferon gamma signaling holds 4 of 4" in sets.inner_text()
    assert "Background: the 25 perturbed genes of this screen" in sets.inner_text()
    perturbations, lowered = (saved(window, sets, number) for number in (0, 1))
    assert perturbations["set"][0] == "Interferon gamma signaling"
    assert perturbations["fdr"][0] < 0.05
    assert lowered["set"][0] == "Interferon gamma response"
    assert lowered["fdr"][0] < 0.05
    window.page.reload()
    window.settle()
    assert window.state("mask_latent") == latent
    assert "Interferon gamma signaling holds 4 of 4" in main.inner_text()


def test_genes_perturbations_and_cells_of_a_dimension(window: View) -> None:
    latent = shared_latent("JAK2", "STAT1")
    window.open(f"{PAGE}&mask_latent={latent}")
    genes = saved(window, tab(window, "Genes")).set_index("gene")
    assert len(genes) == len(ad.read_h5ad(DEMO_FOLDER / RUN / "explorer" / "effects.h5ad").var)
    assert (genes["lower"] <= genes["upper"]).all()
    openers = saved(window, tab(window, "Perturbations"))
    assert set(openers["perturbation"]) == {"IFNGR1", "IFNGR2", "JAK2", "STAT1"}
    tab(window, "Cells")
    assert len(window.charts()) == 2
    assert window.blank_charts() == []


def test_a_cell_tells_of_both_and_a_name_of_the_perturbation(window: View) -> None:
    latent = shared_latent("JAK2", "STAT1")
    window.open(PAGE)
    click(window, "cell", row="JAK2", latent=latent)
    window.page.get_by_text(f"JAK2 opens {latent}").wait_for()
    window.settle()
    assert (window.state("mask_latent"), window.state("mask_perturbation")) == (latent, "JAK2")
    window.page.get_by_role("radio", name="Perturbation", exact=True).click()
    window.page.get_by_role("heading", name="Perturbation JAK2").wait_for()
    assert "mask_about=Perturbation" in window.page.url
    click(window, "row", row="STAT1")
    window.page.get_by_role("heading", name="Perturbation STAT1").wait_for()
    window.settle()
    assert window.state("mask_latent") == ""
    nearest = saved(window, tab(window, "Nearest"))
    assert {"IFNGR1", "JAK2", "IFNGR2"} < set(nearest["perturbation"][:6])
    genes = saved(window, tab(window, "Genes"))
    assert "STAT1" in set(genes["gene"])


def test_the_keyboard_chooses_what_a_click_does(window: View) -> None:
    window.open(PAGE)
    box = window.page.get_by_role("combobox", name="Perturbation", exact=True)
    box.focus()
    window.page.keyboard.type("SMAD4")
    window.page.keyboard.press("Enter")
    window.page.get_by_role("heading", name="Perturbation SMAD4").wait_for()
    assert "mask_perturbation=SMAD4" in window.page.url


def test_a_group_name_opens_the_group(window: View) -> None:
    window.open(f"{PAGE}&mask_rows=Group+averages")
    click(window, "row", row="Interferon gamma signaling (6)")
    window.page.get_by_text("Only Interferon gamma signaling is shown.").wait_for()
    window.settle()
    click(window, "row", row="JAK2")
    window.page.get_by_role("heading", name="Perturbation JAK2").wait_for()
    window.page.get_by_role("button", name="Show all groups").click()
    window.page.get_by_text("Only Interferon gamma signaling is shown.").wait_for(state="hidden")


def test_own_gene_sets_group_the_perturbations(window: View, tmp_path: Path) -> None:
    good, bad = tmp_path / "mine.gmt", tmp_path / "bad.gmt"
    good.write_text("My pathway\tx\tJAK2\tSTAT1\tMYC\nOther\tx\tSMAD4\tATF2\n")
    bad.write_text("no tabs here\n")
    window.open(PAGE)
    window.page.get_by_role("button", name="Own gene sets").click()
    chooser = window.page.locator(".st-key-own_gene_sets_file input[type=file]")
    chooser.set_input_files(bad)
    error = window.page.get_by_text("Line 1 of gene set file 'bad.gmt' has no tabs")
    error.wait_for()
    chooser.set_input_files(good)
    window.page.get_by_text("Your file mine holds 2 gene sets").wait_for()
    window.settle()
    window.page.keyboard.press("Escape")
    box = window.page.get_by_role("combobox", name="Group perturbations by")
    box.fill("Your file")
    box.press("Enter")
    window.page.locator(".st-key-mask_map").get_by_text("My pathway").wait_for()
    window.settle()
