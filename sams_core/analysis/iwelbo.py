"""How well a model explains cells: the importance-weighted evidence lower bound.

``log mean_k p(x | z_k, E_k, M_k) p(z_k) / q(z_k)`` of each cell over K particles (Burda et al.
2016). What cells share, E and M, is drawn once a particle from the guide, is common to all cells,
and is not scored against its prior (Bereket & Karaletsos 2023, section 5): the bound is of new
cells, given what was learned of the perturbations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sams_core.data.minibatches import sequential_batches
from sams_core.data.screen import Screen
from sams_core.models import Minibatch, PerturbationVAE, ShiftSample
from sams_core.models.likelihood import counting_terms

SCOPES = ("val", "test", "test_seen", "test_unseen")
"""Cells over which the bound is averaged: splits, and test cells of conditions seen in training."""

MAX_CELLS = 256
"""Cells whose counts are dense at a time."""

_MAX_ELEMENTS = 1_000_000


def importance_bound(log_weights: Tensor) -> Tensor:
    """``log mean_k exp(w_k)``: (K, ...) log importance weights to (...).

    With ``w_k = log p(x, z_k) - log q(z_k)`` at draws from q, its expectation is at most
    ``log p(x)``, rises with K, and equals it where q is the posterior.
    """
    return torch.logsumexp(log_weights, 0) - math.log(len(log_weights))


def log_weights(
    module: PerturbationVAE,
    batch: Minibatch,
    sample: ShiftSample,
    draw: Callable[[Tensor, Tensor], Tensor],
    known: tuple[Tensor, Tensor] | None = None,
) -> Tensor:
    """``log p(x | z) p(z) / q(z)`` of n cells at one draw a particle: (K, n), in nats.

    Parameters
    ----------
    module
        The model.
    batch
        n cells.
    sample
        K draws of what each perturbation does, common to the cells.
    draw
        Draws z_basal from the guide's mean and scale, (K or 1, n, L) each: to (K, n, L).
    known : (n, H) and (n,) tensors, optional
        What depends on counts alone, where it is at hand: see :func:`of_counts`.
    """
    read, constant = known or (None, None)
    shift = module.cell_shift(batch, sample)
    loc, scale = module.encode(batch, shift, read)
    z_basal = draw(loc.expand_as(shift), scale.expand_as(shift))
    state = module.state(z_basal, shift, batch.dosages)
    log_likelihood = module.log_likelihood(state, batch, constant)
    return log_likelihood + module.z_basal_term(z_basal, loc, scale)


def of_counts(module: PerturbationVAE, batch: Minibatch) -> tuple[Tensor, Tensor]:
    """What the encoder and the likelihood make of counts alone, whatever the particle."""
    constant, _ = counting_terms(batch.counts, module.log_concentration.exp(), slope=False)
    return module.read_counts(batch), constant


@torch.no_grad()
def iwelbo(
    module: PerturbationVAE,
    screen: Screen,
    cells: npt.NDArray[np.integer],
    *,
    n_particles: int = 100,
    seed: int = 0,
    max_elements: int = _MAX_ELEMENTS,
    progress: Callable[[float], None] | None = None,
) -> npt.NDArray[np.float64]:
    """Bound on the log-likelihood of each cell.

    Parameters
    ----------
    module
        A trained model.
    screen
        Cells in the model's encoding.
    cells
        (n,) row numbers of the cells wanted.
    n_particles
        Particles K.
    seed
        Of every draw. Draws of z_basal also depend on ``max_elements`` and the device; those of E
        and M do not depend on the former.
    max_elements
        Bound on the entries of any intermediate array over cells, or particles and cells; a handful
        live at once. The default keeps them in a CPU's cache. On a GPU, arrays over particles,
        cells and genes have up to n_genes / n_hidden times as many.
    progress
        Called with the share of cells done.

    Returns
    -------
    (n,) in nats.
    """
    device, dtype = module.log_concentration.device, module.log_concentration.dtype
    generator = torch.Generator(device=device).manual_seed(seed)
    sample = module.sample_shift_parameters(n_particles, generator)

    def draw(loc: Tensor, scale: Tensor) -> Tensor:
        noise = torch.randn(loc.shape, dtype=dtype, device=device, generator=generator)
        return loc + scale * noise

    rows = max(1, max_elements // max(module.config.n_hidden, module.n_latent))
    at_once = min(rows, MAX_CELLS, max(1, max_elements // module.n_genes))
    in_order = np.arange(module.n_perturbations)
    bounds: list[npt.NDArray[np.float64]] = []
    for done, cells_ in enumerate(
        sequential_batches(screen, cells, at_once, draw_rank=in_order), start=1
    ):
        batch = cells_.to(device, dtype)
        known, particles = of_counts(module, batch), max(1, rows // len(batch))
        weights = [
            log_weights(
                module, batch, sample.particles(slice(start, start + particles)), draw, known
            )
            for start in range(0, n_particles, particles)
        ]
        bounds.append(importance_bound(torch.cat(weights).double()).cpu().numpy())
        if progress is not None:
            progress(min(1.0, done * at_once / len(cells)))
    return np.concatenate(bounds) if bounds else np.empty(0)


def iwelbo_by_scope(
    module: PerturbationVAE,
    screen: Screen,
    split: npt.NDArray[np.object_],
    *,
    n_particles: int = 100,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
) -> dict[str, float | None]:
    """Mean bound over validation and test cells, in nats per cell.

    Parameters
    ----------
    module
        A trained model.
    screen
        n cells in the model's encoding.
    split
        (n,) name of each cell's split.
    n_particles, seed, progress
        As :func:`iwelbo`.

    Returns
    -------
    By the names of :data:`SCOPES`; ``None`` where there are no cells. A condition is seen that has
    training cells; the control counts like any other.
    """
    scopes = scope_cells(np.asarray(screen.conditions.codes), np.asarray(split))
    wanted = np.flatnonzero(scopes["val"] | scopes["test"])
    bounds = np.full(screen.n_cells, np.nan)
    bounds[wanted] = iwelbo(
        module, screen, wanted, n_particles=n_particles, seed=seed, progress=progress
    )
    return {
        name: float(bounds[cells].mean()) if cells.any() else None for name, cells in scopes.items()
    }


def scope_cells(
    conditions: npt.NDArray[np.integer], split: npt.NDArray[np.object_]
) -> Mapping[str, npt.NDArray[np.bool_]]:
    """Which cells each of :data:`SCOPES` holds, (n,) masks by name.

    Parameters
    ----------
    conditions
        (n,) code of each cell's condition.
    split
        (n,) name of each cell's split.
    """
    test = split == "test"
    seen = np.isin(conditions, np.unique(conditions[split == "train"]))
    return dict(zip(SCOPES, (split == "val", test, test & seen, test & ~seen), strict=True))
