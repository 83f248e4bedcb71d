"""What a pair of perturbations is scored by: goals, interaction, novelty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sams_core.errors import ConfigError

TAKEN = ("size", "interaction", "cosine", "projection", "novelty", "nearest", "first", "second")
"""Names that a goal cannot have."""


@dataclass(frozen=True)
class Goals:
    """What pairs are scored by.

    Attributes
    ----------
    names
        Of the m goals.
    weights : (G, m) tensor
        Weight of each gene in each goal.
    target : (G,) tensor or None
        Profile to move to; 0 where it has no number.
    target_genes : (G,) tensor or None
        1 where it has one.
    references : (C, G) tensor or None
        Effects of the training conditions, the first of them none at all: the control.
    reference_names
        Their names.
    """

    names: tuple[str, ...]
    weights: Tensor
    target: Tensor | None
    target_genes: Tensor | None
    references: Tensor | None
    reference_names: tuple[str, ...]

    @classmethod
    def make(
        cls,
        genes: pd.Index,
        goals: Mapping[str, Sequence[str]],
        towards: pd.Series | None,
        training: Mapping[str, Tensor],
        like: Tensor,
    ) -> Goals:
        """Goals over named genes.

        Parameters
        ----------
        genes
            The model's.
        goals
            Name to genes.
        towards
            Profile by gene.
        training
            Name to (B, S, D, G) effects of each training condition.
        like
            A tensor of the right type and device.

        Raises
        ------
        ConfigError
            For a goal without genes of the model or with a name that is taken, or a profile that
            says nothing.
        """
        weights = np.zeros((len(genes), len(goals)))
        for column, (name, members) in enumerate(goals.items()):
            found = genes.get_indexer(pd.Index([str(gene) for gene in members]).unique())
            found = found[found >= 0]
            if not len(found):
                raise ConfigError(f"None of the genes of goal {name!r} is in the model: name some.")
            if name in TAKEN:
                raise ConfigError(f"A goal cannot be called {name!r}: choose another name.")
            weights[found, column] = 1 / len(found)
        target = target_genes = references = None
        if towards is not None:
            values = towards.reindex(genes).to_numpy(float)
            known = np.isfinite(values)
            if not np.any(values[known]):
                raise ConfigError(
                    "The profile to move to is 0 or unknown for every gene: choose another."
                )
            target = torch.as_tensor(np.where(known, values, 0.0)).to(like)
            target_genes = torch.as_tensor(known).to(like)
        if training:
            means = [effects.mean((0, 1, 2)) for effects in training.values()]
            references = torch.stack([torch.zeros_like(means[0]), *means])
        return cls(
            tuple(map(str, goals)),
            torch.as_tensor(weights).to(like),
            target,
            target_genes,
            references,
            ("control", *training),
        )


def mean_columns(effects: Tensor, additive: Tensor, goals: Goals) -> dict[str, Tensor]:
    """Columns of n pairs that come from their mean effect.

    Parameters
    ----------
    effects, additive : (n, B, S, D, G) tensors
        Effects of the pairs, and the sums of their singles'.
    goals
        What is asked for.
    """
    mean = effects.mean((1, 2, 3))  # (n, G)
    columns = {"size": mean.square().mean(1).sqrt()}
    if goals.names:
        values = effects @ goals.weights  # (n, B, S, D, m)
        sums = additive.mean((1, 2, 3)) @ goals.weights
        for column, name in enumerate(goals.names):
            columns |= _summary(name, values[..., column])
            columns[f"{name}_additive"] = sums[:, column]
    if goals.target is not None and goals.target_genes is not None:
        length = torch.linalg.vector_norm(goals.target)
        along = effects @ (goals.target / length.square())
        scale = torch.linalg.vector_norm(mean * goals.target_genes, dim=1) * length
        columns["cosine"] = (mean @ goals.target) / scale.clamp_min(1e-12)
        columns |= _summary("projection", along)
    if goals.references is not None:
        squares = torch.cdist(mean, goals.references).square() / mean.shape[1]
        nearest = squares.argmin(1)
        columns["novelty"] = squares.gather(1, nearest[:, None])[:, 0].sqrt()
        columns["nearest"] = nearest
    return columns


def interaction_columns(interaction: Tensor) -> dict[str, Tensor]:
    """Size of the interaction of n pairs, and its uncertainty.

    The mean square of a noisy mean is too large; products of different blocks' means are not, as
    blocks are independent. The standard deviation is that of each draw's component along the
    interaction of the other blocks.

    Parameters
    ----------
    interaction : (n, B, S, D, G) tensor
        Predicted effect minus the sum of the singles'.
    """
    n_blocks, n_genes = interaction.shape[1], interaction.shape[-1]
    blocks = interaction.mean((2, 3))  # (n, B, G)
    others = (blocks.sum(1, keepdim=True) - blocks) / (n_blocks - 1)
    square = (blocks * others).sum(-1).mean(1).clamp_min(0)  # of the length
    length = square.sqrt()
    along = torch.einsum("nbsdg,nbg->nbsd", interaction, others)
    along = along / torch.linalg.vector_norm(others, dim=-1).clamp_min(1e-12)[..., None, None]
    sd = posterior_sd(along)
    return {
        "interaction": length / n_genes**0.5,
        "interaction_sd": sd / n_genes**0.5,
        "interaction_ratio": torch.where(sd > 0, length / sd.clamp_min(1e-12), 0.0),
    }


def posterior_sd(values: Tensor) -> Tensor:
    """Standard deviation over posterior draws of (n, B, S, D) values: (n,).

    Within a block, the variance over draws of the mean over S shared states is the wanted one plus
    1/S of the draw-by-state interaction's, which the two-way residuals give.
    """
    _, blocks, states, draws = values.shape
    by_draw = values.mean(2)
    deviation = by_draw - by_draw.mean(2, keepdim=True)  # (n, B, D)
    observed = deviation.square().sum((1, 2)) / (blocks * (draws - 1))
    residual = values - values.mean(3, keepdim=True) - deviation[:, :, None]
    spread = residual.square().sum((1, 2, 3)) / (blocks * (states - 1) * (draws - 1))
    return (observed - spread / states).clamp_min(0).sqrt()


def _summary(name: str, values: Tensor) -> dict[str, Tensor]:
    """Mean, posterior sd and Monte Carlo error of (n, B, S, D) values."""
    blocks = values.mean((2, 3))
    return {
        name: blocks.mean(1),
        f"{name}_sd": posterior_sd(values),
        f"{name}_se": blocks.std(1) / blocks.shape[1] ** 0.5,
    }
