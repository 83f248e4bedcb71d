"""What every model of the family shares: cells, decoder, likelihood, and the terms of the ELBO.

A cell's latent state is ``z = z_basal + shift`` with ``z_basal ~ N(0, I)``; counts are
gamma-Poisson with mean ``library_size * softmax(decoder(z))`` and one concentration per gene. The
members differ in where the shift comes from and in what their guides read.

Sizes: P particles, n cells, G genes, T perturbations, L latent dimensions, H hidden units.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import fields
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from sams_core.models import distributions as dist
from sams_core.models.batch import Minibatch
from sams_core.models.config import VAEConfig
from sams_core.models.draws import cell_noise, gathered_shift
from sams_core.models.likelihood import decoded_log_likelihood
from sams_core.models.networks import GaussianHead, ResidualMLP
from sams_core.models.terms import DataStatistics, ElboTerms, ShiftSample

N_QUANTILES = 101


class PerturbationVAE(nn.Module, ABC):
    """A variational autoencoder of perturbed cells as a PyTorch module.

    Parameters
    ----------
    config
        Hyperparameters.
    n_genes, n_perturbations
        Sizes of the screen.
    n_batches
        Levels of the batch covariate; 0 or 1 for none.
    n_state
        Numbers that the decoder reads of a cell; the latent dimensions by default.
    n_offset
        Numbers that the encoder reads beside the counts.
    """

    has_mask: ClassVar[bool] = False
    """Whether the model says which latent dimensions a perturbation shifts."""
    has_shift: ClassVar[bool] = True
    """Whether a perturbation is a shift of the latent state."""

    config: VAEConfig
    log_mean: Tensor
    log_scale: Tensor
    cells_per_perturbation: Tensor
    n_training_cells: Tensor
    library_size_quantiles: Tensor
    mask_logits: nn.Parameter | None

    def __init__(
        self,
        config: VAEConfig,
        n_genes: int,
        n_perturbations: int,
        n_batches: int = 0,
        *,
        n_state: int | None = None,
        n_offset: int = 0,
    ) -> None:
        super().__init__()
        self.config = config
        self.n_genes, self.n_perturbations, self.n_batches = n_genes, n_perturbations, n_batches
        self.n_offset = n_offset
        H = config.n_hidden
        self.decoder = ResidualMLP(n_state or config.n_latent, H, config.n_layers)
        self.decoder_head = nn.Linear(H, n_genes)
        self.log_concentration = nn.Parameter(torch.zeros(n_genes))
        self.make_shift_parameters()
        self.basal_encoder = ResidualMLP(n_genes + n_offset, H, config.n_layers)
        self.basal_head = GaussianHead(H, config.n_latent)
        if n_batches > 1:
            self.decoder_batch = nn.Embedding.from_pretrained(torch.zeros(n_batches, H), False)
            self.encoder_batch = nn.Embedding.from_pretrained(torch.zeros(n_batches, H), False)

        self.register_buffer("log_mean", torch.zeros(n_genes))
        self.register_buffer("log_scale", torch.ones(n_genes))
        self.register_buffer("cells_per_perturbation", torch.ones(n_perturbations))
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

    @abstractmethod
    def make_shift_parameters(self) -> None:
        """Make the parameters of the perturbations' shifts; ``mask_logits`` is None without."""

    @abstractmethod
    def sample_shift_parameters(
        self,
        n_particles: int,
        generator: torch.Generator | None = None,
        perturbations: Tensor | None = None,
    ) -> ShiftSample:
        """Draw what every perturbation does from the guide.

        Parameters
        ----------
        n_particles
            Monte Carlo particles P.
        generator
            Of the draws.
        perturbations : (K,) long tensor, optional
            Only these, in this order, so that T is K in what is returned.
        """

    @abstractmethod
    def plated_terms(self, sample: ShiftSample, *, exact: bool) -> tuple[Tensor, Tensor]:
        """``log p - log q`` of the mask and of the embedding: two (P, T) or (1, T) tensors.

        Parameters
        ----------
        sample
            Draws of both.
        exact
            Whether in expectation, as negative KL divergences, instead of at the draws.
        """

    def encoder_offset(self, batch: Minibatch, shift: Tensor) -> Tensor | None:
        """What the encoder reads beside the counts: (..., n, n_offset)."""
        return None

    @property
    def n_latent(self) -> int:
        """Latent dimensions L."""
        return self.config.n_latent

    @property
    def particle_width(self) -> int:
        """Largest number of values per perturbation that a draw of its shift needs."""
        return self.n_latent

    def shift(self, dosages: Tensor, sample: ShiftSample) -> Tensor:
        """Latent shift of each cell, ``D (E * M)``: (n, T) dosages to (P, n, L)."""
        return dosages @ sample.effect

    def cell_shift(self, batch: Minibatch, sample: ShiftSample) -> Tensor:
        """Latent shift of each cell of a minibatch, gathered where it says what each carries."""
        return (
            self.shift(batch.dosages, sample)
            if batch.carried is None
            else gathered_shift(batch.carried, sample.effect)
        )

    def state(self, z_basal: Tensor, shift: Tensor, dosages: Tensor) -> Tensor:
        """What the decoder reads: (..., n, L), (..., n, L) and (n, T) to (..., n, L)."""
        return z_basal + shift

    def encode(
        self, batch: Minibatch, shift: Tensor, read: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Mean and scale of the guide of ``z_basal``.

        Parameters
        ----------
        batch
            n cells.
        shift : (P, n, L) tensor
            Latent shift of each cell; not read by every guide.
        read : (n, H) tensor, optional
            What :meth:`read_counts` gives, where it is at hand.

        Returns
        -------
        two (P, n, L) tensors; (1, n, L) when z_basal does not depend on the shift.
        """
        of_counts, of_offset = self._first_weights()
        pre = (self._read(batch, of_counts) if read is None else read.clone())[None]
        offset = self.encoder_offset(batch, shift)
        if offset is not None:
            pre = pre + F.linear(offset, of_offset)
        return self.basal_head(self.basal_encoder.after_first(pre))

    def read_counts(self, batch: Minibatch) -> Tensor:
        """What the encoder's first layer makes of counts and batch, whatever the shift: (n, H)."""
        return self._read(batch, self._first_weights()[0])

    def _first_weights(self) -> tuple[Tensor, Tensor]:
        """Weights of the encoder's first layer for counts and for what it reads beside them."""
        of_counts, of_offset = self.basal_encoder.first.weight.split(
            [self.n_genes, self.n_offset], 1
        )
        return of_counts, of_offset

    def _read(self, batch: Minibatch, of_counts: Tensor) -> Tensor:
        standardised = torch.log1p(batch.counts).sub_(self.log_mean).div_(self.log_scale)
        read = F.linear(standardised, of_counts, self.basal_encoder.first.bias)
        return read + self.encoder_batch(batch.batch_index) if self.n_batches > 1 else read

    def log_proportions(self, state: Tensor, batch_index: Tensor | None = None) -> Tensor:
        """Log of each gene's expected share of a cell's counts, given its state: to (..., G).

        With a batch covariate, ``batch_index`` (n,) picks the batch of each cell; left out, the
        average batch is used.
        """
        return self.decoder_head(self.decode(state, batch_index)).log_softmax(-1)

    def decode(self, state: Tensor, batch_index: Tensor | None = None) -> Tensor:
        """The decoder's last hidden layer, from which its head makes logits: to (..., H)."""
        pre = self.decoder.first(state)
        if self.n_batches > 1:
            offsets = self.decoder_batch.weight
            pre = pre + (offsets.mean(0) if batch_index is None else offsets[batch_index])
        return self.decoder.after_first(pre)

    def log_expected_counts(
        self, state: Tensor, library_size: Tensor, batch_index: Tensor | None = None
    ) -> Tensor:
        """Log of the gamma-Poisson's mean, (..., n, G).

        Parameters
        ----------
        state
            (..., n, L) as :meth:`state` gives it.
        library_size
            Total counts, of a shape that broadcasts to (..., n).
        """
        log_mu = self.log_proportions(state, batch_index) + library_size.log()[..., None]
        if self.config.mean_floor > 0:
            log_mu = torch.log(log_mu.exp() + self.config.mean_floor)
        return log_mu

    def log_likelihood(
        self, state: Tensor, batch: Minibatch, constant: Tensor | None = None
    ) -> Tensor:
        """``log p(x | z)`` of each cell: (P, n, L) to (P, n).

        ``constant``, (n,), is the part that depends on counts alone, where it is at hand.
        """
        return decoded_log_likelihood(
            self.decode(state, batch.batch_index),
            self.decoder_head.weight,
            self.decoder_head.bias,
            self.log_concentration,
            batch.counts,
            batch.library_size,
            self.config.mean_floor,
            constant,
        )

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
        sample = self.sample_shift_parameters(n_particles, generator, batch.perturbations)
        shift = self.cell_shift(batch, sample)
        loc, scale = self.encode(batch, shift)
        z_basal = torch.addcmul(loc, scale, cell_noise(batch, shift, generator))
        dosages = batch.dosages if self.has_shift else batch.every_dosage(self.n_perturbations)
        log_likelihood = self.log_likelihood(self.state(z_basal, shift, dosages), batch)
        z_term = -dist.normal_kl(loc, scale) if exact else self.z_basal_term(z_basal, loc, scale)
        return ElboTerms(
            log_likelihood,
            z_term,
            *self.plated_terms(sample, exact=exact),
            sample,
            scale.detach().square().mean((0, 1)),
        )

    def z_basal_term(self, z_basal: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
        """``log p - log q`` of drawn basal states, summed over latents: to (P, n)."""
        noise = (z_basal - loc).div(scale)
        return (noise.square() - z_basal.square()).sum(-1) / 2 + scale.log().sum(-1)

    def plate_weights(self, dosages: Tensor, perturbations: Tensor | None = None) -> Tensor:
        """Weight of each perturbation's E and M terms for each cell: (n, T).

        ``1 / cells_per_perturbation`` where the cell carries the perturbation, else 0, so that the
        mean minibatch ELBO is an unbiased estimate of the full one. A perturbation without
        training cells weighs nothing. ``perturbations`` are those of the columns, if not all.
        """
        cells = self.cells_per_perturbation
        if perturbations is not None:
            cells = cells[perturbations]
        weight = torch.where(cells > 0, 1 / cells.clamp_min(1), torch.zeros_like(cells))
        return (dosages != 0).to(weight.dtype) * weight

    def mask_probabilities(self) -> Tensor:
        """Inclusion probability of each mask entry under the guide: (T, L); 1 without a mask."""
        if self.mask_logits is None:
            return self.log_concentration.new_ones(self.n_perturbations, self.n_latent)
        return torch.sigmoid(self.mask_logits)
