"""Reading a screen on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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


def read(path: Path, reader: dict[str, Any]) -> Screen:
    """Read a screen with the reader's flags."""
    return read_screen(path, **plain(reader))


def plain(reader: dict[str, Any]) -> dict[str, Any]:
    """Turn a single control label into the text it is stored as."""
    if "control" not in reader:
        return reader
    labels = tuple(reader["control"])
    return {**reader, "control": labels[0] if len(labels) == 1 else labels}
