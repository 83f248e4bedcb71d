"""Mask recovery of the four inference variants on a simulated screen with known masks.

``python -m benchmarks.inference_variants``: 60 perturbations, 20 latent dimensions (their number
given to the model), shifts of 5 basal sd, 200 cells a perturbation, trained by default, by the ELBO
throughout with a mask penalty, and by the paper's objective.
"""

from __future__ import annotations

import time
from typing import Any, get_args

import pandas as pd

from sams_core.analysis.masks import OPEN, true_mask
from sams_core.analysis.metrics import match_masks
from sams_core.api import SAMSVAE
from sams_core.data import Screen, SimulationConfig, simulate_screen
from sams_core.models import Inference

SIMULATION = SimulationConfig(
    n_perturbations=60,
    n_latent=20,
    n_genes=300,
    cells_per_perturbation=200,
    mask_density=0.11,
    shift=5.0,
)
ELBO_THROUGHOUT: dict[str, Any] = {
    "effects_fraction": 0.0,
    "mask_share": 0.0,
    "pruned_fraction": 0.0,
    "mask_penalty_end": 0.0,
    "embedding_learning_rate": 2e-3,
}
TRAININGS: dict[str, dict[str, Any]] = {
    "default": {},
    "mask penalty": ELBO_THROUGHOUT | {"mask_penalty_end": 0.05},
    "paper's objective": ELBO_THROUGHOUT | {"objective": "sampled", "mask_learning_rate": 2e-3},
}
"""The paper's objective has its KL divergences at the draws, weight 1 and one learning rate."""


def measure(screen: Screen, inference: Inference, settings: dict[str, Any]) -> dict[str, object]:
    """Train one model and match its mask with the truth."""
    model = SAMSVAE(
        screen,
        n_latent=SIMULATION.n_latent,
        inference=inference,
        embedding_table=not settings,
    )
    started = time.perf_counter()
    model.train(progress=False, **settings)
    seconds = time.perf_counter() - started
    estimate = model.mask_probabilities().to_numpy() > OPEN
    truth = true_mask(screen)
    assert truth is not None
    match = match_masks(truth, estimate)
    validation = model.history[model.history["split"] == "validation"]["elbo"]
    return {
        "inference": inference,
        "F1": match.f1,
        "precision": match.precision,
        "recall": match.recall,
        "share open": float(estimate.mean()),
        "validation ELBO": validation.iloc[-1],
        "seconds": seconds,
    }


def main() -> None:
    """Print a table."""
    adata = simulate_screen(SIMULATION)
    screen = Screen.from_anndata(adata, perturbation_key="perturbation", control="control")
    rows = [
        {"training": name, **measure(screen, inference, settings)}
        for name, settings in TRAININGS.items()
        for inference in get_args(Inference)
    ]
    print(pd.DataFrame(rows).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
