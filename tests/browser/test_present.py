"""Saving views, presenting them by the keys, and the report that opens offline, in a browser."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ElementHandle, expect

from sams_core.explorer import story
from sams_core.explorer.catalogue import DEMO_FOLDER
from sams_core.explorer.story_files import EXAMPLES
from sams_core.stories import read_story
from tests.browser.chromium import PATIENCE, View, canvas_pixels, svg_marks, view

RUN = "papalexi2021_thp1"
SHOWN = """number => new URLSearchParams(location.search).get('present') === String(number)
  && document.querySelector('.stage-foot output')?.textContent.startsWith(`${number} /`)
  && document.documentElement.dataset.stage
  && !document.documentElement.hasAttribute('data-stage-busy')"""


@pytest.fixture
def window(browser: Browser, app_url: str) -> Iterator[View]:
    with view(browser, app_url, width=1280, height=800) as opened:
        yield opened
        assert opened.errors() == []
        assert opened.complaints == []


def save_view(shown: View, name: str, caption: str | None = None, *, whole: bool = False) -> str:
    """Save what is shown; return the caption that was suggested."""
    shown.page.get_by_role("button", name="Save this view").first.click()
    dialog = shown.page.get_by_role("dialog")
    dialog.get_by_role("button", name="Save", exact=True).first.wait_for()
    shown.settle()
    caption_box = dialog.get_by_role("textbox", name="Caption")
    if whole:
        dialog.get_by_role("combobox", name="On the stage").click()
        shown.page.get_by_role("option", name="The whole page").click()
        expect(caption_box).to_have_value("", timeout=PATIENCE)
        shown.settle()
    suggested = caption_box.input_value()
    dialog.get_by_role("textbox", name="Name").fill(name)
    if caption is not None:
        caption_box.fill(caption)
    dialog.get_by_role("button", name="Save", exact=True).first.click()
    dialog.wait_for(state="hidden")
    shown.settle()
    return suggested


def config() -> dict[str, Any]:
    path = DEMO_FOLDER / RUN / "config.json"
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def to_page(shown: View, name: str) -> None:
    shown.page.get_by_test_id("stSidebarNav").get_by_role("link", name=name).click()
    shown.page.get_by_role("heading", level=1, name=name).wait_for()
    shown.settle()


def click(shown: View, key: str) -> None:
    shown.page.locator(f".st-key-{key} button").first.click()
    shown.settle()


def listed(shown: View) -> list[str]:
    titles = shown.page.locator("[class*=st-key-story_view_] strong").all_inner_texts()
    return [title.partition(". ")[2] for title in titles]


def on_stage(shown: View, number: int) -> str:
    """Wait until a view is presented and drawn; its heading."""
    shown.page.wait_for_function(SHOWN, arg=number, timeout=PATIENCE)
    return shown.page.locator(".stage-head h1").inner_text()


def load(shown: View, path: Path) -> None:
    shown.page.get_by_role("button", name="Load").first.click()
    shown.page.locator(".st-key-story_file input[type=file]").set_input_files(path)


def wait_until_drawn(plot: ElementHandle) -> None:
    """Wait until a figure of a report shows marks, or fail."""
    for _ in range(40):
        if svg_marks(plot) or canvas_pixels(plot):
            return
        time.sleep(0.25)
    raise AssertionError(f"not drawn: {plot.get_attribute('aria-label')}")


def in_window(shown: View, selector: str) -> bool:
    """Whether an element can be seen whole."""
    box = shown.page.locator(selector).first.bounding_box()
    return box is not None and box["x"] >= 0 and box["x"] + box["width"] <= 1280 + 1


def test_two_views_are_saved_put_in_order_presented_and_left(window: View) -> None:
    window.open(f"/masks?run={RUN}&mask_latent=z0&mask_threshold=0.8")
    suggested = save_view(window, "The mask")
    assert suggested.startswith("Inclusion probability")
    to_page(window, "Effects")
    save_view(window, "One effect", caption="My words", whole=True)
    to_page(window, "Stories")
    assert listed(window) == ["The mask", "One effect"]
    click(window, "story_down_0")
    assert listed(window) == ["One effect", "The mask"]

    click(window, "story_present")
    page = window.page
    assert on_stage(window, 1) == "One effect"
    assert page.locator(".stage-head p").first.inner_text() == "My words"
    assert page.url.partition("?")[0].endswith("/effects")
    for hidden in ("stSidebar", "stHeader", "stSelectbox"):
        assert not page.get_by_test_id(hidden).first.is_visible()
    assert page.locator("[data-testid=stPlotlyChart]:visible").count() > 0

    page.keyboard.press("PageDown")
    assert on_stage(window, 2) == "The mask"
    assert "mask_threshold=0.8" in page.url
    assert page.locator("[data-testid=stPlotlyChart]:visible").count() == 1
    assert in_window(window, ".st-key-mask_map .js-plotly-plot")
    assert window.blank_charts() == []
    assert config()["digest"][:8] in page.locator(".stage-what").inner_text()
    page.keyboard.press("ArrowRight")  # there is none after the last
    page.keyboard.press("ArrowLeft")
    assert on_stage(window, 1) == "One effect"
    page.keyboard.press("ArrowRight")
    on_stage(window, 2)
    page.reload()
    assert on_stage(window, 2) == "The mask"
    page.keyboard.press("PageUp")
    on_stage(window, 1)
    page.go_back()
    assert on_stage(window, 2) == "The mask"

    page.keyboard.press("Escape")
    page.wait_for_function("() => !document.documentElement.dataset.stage")
    window.settle()
    assert window.heading() == "Masks"
    assert "present" not in page.url
    assert "mask_threshold=0.8" in page.url
    assert page.get_by_test_id("stSidebar").is_visible()


def test_keys_that_are_typed_into_a_field_stay_there(window: View) -> None:
    window.open("/stories")
    click(window, f"story_example_{RUN}")
    click(window, "story_present")
    on_stage(window, 1)
    window.page.keyboard.press("End")
    on_stage(window, 6)
    window.page.goto(f"{window.url}/latents?present=6")  # which shows another page
    assert on_stage(window, 6).startswith("What would")
    window.page.wait_for_url("**/combine?**")
    on_stage(window, 6)
    window.page.keyboard.press("Home")
    on_stage(window, 1)
    charts = window.page.locator("[data-testid=stPlotlyChart]:visible")
    assert charts.count() == 1
    window.page.get_by_role("button", name="Show or hide").click()
    expect(charts).not_to_have_count(1)
    window.page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<input id=field style=\"position:fixed\">')"
    )
    window.page.locator("#field").focus()
    window.page.keyboard.press("ArrowRight")
    window.page.keyboard.press("PageDown")
    assert "present=1" in window.page.url


def test_a_story_is_downloaded_loaded_and_a_bad_one_told(window: View, tmp_path: Path) -> None:
    window.open("/stories")
    click(window, f"story_example_{RUN}")
    with window.page.expect_download() as download:
        window.page.get_by_role("button", name="Download").first.click()
    path = tmp_path / "story.json"
    download.value.save_as(path)
    told = read_story(path.read_bytes(), pages=story.VIEW_PAGES)
    assert told == read_story((EXAMPLES / f"{RUN}.json").read_bytes(), pages=story.VIEW_PAGES)
    for _ in told.views:
        click(window, "story_remove_0")
    window.page.get_by_text("No view is saved yet").wait_for()
    bad = tmp_path / "bad.json"
    outside = {"name": "A", "url": "https://example.org"}
    bad.write_text(json.dumps(json.loads(path.read_text()) | {"views": [outside]}))
    load(window, bad)
    error = window.page.get_by_test_id("stAlertContentError")
    error.wait_for()
    assert "views.0.url" in error.inner_text()
    window.page.locator(".st-key-story_file input[type=file]").set_input_files(path)
    window.page.get_by_role("button", name="Present").first.wait_for()
    window.settle()
    assert listed(window) == [each.name for each in told.views]
    window.page.reload()
    window.page.get_by_role("button", name="Present").first.wait_for()
    window.settle()
    assert listed(window) == [each.name for each in told.views]


def test_without_a_story_the_stage_says_so(window: View) -> None:
    window.page.goto(f"{window.url}/masks?present=2")
    window.page.locator(".stage-head").get_by_text("This browser keeps no story").wait_for()
    window.page.keyboard.press("Escape")
    window.page.wait_for_function("() => !document.documentElement.dataset.stage")
    window.settle()
    assert window.heading() == "Masks"


def test_the_report_opens_offline_and_shows_every_figure(
    browser: Browser, window: View, tmp_path: Path
) -> None:
    told = json.loads((EXAMPLES / f"{RUN}.json").read_text())
    gone = {"name": "Gone", "url": f"latents?run={RUN}", "figure": "no_such_figure"}
    whole = {"name": "All of it", "url": f"masks?run={RUN}&mask_latent=z0"}
    told["views"] += [whole, gone]
    path = tmp_path / "story.json"
    path.write_text(json.dumps(told))
    window.open("/stories")
    load(window, path)
    button = window.page.get_by_role("button", name="Make report").first
    button.wait_for()
    window.settle()
    window.page.keyboard.press("Escape")
    button.click()
    ready = window.page.get_by_role("button", name="Download report").first
    ready.wait_for()
    window.settle()
    with window.page.expect_download() as download:
        ready.click()
    report = tmp_path / "report.html"
    download.value.save_as(report)
    assert report.read_text(encoding="utf-8").count("plotly.js v") == 1

    context = browser.new_context(offline=True, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    faults: list[str] = []
    asked: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    page.on("request", lambda request: asked.append(request.url))
    page.goto(report.as_uri())
    plots = page.query_selector_all(".plot")
    assert len(plots) == 6 + 2
    for plot in plots:
        plot.scroll_into_view_if_needed()
        wait_until_drawn(plot)
    assert faults == []
    assert [url for url in asked if not url.startswith(("file:", "blob:", "data:"))] == []
    sections = page.locator("section")
    assert sections.count() == len(told["views"])
    assert "drew no such figure" in sections.last.inner_text()
    words = page.locator("body").inner_text()
    trained = config()
    for expected in (trained["digest"], f"seed {trained['seed']}", trained["versions"]["torch"]):
        assert expected in words
    context.close()
