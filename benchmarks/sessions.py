"""``python -m benchmarks.sessions``: many people at once, each walking all pages in a browser.

Each session has a checkpoint and a perturbation of its own, opens page after page with them in the
address, and checks on each that it sees its own choice, no error and no blank page.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Annotated
from urllib.parse import urlencode

import anndata as ad
import typer
from playwright.async_api import Browser, Page, async_playwright
from rich.console import Console
from rich.table import Table

from sams_core.explorer.catalogue import DEMO_FOLDER
from sams_core.explorer.navigation import PAGES
from tests.browser.chromium import BASE_PATH_PROBE, FLAGS, PATIENCE, SETTLED, executable
from tests.support.server import Served, serve_process

CHOSEN = {"masks": "mask_perturbation", "effects": "condition", "latents": "highlight_perturbation"}
"""Of the pages that show a perturbation: the key in the address that names it."""
SEEN = """() => ({
  errors: [...document.querySelectorAll(
    '[data-testid="stException"], [data-testid="stAlertContentError"]')].map(e => e.innerText),
  heading: document.querySelector('h1')?.innerText ?? '',
  run: document.querySelector('.st-key-run input')?.value ?? '',
  chosen: [...document.querySelectorAll('[data-testid="stMain"] input')].map(i => i.value).concat(
    [...document.querySelectorAll('[data-testid="stMain"] [data-tag]')].map(t => t.ariaLabel)),
})"""
SAMPLE_SECONDS = 5.0


@dataclass(frozen=True)
class Visitor:
    """What one session looks at."""

    number: int
    run: str
    perturbation: str


@dataclass
class Walked:
    """What came of all sessions."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    mib: list[tuple[float, float]] = field(default_factory=list)

    @property
    def n_pages(self) -> int:
        """Pages opened."""
        return sum(len(times) for times in self.seconds.values())


def visitors(n: int) -> list[Visitor]:
    """One perturbation each, of the embedded checkpoints in turn."""
    runs = sorted(folder.name for folder in DEMO_FOLDER.iterdir() if folder.is_dir())
    names = {run: _strong_perturbations(run) for run in runs}
    return [
        Visitor(
            number, runs[number % len(runs)], names[runs[number % len(runs)]][number // len(runs)]
        )
        for number in range(n)
    ]


def _strong_perturbations(run: str) -> list[str]:
    table = ad.read_h5ad(DEMO_FOLDER / run / "explorer" / "masks.h5ad")
    effects = ad.read_h5ad(DEMO_FOLDER / run / "explorer" / "effects.h5ad")
    return [str(name) for name in table.obs_names if name in effects.obs_names]


async def walk(running: Browser, url: str, visitor: Visitor, until: float, walked: Walked) -> None:
    """Open page after page in an order of one's own until time is up."""
    context = await running.new_context(
        viewport={"width": 1280, "height": 900}, reduced_motion="reduce"
    )
    context.set_default_timeout(PATIENCE)
    page = await context.new_page()
    page.on("pageerror", lambda error: walked.faults.append(f"{page.url}: {error}"))
    page.on(
        "console",
        lambda message: (
            walked.faults.append(f"{page.url}: {message.text}")
            if message.type == "error" and not BASE_PATH_PROBE.search(message.location["url"])
            else None
        ),
    )
    for name in _order(visitor.number):
        if time.monotonic() > until:
            break
        try:
            seconds = await _open(page, url, name, visitor, walked)
        except Exception as error:
            walked.faults.append(f"{visitor.run} {name}: {str(error).splitlines()[0]}")
            continue
        walked.seconds.setdefault(name, []).append(seconds)
    await context.close()


def _order(seed: int) -> Iterator[str]:
    rng = random.Random(seed)
    while True:
        yield from rng.sample(list(PAGES), len(PAGES))


async def _open(page: Page, url: str, name: str, visitor: Visitor, walked: Walked) -> float:
    query = {"run": visitor.run}
    if name in CHOSEN:
        query[CHOSEN[name]] = visitor.perturbation
    started = time.monotonic()
    path = "" if name == "start" else name
    await page.goto(f"{url}/{path}?{urlencode(query)}")
    await page.wait_for_function(SETTLED, polling=250, timeout=PATIENCE)
    seconds = time.monotonic() - started
    seen = await page.evaluate(SEEN)
    wrong = [f"says “{text[:80]}”" for text in seen["errors"]]
    if seen["run"] != visitor.run:
        wrong.append(f"shows the checkpoint {seen['run']!r}")
    if not seen["heading"]:
        wrong.append("has no heading")
    if name in CHOSEN and visitor.perturbation not in seen["chosen"]:
        wrong.append(f"has not chosen {visitor.perturbation}")
    walked.faults += [f"{page.url} {fault}" for fault in wrong]
    return seconds


async def _watch(pid: int, started: float, until: float, walked: Walked) -> None:
    while time.monotonic() < until:
        walked.mib.append((time.monotonic() - started, resident_mib(pid)))
        await asyncio.sleep(SAMPLE_SECONDS)


def resident_mib(pid: int) -> float:
    """Memory that a process holds."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS:")).split()[1]) / 1024


async def run_sessions(served: Served, n: int, minutes: float) -> Walked:
    """Let n sessions walk at the same time."""
    walked, started = Walked(), time.monotonic()
    until = started + 60 * minutes
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=executable(), args=FLAGS)
        await asyncio.gather(
            _watch(served.pid, started, until, walked),
            *(walk(running, served.url, visitor, until, walked) for visitor in visitors(n)),
        )
        await running.close()
    walked.mib.append((time.monotonic() - started, resident_mib(served.pid)))
    return walked


def tabulate(walked: Walked) -> Table:
    """Pages by name: how often opened, and how long it took."""
    table = Table("Page", "opened", "median s", "90 % s", "longest s")
    for name in PAGES:
        times = sorted(walked.seconds.get(name, []))
        if times:
            ninth = times[min(len(times) - 1, int(0.9 * len(times)))]
            row = (median(times), ninth, times[-1])
            table.add_row(PAGES[name][0], f"{len(times)}", *(f"{value:.1f}" for value in row))
    return table


def by_thirds(mib: Sequence[tuple[float, float]]) -> list[float]:
    """Largest memory in each third of the time: levels off if the last is about the second."""
    end = mib[-1][0]
    thirds = [[m for at, m in mib if k * end / 3 <= at <= (k + 1) * end / 3] for k in range(3)]
    return [max(values) for values in thirds if values]


def main(
    sessions: Annotated[int, typer.Option(help="Browser sessions at once.")] = 20,
    minutes: Annotated[float, typer.Option(help="How long they walk.")] = 3.0,
) -> None:
    """Walk all pages in many browser sessions at once; report time, memory and every fault."""
    console = Console(width=110)
    with serve_process() as served:
        walked = asyncio.run(run_sessions(served, sessions, minutes))
        tracebacks = served.logged().count("Traceback (most recent call last)")
    console.print(tabulate(walked))
    memory = ", ".join(f"{value:,.0f}" for value in by_thirds(walked.mib))
    console.print(
        f"{sessions} sessions, {minutes:g} minutes, {walked.n_pages} pages; the server's memory is "
        f"at most {memory} MiB in each third; {tracebacks} tracebacks in its log; "
        f"{len(walked.faults)} faults."
    )
    for fault in walked.faults[:30]:
        console.print(fault, markup=False)
    if walked.faults or tracebacks:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
