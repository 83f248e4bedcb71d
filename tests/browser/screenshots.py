"""Take the pictures of the README: every page on the embedded checkpoints, in both themes."""

from __future__ import annotations

from PIL import Image

from tests.browser.chromium import browser, view
from tests.support.server import ROOT, serve

TARGET = ROOT / "assets" / "screenshots"
PAGES = ("start", "masks", "effects", "latents", "combine")
COLOURS = 255


def main() -> None:
    """Write ``assets/screenshots/PAGE-THEME.png``."""
    TARGET.mkdir(parents=True, exist_ok=True)
    with serve() as url, browser() as running:
        for theme in ("light", "dark"):
            with view(running, url, width=1360, height=900, theme=theme, scale=1.5) as shown:
                for page in PAGES:
                    shown.open("/" if page == "start" else f"/{page}")
                    target = TARGET / f"{page}-{theme}.png"
                    shown.page.screenshot(path=target)
                    with Image.open(target) as picture:
                        picture.convert("RGB").quantize(COLOURS).save(target, optimize=True)
                    print(f"{target.relative_to(ROOT)}  {target.stat().st_size // 1024} kB")


if __name__ == "__main__":
    main()
