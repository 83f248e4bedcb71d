"""What a pair of perturbations is scored by: goals, interaction, novelty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from sams_core.analysis.pair_ranking import PROJECTION
from sams_core.errors import ConfigError

SUFFIXES = ("", "_sd", "_se", "_first", "_second", "_additive", "_deviation_sd")
"""Ends of the names of a goal's columns."""
OTHER_COLUMNS = (
    "first",
    "second",
    "in_training",
    "size",
    "interaction",
    "interaction_sd",
    "interaction_se",
    "interaction_ratio",
    "cosine",
    "novelty",
    "nearest",
    *(PROJECTION + suffix for suffix in SUFFIXES),
)
"""Columns of a search that no goal makes."""


@dataclass(frozen=True)
class Goals:
    """What pairs are scored by.

    Attributes
    ----------
    names
        Of the m goals; the last is `PROJECTION` if there is a profile to move to.
    weights : (G, m) tensor
        Weight of each gene in each goal.
    target : (G,) tensor or None
        Profile to move to; 0 where it has no number.
    target_genes : (G,) tensor or None
        1 where it has one.
    references : (C, G) tensor or None
        Mean effects of the training conditions, the first of them none at all: the control.
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
            Name to mean effect (G,) of each training condition.
        like
            A tensor of the right type and device.

        Raises
        ------
        ConfigError
            For a goal without genes of the model or whose columns would be named like others, or a
            profile that says nothing.
        """
        _check_names(goals)
        weights = np.zeros((len(genes), len(goals)))
        for column, (name, members) in enumerate(goals.items()):
            found = genes.get_indexer(pd.Index([str(gene) for gene in members]).unique())
            found = found[found >= 0]
            if not len(found):
                raise ConfigError(f"None of the genes of goal {name!r} is in the model: name some.")
            weights[found, column] = 1 / len(found)
        names = tuple(map(str, goals))
        target = target_genes = references = None
        if towards is not None:
            values = towards.reindex(genes).to_numpy(float)
            known = np.isfinite(values)
            if not np.any(values[known]):
                raise ConfigError(
                    "The profile to move to is 0 or unknown for every gene: choose another."
                )
            filled = np.where(known, values, 0.0)
            names = (*names, PROJECTION)
            weights = np.column_stack([weights, filled / np.square(filled).sum()])
            target = torch.as_tensor(filled).to(like)
            target_genes = torch.as_tensor(known).to(like)
        if training:
            means = list(training.values())
            references = torch.stack([torch.zeros_like(means[0]), *means])
        return cls(
            names,
            torch.as_tensor(weights).to(like),
            target,
            target_genes,
            references,
            ("control", *training),
        )


def _check_names(goals: Mapping[str, Sequence[str]]) -> None:
    """Refuse goals of which a column would be named like another one of the table."""
    taken = set(OTHER_COLUMNS)
    for name in goals:
        columns = {f"{name}{suffix}" for suffix in SUFFIXES}
        if clash := sorted(columns & taken):
            raise ConfigError(
                f"A goal cannot be called {name!r}, as the table has a column {clash[0]!r} "
                "without it: choose another name."
            )
        taken |= columns


def mean_columns(effects: Tensor, first: Tensor, second: Tensor, goals: Goals) -> dict[str, Tensor]:
    """Columns of n pairs that come from their effects.

    Parameters
    ----------
    effects : (n, B, S, D, G) tensor
        Effects of the pairs.
    first, second : (n, B, S, D, m) tensors
        What their single perturbations do for each goal.
    goals
        What is asked for.
    """
    mean = effects.mean((1, 2, 3))  # (n, G)
    columns = {"size": mean.square().mean(1).sqrt()}
    if goals.names:
        values = effects @ goals.weights  # (n, B, S, D, m)
        for column, name in enumerate(goals.names):
            pair, *singles = (each[..., column] for each in (values, first, second))
            columns |= _summary(name, pair, *singles)
    if goals.target is not None and goals.target_genes is not None:
        length = torch.linalg.vector_norm(goals.target)
        scale = torch.linalg.vector_norm(mean * goals.target_genes, dim=1) * length
        columns["cosine"] = (mean @ goals.target) / scale.clamp_min(1e-12)
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
    interaction of the other blocks; the standard error is of its mean over blocks.

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
    se = along.mean((2, 3)).std(1) / n_blocks**0.5
    both = torch.hypot(sd, se)
    return {
        "interaction": length / n_genes**0.5,
        "interaction_sd": sd / n_genes**0.5,
        "interaction_se": se / n_genes**0.5,
        "interaction_ratio": torch.where(both > 0, length / both.clamp_min(1e-12), 0.0),
    }


def posterior_sd(values: Tensor) -> Tensor:
    """Standard deviation over posterior draws of (n, B, S, D) values: (n,).

    Within a block, draws share their S states, so that what states do is no part of it; only what
    a draw does otherwise at some states than at others is, by 1/S of its variance.
    """
    _, blocks, _, draws = values.shape
    by_draw = values.mean(2)
    deviation = by_draw - by_draw.mean(2, keepdim=True)  # (n, B, D)
    return (deviation.square().sum((1, 2)) / (blocks * (draws - 1))).sqrt()


def _summary(name: str, pair: Tensor, first: Tensor, second: Tensor) -> dict[str, Tensor]:
    """Columns `SUFFIXES` of (n, B, S, D) values of pairs and of their singles."""
    blocks = pair.mean((2, 3))
    alone = [each.mean((1, 2, 3)) for each in (first, second)]
    return {
        name: blocks.mean(1),
        f"{name}_sd": posterior_sd(pair),
        f"{name}_se": blocks.std(1) / blocks.shape[1] ** 0.5,
        f"{name}_first": alone[0],
        f"{name}_second": alone[1],
        f"{name}_additive": alone[0] + alone[1],
        f"{name}_deviation_sd": posterior_sd(pair - first - second),
    }
