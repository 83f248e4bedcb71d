"""A headless Chromium, and what a page in it shows."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from PIL import Image
from playwright.sync_api import (
    Browser,
    ConsoleMessage,
    ElementHandle,
    Page,
    TimeoutError,
    sync_playwright,
)

Theme = Literal["light", "dark"]

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--no-first-run",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
]
BASE_PATH_PROBE = re.compile(r"/\w+/_stcore/(health|host-config)$")
"""What Streamlit asks under a page's own path first, to find the path it is served from."""
STATE = """() => {
  const all = selector => [...document.querySelectorAll(selector)];
  const app = document.querySelector('[data-testid="stApp"]');
  const charts = all('[data-testid="stPlotlyChart"]');
  return {
    script: app ? app.dataset.testScriptState : 'no app',
    headings: all('h1').length,
    waiting: all('[data-testid="stSkeleton"], [data-testid="stSpinner"]').length,
    stale: all('[data-stale="true"]').length,
    undrawn: charts.filter(chart => !chart.querySelector('.main-svg')).length,
  };
}"""
SETTLED = f"""() => {{
  const {{script, headings, waiting, stale, undrawn}} = ({STATE})();
  const quiet = script === 'notRunning' && headings && !waiting && !stale && !undrawn;
  window.__quiet = quiet ? (window.__quiet || 0) + 1 : 0;
  return window.__quiet > 6;
}}"""
PATIENCE = 90_000
"""Milliseconds to wait for anything: a busy machine is slow, a broken page never comes."""


def executable() -> str | None:
    """Path of an installed Chromium or Chrome, if there is one."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for path in map(shutil.which, names) if path), None)


@contextmanager
def browser() -> Iterator[Browser]:
    """Run the installed Chromium."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable(), args=FLAGS)
        yield running
        running.close()


@dataclass
class View:
    """One open page and what its console complained about."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def open(self, path: str = "/") -> None:
        """Go to a path of the app and wait until everything is drawn."""
        self.page.goto(self.url + path)
        self.settle()

    def settle(self) -> None:
        """Wait until the script has run, nothing is stale and every chart is drawn.

        Raises
        ------
        AssertionError
            If it never comes to rest; says what was still missing.
        """
        self.page.evaluate("window.__quiet = 0")
        try:
            self.page.wait_for_function(SETTLED, polling=100, timeout=PATIENCE)
        except TimeoutError:
            raise AssertionError(
                f"{self.page.url} is not drawn: {self.page.evaluate(STATE)}"
            ) from None

    def heading(self) -> str:
        """Text of the page's h1."""
        return self.page.locator("h1").first.inner_text()

    def errors(self) -> list[str]:
        """Texts of the exceptions and error boxes shown on the page."""
        return self.page.locator(
            '[data-testid="stException"], [data-testid="stAlertContentError"]'
        ).all_inner_texts()

    def state(self, widget: str) -> str:
        """What the widget with this key shows as chosen, one value a line."""
        shown: str = self.page.locator(f".st-key-{widget}").evaluate(
            """box => {
              const tags = [...box.querySelectorAll('[data-tag]')].map(tag => tag.ariaLabel);
              return tags.length ? tags.join('\\n') : box.querySelector('input').value;
            }"""
        )
        return shown

    def overflow(self) -> float:
        """Pixels by which the page is wider than its window."""
        return float(
            self.page.evaluate(
                """() => {
                  const main = document.querySelector('[data-testid="stMain"]');
                  const root = document.documentElement;
                  return Math.max(main.scrollWidth - main.clientWidth,
                                  root.scrollWidth - root.clientWidth);
                }"""
            )
        )

    def charts(self) -> list[ElementHandle]:
        """Return the plotly charts that can be seen: not those of a closed tab."""
        found = self.page.query_selector_all('[data-testid="stPlotlyChart"]')
        return [chart for chart in found if chart.is_visible()]

    def blank_charts(self) -> list[str]:
        """Names of the plotly charts that show no mark."""
        return [
            chart.get_attribute("aria-label") or f"chart {i}"
            for i, chart in enumerate(self.charts())
            if not (svg_marks(chart) or canvas_pixels(chart))
        ]

    def background(self) -> tuple[int, int, int]:
        """Colour of the app's background."""
        colour = self.page.eval_on_selector(
            '[data-testid="stApp"]', "app => getComputedStyle(app).backgroundColor"
        )
        red, green, blue = (int(part) for part in colour[colour.index("(") + 1 : -1].split(",")[:3])
        return red, green, blue


@contextmanager
def view(
    running: Browser,
    url: str,
    *,
    width: int = 1280,
    height: int = 900,
    theme: Theme = "light",
    scale: float = 1,
) -> Iterator[View]:
    """Open a window of a given size and theme on the app; ``scale`` is for sharper pictures."""
    context = running.new_context(
        viewport={"width": width, "height": height},
        color_scheme=theme,
        reduced_motion="reduce",
        device_scale_factor=scale,
    )
    context.set_default_timeout(PATIENCE)
    opened = View(context.new_page(), url)

    def listen(message: ConsoleMessage) -> None:
        if message.type == "error" and not BASE_PATH_PROBE.search(message.location["url"]):
            opened.complaints.append(message.text)

    opened.page.on("console", listen)
    opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    yield opened
    context.close()


def svg_marks(chart: ElementHandle) -> int:
    """Drawn points, bars, lines, cells and images of the chart's SVG layers."""
    return int(
        chart.evaluate(
            """chart => [...chart.querySelectorAll(
                '.main-svg .trace path, .main-svg .hm image, .main-svg .points path, ' +
                '.main-svg .point path, .main-svg .violin, .main-svg .shapelayer path')]
              .filter(mark => {
                const box = mark.getBoundingClientRect();
                return box.width + box.height > 0;
              }).length"""
        )
    )


def canvas_pixels(chart: ElementHandle) -> int:
    """Pixels that the chart's WebGL canvases put on the screen."""
    if not chart.query_selector("canvas"):
        return 0
    chart.scroll_into_view_if_needed()
    shown = _pixels(chart)
    hide = "(chart, how) => chart.querySelectorAll('canvas').forEach(c => c.style.visibility = how)"
    chart.evaluate(hide, "hidden")
    hidden = _pixels(chart)
    chart.evaluate(hide, "")
    return int((np.abs(shown - hidden).max(axis=-1) > 8).sum())


def _pixels(element: ElementHandle) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(element.screenshot())).convert("RGB")).astype(int)
