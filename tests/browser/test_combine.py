"""The combine page in a real browser: what two or three perturbations would do together."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, Locator

from sams_core.analysis.combinations import predict_combination
from sams_core.api import load_model
from sams_core.explorer.catalogue import DEMO_FOLDER
from tests.browser.chromium import View, view

PAPALEXI, NORMAN = "papalexi2021_thp1", "norman2019_k562"
LEGEND = """() => [...document.querySelectorAll(
    '.st-key-combination_dots .legendtext')].map(text => text.textContent)"""
BARS = """() => [...document.querySelectorAll('.st-key-combination_dots .errorbar path')]
    .filter(bar => bar.getBoundingClientRect().width > 0.5).length"""


@pytest.fixture
def window(browser: Browser, app_url: str) -> Iterator[View]:
    with view(browser, app_url, height=1500) as opened:
        yield opened
        assert opened.errors() == []
        assert opened.complaints == []


def tab(shown: View, name: str) -> Locator:
    """Open a tab; what it shows."""
    shown.page.get_by_role("tab", name=name, exact=True).click()
    shown.settle()
    return shown.page.get_by_role("tabpanel", name=name, exact=True)


def saved(shown: View, panel: Locator) -> pd.DataFrame:
    """The first table of a tab, through its download button."""
    with shown.page.expect_download() as download:
        panel.get_by_role("button", name="Download CSV").first.click()
    path = download.value.path()
    assert path is not None
    return pd.read_csv(io.BytesIO(Path(path).read_bytes()))


def text(shown: View) -> str:
    return shown.page.get_by_test_id("stMain").inner_text()


def test_a_pair_that_was_never_measured(window: View) -> None:
    window.open(f"/combine?run={PAPALEXI}&combine=IFNGR2&combine=SMAD4")
    assert "Not measured" in text(window)
    assert "never seen in training" in text(window)
    assert "nothing tells how well this checkpoint predicts combinations" in text(window)
    assert "measured" not in window.page.evaluate(LEGEND)
    assert window.page.evaluate(BARS) > 0
    assert window.blank_charts() == []
    table = saved(window, tab(window, "All genes")).set_index("gene")
    model = load_model(DEMO_FOLDER / PAPALEXI)
    own = predict_combination(model, ["IFNGR2", "SMAD4"]).table.loc[table.index]
    np.testing.assert_allclose(table["predicted"], own["predicted"], atol=1e-5)
    width = table["predicted_upper"] - table["predicted_lower"]
    assert (width >= 0).all()
    assert (width > 0.001).mean() > 0.9
    assert (table["interaction_lower"] <= table["interaction"]).all()
    assert "measured" not in table


def test_a_measured_pair_has_all_three_together(window: View) -> None:
    window.open(f"/combine?run={NORMAN}&combine=KLF1&combine=MAP2K6")
    alone = {"KLF1 alone", "MAP2K6 alone"}
    together = {"model's prediction", "sum of singles", "measured"}
    assert set(window.page.evaluate(LEGEND)) == alone | together
    assert "100 cells" in text(window)
    assert "seen in training" in text(window)
    scores = tab(window, "Interaction")
    assert "non-linearity of the decoder" in scores.inner_text()
    table = saved(window, scores).set_index("score")
    assert {"Magnitude", "Similarity", "Equality of contribution"} <= set(table.index)
    assert table["measured"].notna().all()
    assert (table["lower"] <= table["upper"]).all()
    assert table["sentence"].str.len().min() > 10
    assert "combine_tab=Interaction" in window.page.url
    window.page.reload()
    window.settle()
    assert "Genetic-interaction scores" in text(window)


def test_three_perturbations_a_background_and_a_place_on_the_map(window: View) -> None:
    window.open(f"/combine?run={PAPALEXI}&combine=IFNGR2&combine=SMAD4")
    box = window.page.get_by_role("combobox", name="Perturbations to combine")
    box.fill("CUL3")
    box.press("Enter")
    window.page.keyboard.press("Escape")
    window.settle()
    assert window.state("combine").split("\n") == ["IFNGR2", "SMAD4", "CUL3"]
    assert "CUL3+IFNGR2+SMAD4: The prediction moves" in text(window)
    cells = window.page.get_by_role("combobox", name="Background cells")
    cells.fill("rep_2")
    cells.press("Enter")
    window.settle()
    assert "in control cells, bio_rep: rep_2" in text(window)
    landing = tab(window, "Where cells land")
    assert "Approximate" in landing.inner_text()
    assert window.blank_charts() == []
    assert saved(window, landing)["share"].sum() == pytest.approx(1)
    sets = tab(window, "Gene sets")
    assert "Background: the 273 assayed genes" in sets.inner_text()
