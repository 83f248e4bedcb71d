"""Made-up checkpoints of one model from two seeds, with their stability."""

from __future__ import annotations

from pathlib import Path

import anndata as ad

from sams_core.analysis.evaluation_files import read_runs
from sams_core.analysis.seed_masks import write_mask
from sams_core.analysis.stability import MASK, agreements, write_stability
from tests.support.example_run import write_evaluation, write_example_run


def write_seeds(folder: Path) -> None:
    """Write ``seed0`` and ``seed1``: evaluated runs on one screen, with other masks in one entry.

    The first perturbation's entry of the first latent is open in ``seed0`` alone.
    """
    runs = [folder / f"seed{seed}" for seed in (0, 1)]
    for seed, run in enumerate(runs):
        write_example_run(run, title="A screen", seed=seed, screen_seed=0)
        write_evaluation(run, 0.5)
        write_mask(run)
        left, shown = ad.read_h5ad(run / MASK), ad.read_h5ad(run / "explorer" / "masks.h5ad")
        rows = shown.obs_names.get_indexer(left.obs_names)
        left.X, left.layers["effect"] = shown.X[rows], shown.layers["effect"][rows]
        left.X[0, 0] = 0.9 - 0.8 * seed
        left.write_h5ad(run / MASK)
    (found,), _ = agreements(read_runs(runs)[0])
    write_stability(*found)
