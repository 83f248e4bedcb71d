"""What the model expects a perturbation to do: its average treatment effect.

The ATE of a condition is the mean over posterior predictive cells of
``log2(1e4 * x / sum(x) + 1)``, condition minus control (Bereket & Karaletsos 2023, section 5).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sams_core.analysis.differential import COUNTS_PER_CELL
from sams_core.models import SAMSVAEModule

LibrarySize = float | npt.ArrayLike
"""One library size for every simulated cell, or sizes to draw from with replacement."""

_MAX_ELEMENTS = 8_000_000


@dataclass(frozen=True)
class ModelEffects:
    """Average treatment effects under the model, (C, G) float64 in log2 units.

    Attributes
    ----------
    mean
        Condition minus control.
    standard_error
        Monte Carlo standard error of ``mean``; NaN with a single particle.
    n_particles
        Simulated cells per condition.
    """

    mean: npt.NDArray[np.float64]
    standard_error: npt.NDArray[np.float64]
    n_particles: int


def model_ate(
    module: SAMSVAEModule,
    dosages: npt.ArrayLike,
    *,
    library_size: LibrarySize,
    n_particles: int = 2500,
    seed: int = 0,
    max_elements: int = _MAX_ELEMENTS,
    progress: Callable[[float], None] | None = None,
) -> ModelEffects:
    """Average treatment effect of each condition by posterior predictive draws.

    One particle is a cell simulated under control and under every condition: ``z_basal`` from
    its prior, E and M from the guide, and counts from the gamma-Poisson. ``z_basal``, E, M, the
    library size and the gamma-distributed rates are common to control and conditions, so that
    most noise cancels in their difference; the standard error is that of the paired
    differences.

    Parameters
    ----------
    module
        A trained model, on any device.
    dosages
        (C, T) dose of each perturbation in each condition.
    library_size
        Counts of a simulated cell: one positive number, or sizes resampled per particle.
    n_particles
        Simulated cells per condition.
    seed
        Of every draw. Draws also depend on ``max_elements`` and on the device.
    max_elements
        Bound on the entries of any intermediate array; a handful (4 bytes each) live at once.
    progress
        Called with the share done, in (0, 1].
    """
    device, dtype = module.log_concentration.device, module.log_concentration.dtype
    doses = torch.as_tensor(np.asarray(dosages), device=device, dtype=dtype)  # (C, T)
    generator = torch.Generator(device=device).manual_seed(seed)
    n_conditions, n_genes = len(doses), module.n_genes
    total = torch.zeros(n_conditions, n_genes, dtype=torch.float64, device=device)
    squares = torch.zeros_like(total)
    at_once, done = _particles_at_once(module, n_particles, max_elements), 0
    with torch.no_grad():
        while done < n_particles:
            particles = min(at_once, n_particles - done)
            rows = max(1, max_elements // (particles * n_genes))
            draw = _draw_cells(module, particles, library_size, generator)
            for start in range(0, n_conditions, rows):
                difference = draw.difference(doses[start : start + rows], generator)
                total[start : start + rows] += difference.sum(1, dtype=torch.float64)
                squares[start : start + rows] += difference.square_().sum(1, dtype=torch.float64)
                share = (done + particles * min(1.0, (start + rows) / n_conditions)) / n_particles
                if progress is not None:
                    progress(share)
            done += particles
    mean = total / n_particles
    spread = (squares / n_particles - mean.square()).clamp_min(0)
    scale = math.sqrt(1 / (n_particles - 1)) if n_particles > 1 else math.nan
    return ModelEffects(mean.cpu().numpy(), (spread.sqrt() * scale).cpu().numpy(), n_particles)


@dataclass(frozen=True)
class _DrawnCells:
    """P simulated cells under control and all that they share with their perturbed twins."""

    module: SAMSVAEModule
    z_basal: Tensor  # (P, L)
    effect: Tensor  # (P, T, L)
    library: Tensor  # (P,)
    gamma: Tensor  # (P, G)
    control: Tensor  # (P, G)

    def difference(self, dosages: Tensor, generator: torch.Generator) -> Tensor:
        """Log-normalised expression minus control's: (C, T) dosages to (C, P, G)."""
        shift = torch.einsum("ct,ptl->cpl", dosages, self.effect)
        z = self.z_basal + shift
        counts = _counts(self.module, z, self.library, self.gamma, generator)
        return _log_normalised(counts).sub_(self.control)


def _draw_cells(
    module: SAMSVAEModule,
    particles: int,
    library_size: LibrarySize,
    generator: torch.Generator,
) -> _DrawnCells:
    concentration = module.log_concentration.exp()
    device, dtype = concentration.device, concentration.dtype
    shape = (particles, module.config.n_latent)
    z_basal = torch.randn(shape, device=device, dtype=dtype, generator=generator)
    effect = module.sample_shift_parameters(particles, generator).effect
    sizes = torch.as_tensor(np.atleast_1d(library_size), device=device, dtype=dtype)
    index = torch.randint(len(sizes), (particles,), device=device, generator=generator)
    library = sizes[index]
    expanded = concentration.expand(particles, -1).contiguous()
    gamma = torch._standard_gamma(expanded, generator=generator)
    control = _log_normalised(_counts(module, z_basal, library, gamma, generator))
    return _DrawnCells(module, z_basal, effect, library, gamma, control)


def _counts(
    module: SAMSVAEModule, z: Tensor, library: Tensor, gamma: Tensor, generator: torch.Generator
) -> Tensor:
    log_rate = module.log_expected_counts(z, library) - module.log_concentration
    return torch.poisson(log_rate.exp_().mul_(gamma), generator=generator)


def _log_normalised(counts: Tensor) -> Tensor:
    total = counts.sum(-1, keepdim=True).clamp_min_(1)
    return counts.mul_(COUNTS_PER_CELL / total).add_(1).log2_()


def _particles_at_once(module: SAMSVAEModule, n_particles: int, max_elements: int) -> int:
    config = module.config
    widest = max(config.n_latent, config.embedding_n_hidden, 1)
    per_particle = max(module.n_perturbations * widest, module.n_genes)
    return int(np.clip(max_elements // per_particle, 1, n_particles))
