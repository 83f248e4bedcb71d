"""SAMS-VAE: the generative model and its guides (Bereket & Karaletsos, NeurIPS 2023, section 3).

``z = z_basal + D (E * M)`` with ``e_t ~ N(0, beta^2 I)`` and ``m_t ~ Bernoulli(alpha)`` per
dimension.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from sams_core.models import masks
from sams_core.models.base import ShiftSample, noise
from sams_core.models.config import SAMSVAEConfig
from sams_core.models.cpa_vae import AdditiveVAE
from sams_core.models.networks import GaussianHead, ResidualMLP


class SAMSVAEModule(AdditiveVAE):
    """SAMS-VAE as a PyTorch module; parameters as :class:`PerturbationVAE`."""

    has_mask = True
    config: SAMSVAEConfig

    def make_shift_parameters(self) -> None:
        """Make the log-odds of the mask and the guide of E."""
        config, T, L = self.config, self.n_perturbations, self.n_latent
        self.mask_logits = masks.initial_mask_logits(T, L, config.initial_mask_probability)
        if config.correlated_embedding:
            self.embedding_encoder = ResidualMLP(
                L + T, config.embedding_n_hidden, config.embedding_n_layers
            )
            self.embedding_head = GaussianHead(config.embedding_n_hidden, L)
        else:
            self.make_mean_field_embedding()

    def embedding_posterior(self, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and scale of ``q(E | M)``, or of ``q(E)``: see :class:`AdditiveVAE`."""
        if not self.config.correlated_embedding:
            return super().embedding_posterior(mask)
        encoder, L = self.embedding_encoder, self.n_latent
        identity = encoder.first_weight(L, L + self.n_perturbations).T  # (T, H)
        read_mask = F.linear(mask, encoder.first_weight(0, L), encoder.first.bias)
        return self.embedding_head(encoder.after_first(read_mask + identity))

    @property
    def particle_width(self) -> int:
        """Largest number of values per perturbation that a draw of its shift needs."""
        config = self.config
        return max(self.n_latent, config.embedding_n_hidden if config.correlated_embedding else 1)

    def sample_shift_parameters(
        self, n_particles: int, generator: torch.Generator | None = None
    ) -> ShiftSample:
        """Draw the mask and the embedding of every perturbation from the guide."""
        assert self.mask_logits is not None
        mask = masks.sample_mask(
            self.mask_logits, self.config.mask_temperature, n_particles, generator
        )
        loc, scale = self.embedding_posterior(mask)
        return ShiftSample(mask, loc + scale * noise(mask.shape, loc, generator), loc, scale)

    def plated_terms(self, sample: ShiftSample, *, exact: bool) -> tuple[Tensor, Tensor]:
        """``log p - log q`` of the mask, with the prior of its probability, and of E."""
        assert self.mask_logits is not None
        config = self.config
        if config.learned_mask_prior:
            mask = masks.learned_prior_term(
                self.mask_logits, config.mask_prior_a, config.mask_prior_b
            )
        else:
            mask = masks.fixed_prior_term(
                sample.mask, self.mask_logits, config.mask_prior, exact=exact
            )
        return mask, self.embedding_term(sample, exact=exact)
