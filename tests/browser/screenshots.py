"""Take the pictures of the README: every page on the embedded checkpoints, in both themes."""

from __future__ import annotations

from urllib.parse import quote

from PIL import Image

from tests.browser.chromium import PATIENCE, View, browser, view
from tests.browser.test_present import SHOWN
from tests.support.server import ROOT, serve

SWEEP = "Results of sweep: Norman 2019: activation in K562 cells (a subset)"
STORY, SLIDE = "Knockouts in THP-1 cells", 3
"""Example story and the view of it that the picture of the stage shows."""
FADED_IN = 1500
"""Milliseconds after which what is drawn anew has its full colour."""
TARGET = ROOT / "assets" / "screenshots"
PAGES = {
    "start": "/?run=papalexi2021_thp1",
    "masks": "/masks?run=papalexi2021_thp1",
    "effects": "/effects?run=papalexi2021_thp1&condition=STAT1",
    "latents": "/latents?run=papalexi2021_thp1",
    "combine": "/combine?run=norman2019_k562",
    "search": "/search?run=papalexi2021_thp1",
    "models": f"/models?results={quote(SWEEP)}&scope={quote('conditions not seen in training')}",
}
COLOURS = 255


def main() -> None:
    """Write ``assets/screenshots/PAGE-THEME.png``."""
    TARGET.mkdir(parents=True, exist_ok=True)
    with serve() as url, browser() as running:
        for theme in ("light", "dark"):
            with view(running, url, width=1360, height=900, theme=theme, scale=1.5) as shown:
                for page, path in PAGES.items():
                    shown.open(path)
                    shown.page.get_by_test_id("stPlotlyChart").first.wait_for()  # a search is over
                    shown.settle()
                    if shown.errors() or shown.blank_charts():
                        raise SystemExit(f"{path} is not sound: no picture taken")
                    take(shown, f"{page}-{theme}")
                to_stage(shown)
                take(shown, f"stage-{theme}")


def to_stage(shown: View) -> None:
    """Present a view of an example story."""
    shown.open("/stories")
    shown.page.get_by_role("button", name=STORY).click()
    shown.settle()
    shown.page.get_by_role("button", name="Present", exact=True).first.click()
    for number in range(1, SLIDE + 1):
        shown.page.wait_for_function(SHOWN, arg=number, timeout=PATIENCE)
        if number < SLIDE:
            shown.page.keyboard.press("ArrowRight")
    shown.settle()
    shown.page.wait_for_timeout(FADED_IN)


def take(shown: View, name: str) -> None:
    """Write the picture of what is shown."""
    target = TARGET / f"{name}.png"
    shown.page.screenshot(path=target)
    with Image.open(target) as picture:
        picture.convert("RGB").quantize(COLOURS).save(target, optimize=True)
    print(f"{target.relative_to(ROOT)}  {target.stat().st_size // 1024} kB")


if __name__ == "__main__":
    main()
