"""Take the pictures of the README: every page on the embedded checkpoints, in both themes."""

from __future__ import annotations

from urllib.parse import quote

from PIL import Image

from tests.browser.chromium import browser, view
from tests.support.server import ROOT, serve

SWEEP = "Results of sweep: Norman 2019: activation in K562 cells (a subset)"
TARGET = ROOT / "assets" / "screenshots"
PAGES = {
    "start": "/?run=papalexi2021_thp1",
    "masks": "/masks?run=papalexi2021_thp1",
    "effects": "/effects?run=papalexi2021_thp1&condition=STAT1",
    "latents": "/latents?run=papalexi2021_thp1",
    "combine": "/combine?run=norman2019_k562",
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
                    if shown.errors() or shown.blank_charts():
                        raise SystemExit(f"{path} is not sound: no picture taken")
                    target = TARGET / f"{page}-{theme}.png"
                    shown.page.screenshot(path=target)
                    with Image.open(target) as picture:
                        picture.convert("RGB").quantize(COLOURS).save(target, optimize=True)
                    print(f"{target.relative_to(ROOT)}  {target.stat().st_size // 1024} kB")


if __name__ == "__main__":
    main()
