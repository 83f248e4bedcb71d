"""Peak memory and speed of training on a screen in memory and on one ten times as large on disk.

``python -m benchmarks.large_screen --folder FOLDER`` simulates a screen, writes it as AnnData does
(uncompressed, with gzip, as zarr), writes its cells ten times over into one more file, trains on
each in a process of its own, and prints cells per second and peak memory. It needs about 8 GB of
disk, which it frees at the end.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from anndata.io import write_elem
from rich.console import Console
from rich.table import Table

from sams_core.data import SimulationConfig, simulate_screen

N_PERTURBATIONS, N_GENES, DEPTH = 60, 1187, 10_000
N_LATENT, N_HIDDEN, N_PARTICLES = 100, 400, 5
BATCH_SIZE, WARM_UP, STEPS = 512, 20, 140
"""Steps that are timed are long enough for several buffers to be read."""


def write_screens(folder: Path, n_cells: int) -> dict[str, Path]:
    """A simulated screen in the ways AnnData writes it, by name of the way."""
    of_each = n_cells // (N_PERTURBATIONS + 1)
    adata = simulate_screen(
        SimulationConfig(
            n_perturbations=N_PERTURBATIONS,
            n_genes=N_GENES,
            depth=DEPTH,
            cells_per_perturbation=of_each,
            n_control=n_cells - N_PERTURBATIONS * of_each,
        )
    )
    paths = {name: folder / f"{name}.h5ad" for name in ("uncompressed", "gzip")}
    adata.write_h5ad(paths["uncompressed"])
    adata.write_h5ad(paths["gzip"], compression="gzip")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adata.write_zarr(folder / "default.zarr")
    return paths | {"zarr": folder / "default.zarr"}


def write_repeated(path: Path, times: int, target: Path) -> None:
    """The cells of an ``.h5ad`` file several times over, under other names, never all in memory."""
    with h5py.File(path) as source, h5py.File(target, "w") as file:
        obs, var = (ad.io.read_elem(source[key]) for key in ("obs", "var"))
        labels = pd.Categorical(np.tile(np.asarray(obs["perturbation"]), times))
        names = [f"{name}_{k}" for k in range(times) for name in obs.index]
        write_elem(
            file, "/", ad.AnnData(obs=pd.DataFrame({"perturbation": labels}, names), var=var)
        )
        if "X" in file:
            del file["X"]
        old, new = source["X"], file.create_group("X")
        new.attrs.update({**old.attrs, "shape": np.array([len(names), len(var)])})
        pointers = old["indptr"][:].astype(np.int64)
        starts = np.arange(times)[:, None] * pointers[-1]
        new["indptr"] = np.r_[0, (pointers[1:] + starts).ravel()]
        for name, dtype in (("indices", np.int32), ("data", np.uint16)):
            values = old[name][:].astype(dtype)
            stored = new.create_dataset(name, (times * len(values),), dtype, maxshape=(None,))
            for k in range(times):
                stored[k * len(values) : (k + 1) * len(values)] = values


def train(path: Path, on_disk: bool) -> dict[str, float]:
    """Train for some steps in this process: seconds, cells per second and peak memory."""
    from sams_core.api import SAMSVAE
    from sams_core.data import read_screen
    from sams_core.training.callbacks import Keeper

    started = time.perf_counter()
    screen = read_screen(path, perturbation_key="perturbation", on_disk=on_disk)
    read = time.perf_counter()
    model = SAMSVAE(screen, n_latent=N_LATENT, n_hidden=N_HIDDEN)
    ends: list[float] = []
    keep = Keeper.on_train_batch_end

    def timed(self: Keeper, *arguments: Any) -> None:
        ends.append(time.perf_counter())
        keep(self, *arguments)

    Keeper.on_train_batch_end = timed  # type: ignore[assignment,method-assign]
    with tempfile.TemporaryDirectory() as folder:
        model.train(
            out=Path(folder) / "run", progress=False, max_steps=STEPS, n_particles=N_PARTICLES,
            batch_size=BATCH_SIZE, effects_fraction=0.0, pruned_fraction=0.0,
        )  # fmt: skip
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    taken = np.diff(ends)[WARM_UP:]
    return {
        "n_cells": screen.n_cells,
        "reading": read - started,
        "preparing": ends[0] - read,
        "step": float(np.mean(taken)),
        "median_step": float(np.median(taken)),
        "cells_per_second": BATCH_SIZE / float(np.mean(taken)),
        "peak_mib": peak / 1024,
    }


def in_process(path: Path, on_disk: bool) -> dict[str, float]:
    """What :func:`train` tells, from a process of its own."""
    command = [sys.executable, "-m", "benchmarks.large_screen", "--train", str(path)]
    said = subprocess.run(
        command + ["--on-disk"] * on_disk, check=True, capture_output=True, text=True
    )
    figures: dict[str, float] = json.loads(said.stdout.splitlines()[-1])
    return figures


def main() -> None:
    """Write the files, train on each and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=120_000, help="Cells of the smaller screen.")
    parser.add_argument("--times", type=int, default=10, help="How many times in the larger one.")
    parser.add_argument("--folder", type=Path, help="Where files are written.")
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--on-disk", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.train is not None:
        print(json.dumps(train(asked.train, asked.on_disk)))
        return
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        _compare(Path(folder), asked.cells, asked.times)


def _compare(folder: Path, n_cells: int, times: int) -> None:
    paths = write_screens(folder, n_cells)
    repeated = folder / "repeated.h5ad"
    write_repeated(paths["uncompressed"], times, repeated)
    runs = [("in memory", paths["uncompressed"], False)]
    runs += [(f"on disk, {name}", path, True) for name, path in paths.items()]
    runs.append((f"on disk, uncompressed, the same cells {times} times", repeated, True))
    table = Table(
        "screen", "cells", "GB", "read s", "prepare s", "step ms", "cells/s", "ratio", "peak MiB"
    )
    memory = None
    for name, path, on_disk in runs:
        found = in_process(path, on_disk)
        memory = memory or found
        table.add_row(
            name,
            f"{found['n_cells']:,.0f}",
            f"{_size(path) / 1e9:.2f}",
            f"{found['reading']:.1f}",
            f"{found['preparing']:.1f}",
            f"{1e3 * found['step']:.1f}",
            f"{found['cells_per_second']:,.0f}",
            f"{found['cells_per_second'] / memory['cells_per_second']:.2f}",
            f"{found['peak_mib']:,.0f}",
        )
    Console(width=140).print(table)


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [part for part in path.rglob("*") if part.is_file()]
    return sum(file.stat().st_size for file in files)


if __name__ == "__main__":
    main()
