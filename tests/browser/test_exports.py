"""What can be taken along from a figure, downloaded in a real browser and opened."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator

from tests.browser.chromium import View, view

RUN = "papalexi2021_thp1"
PAGE_PIXELS = round(180 / 25.4 * 96)
"""Width of a printed page of 180 mm, in CSS pixels."""


@pytest.fixture
def window(browser: Browser, app_url: str) -> Iterator[View]:
    with view(browser, app_url, theme="dark") as opened:
        opened.open(f"/?run={RUN}")
        yield opened
        assert opened.complaints == []


def saved(shown: View, button: Locator, folder: Path) -> Path:
    """Press a button; the file that the browser saves."""
    with shown.page.expect_download() as download:
        button.click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_images_are_made_for_paper(window: View, tmp_path: Path) -> None:
    row = window.page.locator(".st-key-start_training_take_along")
    svg = saved(window, row.get_by_role("button", name="Save as SVG"), tmp_path)
    assert svg.name == f"{RUN}_training.svg"
    root = ElementTree.fromstring(svg.read_text(encoding="utf-8"))
    assert float(root.attrib["width"]) == PAGE_PIXELS
    texts = "".join(root.itertext())
    assert "Step" in texts or "ELBO" in texts
    png = saved(window, row.get_by_role("button", name="Save as PNG"), tmp_path)
    image = Image.open(BytesIO(png.read_bytes())).convert("RGB")
    assert abs(image.width - PAGE_PIXELS * 300 / 96) <= 1
    assert image.getpixel((2, 2)) == (255, 255, 255)  # paper, though the page is dark


def test_the_page_of_a_figure_opens_offline(window: View, browser: Browser, tmp_path: Path) -> None:
    window.page.locator(".st-key-start_training_take_along").get_by_text("HTML, CSV").click()
    box = window.page.get_by_test_id("stPopoverBody")
    box.get_by_test_id("stCode").filter(has_text="read_history(folder)").wait_for()
    table = pd.read_csv(saved(window, box.get_by_role("button", name="CSV"), tmp_path))
    assert {"step", "split", "elbo"} <= set(table.columns)
    page = saved(window, box.get_by_role("button", name="HTML"), tmp_path)
    context = browser.new_context(offline=True)
    opened = context.new_page()
    failed: list[str] = []
    opened.on("requestfailed", lambda request: failed.append(request.url))
    opened.goto(page.as_uri())
    opened.locator(".js-plotly-plot .main-svg").first.wait_for()
    assert opened.locator(".js-plotly-plot .trace path").count() > 1
    assert failed == []
    context.close()
