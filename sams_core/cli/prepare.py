"""`prepare`: what the explorer shows of a trained model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from sams_core.cli.steps import Steps
from sams_core.cli.terminal import reports_failures, say
from sams_core.errors import ConfigError


@reports_failures
def prepare(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder written by train.")],
    screen: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The screen that RUN was trained on, if it has been moved."
        ),
    ] = None,
    n_particles: Annotated[
        int,
        typer.Option(
            metavar="INTEGER", min=2, help="Simulated cells a condition for the model's effects."
        ),
    ] = 2500,
    max_cells: Annotated[
        int,
        typer.Option(
            metavar="INTEGER", min=1, help="Cells shown on the maps; of more, a sample is shown."
        ),
    ] = 20_000,
    keep_counts: Annotated[
        bool,
        typer.Option(
            "--keep-counts/--leave-out-counts",
            help="Whether the raw counts of the cells on the maps are kept, to colour them by; "
            "whoever gets RUN then has them.",
        ),
    ] = True,
    seed: Annotated[
        int,
        typer.Option(metavar="INTEGER", min=0, max=2**32 - 1, help="Seed of everything random."),
    ] = 0,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="INTEGER",
            min=1,
            help="Processes on this machine to share the work; by default it is done in one.",
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="A Dask scheduler, as tcp://host:8786, whose workers share the work; they need "
            "not see RUN or the screen.",
        ),
    ] = None,
) -> None:
    """Compute what the explorer shows of a trained model: effects, masks, maps of cells, scores.

    Everything expensive is done here once and written to RUN/explorer, so that pages open at once.
    """
    if scheduler is not None and workers is not None:
        raise ConfigError("--workers is for processes on this machine: leave out one of the two.")
    from sams_core.analysis import prepare as preparing

    with Steps(preparing.STEPS) as steps:
        preparing.prepare(
            run,
            screen=screen,
            n_particles=n_particles,
            max_cells=max_cells,
            keep_counts=keep_counts,
            seed=seed,
            workers=workers,
            scheduler=scheduler,
            progress=steps.report,
        )
    _report(run)


def _report(run: Path) -> None:
    from sams_core.perturbation_model import STATE

    metrics: dict[str, Any] = json.loads((run / "explorer" / "metrics.json").read_text())
    scores = metrics["heldout_ate"]
    if scores["pearson"] is not None and scores["ceiling"] is not None:
        say(
            f"\nEffects on held-out cells: Pearson {scores['pearson']:.2f} between model and data; "
            f"the data's own ceiling is {scores['ceiling']:.2f}."
        )
    share = metrics["share_open"]
    say(
        f"Latent dimensions in use: {metrics['n_latents_used']}. "
        + ("" if share is None else f"Mask entries open: {share:.1%}.")
    )
    if (run / STATE.parent).exists():
        say("This run is not trained to its end: train --resume, then prepare again.")
    say("\nNext:", style="bold")
    say(f"  make app RUNS={run}")
