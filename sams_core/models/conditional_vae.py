"""Conditional VAE: decoder and encoder are told the dosages.

``x ~ GammaPoisson(decoder([z, D]))`` with ``z ~ N(0, I)``: perturbations have no place in the
latent space (Bereket & Karaletsos 2023, section 5).
"""

from __future__ import annotations

import torch
from torch import Tensor

from sams_core.models.base import PerturbationVAE
from sams_core.models.batch import Minibatch
from sams_core.models.config import ConditionalVAEConfig
from sams_core.models.terms import ShiftSample


class ConditionalVAEModule(PerturbationVAE):
    """The conditional VAE as a PyTorch module; parameters as :class:`PerturbationVAE`."""

    has_shift = False
    config: ConditionalVAEConfig

    def __init__(
        self, config: ConditionalVAEConfig, n_genes: int, n_perturbations: int, n_batches: int = 0
    ) -> None:
        super().__init__(
            config,
            n_genes,
            n_perturbations,
            n_batches,
            n_state=config.n_latent + n_perturbations,
            n_offset=n_perturbations,
        )

    def make_shift_parameters(self) -> None:
        """There are none."""
        self.mask_logits = None

    def sample_shift_parameters(
        self,
        n_particles: int,
        generator: torch.Generator | None = None,
        perturbations: Tensor | None = None,
    ) -> ShiftSample:
        """Shifts of 0."""
        n = self.n_perturbations if perturbations is None else len(perturbations)
        shape = (n_particles, n, self.n_latent)
        zeros = self.log_concentration.new_zeros(()).expand(shape)
        return ShiftSample(zeros, zeros, zeros[:1], zeros[:1], perturbations)

    def plated_terms(self, sample: ShiftSample, *, exact: bool) -> tuple[Tensor, Tensor]:
        """Zeros."""
        nothing = sample.mask.new_zeros(1, sample.mask.shape[1])
        return nothing, nothing

    def state(self, z_basal: Tensor, shift: Tensor, dosages: Tensor) -> Tensor:
        """What the decoder reads, z and the dosages: to (..., n, L + T)."""
        parts = (z_basal, dosages.to(z_basal))
        cells = torch.broadcast_shapes(shift.shape[:-1], *(part.shape[:-1] for part in parts))
        return torch.cat([part.expand(*cells, part.shape[-1]) for part in parts], dim=-1)

    def encoder_offset(self, batch: Minibatch, shift: Tensor) -> Tensor:
        """The dosages."""
        return batch.every_dosage(self.n_perturbations)

    def mask_probabilities(self) -> Tensor:
        """Zeros: no perturbation shifts any latent dimension."""
        return self.log_concentration.new_zeros(self.n_perturbations, self.n_latent)
