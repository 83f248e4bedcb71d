"""Addresses and the browser's history: a link restores a page, back and forward go a step each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import View, view
from tests.browser.test_masks import click

DEFAULT, OTHER = "papalexi2021_thp1", "simulated_pathways"
SHOWN = """() => ({
  text: document.querySelector('[data-testid="stMain"]').innerText,
  figures: [...document.querySelectorAll('.js-plotly-plot')].map(plot =>
    plot.data.map(trace => [trace.type, trace.name, trace.x?.length, trace.y?.length,
                            trace.marker?.color?.length])),
})"""


@pytest.fixture
def window(browser: Browser, app_url: str) -> Iterator[View]:
    with view(browser, app_url, height=1400) as opened:
        yield opened
        assert opened.complaints == []


def go(shown: View, page: str) -> None:
    """Follow the sidebar's link to a page."""
    shown.page.get_by_test_id("stSidebarNav").get_by_role("link", name=page).click()
    shown.page.get_by_role("heading", name=page, level=1).wait_for()
    shown.settle()


def back(shown: View, heading: str) -> None:
    """Press the back button once, and wait for the page that it leads to."""
    shown.page.go_back()
    shown.page.get_by_role("heading", name=heading, level=1).wait_for()
    shown.settle()


@pytest.mark.parametrize("run", [DEFAULT, OTHER])
def test_each_press_of_back_and_forward_is_one_page(run: str, window: View) -> None:
    window.page.goto("about:blank")
    window.open(f"/effects?run={run}")
    go(window, "Latents")
    go(window, "Models")
    assert window.state("run") == run
    back(window, "Latents")
    back(window, "Effects")
    assert window.state("run") == run
    window.page.go_forward()
    window.page.get_by_role("heading", name="Latents", level=1).wait_for()
    window.settle()
    back(window, "Effects")
    window.page.go_back()
    assert window.page.url == "about:blank"


def test_a_page_comes_back_as_it_was_left(window: View) -> None:
    window.open(f"/masks?run={DEFAULT}")
    window.page.get_by_test_id("stMain").get_by_text("Signed effect", exact=True).click()
    window.page.wait_for_url("**mask_view=Signed*")
    window.settle()
    address, figures = window.page.url, window.page.evaluate(SHOWN)["figures"]
    go(window, "Effects")
    back(window, "Masks")
    assert window.page.url == address
    assert window.page.evaluate(SHOWN)["figures"] == figures
    chosen = window.page.locator(".st-key-mask_view").get_by_role("radio", checked=True)
    assert "Signed effect" in chosen.first.inner_text()
    window.page.go_forward()
    window.page.get_by_role("heading", name="Effects", level=1).wait_for()


def test_back_takes_back_one_click_on_the_map(window: View) -> None:
    window.open(f"/masks?run={DEFAULT}")
    click(window, "row", row="JAK2")
    window.page.wait_for_url("**mask_perturbation=JAK2*")
    window.settle()
    click(window, "latent", latent="z0")  # chooses one thing and lets go of another
    window.page.wait_for_url("**mask_latent=z0*")
    window.settle()
    assert (window.state("mask_perturbation"), window.state("mask_latent")) == ("", "z0")
    window.page.go_back()
    window.page.wait_for_url("**mask_perturbation=JAK2*")
    window.settle()
    assert (window.state("mask_perturbation"), window.state("mask_latent")) == ("JAK2", "")
    window.page.go_forward()
    window.page.wait_for_url("**mask_latent=z0*")
    window.settle()
    assert (window.state("mask_perturbation"), window.state("mask_latent")) == ("", "z0")


@pytest.mark.parametrize(
    ("path", "choices"),
    [
        ("/masks", ["Embedding", "Group averages"]),
        ("/effects", ["Volcano"]),
        ("/latents", ["Perturbations"]),
        ("/models", ["The paper"]),
    ],
)
def test_an_address_shows_the_same_in_a_new_window(
    path: str, choices: list[str], window: View, browser: Browser, app_url: str
) -> None:
    window.open(f"{path}?run={OTHER}")
    for choice in choices:
        window.page.get_by_test_id("stMain").get_by_text(choice, exact=True).first.click()
        window.page.wait_for_timeout(500)  # the address follows the click
        window.settle()
    address = window.page.url.removeprefix(app_url)
    assert address != f"{path}?run={OTHER}"
    with view(browser, app_url, height=1400) as another:
        another.open(address)
        assert another.page.url == window.page.url
        assert another.page.evaluate(SHOWN) == window.page.evaluate(SHOWN)
        assert another.errors() == []
