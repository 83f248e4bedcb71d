"""SAMS-VAE: the generative model and its guides (Bereket & Karaletsos, NeurIPS 2023, section 3).

``z = z_basal + D (E * M)`` with ``e_t ~ N(0, beta^2 I)`` and ``m_t ~ Bernoulli(alpha)`` per
dimension.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from sams_core.models import masks
from sams_core.models.config import SAMSVAEConfig
from sams_core.models.cpa_vae import AdditiveVAE
from sams_core.models.draws import noise, rows_of
from sams_core.models.networks import VARIANCE_FLOOR, GaussianHead, ResidualMLP
from sams_core.models.rotation import LatentAxis
from sams_core.models.terms import ShiftSample


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
            if config.embedding_table:
                for parameter in self.embedding_head.parameters():
                    nn.init.zeros_(parameter)
        if config.embedding_table or not config.correlated_embedding:
            self.make_mean_field_embedding()

    @property
    def embedding_table(self) -> list[nn.Parameter]:
        """Parameters of the guide of E that belong to one perturbation and one latent each."""
        config = self.config
        return (
            super().embedding_table
            if config.embedding_table or not config.correlated_embedding
            else []
        )

    @property
    def embedding_network(self) -> list[nn.Parameter]:
        """Parameters of the guide of E that read the mask."""
        if not self.config.correlated_embedding:
            return []
        return [*self.embedding_encoder.parameters(), *self.embedding_head.parameters()]

    def latent_axes(self) -> list[LatentAxis]:
        """Where the basis of the latent space enters, while every mask entry is open."""
        axes = super().latent_axes()
        if self.config.correlated_embedding:
            mean, log_variance = self.embedding_head.mean, self.embedding_head.log_variance
            axes += [LatentAxis(parameter, 0) for parameter in mean.parameters()]
            axes += [
                LatentAxis(parameter, 0, is_log_scale=True)
                for parameter in log_variance.parameters()
            ]
        return axes

    @property
    def prior_log_odds_against(self) -> float:
        """Log-odds that a mask entry is closed under the prior, or under its mean if learned."""
        config = self.config
        if config.learned_mask_prior:
            return math.log(config.mask_prior_b / config.mask_prior_a)
        return math.log1p(-config.mask_prior) - math.log(config.mask_prior)

    def embedding_posterior(
        self, mask: Tensor, perturbations: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Mean and scale of ``q(E | M)``, or of ``q(E)``: see :class:`AdditiveVAE`.

        The network of ``q(E | M)`` adds to what the table says of each perturbation, if there is
        one: to its mean, and to its log-variance.
        """
        if not self.config.correlated_embedding:
            return super().embedding_posterior(mask, perturbations)
        encoder, L = self.embedding_encoder, self.n_latent
        of_mask, of_identity = encoder.first.weight.split([L, self.n_perturbations], 1)
        identity = rows_of(of_identity.T, perturbations)  # (T, H)
        hidden = encoder.after_first(F.linear(mask, of_mask, encoder.first.bias).add_(identity))
        if not self.config.embedding_table:
            return self.embedding_head(hidden)
        log_scale = rows_of(self.embedding_log_scale, perturbations)
        loc, log_variance = self.embedding_head.parts(hidden)
        loc = loc + rows_of(self.embedding_loc, perturbations)
        return loc, torch.sqrt((log_variance + 2 * log_scale).exp() + VARIANCE_FLOOR)

    @property
    def particle_width(self) -> int:
        """Largest number of values per perturbation that a draw of its shift needs."""
        config = self.config
        if not config.correlated_embedding:
            return self.n_latent
        return max(2 * self.n_latent, config.embedding_n_hidden)  # mean and log-variance at once

    def sample_shift_parameters(
        self,
        n_particles: int,
        generator: torch.Generator | None = None,
        perturbations: Tensor | None = None,
    ) -> ShiftSample:
        """Draw the mask and the embedding of every perturbation from the guide."""
        assert self.mask_logits is not None
        logits = rows_of(self.mask_logits, perturbations)
        mask = masks.sample_mask(logits, self.config.mask_temperature, n_particles, generator)
        loc, scale = self.embedding_posterior(mask, perturbations)
        drawn = noise(mask.shape, loc, generator)
        return ShiftSample(mask, torch.addcmul(loc, scale, drawn), loc, scale, perturbations)

    def plated_terms(self, sample: ShiftSample, *, exact: bool) -> tuple[Tensor, Tensor]:
        """``log p - log q`` of the mask, with the prior of its probability, and of E."""
        assert self.mask_logits is not None
        config, logits = self.config, rows_of(self.mask_logits, sample.perturbations)
        if config.learned_mask_prior:
            mask = masks.learned_prior_term(logits, config.mask_prior_a, config.mask_prior_b)
        else:
            mask = masks.fixed_prior_term(sample.mask, logits, config.mask_prior, exact=exact)
        return mask, self.embedding_term(sample, exact=exact)
