"""`info`: what is understood of a screen."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sams_core.cli.flags import flags
from sams_core.cli.screens import READER, OnDisk, read
from sams_core.cli.terminal import reports_failures, say
from sams_core.data import summarise


@reports_failures
@flags(READER)
def info(
    screen: Annotated[
        Path, typer.Argument(metavar="SCREEN", help="An .h5ad file or .zarr folder.")
    ],
    reader: dict[str, Any],
    on_disk: OnDisk = False,
) -> None:
    """Print what is understood of a screen: cells, perturbations, controls, what to watch.

    Nothing is changed or written. Try it before training: a column or a control label that was
    read wrongly shows here.
    """
    say(summarise(read(screen, reader, on_disk=on_disk)).to_text())
