"""What the model predicts for a combination of perturbations, against the sum of its parts."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from sams_core.analysis.combination_summaries import (
    BlockMoments,
    ShiftSummary,
    block_moments,
    summarise,
)
from sams_core.analysis.decoded_expression import expression_curve
from sams_core.analysis.drawn_cells import LibrarySize
from sams_core.analysis.expression_curves import ExpressionCurve
from sams_core.errors import ConfigError
from sams_core.models import PerturbationVAE

INTERVAL = (0.05, 0.95)
"""Posterior quantiles of the reported intervals."""

_BLOCKS = 16
_STATES = 4  # antithetic pairs of cell states in a block
_WITH_INTERVAL = ("predicted", "interaction")


class TrainedModel(Protocol):
    """What a prediction reads of a trained model."""

    module: PerturbationVAE

    @property
    def library_sizes(self) -> npt.NDArray[np.floating]:
        """Quantiles of the training cells' total counts."""

    @property
    def gene_names(self) -> pd.Index:
        """Names of the G genes."""

    @property
    def perturbation_names(self) -> pd.Index:
        """Names of the T perturbations."""


@dataclass(frozen=True)
class CombinationPrediction:
    """Expected expression shifts of single perturbations and of their combination.

    Attributes
    ----------
    table
        By gene, in log2 units against control: one column for each single, ``additive`` (their
        sum), ``predicted`` (the model's combination) and ``interaction`` (predicted minus
        additive). Beside each, ``NAME_sd`` is the posterior standard deviation over the guide's
        E and M; ``predicted`` and ``interaction`` also have ``NAME_lower`` and ``NAME_upper``
        (5 % and 95 % posterior quantiles) and ``NAME_se`` (Monte Carlo standard error).
    perturbations
        The singles, in the order asked for.
    doses
        The dose of each.
    n_particles
        Posterior draws of E and M.
    """

    table: pd.DataFrame
    perturbations: tuple[str, ...]
    doses: tuple[float, ...]
    n_particles: int


def predict_combination(
    model: TrainedModel,
    perturbations: Sequence[str],
    *,
    doses: Mapping[str, float] | None = None,
    library_size: LibrarySize | None = None,
    n_particles: int = 512,
    seed: int = 0,
) -> CombinationPrediction:
    """Predict the expression shift of a combination, measured or not.

    Control, singles and combination share every draw of E, M and the cell state z_basal;
    expression is the expectation of the log-normalised counts given the state, so that no count
    noise enters. Intervals speak of the mean shift over cells, not of single cells: draws of E
    and M are compared at cell states that they share.

    Parameters
    ----------
    model
        A trained model.
    perturbations
        Two or more different names.
    doses
        Dose of each perturbation; 1 where not given.
    library_size
        Counts of a cell, or sizes to average over; by default those of the training cells.
    n_particles
        Posterior draws of E and M, at least 4; rounded down to a multiple of 16 from 32 up.
    seed
        Of every draw.

    Raises
    ------
    ConfigError
        For an unknown or repeated name, fewer than two, a bad dose, or too few particles.
    """
    names = _check_names(perturbations, model.perturbation_names)
    amounts = _check_doses(names, doses or {})
    if n_particles < 4:
        raise ConfigError(f"n_particles is {n_particles}: use at least 4, to have an interval.")
    sizes = model.library_sizes if library_size is None else library_size
    columns = model.perturbation_names.get_indexer(pd.Index(names))
    with torch.no_grad():
        blocks = _blocks(model.module, columns, amounts, sizes, n_particles, seed)
    table = _tabulate(names, summarise(blocks, INTERVAL, len(_WITH_INTERVAL)))
    table.index = pd.Index(model.gene_names, name="gene")
    return CombinationPrediction(
        table, names, amounts, sum(block.deviation.shape[1] for block in blocks)
    )


def _blocks(
    module: PerturbationVAE,
    columns: npt.NDArray[np.intp],
    doses: Sequence[float],
    library_size: LibrarySize,
    n_particles: int,
    seed: int,
) -> list[BlockMoments]:
    """Moments of each single, their sum, the combination and its difference from the sum.

    There are B blocks of D draws of E and M; the draws of a block share S cell states, each the
    average of an antithetic pair.
    """
    device, dtype = module.log_concentration.device, module.log_concentration.dtype
    generator = torch.Generator(device=device).manual_seed(seed)
    n_blocks = min(_BLOCKS, n_particles // 2)
    draws = n_particles // n_blocks
    carried, order = np.unique(columns, return_inverse=True)  # so that names may come in any order
    perturbations = torch.as_tensor(carried, device=device)
    sample = module.sample_shift_parameters(n_blocks * draws, generator, perturbations)
    amounts = torch.as_tensor(doses, device=device, dtype=dtype)
    parts = torch.zeros(len(doses) + 1, len(doses), device=device, dtype=dtype)
    parts[torch.arange(len(doses)), torch.as_tensor(order)] = amounts
    parts[-1] = parts[:-1].sum(0)
    shifts = module.shift(parts, sample).transpose(0, 1)  # (C, B * D, L)
    shifts = shifts.unflatten(1, (n_blocks, draws)).transpose(0, 1)  # (B, C, D, L)
    dosages = parts.new_zeros(len(parts), module.n_perturbations)
    dosages[:, perturbations] = parts

    half = torch.randn(
        (n_blocks, _STATES, 1, module.n_latent), device=device, dtype=dtype, generator=generator
    )
    states = torch.cat([half, -half], dim=1)  # (B, 2S, 1, L)
    untreated = module.state(states, torch.zeros_like(states), torch.zeros_like(dosages[:1]))
    control = module.log_proportions(untreated)  # (B, 2S, 1, G)
    curve = expression_curve(module, control, library_size)
    return [
        block_moments(_with_sums(_block_shifts(module, curve, *block, dosages)))
        for block in zip(states, shifts, curve(control), strict=True)
    ]


def _block_shifts(
    module: PerturbationVAE,
    curve: ExpressionCurve,
    states: Tensor,
    shifts: Tensor,
    control: Tensor,
    dosages: Tensor,
) -> Tensor:
    """Expression shifts of a block, averaged over antithetic pairs of states: (C, S, D, G).

    Parameters
    ----------
    module
        The model.
    curve
        Expected expression.
    states : (2S, 1, L) tensor
        Cell states.
    shifts : (C, D, L) tensor
        Latent shifts.
    control : (2S, 1, G) tensor
        Expected expression of the states untreated.
    dosages : (C, T) tensor
        Doses behind the shifts.
    """
    basal = states.expand(-1, shifts.shape[1], -1)
    treated = [
        module.state(basal, shift, dosage) for shift, dosage in zip(shifts, dosages, strict=True)
    ]
    expression = curve(module.log_proportions(torch.stack(treated)))  # (C, 2S, D, G)
    plus, minus = expression.sub_(control).chunk(2, dim=1)
    return plus.add_(minus).mul_(0.5)


def _with_sums(shifts: Tensor) -> Tensor:
    """Singles, their sum, the combination and its difference from the sum: (C + 2, S, D, G)."""
    singles, predicted = shifts[:-1], shifts[-1:]
    additive = singles.sum(0, keepdim=True)
    return torch.cat([singles, additive, predicted, predicted - additive])


def _tabulate(names: Sequence[str], summary: ShiftSummary) -> pd.DataFrame:
    """Columns of the prediction's table."""
    columns: dict[str, npt.NDArray[np.floating]] = {}
    for row, name in enumerate([*names, "additive", *_WITH_INTERVAL]):
        columns[name] = summary.mean[row]
        columns[f"{name}_sd"] = summary.sd[row]
        if name in _WITH_INTERVAL:
            place = _WITH_INTERVAL.index(name)
            columns[f"{name}_lower"] = summary.lower[place]
            columns[f"{name}_upper"] = summary.upper[place]
            columns[f"{name}_se"] = summary.standard_error[row]
    return pd.DataFrame(columns, dtype=np.float64)


def _check_names(perturbations: Sequence[str], known: pd.Index) -> tuple[str, ...]:
    names = tuple(str(name) for name in perturbations)
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, [str(value) for value in known], 3)
            hint = f" Did you mean {' or '.join(near)}?" if near else ""
            raise ConfigError(f"The model knows no perturbation {name!r}.{hint}")
    if len(set(names)) != len(names):
        raise ConfigError("A perturbation is named twice: name each once and give its dose.")
    if len(names) < 2:
        raise ConfigError("A combination needs at least two perturbations: name another one.")
    return names


def _check_doses(names: Sequence[str], doses: Mapping[str, float]) -> tuple[float, ...]:
    for name, dose in doses.items():
        if name not in names:
            raise ConfigError(f"A dose is given for {name!r}, which is not in the combination.")
        if not np.isfinite(dose) or dose < 0:
            raise ConfigError(f"The dose of {name!r} is {dose}: give a number from 0 upwards.")
    return tuple(float(doses.get(name, 1.0)) for name in names)
