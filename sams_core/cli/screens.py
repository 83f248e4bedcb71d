"""Reading a screen on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sams_core.cli.flags import Table
from sams_core.data import ReaderOptions, Screen, read_screen

READER = Table(
    "reader",
    "How the screen is read",
    ReaderOptions,
    {
        "perturbation_key": "Column of obs that names each cell's perturbation.",
        "control": "Label of the control cells; may be given several times. "
        "Without it the usual labels are recognised, and shown.",
        "separator": "Text between the perturbations of a combination, as in A+B.",
        "layer": "Layer that holds the raw counts, if X does not.",
        "dose_key": "Column of obs with doses.",
        "batch_key": "Column of obs with the batch, which the model then corrects for.",
        "split_key": "Column of obs with train, val and test, to use instead of a random split.",
        "gene_symbols": "Column of var with the gene names to show instead of the index.",
        "collapse_guides": "Read labels that are guides (STAT1g2, sgSTAT1_1) as their targets.",
    },
)


OnDisk = Annotated[
    bool,
    typer.Option(
        "--on-disk",
        help="Leave the counts in the file and read them as they are needed: for screens larger "
        "than the memory. Training then shuffles blocks of neighbouring cells; resume, prepare and "
        "evaluate leave the counts in the file, too.",
    ),
]


def read(path: Path, reader: dict[str, Any], *, on_disk: bool = False) -> Screen:
    """Read a screen with the reader's flags."""
    return read_screen(path, **plain(reader), on_disk=on_disk)


def plain(reader: dict[str, Any]) -> dict[str, Any]:
    """Turn a single control label into the text it is stored as."""
    if "control" not in reader:
        return reader
    labels = tuple(reader["control"])
    return {**reader, "control": labels[0] if len(labels) == 1 else labels}
