"""What an evaluation draws from a model: mean counts, cells, and the screen measured again."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sams_core.analysis.cell_space import CellSpace
from sams_core.analysis.drawn_cells import (
    DrawnCells,
    LatentCells,
    draw_cells,
    draw_gamma,
    draw_latent_cells,
    log_normalised,
    particles_at_once,
)
from sams_core.analysis.predictive_check import PredictiveCheck, check_draws, join_checks
from sams_core.data.minibatches import sequential_batches
from sams_core.data.screen import Screen
from sams_core.models import Minibatch, PerturbationVAE, ShiftSample

FloatArray = npt.NDArray[np.float64]

_MAX_ELEMENTS = 2_000_000


@torch.no_grad()
def mean_count_effects(
    module: PerturbationVAE,
    dosages: npt.ArrayLike,
    *,
    library_size: float,
    n_particles: int = 2500,
    seed: int = 0,
    max_elements: int = _MAX_ELEMENTS,
) -> FloatArray:
    """Effect of each condition on mean counts, the paper's second normalisation.

    Expected counts are averaged over draws of z_basal, E and M, which control and conditions have
    in common; no counts need to be drawn.

    Parameters
    ----------
    module
        A trained model.
    dosages
        (C, T) dose of each of the model's perturbations.
    library_size
        Mean counts of a cell, to which the effects are proportional.
    n_particles
        Draws.
    seed
        Of the draws.
    max_elements
        Bound on the entries of any intermediate array.

    Returns
    -------
    (C, G) in counts per cell.
    """
    device, dtype = module.log_concentration.device, module.log_concentration.dtype
    doses = torch.as_tensor(np.asarray(dosages), device=device, dtype=dtype)  # (C, T)
    generator = torch.Generator(device=device).manual_seed(seed)
    total = torch.zeros(len(doses), module.n_genes, dtype=torch.float64, device=device)
    at_once = particles_at_once(module, n_particles, max_elements)
    for done in range(0, n_particles, at_once):
        size = min(at_once, n_particles - done)
        cells = draw_latent_cells(module, size, library_size, generator)
        control = cells.expected_counts(doses.new_zeros(1, doses.shape[1]))
        rows = max(1, max_elements // (size * module.n_genes))
        for start in range(0, len(doses), rows):
            counts = cells.expected_counts(doses[start : start + rows])
            total[start : start + rows] += (counts - control).sum(0, dtype=torch.float64)
    return (total / n_particles).cpu().numpy()


@torch.no_grad()
def cells_in_space(
    module: PerturbationVAE,
    dosages: npt.ArrayLike,
    space: CellSpace,
    *,
    library_size: npt.ArrayLike,
    n_cells: int,
    seed: int = 0,
    max_elements: int = _MAX_ELEMENTS,
) -> Iterator[FloatArray]:
    """Posterior predictive cells of each condition in a space for comparing cells.

    Parameters
    ----------
    module
        A trained model.
    dosages
        (C, T) dose of each of the model's perturbations.
    space
        Where to place the cells.
    library_size
        Sizes to resample.
    n_cells
        Cells a condition.
    seed
        Of the draws.
    max_elements
        Bound on the entries of any intermediate array.

    Yields
    ------
    (n_cells, k) for each condition.
    """
    device, dtype = module.log_concentration.device, module.log_concentration.dtype
    doses = torch.as_tensor(np.asarray(dosages), device=device, dtype=dtype)
    generator = torch.Generator(device=device).manual_seed(seed)
    directions = np.ascontiguousarray(space.components.T)  # (G, k)
    components = torch.as_tensor(directions, device=device, dtype=dtype)
    centre = space.centre @ space.components.T
    cells = draw_cells(module, n_cells, library_size, generator)
    rows = max(1, max_elements // (n_cells * module.n_genes))
    for start in range(0, len(doses), rows):
        placed = cells.expression(doses[start : start + rows], generator) @ components  # (n, C, k)
        yield from placed.double().cpu().numpy().swapaxes(0, 1) - centre


@torch.no_grad()
def replicate_check(
    module: PerturbationVAE,
    screen: Screen,
    cells: npt.NDArray[np.bool_],
    conditions: npt.NDArray[np.object_],
    measured: FloatArray,
    *,
    n_replicates: int,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> PredictiveCheck:
    """Check measured effects against the screen measured again under the model.

    A replicate draws E and M from the guide, z_basal of every cell from its prior, and counts, at
    the cells' own library sizes and in their batches; its effects are computed as the data's.

    Parameters
    ----------
    module
        A trained model.
    screen
        n cells in the model's encoding.
    cells
        (n,) cells from which the effects were measured.
    conditions
        Names of the C conditions.
    measured
        (C, G) effects in log2 units; what is NaN is not checked.
    n_replicates
        Replicates, at least 39: then the smallest p-value is under 0.05.
    seed
        Of every draw.
    progress
        Called with the share of conditions done.
    """
    device = module.log_concentration.device
    generator = torch.Generator(device=device).manual_seed(seed)
    sample = module.sample_shift_parameters(n_replicates, generator)
    names = np.asarray(screen.conditions)

    def means(name: str) -> FloatArray:
        rows = np.flatnonzero(cells & (names == name))
        return _replicate_means(module, screen, rows, sample, generator)

    control = means(screen.control)
    blocks = []
    for row, name in enumerate(conditions):
        known = np.isfinite(measured[row]).any()
        draws = means(name) - control if known else np.zeros_like(control)
        blocks.append(check_draws(draws[:, None], measured[row][None]))
        if progress is not None:
            progress((row + 1) / len(conditions))
    return join_checks(blocks)


def _replicate_means(
    module: PerturbationVAE,
    screen: Screen,
    rows: npt.NDArray[np.integer],
    sample: ShiftSample,
    generator: torch.Generator,
) -> FloatArray:
    """Mean log-normalised expression of cells drawn in place of the given ones: (P, G)."""
    device, dtype = module.log_concentration.device, module.log_concentration.dtype
    n_replicates = len(sample.mask)
    total = torch.zeros(n_replicates, module.n_genes, dtype=torch.float64, device=device)
    at_once = max(1, _MAX_ELEMENTS // (n_replicates * module.n_genes))
    for batch in sequential_batches(screen, rows, at_once):
        counts = draw_counts(module, batch.to(device, dtype), sample, generator)
        total += log_normalised(counts).sum(1, dtype=torch.float64)
    return (total / max(1, len(rows))).cpu().numpy()


def draw_counts(
    module: PerturbationVAE, batch: Minibatch, sample: ShiftSample, generator: torch.Generator
) -> Tensor:
    """Posterior predictive counts of cells like those of a batch: (P, n, G).

    Parameters
    ----------
    module
        A trained model.
    batch
        n cells, of which dosages, library sizes and batches are read.
    sample
        P draws of what each perturbation does.
    generator
        On the model's device.
    """
    shape = (len(sample.mask), len(batch))
    z_basal = torch.randn(
        (*shape, module.n_latent),
        dtype=batch.counts.dtype,
        device=batch.counts.device,
        generator=generator,
    )
    gamma = draw_gamma(module, shape, generator)
    latent = LatentCells(module, z_basal, sample, batch.library_size, batch.batch_index)
    return DrawnCells(latent, gamma).counts(batch.dosages, generator)
