"""SAMS-VAE written the obvious way, with ``torch.distributions``: what the library is held against.

The same model, guides and exact objective as :class:`sams_core.models.SAMSVAEModule` in its default
form, with the same names of weights, so that either reads the other's. What costs time is left as
one writes it first: log-probabilities of every particle whole, dense dosages, counts and shift
concatenated for the encoder, the perturbation's identity as a one-hot vector, plates over all
perturbations. Counts are not sampled in training.

Sizes: P particles, n cells, G genes, T perturbations, L latent dimensions.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch import distributions as td
from torch.nn import functional as F  # noqa: N812
from torch.utils.data import DataLoader, TensorDataset

from sams_core.data import Screen
from sams_core.models import SAMSVAEConfig, SAMSVAEModule


class Network(nn.Module):
    """Residual layers with LeakyReLU."""

    def __init__(self, n_in: int, n_hidden: int, n_layers: int) -> None:
        super().__init__()
        widths = [n_in] + [n_hidden] * (n_layers - 1)
        self.layers = nn.ModuleList(nn.Linear(width, n_hidden) for width in widths)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(..., n_in)`` to ``(..., n_hidden)``."""
        h = F.leaky_relu(self.layers[0](x), 0.01)
        for layer in list(self.layers)[1:]:
            h = F.leaky_relu(layer(h), 0.01) + h
        return h


class Head(nn.Module):
    """Mean and log-variance of a Gaussian."""

    def __init__(self, n_hidden: int, n_out: int) -> None:
        super().__init__()
        self.mean = nn.Linear(n_hidden, n_out)
        self.log_variance = nn.Linear(n_hidden, n_out)


@dataclass(frozen=True)
class Effects:
    """Draws of the mask and the embedding, (P, T, L), and the guide of the embedding."""

    mask: Tensor
    embedding: Tensor
    guide: td.Normal


class PlainSAMSVAE(nn.Module):
    """SAMS-VAE with the correlated guide and a table of E.

    Parameters
    ----------
    config
        Hyperparameters.
    n_genes, n_perturbations
        Sizes of the screen.
    """

    log_mean: Tensor
    log_scale: Tensor
    cells_per_perturbation: Tensor

    def __init__(self, config: SAMSVAEConfig, n_genes: int, n_perturbations: int) -> None:
        super().__init__()
        G, T, L, H = n_genes, n_perturbations, config.n_latent, config.n_hidden
        self.config = config
        self.decoder = Network(L, H, config.n_layers)
        self.decoder_head = nn.Linear(H, G)
        self.log_concentration = nn.Parameter(torch.zeros(G))
        self.mask_logits = nn.Parameter(torch.zeros(T, L))
        self.embedding_loc = nn.Parameter(torch.zeros(T, L))
        self.embedding_log_scale = nn.Parameter(torch.zeros(T, L))
        self.embedding_encoder = Network(
            L + T, config.embedding_n_hidden, config.embedding_n_layers
        )
        self.embedding_head = Head(config.embedding_n_hidden, L)
        self.basal_encoder = Network(G + L, H, config.n_layers)
        self.basal_head = Head(H, L)
        self.register_buffer("log_mean", torch.zeros(G))
        self.register_buffer("log_scale", torch.ones(G))
        self.register_buffer("cells_per_perturbation", torch.ones(T))

    @classmethod
    def like(cls, module: SAMSVAEModule) -> PlainSAMSVAE:
        """Make one with the weights of a module of the library."""
        plain = cls(module.config, module.n_genes, module.n_perturbations)
        plain = plain.to(module.log_concentration.dtype)
        theirs = module.state_dict()
        plain.load_state_dict({name: theirs[name] for name in plain.state_dict()})
        return plain

    def draw_effects(self, n_particles: int) -> Effects:
        """Draw from ``q(M)``, relaxed and straight through, and ``q(E | M)``."""
        temperature = self.mask_logits.new_tensor(self.config.mask_temperature)
        soft = td.RelaxedBernoulli(temperature, logits=self.mask_logits).rsample((n_particles,))
        mask = (soft > 0.5).to(soft.dtype) + soft - soft.detach()
        identity = torch.eye(len(self.mask_logits), dtype=mask.dtype)
        h = self.embedding_encoder(torch.cat([mask, identity.expand(n_particles, -1, -1)], dim=-1))
        loc = self.embedding_head.mean(h) + self.embedding_loc
        log_variance = self.embedding_head.log_variance(h) + 2 * self.embedding_log_scale
        guide = td.Normal(loc, (log_variance.exp() + 1e-4).sqrt())
        return Effects(mask, guide.rsample(), guide)

    def basal_guide(self, counts: Tensor, effects: Effects, dosages: Tensor) -> td.Normal:
        """``q(z_basal | x, E, M)``: (n, G) and (n, T) to (P, n, L)."""
        shift = dosages @ (effects.embedding * effects.mask)
        standardised = (torch.log(counts + 1) - self.log_mean) / self.log_scale
        read = torch.cat([standardised.expand(len(shift), -1, -1), shift], dim=-1)
        h = self.basal_encoder(read)
        log_variance = self.basal_head.log_variance(h)
        return td.Normal(self.basal_head.mean(h), (log_variance.exp() + 1e-4).sqrt())

    def log_expected(self, z: Tensor, library_size: Tensor) -> Tensor:
        """Log of the expected counts: (..., n, L) to (..., n, G)."""
        logits = self.decoder_head(self.decoder(z))
        return torch.log_softmax(logits, dim=-1) + library_size.log()[..., None]

    def likelihood(
        self, z_basal: Tensor, effects: Effects, dosages: Tensor, library_size: Tensor
    ) -> td.NegativeBinomial:
        """``p(x | z_basal, E, M)``: (P, n, L) to (P, n, G)."""
        z = z_basal + dosages @ (effects.embedding * effects.mask)
        logits = self.log_expected(z, library_size) - self.log_concentration
        return td.NegativeBinomial(self.log_concentration.exp(), logits=logits)

    def elbo(
        self, counts: Tensor, dosages: Tensor, library_size: Tensor, n_particles: int
    ) -> Tensor:
        """Plated ELBO of a minibatch, mean over cells and particles, in nats."""
        config, cells = self.config, self.cells_per_perturbation
        effects = self.draw_effects(n_particles)
        q_basal = self.basal_guide(counts, effects, dosages)
        z_basal = q_basal.rsample()  # (P, n, L)
        likelihood = self.likelihood(z_basal, effects, dosages, library_size)
        log_px = likelihood.log_prob(counts).sum(-1)  # (P, n)

        prior = td.Normal(torch.zeros_like(z_basal), torch.ones_like(z_basal))
        kl_basal = td.kl_divergence(q_basal, prior).sum(-1)  # (P, n)
        loc, beta = effects.guide.loc, config.embedding_prior_scale
        kl_embedding = td.kl_divergence(
            effects.guide, td.Normal(torch.zeros_like(loc), torch.full_like(loc, beta))
        )  # (P, T, L)
        kl_mask = td.kl_divergence(
            td.Bernoulli(logits=self.mask_logits),
            td.Bernoulli(torch.full_like(self.mask_logits, config.mask_prior)),
        )  # (T, L)
        weight = torch.where(cells > 0, 1 / cells.clamp_min(1), torch.zeros_like(cells))
        plates = (dosages != 0).to(weight.dtype) * weight  # (n, T)
        plated = plates @ kl_embedding + (plates @ kl_mask).expand(n_particles, -1, -1)
        return (log_px - kl_basal - plated.sum(-1)).mean()

    @torch.no_grad()
    def iwelbo(
        self,
        counts: Tensor,
        dosages: Tensor,
        library_size: Tensor,
        *,
        n_particles: int,
        cells_at_once: int,
    ) -> Tensor:
        """Importance-weighted bound of each cell, E and M drawn once for all: (n,)."""
        effects = self.draw_effects(n_particles)
        bounds = []
        for start in range(0, len(counts), cells_at_once):
            part = slice(start, start + cells_at_once)
            q_basal = self.basal_guide(counts[part], effects, dosages[part])
            z = q_basal.sample()
            prior = td.Normal(torch.zeros_like(z), torch.ones_like(z))
            likelihood = self.likelihood(z, effects, dosages[part], library_size[part])
            log_px = likelihood.log_prob(counts[part]).sum(-1)
            weights = log_px + (prior.log_prob(z) - q_basal.log_prob(z)).sum(-1)
            bounds.append(weights.logsumexp(0) - math.log(n_particles))
        return torch.cat(bounds)

    @torch.no_grad()
    def expression(self, z: Tensor, library_size: Tensor) -> Tensor:
        """``log2(1e4 x / sum(x) + 1)`` of drawn counts: (..., L) and (...) to (..., G)."""
        theta = self.log_concentration.exp()
        rate = td.Gamma(theta, theta / self.log_expected(z, library_size).exp()).sample()
        counts = td.Poisson(rate).sample()
        share = counts / counts.sum(-1, keepdim=True).clamp_min(1)
        return torch.log2(1e4 * share + 1)

    @torch.no_grad()
    def treatment_effects(
        self, dosages: Tensor, library_sizes: Tensor, n_particles: int
    ) -> tuple[Tensor, Tensor]:
        """ATE of each condition by its own posterior predictive cells, and its standard error.

        Condition by condition, against control cells drawn once: (C, T) to two (C, G).
        """
        effects = self.draw_effects(n_particles)
        effect = effects.embedding * effects.mask

        def cells(dose: Tensor) -> tuple[Tensor, Tensor]:
            z = torch.randn(n_particles, self.config.n_latent) + dose @ effect
            library = library_sizes[torch.randint(len(library_sizes), (n_particles,))]
            expression = self.expression(z, library)
            return expression.mean(0), expression.var(0) / n_particles

        control, control_variance = cells(torch.zeros_like(dosages[0]))
        means, errors = [], []
        for dose in dosages:
            mean, variance = cells(dose)
            means.append(mean - control)
            errors.append((variance + control_variance).sqrt())
        return torch.stack(means), torch.stack(errors)

    @torch.no_grad()
    def combination(
        self, dosages: Tensor, library_sizes: Tensor, n_particles: int, n_states: int
    ) -> tuple[Tensor, Tensor]:
        """Shift of each condition against control, averaged over cells of each draw of E and M.

        Returns
        -------
        Means (C, G) and 5 % and 95 % quantiles over draws (2, C, G).
        """
        effects = self.draw_effects(n_particles)
        effect = effects.embedding * effects.mask  # (P, T, L)
        basal = torch.randn(n_states, n_particles, self.config.n_latent)
        chosen = torch.randint(len(library_sizes), (n_states, n_particles))
        library = library_sizes[chosen]
        control = self.expression(basal, library).mean(0)  # (P, G)
        shifts = torch.stack(
            [self.expression(basal + dose @ effect, library).mean(0) - control for dose in dosages]
        )  # (C, P, G)
        levels = torch.tensor([0.05, 0.95])
        return shifts.mean(1), shifts.quantile(levels, dim=1)


def dense(screen: Screen, cells: np.ndarray | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Counts (n, G), dosages (n, T) and library sizes (n,) of a screen, dense."""
    rows = np.arange(screen.n_cells) if cells is None else cells
    return (
        torch.from_numpy(screen.counts[rows].toarray().astype(np.float32)),
        torch.from_numpy(screen.dosages[rows].toarray().astype(np.float32)),
        torch.from_numpy(screen.library_size[rows].astype(np.float32)),
    )


def loader(screen: Screen, batch_size: int) -> DataLoader[tuple[Tensor, ...]]:
    """Shuffled minibatches of dense tensors."""
    return DataLoader(
        TensorDataset(*dense(screen)), batch_size=batch_size, shuffle=True, drop_last=True
    )
