"""Everything expensive that the explorer shows of a trained model, computed once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd

from sams_core import __version__, record
from sams_core.analysis.condition_effects import begin_effects, effects_table, heldout_scores
from sams_core.analysis.embedding import umap
from sams_core.analysis.interval_conditions import calibrate_intervals
from sams_core.analysis.latents import cells_table
from sams_core.analysis.likelihood import elbo_by_split
from sams_core.analysis.masks import OPEN, masks_table, match_truth
from sams_core.analysis.progress import Progress, reporter
from sams_core.analysis.tasks import Runner, runner
from sams_core.api import load_model
from sams_core.data.annotations import UNUSED
from sams_core.data.options import ReaderOptions
from sams_core.data.reading import read_screen
from sams_core.data.screen import Screen
from sams_core.errors import CheckpointError
from sams_core.perturbation_model import PerturbationModel
from sams_core.source import read_source
from sams_core.storage import new_folder, write_json

STEPS = (
    "Reading the screen", "Cells", "Likelihood", "Effects", "Masks", "Maps", "Intervals", "Writing",
)  # fmt: skip
"""Names of the steps, in their order."""

_VERSIONS = ("anndata", "numpy", "scanpy", "scipy", "torch", "umap-learn")


def prepare(
    folder: str | Path,
    *,
    screen: Screen | str | Path | None = None,
    n_particles: int = 2500,
    max_cells: int = 20_000,
    keep_counts: bool = True,
    seed: int = 0,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> None:
    """Compute the tables that the explorer opens and write them to ``folder/explorer``.

    They are written to a temporary folder that then takes the place of the old one, so that the
    app sees the old tables or the new ones.

    The model's effects, in blocks of conditions, and the maps of cells and of perturbations are
    tasks that other processes can run while this one does the rest; the tables are the same but
    for rounding. Processes on this machine take seconds to start, and then pay where thousands of
    cells are mapped or there are hundreds of conditions.

    Parameters
    ----------
    folder
        A checkpoint.
    screen
        The screen it was trained on, or its path; by default the path noted at training.
    n_particles
        Simulated cells per condition for the model's effects.
    max_cells
        Cells shown in the latent space; of a larger screen a stratified subsample.
    keep_counts
        Whether to keep the raw counts of these cells, within a bound, so that pages can show
        measured expression; whoever gets the checkpoint gets them, too.
    seed
        Of every draw, subsample and map.
    workers
        Processes on this machine to run tasks in; None or 1 for this process alone. They are
        started by spawning, so a script needs the usual ``if __name__ == "__main__":``.
    scheduler
        Address of a Dask scheduler to send tasks to, such as ``tcp://host:8786``. Its workers need
        sams_core, but neither the checkpoint's folder nor the screen.
    progress
        Told of every step.

    Raises
    ------
    CheckpointError
        If the checkpoint cannot be read, or the screen is not the one it was trained on.
    ScreenError
        If the screen cannot be read.
    ConfigError
        If no scheduler answers, or it has no workers.
    ClusterError
        If other processes did not do their tasks.
    """
    started = time.perf_counter()
    folder = Path(folder)

    report = reporter(progress)
    at = report("Reading the screen")
    model = load_model(folder)
    model.attach(find_screen(model, folder, screen))
    assert model.screen is not None
    at(1.0)
    with runner(workers, scheduler) as where:
        tables, elbo = _tables(
            where, model, model.screen, n_particles=n_particles, max_cells=max_cells,
            keep_counts=keep_counts, seed=seed, report=report,
        )  # fmt: skip
    at = report("Intervals")
    intervals = calibrate_intervals(model, model.screen, seed=seed, progress=at)
    at(1.0)
    at = report("Writing")
    metrics = collect_metrics(model.screen, tables["effects"], tables["masks"], elbo)
    metrics["intervals"] = intervals.as_metrics()
    metrics["prepared"] = {
        "seconds": round(time.perf_counter() - started, 1),
        "versions": {"sams_core": __version__, **{name: version(name) for name in _VERSIONS}},
        "seed": seed,
    }
    _write(folder / record.EXPLORER, tables, metrics)
    at(1.0)


def _tables(
    where: Runner,
    model: PerturbationModel,
    screen: Screen,
    *,
    n_particles: int,
    max_cells: int,
    keep_counts: bool,
    seed: int,
    report: Callable[[str], Callable[[float], None]],
) -> tuple[dict[str, ad.AnnData], pd.DataFrame]:
    """Every table by its file's name, and the ELBO by split; tasks begin as early as they can."""
    simulated: dict[str, Any] = {"n_particles": n_particles, "seed": seed}
    begun = begin_effects(where, model, screen, **simulated) if where.n_elsewhere else None
    at = report("Cells")
    cells = cells_table(model, screen, max_cells=max_cells, keep_counts=keep_counts, seed=seed)
    maps_of_cells = where.run(umap, [cells.obsm["z_basal"], cells.obsm["z"]], seed=seed)
    at(1.0)
    elbo = elbo_by_split(
        model.module, model.encoded(screen), model.split, seed=seed, progress=report("Likelihood")
    )
    effects = effects_table(model, screen, **simulated, begun=begun, progress=report("Effects"))
    at = report("Masks")
    masks = masks_table(model, screen, effects, seed=seed)
    map_of_masks = where.run(umap, [masks.layers["effect"]], seed=seed)
    at(1.0)
    at = report("Maps")
    places = ((cells, "X_umap_basal"), (cells, "X_umap"), (masks, "X_umap"))
    maps = zip(places, chain(maps_of_cells, map_of_masks), strict=True)
    for done, ((table, name), coordinates) in enumerate(maps, 1):
        table.obsm[name] = coordinates
        at(done / len(places))
    return {"effects": effects, "masks": masks, "cells": cells}, elbo


def collect_metrics(
    screen: Screen, effects: ad.AnnData, masks: ad.AnnData, elbo: pd.DataFrame
) -> dict[str, Any]:
    """Figures that say how good a checkpoint is, JSON-able.

    Those of masks are over the perturbations that some training cell carries.

    Parameters
    ----------
    screen
        The screen.
    effects, masks
        The tables of effects and masks.
    elbo
        By split, from :func:`sams_core.analysis.likelihood.elbo_by_split`.
    """
    has_mask = bool(masks.uns["has_mask"])
    truth = match_truth(masks)
    is_open = np.asarray(masks.X)[(masks.obs["n_cells_train"] > 0).to_numpy()] > OPEN
    known = None
    if truth is not None:
        known = {"f1": truth.f1, "precision": truth.precision, "recall": truth.recall}
    by_split = elbo.reindex([name for name in record.SPLIT_NAMES if name != UNUSED])
    n_cells = by_split["n_cells"].fillna(0).astype(int)
    n_unused = screen.n_cells - int(n_cells.sum())
    return {
        "n_cells": screen.n_cells,
        "n_genes": screen.n_genes,
        "n_perturbations": screen.n_perturbations,
        "n_conditions": effects.n_obs,
        "splits": n_cells.to_dict() | ({UNUSED: n_unused} if n_unused else {}),
        "heldout_ate": heldout_scores(effects),
        "elbo": {
            name: value if np.isfinite(value) else None for name, value in by_split["elbo"].items()
        },
        "share_open": float(is_open.mean()) if has_mask else None,
        "n_latents_used": int(is_open.any(axis=0).sum()),
        "truth": known,
    }


def find_screen(
    model: PerturbationModel, folder: Path, screen: Screen | str | Path | None
) -> Screen:
    """The screen given, or read from the path given or noted at training, as it was read then.

    Raises
    ------
    CheckpointError
        If no path is noted, or nothing is there any more.
    ScreenError
        If the screen cannot be read.
    """
    if isinstance(screen, Screen):
        return screen
    path = Path(screen) if screen is not None else _noted_path(folder)
    options = ReaderOptions.model_validate(model.record.data.reader)
    return read_screen(path, options=options, on_disk=bool(read_source(folder).get("on_disk")))


def _noted_path(folder: Path) -> Path:
    path = read_source(folder).get("screen")
    if not isinstance(path, str):
        raise CheckpointError(
            f"{folder} does not say where its screen is: name the file it was trained on with "
            "--screen."
        )
    if not Path(path).exists():
        raise CheckpointError(
            f"The screen that {folder} was trained on is no longer at {path}: name its new place "
            "with --screen."
        )
    return Path(path)


def _write(target: Path, tables: dict[str, ad.AnnData], metrics: dict[str, Any]) -> None:
    with new_folder(target, overwrite=True) as temporary:
        for name, table in tables.items():
            table.write_h5ad(temporary / f"{name}.h5ad", compression="gzip")
        write_json(temporary / "metrics.json", metrics)
        digests = {path.name: _digest(path) for path in sorted(temporary.iterdir())}
        write_json(temporary / record.MANIFEST, digests)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
