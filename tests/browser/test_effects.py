"""The effects page in a real browser: does the model believe what the data say?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import anndata as ad
import pandas as pd
import pytest
from playwright.sync_api import Browser, Locator

from sams_core.explorer.catalogue import DEMO_FOLDER
from tests.browser.chromium import View, view

RUN = "papalexi2021_thp1"
PAGE = f"/effects?run={RUN}"
INTERFERON = {"JAK2", "PSMB9", "STAT1", "UBE2L6", "TNFRSF14"}
"""Genes of the screen that fall most without the interferon-gamma receptor."""
FIND = """name => {
  const chart = document.querySelector('.st-key-effect_volcano .js-plotly-plot');
  const box = chart.getBoundingClientRect();
  for (const trace of chart._fullData) {
    const at = trace.name.startsWith('data') ? (trace.text ?? []).indexOf(name) : -1;
    if (at >= 0) {
      const xaxis = chart._fullLayout.xaxis2, yaxis = chart._fullLayout.yaxis2;
      return [box.x + xaxis._offset + xaxis.c2p(trace.x[at]),
              box.y + yaxis._offset + yaxis.c2p(trace.y[at])];
    }
  }
  return null;
}"""


@pytest.fixture
def window(browser: Browser, app_url: str) -> Iterator[View]:
    with view(browser, app_url, height=1500) as opened:
        yield opened
        assert opened.errors() == []
        assert opened.complaints == []
        assert opened.overflow() == 0


def main(shown: View) -> Locator:
    return shown.page.get_by_test_id("stMain")


def choose(shown: View, label: str, value: str) -> None:
    """Type a name into a search box and take it."""
    box = shown.page.get_by_role("combobox", name=label, exact=True)
    box.fill(value)
    box.press("Enter")
    shown.settle()


def plot(shown: View, name: str) -> None:
    shown.page.get_by_role("radio", name=name, exact=True).click()
    shown.settle()


def saved(shown: View) -> pd.DataFrame:
    """The table of the open view, through its download button."""
    with shown.page.expect_download() as download:
        shown.page.get_by_role("button", name="Download CSV").click()
    path = download.value.path()
    assert path is not None
    return pd.read_csv(Path(path))


def names_drawn(shown: View, key: str) -> list[str]:
    """Names written beside points of a figure."""
    return shown.page.locator(f".st-key-{key} .annotation-text").all_text_contents()


def effects() -> ad.AnnData:
    return ad.read_h5ad(DEMO_FOLDER / RUN / "explorer" / "effects.h5ad")


def test_model_and_data_agree_on_the_interferon_genes_of_ifngr1(window: View) -> None:
    window.open(f"{PAGE}&condition=JAK2")
    choose(window, "Perturbation", "IFNGR1")
    assert window.state("condition") == "IFNGR1"
    text = main(window).inner_text()
    row = effects().obs.T["IFNGR1"]
    assert f"{row['n_cells_train']:,} / {row['n_cells_test']:,}" in text
    assert "seen in training" in text
    plot(window, "Volcano")
    assert window.blank_charts() == []
    assert names_drawn(window, "effect_volcano").count("STAT1") == 2
    assert set(names_drawn(window, "effect_volcano")) >= INTERFERON
    window.page.mouse.move(*window.page.evaluate(FIND, "STAT1"))
    window.page.locator(".hovertext").get_by_text("STAT1").wait_for()
    table = saved(window)
    assert len(table) == effects().n_vars
    assert set(table["gene"][:5]) == INTERFERON
    assert {"model_se", "p_value", "fdr", "predicted_low", "predicted_high", "ppc_p", "ppc_fdr",
            "residual", "n_cells", "n_control_cells", "seen_in_training"} <= set(table)  # fmt: skip
    stat1 = table.set_index("gene").T["STAT1"]
    assert stat1["fdr"] < 1e-10
    assert stat1["model_fdr"] < 1e-5
    assert (table["n_cells"] == row["n_cells_test"]).all()


def test_switching_views_keeps_the_choice_and_a_reload_restores_it(window: View) -> None:
    window.open(f"{PAGE}&condition=STAT1")
    plot(window, "MA")
    assert "STAT1" in names_drawn(window, "effect_ma")
    plot(window, "Surprising genes")
    assert "genes lie outside the model's 90% interval" in main(window).inner_text()
    assert "effect_plot=Surprising+genes" in window.page.url
    choose(window, "Genes of", "Interferon gamma response")
    told = window.page.get_by_text("genes of Interferon gamma response").inner_text()
    window.page.reload()
    window.settle()
    assert window.state("condition") == "STAT1"
    assert window.state("gene_set") == "Interferon gamma response"
    assert window.page.get_by_text("genes of Interferon gamma response").inner_text() == told
    table = saved(window)
    assert f"Shown: {len(table)} genes" in told
    assert table["residual_z"].abs().is_monotonic_decreasing
    outside = (table["data"] < table["predicted_low"]) | (table["data"] > table["predicted_high"])
    assert (outside == table["outside"]).all()
    assert f"{outside.mean():.0%}" in main(window).inner_text()


def test_a_pasted_list_finds_its_perturbations(window: View) -> None:
    window.open(f"{PAGE}&effects_view=Gene+list")
    assert len(window.charts()) == 1
    choose(window, "Genes", "Pasted list")
    box = window.page.get_by_role("textbox", name="Gene symbols")
    box.fill("psmb9, UBE2L6\nTNFRSF14 GBP99")
    box.press("Control+Enter")
    window.page.get_by_text("1 of 4 names are not among").wait_for()
    window.settle()
    assert "GBP99" in main(window).get_by_text("1 of 4 names").inner_text()
    assert "lower it" in main(window).inner_text()
    assert window.blank_charts() == []
    table = saved(window)
    assert set(table["perturbation"][:4]) == {"IFNGR1", "IFNGR2", "JAK2", "STAT1"}
    assert (table["fdr"][:4] < 0.05).all()
    assert (table["model"][:4] < -1).all()
    plot(window, "Mean effects")
    rows = window.page.locator(".st-key-list_dots .ytick").all_text_contents()
    assert set(rows[-4:]) == {"IFNGR1", "IFNGR2", "JAK2", "STAT1"}


def test_one_gene_and_the_way_there_and_back(window: View) -> None:
    window.open(f"{PAGE}&effects_view=One+gene&gene=PSMB9")
    assert "PSMB9" in main(window).inner_text()
    table = saved(window)
    assert set(table["perturbation"][:4]) == {"IFNGR1", "IFNGR2", "JAK2", "STAT1"}
    assert table["seen_in_training"].all()
    canvas = window.page.get_by_test_id("stDataFrame").locator("canvas").first
    box = canvas.bounding_box()
    assert box is not None
    window.page.mouse.click(box["x"] + 117, box["y"] + 52)  # "Open" in the first row
    first = table["perturbation"][0]
    window.page.wait_for_function(
        "name => new URLSearchParams(location.search).get('condition') === name", arg=first
    )
    window.settle()
    assert window.state("condition") == first
    assert (
        window.page.get_by_role("tab", name="One perturbation").get_attribute("aria-selected")
        == "true"
    )


def test_own_gene_sets_choose_the_genes(window: View, tmp_path: Path) -> None:
    own = tmp_path / "mine.gmt"
    own.write_text("My targets\tx\tPSMB9\tSTAT1\tUBE2L6\tNOWHERE\n")
    window.open(f"{PAGE}&condition=JAK2")
    window.page.get_by_role("button", name="Own gene sets").click()
    window.page.locator(".st-key-own_gene_sets_file input[type=file]").set_input_files(own)
    window.page.get_by_text("Your file mine holds 1 gene set").wait_for()
    window.settle()
    window.page.keyboard.press("Escape")
    choose(window, "Genes of", "My targets")
    window.page.get_by_text("of 3, held out").first.wait_for()
    window.settle()
    assert set(saved(window)["gene"]) == {"PSMB9", "STAT1", "UBE2L6"}


def test_dark_theme_shows_every_view(browser: Browser, app_url: str) -> None:
    with view(browser, app_url, theme="dark", height=1500) as shown:
        for path in ("&effect_plot=Volcano", "&effects_view=Gene+list"):
            shown.open(f"{PAGE}{path}")
            assert shown.charts()
            assert shown.blank_charts() == []
            assert shown.errors() == shown.complaints == []
