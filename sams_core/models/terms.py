"""What a model reads of the data, draws from its guide, and evaluates: plain records of tensors."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


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
        Draws; the mask is 0 or 1 and carries the relaxed mask's gradient. A model without a mask
        has ones.
    embedding_loc, embedding_scale : (P or 1, T, L) tensors
        The Gaussian that the embedding was drawn from; a scale of 0 is a point estimate.
    perturbations : (K,) long tensor, optional
        Those that were drawn, if not all: T is then K.
    """

    mask: Tensor
    embedding: Tensor
    embedding_loc: Tensor
    embedding_scale: Tensor
    perturbations: Tensor | None = None

    def particles(self, which: slice) -> ShiftSample:
        """Some of the particles."""
        mask, embedding, loc, scale = (
            part if len(part) == 1 else part[which]
            for part in (self.mask, self.embedding, self.embedding_loc, self.embedding_scale)
        )
        return ShiftSample(mask, embedding, loc, scale, self.perturbations)

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
        Per perturbation, summed over latent dimensions, not weighted by any plate; zeros where a
        model has no such variable. ``mask`` includes the prior of a learned mask probability.
    sample
        Draws of what each perturbation does, at which they were evaluated, where at hand.
    basal_variance : (L,) tensor, optional
        Mean over cells of the variance of the guide of z_basal, in [0, 1] and 1 where the counts
        say nothing of a latent dimension.
    """

    log_likelihood: Tensor
    z_basal: Tensor
    mask: Tensor
    embedding: Tensor
    sample: ShiftSample | None = None
    basal_variance: Tensor | None = None
