"""The Papalexi screen over seeds: who shares a mask, and effects on held-out cells.

``python -m benchmarks.papalexi_seeds [FOLDER OF THE REAL SCREENS]``: for each seed (of the split,
the weights and the training) and each way of weighting the mask:

* arm: mean pairwise Jaccard index of the open latents of STAT1, JAK2, IFNGR1 and IFNGR2;
* SMAD4: the largest Jaccard index between SMAD4 and one of these;
* weak open: open entries of the 15 perturbations with few or no differential genes;
* IRF1 open: open entries of IRF1, of medium strength;
* GENE %: ATE Pearson on held-out cells as a share of the ceiling.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pandas as pd

from sams_core.analysis.condition_effects import effects_table
from sams_core.analysis.masks import OPEN
from sams_core.analysis.metrics import mean_cross_jaccard, mean_pairwise_jaccard
from sams_core.api import SAMSVAE
from sams_core.data import Screen, read_screen

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
ARM = ["STAT1", "JAK2", "IFNGR1", "IFNGR2"]
STRONG = [*ARM, "SMAD4"]
WITH_EFFECT = [*STRONG, "SPI1", "IRF1", "MYC", "CUL3", "BRD4"]
SEEDS = (0, 1, 2)
TRAININGS: dict[str, dict[str, Any]] = {
    "default: penalty 0 to .05": {},
    "penalty 0 to .03": {"mask_penalty_end": 0.03},
    "penalty .03 throughout": {"mask_penalty_start": 0.03, "mask_penalty_end": 0.03},
    "exact KL, no penalty": {"mask_penalty_end": 0.0},
    "paper's objective": {
        "objective": "sampled",
        "mask_penalty_end": 0.0,
        "mask_learning_rate": 2e-3,
    },
}


def measure(screen: Screen, seed: int, settings: dict[str, Any]) -> dict[str, object]:
    """Train one model and read its mask and its effects."""
    model = SAMSVAE(screen, seed=seed).train(progress=False, **settings)
    probability = model.mask_probabilities()
    is_open = probability > OPEN
    silent = is_open.index.difference(WITH_EFFECT)
    scores = effects_table(model, screen, seed=seed).obs.loc[STRONG]
    rows = {gene: is_open.loc[[gene]].to_numpy() for gene in STRONG}
    share = scores["pearson"] / scores["ceiling"]
    return {
        "seed": seed,
        "arm": mean_pairwise_jaccard(is_open.loc[ARM]),
        "SMAD4": max(mean_cross_jaccard(rows[gene], rows["SMAD4"]) for gene in ARM),
        "weak open": int(is_open.loc[silent].to_numpy().sum()),
        "IRF1 open": int(is_open.loc["IRF1"].to_numpy().sum()),
        **{f"{gene} %": 100 * value for gene, value in share.items()},
    }


def main() -> None:
    """Print a table."""
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else DATA
    screen = read_screen(
        data / "papalexi2021_thp1.h5ad", perturbation_key="perturbation", control="control"
    )
    rows = [
        {"training": name, **measure(screen, seed, settings)}
        for name, settings in TRAININGS.items()
        for seed in SEEDS
    ]
    print(pd.DataFrame(rows).round(2).to_string(index=False))


if __name__ == "__main__":
    main()
