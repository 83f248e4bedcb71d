"""One small simulated screen with a quickly trained model, shared by the tests here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from sams_core.analysis.prepare import prepare
from sams_core.api import SAMSVAE
from sams_core.data.reading import read_screen
from sams_core.data.screen import Screen
from sams_core.data.simulation import SimulationConfig, simulate_screen


@dataclass(frozen=True)
class PreparedRun:
    """A trained and prepared checkpoint, and the screen it was trained on."""

    folder: Path
    screen: Screen
    model: SAMSVAE
    steps: list[tuple[str, float]]


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedRun:
    """A screen of 10 perturbations and 3 doubles, trained for 150 steps and prepared."""
    folder = tmp_path_factory.mktemp("prepared")
    config = SimulationConfig(
        n_perturbations=10,
        n_latent=5,
        n_genes=60,
        cells_per_perturbation=60,
        n_control=200,
        n_pathways=2,
        n_doubles=3,
        depth=600,
        seed=3,
    )
    adata = simulate_screen(config)
    adata.obs["library_size"] = "a clash of names"
    adata.obs["lane"] = [f"lane {i % 4}" for i in range(adata.n_obs)]
    adata.write_h5ad(folder / "screen.h5ad")
    screen = read_screen(folder / "screen.h5ad", perturbation_key="perturbation", batch_key="lane")
    model = SAMSVAE(screen, n_latent=8, n_hidden=32, mask_prior=0.05, seed=1)
    model.train(
        max_steps=150, batch_size=256, validation_every=50, progress=False, out=folder / "run"
    )
    steps: list[tuple[str, float]] = []
    prepare(
        folder / "run",
        n_particles=400,
        max_cells=500,
        progress=lambda step, share: steps.append((step, share)),
    )
    return PreparedRun(folder / "run", screen, model, steps)
