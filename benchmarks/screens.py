"""The simulated screen and the model that rows on the model's own speed are measured on."""

from __future__ import annotations

import numpy as np
import torch

from sams_core.api import SAMSVAE
from sams_core.data import Screen, SimulationConfig, simulate_screen

N_GENES = 1187
DEPTH = 10_000
"""Mean counts of a cell."""
N_LATENT, N_HIDDEN = 100, 400
"""Of the model whose effects are asked."""
EFFECT = 1.5
"""Standard deviation of an open entry's embedding, in basal standard deviations."""
SHARE_OPEN = 0.1


def simulated(
    n_perturbations: int, *, n_cells: int, n_genes: int = N_GENES, depth: float = DEPTH
) -> Screen:
    """A screen of singles and control with about ``n_cells`` cells, a tenth of them control."""
    config = SimulationConfig(
        n_perturbations=n_perturbations,
        n_genes=n_genes,
        cells_per_perturbation=max(1, round(0.9 * n_cells / n_perturbations)),
        n_control=round(0.1 * n_cells),
        depth=depth,
    )
    return Screen.from_anndata(
        simulate_screen(config), perturbation_key="perturbation", control="control"
    )


def model_with_effects(screen: Screen) -> SAMSVAE:
    """An untrained model of a screen, most of whose mask entries are decided and whose effects are.

    A tenth of each perturbation's entries is open and certain, with embeddings of a size that
    effects have; the decoder is as it starts, on the screen's own expression.
    """
    model = SAMSVAE(
        screen,
        split=np.full(screen.n_cells, "train"),
        n_latent=N_LATENT,
        n_hidden=N_HIDDEN,
    )
    module = model.module
    generator = torch.Generator().manual_seed(0)
    named = dict(module.named_parameters())
    logits, loc = named["mask_logits"], named["embedding_loc"]
    with torch.no_grad():
        is_open = torch.rand(logits.shape, generator=generator) < SHARE_OPEN
        logits.copy_(torch.where(is_open, 6.0, -6.0))
        loc.copy_(EFFECT * torch.randn(loc.shape, generator=generator))
        module.log_concentration.fill_(np.log(5.0))
    module.eval()
    return model
