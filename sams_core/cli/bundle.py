"""`bundle`: a trained model as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sams_core.cli.terminal import reports_failures, say
from sams_core.errors import ConfigError


@reports_failures
def bundle(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="A folder that train and prepare wrote.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The zip file to write. [default: RUN.zip]"),
    ] = None,
) -> None:
    """Pack a prepared model into one zip file, to send or to open on the explorer's Open page.

    Only the checkpoint's own files are packed, after their digests were checked. The screen is not
    among them; the raw counts of the cells on the maps are, if prepare kept them.
    """
    from sams_core.bundle import write_bundle
    from sams_core.storage import replacing

    target = out or Path(f"{run.resolve()}.zip")
    if target.exists():
        raise ConfigError(f"{target} exists already: choose another file with --out.")
    with replacing(target) as temporary, temporary.open("wb") as file:
        write_bundle(run, file)
    say(f"{target}  {target.stat().st_size / 1e6:,.1f} MB")
    say("\nNext:", style="bold")
    say("  make app, open the page Open and upload the file")
