"""Training on a large screen in memory, and on one ten times as large that stays on disk."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks import large_screen
from benchmarks.report import Row

N_CELLS, TIMES = 120_000, 10
GB_IN_MIB = 1e9 / 2**20
SHARE_FROM_DISK = 0.8


def large_rows(quick: bool) -> list[Row]:
    """Throughput and peak memory of both; some 8 GB of disk are needed meanwhile."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = large_screen.write_screens(folder, N_CELLS)
        small = paths["uncompressed"]
        memory = large_screen.in_process(small, on_disk=False)
        many = folder / "many.h5ad"
        large_screen.write_repeated(small, TIMES, many)
        disk = large_screen.in_process(many, on_disk=True)
    rate, size = "cells_per_second", f"{N_CELLS * TIMES:,} cells from disk"
    return [
        Row(
            f"Training on {size}", "cells/s", disk[rate], memory[rate],
            peak_mib=disk["peak_mib"], faster_than_plain=SHARE_FROM_DISK,
            note=f"plain: {N_CELLS:,} cells in memory",
        ),
        Row(
            f"Training on {N_CELLS:,} cells in memory: peak memory", "MiB", memory["peak_mib"],
            at_most=3 * GB_IN_MIB,
        ),
        Row(
            f"Training on {size}: peak memory", "MiB", disk["peak_mib"], at_most=4 * GB_IN_MIB
        ),
    ]  # fmt: skip
