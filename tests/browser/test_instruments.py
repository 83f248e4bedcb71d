"""The instruments of the browser tests see the faults they are there for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import View, view
from tests.support.server import serve


@pytest.fixture(scope="module")
def sample_url() -> Iterator[str]:
    with serve(Path(__file__).with_name("sample_app.py")) as url:
        yield url


@pytest.fixture
def sample(browser: Browser, sample_url: str) -> Iterator[View]:
    with view(browser, sample_url) as opened:
        yield opened


def test_a_sound_page_is_found_sound(sample: View) -> None:
    sample.open("/?figure=scatter&figure=webgl&figure=bars&figure=heatmap")
    assert sample.heading() == "Sample"
    assert len(sample.charts()) == 4
    assert sample.blank_charts() == []
    assert sample.errors() == []
    assert sample.overflow() == 0
    assert sample.complaints == []


def test_empty_charts_are_found_blank(sample: View) -> None:
    sample.open("/?figure=scatter&figure=empty&figure=empty+scatter&figure=empty+webgl")
    assert len(sample.blank_charts()) == 3


@pytest.mark.parametrize("fault", ["exception", "error"])
def test_errors_on_the_page_are_seen(sample: View, fault: str) -> None:
    sample.open(f"/?fault={fault}")
    assert sample.errors()


def test_overflow_is_seen(sample: View) -> None:
    sample.open("/?fault=wide")
    assert sample.overflow() > 1000


def test_console_errors_are_seen(sample: View) -> None:
    sample.open("/?fault=console")
    assert any("on purpose" in complaint for complaint in sample.complaints)


def test_the_theme_follows_the_system(browser: Browser, sample_url: str) -> None:
    shades = []
    for theme in ("light", "dark"):
        with view(browser, sample_url, theme=theme) as opened:
            opened.open()
            shades.append(sum(opened.background()))
    assert shades[0] > 600 > 200 > shades[1]
