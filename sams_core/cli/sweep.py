"""`sweep`: families x inference x seeds x splits, trained and evaluated."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from sams_core.cli.terminal import (
    INTERRUPTED,
    fail,
    progress_console,
    reports_failures,
    say,
    this_command,
)
from sams_core.errors import ConfigError
from sams_core.sweep.outcomes import Listener, Outcome

SOME_FAILED = 1


@reports_failures
def sweep(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A TOML file; see README.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out", metavar="FOLDER", help="Folder of the sweep; one begun earlier goes on."
        ),
    ],
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="A Dask scheduler, as tcp://host:8786, whose workers see FOLDER and the screen "
            "under the same paths. By default processes on this machine.",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(metavar="INTEGER", min=1, help="Local processes; one a core by default."),
    ] = None,
) -> None:
    """Train and evaluate every combination of models, inference, splits and seeds in CONFIG.

    Run it again to go on after an interruption, to try failed runs again, or to add runs to
    CONFIG: finished runs are not redone. Then run compare.
    """
    if scheduler is not None and workers is not None:
        raise ConfigError("--workers is for processes on this machine: leave out one of the two.")
    from sams_core.sweep.run import sweep as run_sweep

    with _Progress(progress_console()) as progress:
        try:
            outcomes = run_sweep(
                config, out, scheduler=scheduler, workers=workers, listener=progress
            )
        except KeyboardInterrupt:
            progress.__exit__()
            fail(f"Stopped. To go on: {this_command()}", INTERRUPTED)
    _report(outcomes, out)


class _Progress(Listener):
    """A bar with what is running on a terminal, a line for each run everywhere."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bar = Progress(
            TextColumn("{task.fields[running]}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )
        self.task = self.bar.add_task("", total=None, running="Reading the screen")
        self.running: dict[str, str] = {}
        self.lock = threading.Lock()

    def __enter__(self) -> _Progress:
        if self.console.is_terminal:
            self.bar.start()
        return self

    def __exit__(self, *_failure: object) -> None:
        if self.console.is_terminal:
            self.bar.stop()

    def begins(self, outcomes: dict[str, Outcome], n_workers: int) -> None:
        """Say how many runs there are."""
        done = sum(outcome["state"] == "done" for outcome in outcomes.values())
        self.bar.update(self.task, total=len(outcomes), completed=done, running="")
        finished = f", {done} of them finished" if done else ""
        self.console.print(f"{_runs(len(outcomes))}{finished}.")
        if n_workers == 0 and done < len(outcomes):
            self.console.print("The scheduler has no workers yet; the runs wait for them.")

    def step(self, name: str, step: str) -> None:
        """Show what a run is at."""
        with self.lock:
            self.running[name] = step
            self._show()

    def ends(self, name: str, outcome: Outcome) -> None:
        """Print how a run ended."""
        with self.lock:
            self.running.pop(name, None)
            self.bar.advance(self.task)
            self._show()
        if outcome["state"] == "done":
            self.console.print(f"{name}: done in {outcome['seconds']:,.0f} s")
        else:
            self.console.print(f"{name}: failed. {outcome['error']}", markup=False)

    def stops(self) -> None:
        """Say why it takes a moment."""
        self.console.print("Stopping ...")

    def _show(self) -> None:
        lines = [f"{name}: {step}" for name, step in self.running.items()]
        self.bar.update(self.task, running="\n".join(lines))


def _report(outcomes: dict[str, Outcome], out: Path) -> None:
    failed: dict[str, Any] = {
        name: outcome["error"] for name, outcome in outcomes.items() if outcome["state"] == "failed"
    }
    if failed:
        say(f"\n{len(failed)} of {_runs(len(outcomes))} failed:", style="bold")
        for name, error in failed.items():
            say(f"  {name}: {error}")
        say("The others are finished. Mend the cause and try the failed ones again:")
        say(f"  {this_command()}")
    else:
        say(f"\n{_runs(len(outcomes)).capitalize()}, all finished.")
    say("\nNext:", style="bold")
    say(f"  python -m sams_core compare {out}")
    if failed:
        raise typer.Exit(SOME_FAILED)


def _runs(count: int) -> str:
    return "1 run" if count == 1 else f"{count} runs"
