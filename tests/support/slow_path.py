"""The ELBO's terms of every family straight from their formulae: dense, slow, one cell at a time.

Nothing here calls the models; their weights are read by name, and gradients flow to them.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch import distributions as td
from torch.nn import functional as F  # noqa: N812

from sams_core.models import (
    ConditionalVAEConfig,
    CPAVAEConfig,
    ElboTerms,
    Minibatch,
    PerturbationVAE,
    SAMSVAEConfig,
    ShiftSample,
    SVAEPlusConfig,
)

Weights = dict[str, Tensor]
HEAD = ("mean.weight", "mean.bias", "log_variance.weight", "log_variance.bias")
WEIGHTED: dict[str, Any] = {
    "effects_fraction": 0.0,
    "mask_share": 0.3,
    "mask_penalty_start": 0.4,
    "mask_penalty_end": 0.4,
    "mask_penalty_fraction": 0.0,
}
"""Training settings whose mask term is weighted from the first step, as slow_mask_weights says."""


@dataclass(frozen=True)
class Point:
    """One particle's values of everything that is drawn: (T, L), (T, L) and (n, L)."""

    mask: Tensor
    embedding: Tensor
    z_basal: Tensor


def slow_terms(
    module: PerturbationVAE, batch: Minibatch, points: list[Point], *, exact: bool = False
) -> ElboTerms:
    """All terms at P points: (P, n) and (P, T), at the draws or as negative KL divergences."""
    weights = _weights(module)
    rows: dict[str, list[Tensor]] = {
        "log_likelihood": [],
        "z_basal": [],
        "mask": [],
        "embedding": [],
    }
    for point in points:
        cells = [_cell_terms(module, weights, batch, i, point, exact) for i in range(len(batch))]
        rows["log_likelihood"].append(torch.stack([log_px for log_px, _ in cells]))
        rows["z_basal"].append(torch.stack([z for _, z in cells]))
        ts = range(module.n_perturbations)
        rows["mask"].append(torch.stack([_mask_term(module, weights, t, point, exact) for t in ts]))
        rows["embedding"].append(
            torch.stack([_embedding_term(module, weights, t, point, exact) for t in ts])
        )
    stacked = {name: torch.stack(values) for name, values in rows.items()}
    return ElboTerms(
        stacked["log_likelihood"], stacked["z_basal"], stacked["mask"], stacked["embedding"]
    )


def slow_points(
    module: PerturbationVAE, batch: Minibatch, n_particles: int, seed: int
) -> list[Point]:
    """Reparameterised draws from the guides, with the numbers that ``elbo_terms`` takes of a seed.

    Noise is taken in the order mask, embedding, z_basal, of those that a family draws.
    """
    generator = torch.Generator().manual_seed(seed)
    weights, config = _weights(module), module.config
    shape = (n_particles, module.n_perturbations, module.n_latent)
    like: dict[str, Any] = {"dtype": torch.float64, "generator": generator}
    mask = torch.ones(shape, dtype=torch.float64)
    embedding = torch.zeros_like(mask)
    if isinstance(config, SAMSVAEConfig | SVAEPlusConfig):
        u = torch.rand(shape, **like)
        logistic = weights["mask_logits"] + u.log() - (1 - u).log()
        soft = torch.sigmoid(logistic / config.mask_temperature)
        mask = soft.detach().round() + (soft - soft.detach())
    if isinstance(config, SVAEPlusConfig):
        embedding = weights["prior_shift"].expand(shape)
    elif isinstance(config, SAMSVAEConfig | CPAVAEConfig):
        embedding = torch.randn(shape, **like)
        for p, t in itertools.product(*map(range, shape[:2])):
            q = slow_embedding_guide(module, weights, t, mask[p, t])
            embedding[p, t] = q.loc + q.scale * embedding[p, t].clone()
    z_basal = torch.randn(n_particles, len(batch), module.n_latent, **like)
    for p, i in itertools.product(range(n_particles), range(len(batch))):
        shift = _shift(batch, i, mask[p], embedding[p])
        q = _basal_guide(module, weights, batch, i, shift)
        z = q.loc + q.scale * z_basal[p, i].clone()
        z_basal[p, i] = z - shift if isinstance(config, SVAEPlusConfig) else z
    return [Point(*drawn) for drawn in zip(mask, embedding, z_basal, strict=True)]


def slow_plates(module: PerturbationVAE, batch: Minibatch) -> Tensor:
    """``1 / (training cells with t)`` for each cell that carries t: (n, T)."""
    cells = module.cells_per_perturbation
    weights = torch.zeros_like(batch.dosages)
    for i in range(len(batch)):
        for t in range(module.n_perturbations):
            if batch.dosages[i, t] != 0 and cells[t] > 0:
                weights[i, t] = 1 / cells[t]
    return weights


def slow_mask_weights(
    module: PerturbationVAE, sample: ShiftSample, basal_variance: list[float]
) -> Tensor:
    """Weight of each perturbation's mask term under :data:`WEIGHTED`: (T,)."""
    config, weights = module.config, []
    for t, n_cells in enumerate(module.cells_per_perturbation.tolist()):
        weight = 0.4 * n_cells
        if isinstance(config, SAMSVAEConfig):
            prior = config.mask_prior
            if config.learned_mask_prior:
                prior = config.mask_prior_a / (config.mask_prior_a + config.mask_prior_b)
            explained = [
                float(effect) ** 2 * max(1 - variance, 0.0) / 2
                for effects in (sample.mask * sample.embedding).detach()
                for effect, variance in zip(effects[t], basal_variance, strict=True)
            ]
            mean = sum(explained) / len(sample.mask)
            weight += 0.3 * n_cells * mean / math.log((1 - prior) / prior)
        weights.append(max(1.0, weight))
    return torch.tensor(weights, dtype=torch.float64)


def _weights(module: PerturbationVAE) -> Weights:
    return dict(module.named_parameters()) | dict(module.named_buffers())


def slow_embedding_guide(
    module: PerturbationVAE, weights: Weights, t: int, mask: Tensor
) -> td.Normal:
    """``q(e_t | m_t)``: a network on the mask and the perturbation's identity, or two vectors."""
    config = module.config
    if isinstance(config, SAMSVAEConfig) and config.inference in ("correlated", "correlated_e"):
        identity = torch.zeros(module.n_perturbations, dtype=mask.dtype)
        identity[t] = 1
        h = _mlp(weights, "embedding_encoder", torch.cat([mask, identity]))
        if not config.embedding_table:
            return _gaussian(weights, "embedding_head", h)
        head = {name: weights[f"embedding_head.{name}"] for name in HEAD}
        mean = head["mean.weight"] @ h + head["mean.bias"] + weights["embedding_loc"][t]
        log_variance = head["log_variance.weight"] @ h + head["log_variance.bias"]
        scale = weights["embedding_log_scale"][t].exp()
        return td.Normal(mean, (log_variance.exp() * scale**2 + 1e-4).sqrt())
    return td.Normal(weights["embedding_loc"][t], weights["embedding_log_scale"][t].exp() + 1e-4)


def _shift(batch: Minibatch, i: int, mask: Tensor, embedding: Tensor) -> Tensor:
    shift = torch.zeros_like(mask[0])
    for t in range(len(mask)):
        shift = shift + batch.dosages[i, t] * mask[t] * embedding[t]
    return shift


def _basal_guide(
    module: PerturbationVAE, weights: Weights, batch: Minibatch, i: int, shift: Tensor
) -> td.Normal:
    """``q(z_basal | ...)``; for SVAE+ ``q(z | x)``."""
    config = module.config
    reads = (torch.log(batch.counts[i] + 1) - weights["log_mean"]) / weights["log_scale"]
    if isinstance(config, ConditionalVAEConfig):
        reads = torch.cat([reads, batch.dosages[i]])
    elif getattr(config, "inference", "") in ("correlated", "correlated_z"):
        reads = torch.cat([reads, shift])
    return _gaussian(
        weights,
        "basal_head",
        _mlp(weights, "basal_encoder", reads, _of_batch(weights, "encoder_batch", batch, i)),
    )


def _cell_terms(
    module: PerturbationVAE, weights: Weights, batch: Minibatch, i: int, point: Point, exact: bool
) -> tuple[Tensor, Tensor]:
    """``log p(x | z)`` and the term of the cell's own latent variable."""
    config = module.config
    shift = _shift(batch, i, point.mask, point.embedding)
    z = point.z_basal[i] + shift
    value, prior_mean = point.z_basal[i], torch.zeros_like(shift)
    if isinstance(config, SVAEPlusConfig):
        value, prior_mean = z, shift
    q = _basal_guide(module, weights, batch, i, shift)
    term = _term(q, td.Normal(prior_mean, torch.ones_like(shift)), value, exact)
    if isinstance(config, ConditionalVAEConfig):
        z = torch.cat([z, batch.dosages[i]])
    h = _mlp(weights, "decoder", z, _of_batch(weights, "decoder_batch", batch, i))
    logits = weights["decoder_head.weight"] @ h + weights["decoder_head.bias"]
    mean = batch.library_size[i] * torch.softmax(logits, -1) + config.mean_floor
    theta = weights["log_concentration"].exp()
    counts = td.NegativeBinomial(theta, logits=(mean / theta).log())
    return counts.log_prob(batch.counts[i]).sum(), term


def _of_batch(weights: Weights, name: str, batch: Minibatch, i: int) -> Tensor | float:
    if batch.batch_index is None:
        return 0.0
    return weights[f"{name}.weight"][batch.batch_index[i]]


def _mask_term(
    module: PerturbationVAE, weights: Weights, t: int, point: Point, exact: bool
) -> Tensor:
    """Of ``m_t`` and, where it is learned, of its prior probability."""
    config = module.config
    if isinstance(config, CPAVAEConfig | ConditionalVAEConfig):
        return point.z_basal.new_zeros(())
    assert isinstance(config, SAMSVAEConfig | SVAEPlusConfig)
    q = td.Bernoulli(logits=weights["mask_logits"][t])
    if isinstance(config, SAMSVAEConfig) and not config.learned_mask_prior:
        prior = torch.full_like(point.mask[t], config.mask_prior)
        return _term(q, td.Bernoulli(prior), point.mask[t], exact)
    probability = torch.sigmoid(weights["mask_logits"][t])
    a, b = (probability.new_tensor(v) for v in (config.mask_prior_a, config.mask_prior_b))
    of_probability = td.Beta(a, b).log_prob(probability).sum()
    return _term(q, td.Bernoulli(probability), point.mask[t], exact) + of_probability


def _embedding_term(
    module: PerturbationVAE, weights: Weights, t: int, point: Point, exact: bool
) -> Tensor:
    config = module.config
    if not isinstance(config, CPAVAEConfig | SAMSVAEConfig):
        return point.z_basal.new_zeros(())
    q = slow_embedding_guide(module, weights, t, point.mask[t])
    prior = td.Normal(torch.zeros_like(q.loc), config.embedding_prior_scale)
    return _term(q, prior, point.embedding[t], exact)


def _term(q: td.Distribution, p: td.Distribution, value: Tensor, exact: bool) -> Tensor:
    if exact:
        return -td.kl_divergence(q, p).sum()
    return (p.log_prob(value) - q.log_prob(value)).sum()


def _mlp(weights: Weights, name: str, x: Tensor, offset: Tensor | float = 0.0) -> Tensor:
    """A residual MLP; ``offset`` is added before the first layer's non-linearity."""
    before = weights[f"{name}.layers.0.weight"] @ x + weights[f"{name}.layers.0.bias"] + offset
    h = F.leaky_relu(before, 0.01)
    layer = 1
    while f"{name}.layers.{layer}.weight" in weights:
        weight, bias = (weights[f"{name}.layers.{layer}.{part}"] for part in ("weight", "bias"))
        h = F.leaky_relu(weight @ h + bias, 0.01) + h
        layer += 1
    return h


def _gaussian(weights: Weights, name: str, h: Tensor) -> td.Normal:
    mean = weights[f"{name}.mean.weight"] @ h + weights[f"{name}.mean.bias"]
    log_variance = weights[f"{name}.log_variance.weight"] @ h + weights[f"{name}.log_variance.bias"]
    return td.Normal(mean, (log_variance.exp() + 1e-4).sqrt())
