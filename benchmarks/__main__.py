"""``python -m benchmarks``: how fast the library is beside plain code and what cannot be saved."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.report import Row, table, unmet, write_json
from sams_core.cli.terminal import fail

LATEST = Path(__file__).with_name("latest.json")
GROUPS: Mapping[str, tuple[str, str]] = {
    "step": ("training", "a training step at two shapes"),
    "loop": ("training", "Lightning's loop and validation"),
    "ate": ("effects", "average treatment effects"),
    "iwelbo": ("effects", "the importance-weighted bound"),
    "what_if": ("effects", "a combination's predicted shift"),
    "prepare": ("effects", "the explorer's tables of a model"),
    "page": ("pages", "every page, the server's time"),
    "browser": ("browser", "every page in Chromium"),
    "large": ("large", "training on large screens; not in the quick run"),
}
"""Groups of rows: the module that measures them, in ``NAME_rows(quick)``, and what they are."""
NOT_QUICK = ("large",)
WIDTH = 150
"""Of the table in a file or a pipe."""


def benchmark(
    rows: Annotated[
        list[str] | None,
        typer.Argument(help=f"Which to measure: {', '.join(GROUPS)}. All by default."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer repeats and smaller tasks: under 3 minutes.")
    ] = False,
) -> None:
    """Measure ours beside plain code and the floor, in turns; write benchmarks/latest.json.

    Demands that are made of a figure stand beside it, red where they are not met.
    """
    chosen = rows or [name for name in GROUPS if not (quick and name in NOT_QUICK)]
    if unknown := [name for name in chosen if name not in GROUPS]:
        fail(f"There are no rows named {unknown[0]!r}: choose among {', '.join(GROUPS)}.")
    _set_environment()
    console, done, failed = Console(), list[Row](), list[str]()
    for name in chosen:
        started = time.perf_counter()
        try:
            found = _measure(name)(quick)
        except (RuntimeError, OSError) as error:
            failed.append(name)
            console.print(f"{name} has failed: {error}", style="red")
            continue
        console.print(f"{name}: {time.perf_counter() - started:.0f} s", style="dim")
        if not found:
            console.print(f"{name} cannot be measured here.", style="yellow")
        done += found
        write_json(done, LATEST)
    shown = console if console.is_terminal else Console(width=WIDTH)
    shown.print(table(done))
    if missed := list(unmet(done)):
        console.print("Not met: " + "; ".join(missed), style="red")
    if failed:
        raise typer.Exit(1)


def _measure(name: str) -> Callable[[bool], list[Row]]:
    module = f"benchmarks.{GROUPS[name][0]}"
    measure: Callable[[bool], list[Row]] = getattr(import_module(module), f"{name}_rows")
    return measure


def _set_environment() -> None:
    """Of this process and all that it starts: no advice of libraries, the embedded checkpoints."""
    os.environ["PYTHONWARNINGS"] = "ignore"
    warnings.simplefilter("ignore")
    import_module("benchmarks.opening")  # silences Streamlit
    from sams_core.explorer.catalogue import NO_DEMO_VARIABLE, RUNS_VARIABLE

    os.environ[RUNS_VARIABLE] = ""
    os.environ.pop(NO_DEMO_VARIABLE, None)


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command()(benchmark)

if __name__ == "__main__":
    app()
