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
from sams_core.models import PerturbationVAE, ShiftSample

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
    module: PerturbationVAE,
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
    at_once, done = particles_at_once(module, n_particles, max_elements), 0
    with torch.no_grad():
        while done < n_particles:
            particles = min(at_once, n_particles - done)
            rows = max(1, max_elements // (particles * n_genes))
            cells = draw_cells(module, particles, library_size, generator)
            control = cells.expression(doses.new_zeros(1, doses.shape[1]), generator)
            for start in range(0, n_conditions, rows):
                difference = cells.expression(doses[start : start + rows], generator) - control
                total[start : start + rows] += difference.sum(0, dtype=torch.float64)
                squares[start : start + rows] += difference.square_().sum(0, dtype=torch.float64)
                share = (done + particles * min(1.0, (start + rows) / n_conditions)) / n_particles
                if progress is not None:
                    progress(share)
            done += particles
    mean = total / n_particles
    spread = (squares / n_particles - mean.square()).clamp_min(0)
    scale = math.sqrt(1 / (n_particles - 1)) if n_particles > 1 else math.nan
    return ModelEffects(mean.cpu().numpy(), (spread.sqrt() * scale).cpu().numpy(), n_particles)


@dataclass(frozen=True)
class DrawnCells:
    """P posterior predictive cells and all that they share between conditions.

    With one basal state a particle, each is asked under any conditions; with n of them, cells are
    asked under n conditions, one each.

    Attributes
    ----------
    module
        The model.
    z_basal : (P, 1, L) or (P, n, L) tensor
        Drawn from the prior.
    sample
        Draws of what each perturbation does.
    library : (P, 1) or (n,) tensor
        Library sizes.
    gamma : (P, 1, G) or (P, n, G) tensor
        Gamma-distributed rates of mean concentration.
    batch_index : (n,) tensor, optional
        Batch of each cell; the average batch by default.
    """

    module: PerturbationVAE
    z_basal: Tensor
    sample: ShiftSample
    library: Tensor
    gamma: Tensor
    batch_index: Tensor | None = None

    def counts(self, dosages: Tensor, generator: torch.Generator) -> Tensor:
        """Counts of each cell under each condition: (C, T) dosages to (P, C, G)."""
        log_rate = self._log_expected_counts(dosages) - self.module.log_concentration
        return torch.poisson(log_rate.exp_().mul_(self.gamma), generator=generator)

    def expression(self, dosages: Tensor, generator: torch.Generator) -> Tensor:
        """Log-normalised expression, in log2 units: (C, T) dosages to (P, C, G)."""
        return log_normalised(self.counts(dosages, generator))

    def expected_counts(self, dosages: Tensor) -> Tensor:
        """Mean of each cell's counts given its latent state: (C, T) dosages to (P, C, G)."""
        return self._log_expected_counts(dosages).exp()

    def _log_expected_counts(self, dosages: Tensor) -> Tensor:
        shift = self.module.shift(dosages, self.sample)  # (P, C, L)
        basal = self.z_basal.expand(-1, len(dosages), -1)
        state = self.module.state(basal, shift, dosages)
        return self.module.log_expected_counts(state, self.library, self.batch_index)


def draw_cells(
    module: PerturbationVAE,
    n_particles: int,
    library_size: LibrarySize,
    generator: torch.Generator,
) -> DrawnCells:
    """Draw cells before anything is done to them.

    Parameters
    ----------
    module
        A trained model.
    n_particles
        Cells P.
    library_size
        Counts of a cell: one positive number, or sizes to resample.
    generator
        On the model's device.
    """
    device, dtype = module.log_concentration.device, module.log_concentration.dtype
    z_basal = torch.randn(
        (n_particles, 1, module.n_latent), device=device, dtype=dtype, generator=generator
    )
    sample = module.sample_shift_parameters(n_particles, generator)
    sizes = torch.as_tensor(np.atleast_1d(library_size), device=device, dtype=dtype)
    index = torch.randint(len(sizes), (n_particles, 1), device=device, generator=generator)
    gamma = draw_gamma(module, (n_particles, 1), generator)
    return DrawnCells(module, z_basal, sample, sizes[index], gamma)


def draw_gamma(
    module: PerturbationVAE, shape: tuple[int, ...], generator: torch.Generator
) -> Tensor:
    """Gamma-distributed rates with each gene's concentration as shape and mean: (*shape, G)."""
    concentration = module.log_concentration.exp().expand(*shape, -1).contiguous()
    return torch._standard_gamma(concentration, generator=generator)


def log_normalised(counts: Tensor) -> Tensor:
    """``log2(1e4 * x / sum(x) + 1)`` of (..., G) counts, computed in place."""
    total = counts.sum(-1, keepdim=True).clamp_min_(1)
    return counts.mul_(COUNTS_PER_CELL / total).add_(1).log2_()


def particles_at_once(module: PerturbationVAE, n_particles: int, max_elements: int) -> int:
    """Particles whose shifts and genes keep within a bound on the entries of an array."""
    per_particle = max(module.n_perturbations * module.particle_width, module.n_genes)
    return int(np.clip(max_elements // per_particle, 1, n_particles))
