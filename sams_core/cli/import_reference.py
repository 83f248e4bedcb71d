"""`import-reference`: a model trained with the code that the paper's authors published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sams_core.cli.flags import flags
from sams_core.cli.screens import READER, read
from sams_core.cli.terminal import reports_failures, say
from sams_core.data import Screen
from sams_core.errors import ScreenError

USUAL_SPLIT = "split"
"""Column in which the authors keep the split."""


@reports_failures
@flags(READER)
def import_reference(
    ckpt: Annotated[
        Path, typer.Argument(metavar="CKPT", help="Lightning .ckpt file of the authors' code.")
    ],
    screen: Annotated[
        Path, typer.Option(metavar="FILE", help="The screen that it was trained on.")
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="RUN", help="Folder of the checkpoint, to be made.")
    ],
    reader: dict[str, Any],
) -> None:
    """Make a checkpoint of a model that was trained with the authors' own code.

    Their package is not needed, and nothing in the file is run: one that asks for anything but
    tensors and plain values is refused. It holds no names, so genes and perturbations are those of
    the screen, in its order; its split is read from a column called split unless you name another.
    """
    from sams_core import reference

    file = reference.read_reference(ckpt)
    imported = reference.import_reference(file, _with_split(screen, reader), out)
    model = imported.model
    say(
        f"Imported {imported.source}, trained for {imported.n_steps:,} steps: "
        f"{len(model.gene_names):,} genes, {len(model.perturbation_names):,} perturbations, "
        f"{model.config.n_latent} latent dimensions."
    )
    if imported.same_cells:
        say("Its training cells are those of the screen's split.")
    else:
        say(
            "The screen's split is not the one it was trained with, so its test cells may be "
            "cells it was trained on, and scores on them too good: name the column of obs that "
            "has the split with --split-key.",
            style="bold",
        )
    say(f"\nWritten to {out}. Next:", style="bold")
    say(f"  python -m sams_core prepare {out}")


def _with_split(path: Path, reader: dict[str, Any]) -> Screen:
    """The screen, with the split of its column of the usual name if no other is named."""
    screen = read(path, reader)
    if screen.split is None and USUAL_SPLIT in screen.obs:
        try:
            return read(path, {**reader, "split_key": USUAL_SPLIT})
        except ScreenError:  # the column is something else
            return screen
    return screen
