"""Cells drawn from a model before anything is done to them, to be asked under any condition."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sams_core.analysis.differential import COUNTS_PER_CELL
from sams_core.errors import ConfigError
from sams_core.models import PerturbationVAE, ShiftSample

LibrarySize = float | npt.ArrayLike
"""One library size for every simulated cell, or sizes to draw from with replacement."""


@dataclass(frozen=True)
class LatentCells:
    """P cells without their counts, and all that they share between conditions.

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
    batch_index : (n,) tensor, optional
        Batch of each cell; the average batch by default.
    """

    module: PerturbationVAE
    z_basal: Tensor
    sample: ShiftSample
    library: Tensor
    batch_index: Tensor | None = None

    def __len__(self) -> int:
        return len(self.z_basal)

    def expected_counts(self, dosages: Tensor) -> Tensor:
        """Mean of each cell's counts given its latent state: (C, T) dosages to (P, C, G)."""
        return self.log_expected_counts(dosages).exp()

    def log_expected_counts(self, dosages: Tensor) -> Tensor:
        """Log of :meth:`expected_counts`."""
        state = self._state(dosages)
        return self.module.log_expected_counts(state, self.library, self.batch_index)

    def log_proportions(self, dosages: Tensor) -> Tensor:
        """Log of each gene's expected share of a cell's counts: (C, T) dosages to (P, C, G)."""
        return self.module.log_proportions(self._state(dosages), self.batch_index)

    def _state(self, dosages: Tensor) -> Tensor:
        shift = self.module.shift(dosages, self.sample)  # (P, C, L)
        basal = self.z_basal.expand(-1, len(dosages), -1)
        return self.module.state(basal, shift, dosages)


@dataclass(frozen=True)
class DrawnCells:
    """Posterior predictive cells: their latent part, and the noise of their counts.

    Attributes
    ----------
    latent
        P cells without their counts.
    gamma : (P, 1, G) or (P, n, G) tensor
        Gamma-distributed rates of mean concentration, common to all conditions.
    """

    latent: LatentCells
    gamma: Tensor

    def rates(self, dosages: Tensor) -> Tensor:
        """Poisson rates of each cell's counts: (C, T) dosages to (P, C, G)."""
        module = self.latent.module
        log_rate = self.latent.log_expected_counts(dosages) - module.log_concentration
        return log_rate.exp_().mul_(self.gamma)

    def counts(self, dosages: Tensor, generator: torch.Generator) -> Tensor:
        """Counts of each cell under each condition: (C, T) dosages to (P, C, G)."""
        return torch.poisson(self.rates(dosages), generator=generator)

    def expression(self, dosages: Tensor, generator: torch.Generator) -> Tensor:
        """Log-normalised expression, in log2 units: (C, T) dosages to (P, C, G)."""
        return log_normalised(self.counts(dosages, generator))


def draw_latent_cells(
    module: PerturbationVAE,
    n_particles: int,
    library_size: LibrarySize,
    generator: torch.Generator,
) -> LatentCells:
    """Draw cells without their counts.

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

    Raises
    ------
    ConfigError
        For a library size that is not positive.
    """
    device, dtype = module.log_concentration.device, module.log_concentration.dtype
    z_basal = torch.randn(
        (n_particles, 1, module.n_latent), device=device, dtype=dtype, generator=generator
    )
    sample = module.sample_shift_parameters(n_particles, generator)
    sizes = library_sizes(module, library_size)
    index = torch.randint(len(sizes), (n_particles, 1), device=device, generator=generator)
    return LatentCells(module, z_basal, sample, sizes[index])


def draw_cells(
    module: PerturbationVAE,
    n_particles: int,
    library_size: LibrarySize,
    generator: torch.Generator,
) -> DrawnCells:
    """Draw posterior predictive cells; parameters as :func:`draw_latent_cells`."""
    latent = draw_latent_cells(module, n_particles, library_size, generator)
    return DrawnCells(latent, draw_gamma(module, (n_particles, 1), generator))


def draw_gamma(
    module: PerturbationVAE, shape: tuple[int, ...], generator: torch.Generator
) -> Tensor:
    """Gamma-distributed rates with each gene's concentration as shape and mean: (*shape, G)."""
    concentration = module.log_concentration.exp().expand(*shape, -1).contiguous()
    return torch._standard_gamma(concentration, generator=generator)


def library_sizes(module: PerturbationVAE, library_size: LibrarySize) -> Tensor:
    """Library sizes to draw from, (K,), where the model is."""
    sizes = np.atleast_1d(np.asarray(library_size, dtype=np.float64))
    if not (np.isfinite(sizes) & (sizes > 0)).all():
        raise ConfigError("library_size has entries that are not positive: give counts of a cell.")
    return torch.as_tensor(sizes).to(module.log_concentration)


def log_normalised(counts: Tensor) -> Tensor:
    """``log2(1e4 * x / sum(x) + 1)`` of (..., G) counts, computed in place."""
    total = counts.sum(-1, keepdim=True).clamp_min_(1)
    return counts.mul_(COUNTS_PER_CELL / total).add_(1).log2_()


def particles_at_once(module: PerturbationVAE, n_particles: int, max_elements: int) -> int:
    """Particles whose shifts and genes keep within a bound on the entries of an array."""
    per_particle = max(module.n_perturbations * module.particle_width, module.n_genes)
    return int(np.clip(max_elements // per_particle, 1, n_particles))
