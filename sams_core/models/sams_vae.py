"""SAMS-VAE: the generative model and its guides (Bereket & Karaletsos, NeurIPS 2023, section 3).

``z = z_basal + D (E * M)`` with ``z_basal ~ N(0, I)``, ``e_t ~ N(0, beta^2 I)`` and
``m_t ~ Bernoulli(alpha)`` per dimension; counts are gamma-Poisson with mean
``library_size * softmax(decoder(z))`` and one concentration per gene.

Sizes: P particles, n cells, G genes, T perturbations, L latent dimensions, H hidden units.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from sams_core.models import distributions as dist
from sams_core.models.batch import Minibatch
from sams_core.models.config import ModelConfig
from sams_core.models.networks import GaussianHead, ResidualMLP

EMBEDDING_SCALE_FLOOR = 1e-4
INITIAL_EMBEDDING_SCALE = 0.1
"""Of a mean-field E: at the prior's scale its noise would close every mask entry at once."""
N_QUANTILES = 101


@dataclass(frozen=True)
class DataStatistics:
    """What the model reads off the training cells before the first step.

    Attributes
    ----------
    log_mean, log_scale : (G,) tensors
        Mean and standard deviation of ``log(x + 1)``; a gene never seen has scale 1.
    proportions : (G,) tensor
        Share of each gene in all counts.
    cells_per_perturbation : (T,) tensor
        Training cells that carry each perturbation: the plate sizes of E and M.
    n_training_cells : scalar tensor
        Training cells in all.
    library_size_quantiles : (101,) tensor
        Percentiles 0 to 100 of the training cells' total counts.
    """

    log_mean: Tensor
    log_scale: Tensor
    proportions: Tensor
    cells_per_perturbation: Tensor
    n_training_cells: Tensor
    library_size_quantiles: Tensor


@dataclass(frozen=True)
class ShiftSample:
    """Draws of the mask and the embedding from the guide.

    Attributes
    ----------
    mask, embedding : (P, T, L) tensors
        Draws; the mask is 0 or 1 and carries the relaxed mask's gradient.
    embedding_loc, embedding_scale : (P or 1, T, L) tensors
        The Gaussian that the embedding was drawn from.
    """

    mask: Tensor
    embedding: Tensor
    embedding_loc: Tensor
    embedding_scale: Tensor

    @property
    def effect(self) -> Tensor:
        """``E * M``, the latent shift of one unit of each perturbation: (P, T, L)."""
        return self.mask * self.embedding


@dataclass(frozen=True)
class ElboTerms:
    """Terms of the ELBO, each ``log p - log q`` or its negative KL divergence, in nats.

    Attributes
    ----------
    log_likelihood : (P, n) tensor
    z_basal : (P, n) or (1, n) tensor
        Per cell, summed over latent dimensions.
    mask, embedding : (P, T) or (1, T) tensors
        Per perturbation, summed over latent dimensions, not weighted by any plate.
    """

    log_likelihood: Tensor
    z_basal: Tensor
    mask: Tensor
    embedding: Tensor


class SAMSVAEModule(nn.Module):
    """SAMS-VAE as a PyTorch module.

    Parameters
    ----------
    config
        Hyperparameters.
    n_genes, n_perturbations
        Sizes of the screen.
    n_batches
        Levels of the batch covariate; 0 or 1 for none.
    """

    log_mean: Tensor
    log_scale: Tensor
    cells_per_perturbation: Tensor
    n_training_cells: Tensor
    library_size_quantiles: Tensor

    def __init__(
        self, config: ModelConfig, n_genes: int, n_perturbations: int, n_batches: int = 0
    ) -> None:
        super().__init__()
        self.config = config
        self.n_genes, self.n_perturbations, self.n_batches = n_genes, n_perturbations, n_batches
        L, T, H = config.n_latent, n_perturbations, config.n_hidden

        self.decoder = ResidualMLP(L, H, config.n_layers)
        self.decoder_head = nn.Linear(H, n_genes)
        self.log_concentration = nn.Parameter(torch.zeros(n_genes))

        opened = config.initial_mask_probability
        initial_logit = math.log(opened) - math.log1p(-opened)
        self.mask_logits = nn.Parameter(torch.full((T, L), initial_logit))
        if config.correlated_embedding:
            self.embedding_encoder = ResidualMLP(
                L + T, config.embedding_n_hidden, config.embedding_n_layers
            )
            self.embedding_head = GaussianHead(config.embedding_n_hidden, L)
        else:
            self.embedding_loc = nn.Parameter(INITIAL_EMBEDDING_SCALE * torch.randn(T, L))
            self.embedding_log_scale = nn.Parameter(
                torch.full((T, L), math.log(INITIAL_EMBEDDING_SCALE))
            )

        n_offset = L if config.correlated_basal else 0
        self.basal_encoder = ResidualMLP(n_genes + n_offset, H, config.n_layers)
        self.basal_head = GaussianHead(H, L)
        if n_batches > 1:
            self.decoder_batch = nn.Embedding.from_pretrained(torch.zeros(n_batches, H), False)
            self.encoder_batch = nn.Embedding.from_pretrained(torch.zeros(n_batches, H), False)

        self.register_buffer("log_mean", torch.zeros(n_genes))
        self.register_buffer("log_scale", torch.ones(n_genes))
        self.register_buffer("cells_per_perturbation", torch.ones(T))
        self.register_buffer("n_training_cells", torch.ones(()))
        self.register_buffer("library_size_quantiles", torch.ones(N_QUANTILES))

    def initialise(self, statistics: DataStatistics) -> None:
        """Set what is read off the training cells before the first step.

        The decoder's bias starts at the log of each gene's share of all counts, so that training
        starts from the average cell instead of from equal genes.
        """
        with torch.no_grad():
            for item in fields(statistics):
                if item.name != "proportions":
                    getattr(self, item.name).copy_(getattr(statistics, item.name))
            self.decoder_head.bias.copy_(statistics.proportions.clamp_min(1e-7).log())

    def embedding_posterior(self, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and scale of ``q(E | M)``.

        Parameters
        ----------
        mask : (P, T, L) tensor

        Returns
        -------
        two (P, T, L) tensors; (1, T, L) when E does not depend on M.
        """
        if not self.config.correlated_embedding:
            scale = self.embedding_log_scale.exp() + EMBEDDING_SCALE_FLOOR
            return self.embedding_loc[None], scale[None]
        encoder, L = self.embedding_encoder, self.config.n_latent
        identity = encoder.first_weight(L, L + self.n_perturbations).T  # (T, H)
        read_mask = F.linear(mask, encoder.first_weight(0, L), encoder.first.bias)
        return self.embedding_head(encoder.after_first(read_mask + identity))

    def sample_shift_parameters(
        self, n_particles: int, generator: torch.Generator | None = None
    ) -> ShiftSample:
        """Draw the mask and the embedding of every perturbation from the guide.

        Parameters
        ----------
        n_particles
            Monte Carlo particles P.
        """
        shape = torch.Size((n_particles, *self.mask_logits.shape))
        soft = dist.relaxed_bernoulli_sample(
            self.mask_logits, self.config.mask_temperature, shape, generator
        )
        mask = dist.straight_through_round(soft)
        loc, scale = self.embedding_posterior(mask)
        return ShiftSample(mask, loc + scale * _noise(shape, loc, generator), loc, scale)

    def shift(self, dosages: Tensor, sample: ShiftSample) -> Tensor:
        """Latent shift of each cell, ``D (E * M)``: (n, T) dosages to (P, n, L)."""
        return dosages @ sample.effect

    def encode(self, batch: Minibatch, shift: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and scale of ``q(z_basal | x, D, E, M)``.

        Parameters
        ----------
        batch
            n cells.
        shift : (P, n, L) tensor
            Latent shift of each cell; not read by a mean-field guide.

        Returns
        -------
        two (P, n, L) tensors; (1, n, L) when z_basal does not depend on the shift.
        """
        standardised = (torch.log1p(batch.counts) - self.log_mean) / self.log_scale
        encoder, G = self.basal_encoder, self.n_genes
        pre = F.linear(standardised, encoder.first_weight(0, G), encoder.first.bias)[None]
        if self.config.correlated_basal:
            pre = pre + F.linear(shift, encoder.first_weight(G, G + self.config.n_latent))
        if self.n_batches > 1:
            pre = pre + self.encoder_batch(batch.batch_index)
        return self.basal_head(encoder.after_first(pre))

    def log_proportions(self, z: Tensor, batch_index: Tensor | None = None) -> Tensor:
        """Log of each gene's expected share of a cell's counts: (..., L) to (..., G).

        With a batch covariate, ``batch_index`` (n,) picks the batch of each cell; left out, the
        average batch is used.
        """
        pre = self.decoder.first(z)
        if self.n_batches > 1:
            offsets = self.decoder_batch.weight
            pre = pre + (offsets.mean(0) if batch_index is None else offsets[batch_index])
        return self.decoder_head(self.decoder.after_first(pre)).log_softmax(-1)

    def log_expected_counts(
        self, z: Tensor, library_size: Tensor, batch_index: Tensor | None = None
    ) -> Tensor:
        """Log of the gamma-Poisson's mean: (..., n, L) and (n,) to (..., n, G)."""
        log_mu = self.log_proportions(z, batch_index) + library_size.log()[:, None]
        if self.config.mean_floor > 0:
            log_mu = torch.log(log_mu.exp() + self.config.mean_floor)
        return log_mu

    def log_likelihood(self, z: Tensor, batch: Minibatch) -> Tensor:
        """``log p(x | z)`` of each cell: (P, n, L) to (P, n)."""
        log_mu = self.log_expected_counts(z, batch.library_size, batch.batch_index)
        return dist.gamma_poisson_log_prob(batch.counts, log_mu, self.log_concentration)

    def elbo_terms(
        self,
        batch: Minibatch,
        n_particles: int = 1,
        *,
        exact: bool = True,
        generator: torch.Generator | None = None,
    ) -> ElboTerms:
        """Draw from the guide and evaluate the ELBO's terms.

        Parameters
        ----------
        batch
            n cells.
        n_particles
            Monte Carlo particles P.
        exact
            Take each KL divergence in closed form given its parents, instead of at the draws
            (the paper's way): the same expectation with less noise, and for the mask free of the
            straight-through estimator's bias.
        """
        sample = self.sample_shift_parameters(n_particles, generator)
        shift = self.shift(batch.dosages, sample)
        loc, scale = self.encode(batch, shift)
        z_basal = loc + scale * _noise(shift.shape, loc, generator)
        log_likelihood = self.log_likelihood(z_basal + shift, batch)
        if exact:
            prior = self.config.mask_prior
            beta = self.config.embedding_prior_scale
            embedding_kl = dist.normal_kl(sample.embedding_loc, sample.embedding_scale, beta)
            return ElboTerms(
                log_likelihood,
                -dist.normal_kl(loc, scale).sum(-1),
                -dist.bernoulli_kl(self.mask_logits, prior).sum(-1)[None],
                -embedding_kl.sum(-1),
            )
        return ElboTerms(log_likelihood, *self.log_ratios(sample, z_basal, loc, scale))

    def log_ratios(
        self, sample: ShiftSample, z_basal: Tensor, loc: Tensor, scale: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """``log p - log q`` of z_basal (P, n), mask (P, T) and embedding (P, T) at given draws."""
        z_ratio = dist.normal_log_prob(z_basal, 0.0, 1.0) - dist.normal_log_prob(
            z_basal, loc, scale
        )
        mask_ratio = dist.bernoulli_log_prob(
            sample.mask, self.config.mask_prior
        ) - dist.bernoulli_log_prob(sample.mask, torch.sigmoid(self.mask_logits))
        embedding_ratio = dist.normal_log_prob(
            sample.embedding, 0.0, self.config.embedding_prior_scale
        ) - dist.normal_log_prob(sample.embedding, sample.embedding_loc, sample.embedding_scale)
        return z_ratio.sum(-1), mask_ratio.sum(-1), embedding_ratio.sum(-1)

    def plate_weights(self, dosages: Tensor) -> Tensor:
        """Weight of each perturbation's E and M terms for each cell: (n, T).

        ``1 / cells_per_perturbation`` where the cell carries the perturbation, else 0, so that the
        mean minibatch ELBO is an unbiased estimate of the full one. A perturbation without
        training cells weighs nothing.
        """
        cells = self.cells_per_perturbation
        weight = torch.where(cells > 0, 1 / cells.clamp_min(1), torch.zeros_like(cells))
        return (dosages != 0).to(weight.dtype) * weight

    def mask_probabilities(self) -> Tensor:
        """Inclusion probability of each mask entry under the guide: (T, L)."""
        return torch.sigmoid(self.mask_logits)


def _noise(shape: torch.Size, like: Tensor, generator: torch.Generator | None) -> Tensor:
    return torch.randn(shape, dtype=like.dtype, device=like.device, generator=generator)
