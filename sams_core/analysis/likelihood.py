"""How well a model explains cells: the evidence lower bound by split."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from sams_core.data.annotations import UNUSED
from sams_core.data.minibatches import minibatch
from sams_core.data.screen import Screen
from sams_core.models import PerturbationVAE

TERMS = ("elbo", "log_likelihood", "kl_z_basal", "kl_mask", "kl_embedding")


@torch.no_grad()
def elbo_by_split(
    module: PerturbationVAE,
    screen: Screen,
    split: npt.NDArray[np.object_],
    *,
    n_particles: int = 5,
    batch_size: int = 1024,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> pd.DataFrame:
    """Evidence lower bound per cell, in nats, with KL divergences in closed form.

    The terms of E and M are spread over the training cells that carry each perturbation, as in
    training, so that splits of different size are comparable.

    Parameters
    ----------
    module
        A trained model.
    screen
        n cells.
    split
        (n,) name of each cell's split; unused cells are left out.
    n_particles
        Posterior draws per minibatch of cells.
    batch_size
        Cells evaluated together.
    seed
        Of every draw.
    progress
        Called with the share of cells done.

    Returns
    -------
    One row a split, with ``n_cells`` and the columns of :data:`TERMS`; ``elbo`` is
    ``log_likelihood`` minus the other three.
    """
    device = module.log_concentration.device
    generator = torch.Generator(device=device).manual_seed(seed)
    rows, done = {}, 0
    used = np.asarray(split)[split != UNUSED]
    for name in pd.unique(used):
        cells = np.flatnonzero(split == name)
        total = np.zeros(4)
        for start in range(0, len(cells), batch_size):
            batch = minibatch(screen, cells[start : start + batch_size]).to(device)
            terms = module.elbo_terms(batch, n_particles, exact=True, generator=generator)
            plate = module.plate_weights(batch.dosages).sum(0)  # (T,)
            sums = (
                terms.log_likelihood.mean(0).sum(),
                -terms.z_basal.mean(0).sum(),
                -(terms.mask.mean(0) @ plate),
                -(terms.embedding.mean(0) @ plate),
            )
            total += np.array([float(value) for value in sums])
            done += len(batch)
            if progress is not None:
                progress(done / len(used))
        per_cell = total / len(cells)
        rows[name] = (len(cells), per_cell[0] - per_cell[1:].sum(), *per_cell)
    return pd.DataFrame.from_dict(rows, orient="index", columns=["n_cells", *TERMS])
