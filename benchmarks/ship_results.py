"""Puts the figures of sweeps on one screen where the Models page shows them.

``python -m benchmarks.ship_results NAME CONFIG.toml SWEEP [SWEEP ...]`` writes
``assets/results/NAME``; CONFIG names the screen and the command.
"""

from __future__ import annotations

import gzip
import io
import sys
from pathlib import Path

import pandas as pd

from sams_core.explorer.results import ABOUT, RESULTS_FOLDER, TABLE
from sams_core.storage import write_json
from sams_core.sweep.config import read_sweep


def ship(name: str, config: Path, sweeps: list[Path]) -> Path:
    """Write the compressed table and what is to be said of it; returns the folder."""
    tables = [pd.read_csv(sweep / "results.csv") for sweep in sweeps]
    table = pd.concat(tables).drop_duplicates(ignore_index=True)
    folder = RESULTS_FOLDER / name
    folder.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    table.to_csv(text, index=False, float_format="%.6g")
    (folder / TABLE).write_bytes(gzip.compress(text.getvalue().encode(), mtime=0))
    about = {
        "title": read_sweep(config).title,
        "simulated": bool(table["simulated"].iloc[0]),
        "command": f"python -m sams_core sweep {config.as_posix()} --out runs/{config.stem}",
    }
    write_json(folder / ABOUT, about)
    return folder


if __name__ == "__main__":
    print(ship(sys.argv[1], Path(sys.argv[2]), [Path(path) for path in sys.argv[3:]]))
