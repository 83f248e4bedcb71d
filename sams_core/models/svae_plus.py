"""SVAE+: each perturbation shifts the prior mean of a few latent dimensions.

``z ~ N(D (M * E), I)`` with one estimate of E, and of the inclusion probabilities under a Beta
prior (Lopez et al. 2023, "Learning causal representations of single cells via sparse mechanism
shift modeling"; in the form of Bereket & Karaletsos 2023, section 4). The encoder reads the counts
alone. Perturbations do not add up: a combination is a perturbation of its own.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sams_core.models import masks
from sams_core.models.base import PerturbationVAE
from sams_core.models.batch import Minibatch
from sams_core.models.config import SVAEPlusConfig
from sams_core.models.draws import rows_of
from sams_core.models.terms import ShiftSample


class SVAEPlusModule(PerturbationVAE):
    """SVAE+ as a PyTorch module; parameters as :class:`PerturbationVAE`.

    It is written with ``z_basal = z - shift``, so that it shares the other models' terms: ``z`` has
    the prior ``N(shift, I)`` exactly when ``z_basal`` has ``N(0, I)``.
    """

    has_mask = True
    config: SVAEPlusConfig

    def make_shift_parameters(self) -> None:
        """Make the log-odds of the mask and the shifts."""
        shape = (self.n_perturbations, self.n_latent)
        self.mask_logits = masks.initial_mask_logits(*shape, self.config.initial_mask_probability)
        self.prior_shift = nn.Parameter(torch.zeros(shape))

    def sample_shift_parameters(
        self,
        n_particles: int,
        generator: torch.Generator | None = None,
        perturbations: Tensor | None = None,
    ) -> ShiftSample:
        """Draw the mask of every perturbation from the guide; the shift is one estimate."""
        assert self.mask_logits is not None
        logits = rows_of(self.mask_logits, perturbations)
        mask = masks.sample_mask(logits, self.config.mask_temperature, n_particles, generator)
        loc = rows_of(self.prior_shift, perturbations)[None]
        return ShiftSample(mask, loc.expand(mask.shape), loc, torch.zeros_like(loc), perturbations)

    def plated_terms(self, sample: ShiftSample, *, exact: bool) -> tuple[Tensor, Tensor]:
        """The prior of the mask's probabilities; the shift has none."""
        assert self.mask_logits is not None
        logits = rows_of(self.mask_logits, sample.perturbations)
        mask = masks.learned_prior_term(logits, self.config.mask_prior_a, self.config.mask_prior_b)
        return mask, torch.zeros_like(mask)

    def encode(
        self, batch: Minibatch, shift: Tensor, read: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Mean and scale of the guide of ``z_basal``: that of z given the counts less the shift."""
        loc, scale = super().encode(batch, shift, read)
        return loc - shift, scale
