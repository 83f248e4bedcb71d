"""CPA-VAE: every perturbation shifts every latent dimension (Bereket & Karaletsos 2023, section 4).

``z = z_basal + D E`` with ``e_t ~ N(0, beta^2 I)``: SAMS-VAE with its mask fixed to 1, and a
generative form of the compositional perturbation autoencoder.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sams_core.models import distributions as dist
from sams_core.models.base import PerturbationVAE
from sams_core.models.batch import Minibatch
from sams_core.models.config import CPAVAEConfig, SAMSVAEConfig
from sams_core.models.draws import noise, rows_of
from sams_core.models.rotation import LatentAxis
from sams_core.models.terms import ShiftSample

EMBEDDING_SCALE_FLOOR = 1e-4
INITIAL_EMBEDDING_SCALE = 0.1
"""Of a mean-field E: at the prior's scale its noise would hide every effect at first."""


class AdditiveVAE(PerturbationVAE):
    """Shifts that add up over perturbations, from embeddings with a Gaussian prior."""

    config: CPAVAEConfig | SAMSVAEConfig

    def __init__(
        self,
        config: CPAVAEConfig | SAMSVAEConfig,
        n_genes: int,
        n_perturbations: int,
        n_batches: int = 0,
    ) -> None:
        n_offset = config.n_latent if config.correlated_basal else 0
        super().__init__(config, n_genes, n_perturbations, n_batches, n_offset=n_offset)

    def make_mean_field_embedding(self) -> None:
        """Make the parameters of a Gaussian guide of E that reads nothing."""
        shape = (self.n_perturbations, self.n_latent)
        self.embedding_loc = nn.Parameter(INITIAL_EMBEDDING_SCALE * torch.randn(shape))
        self.embedding_log_scale = nn.Parameter(
            torch.full(shape, math.log(INITIAL_EMBEDDING_SCALE))
        )

    def embedding_posterior(
        self, mask: Tensor, perturbations: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Mean and scale of the guide of E.

        Parameters
        ----------
        mask : (P, T, L) tensor
        perturbations : (K,) long tensor, optional
            Those that ``mask`` is of, if not all.

        Returns
        -------
        two (P, T, L) tensors; (1, T, L) when E does not depend on M.
        """
        log_scale = rows_of(self.embedding_log_scale, perturbations)
        scale = log_scale.exp() + EMBEDDING_SCALE_FLOOR
        return rows_of(self.embedding_loc, perturbations)[None], scale[None]

    def embedding_term(self, sample: ShiftSample, *, exact: bool) -> Tensor:
        """``log p(E) - log q(E)``, summed over latents: (P, T) or (1, T)."""
        loc, scale = sample.embedding_loc, sample.embedding_scale
        beta = self.config.embedding_prior_scale
        if exact:
            return -dist.normal_kl(loc, scale, beta)
        ratio = dist.normal_log_prob(sample.embedding, 0.0, beta) - dist.normal_log_prob(
            sample.embedding, loc, scale
        )
        return ratio.sum(-1)

    @property
    def embedding_table(self) -> list[nn.Parameter]:
        """Parameters of the guide of E that belong to one perturbation and one latent each."""
        return [self.embedding_loc, self.embedding_log_scale]

    def latent_axes(self) -> list[LatentAxis]:
        """Where the basis of the latent space enters; rotating all leaves the likelihood alone."""
        axes = [
            LatentAxis(self.decoder.first.weight, 1),
            LatentAxis(self.basal_head.mean.weight, 0),
            LatentAxis(self.basal_head.mean.bias, 0),
            LatentAxis(self.basal_head.log_variance.weight, 0, is_log_scale=True),
            LatentAxis(self.basal_head.log_variance.bias, 0, is_log_scale=True),
        ]
        if self.n_offset:
            axes.append(LatentAxis(self.basal_encoder.first.weight, 1, start=self.n_genes))
        if self.embedding_table:
            axes.append(LatentAxis(self.embedding_loc, 1))
            axes.append(LatentAxis(self.embedding_log_scale, 1, is_log_scale=True))
        return axes

    def encoder_offset(self, batch: Minibatch, shift: Tensor) -> Tensor | None:
        """The latent shift, where the guide of z_basal reads it."""
        return shift if self.config.correlated_basal else None


class CPAVAEModule(AdditiveVAE):
    """CPA-VAE as a PyTorch module; parameters as :class:`PerturbationVAE`."""

    config: CPAVAEConfig

    def make_shift_parameters(self) -> None:
        """Make the guide of E; there is no mask."""
        self.mask_logits = None
        self.make_mean_field_embedding()

    def sample_shift_parameters(
        self,
        n_particles: int,
        generator: torch.Generator | None = None,
        perturbations: Tensor | None = None,
    ) -> ShiftSample:
        """Draw the embedding of every perturbation from the guide."""
        loc, scale = self.embedding_posterior(self.embedding_loc, perturbations)
        shape = torch.Size((n_particles, *loc.shape[1:]))
        mask = loc.new_ones(()).expand(shape)
        embedding = torch.addcmul(loc, scale, noise(shape, loc, generator))
        return ShiftSample(mask, embedding, loc, scale, perturbations)

    def plated_terms(self, sample: ShiftSample, *, exact: bool) -> tuple[Tensor, Tensor]:
        """The embedding's term; the mask's is 0."""
        embedding = self.embedding_term(sample, exact=exact)
        return torch.zeros_like(embedding), embedding
