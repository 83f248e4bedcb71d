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

from sams_core.analysis.combination_background import Background
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
_COMBINED = ("additive", "predicted", "interaction", "network", "scale")
_WITH_ERROR = _COMBINED[1:]


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
        additive), which has two parts: ``scale``, what a decoder linear in the log proportions
        before they are shares would give (shares add up to 1, and log2(1 + x) is no logarithm near
        0), and ``network``, the rest, which is the bend of the decoder's network. Beside each,
        ``NAME_sd`` is the posterior standard deviation over the guide's E and M, ``NAME_lower``
        and ``NAME_upper`` are the 5 % and 95 % posterior quantiles; from ``predicted`` on,
        ``NAME_se`` is the Monte Carlo standard error. With a background of n cells, intervals and
        standard deviations also hold the uncertainty of a mean over n cells.
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
    background: Background | None = None,
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
    background
        The cells it is done to; by default unperturbed cells as the model draws them.
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
        blocks = _blocks(model.module, columns, amounts, sizes, background, n_particles, seed)
    n_cells = None if background is None else len(background)
    table = _tabulate(names, summarise(blocks, INTERVAL, n_cells))
    table.index = pd.Index(model.gene_names, name="gene")
    return CombinationPrediction(
        table, names, amounts, sum(block.deviation.shape[1] for block in blocks)
    )


def _blocks(
    module: PerturbationVAE,
    columns: npt.NDArray[np.intp],
    doses: Sequence[float],
    library_size: LibrarySize,
    background: Background | None,
    n_particles: int,
    seed: int,
) -> list[BlockMoments]:
    """Moments of each single and of what `_COMBINED` names.

    There are B blocks of D draws of E and M; the draws of a block share S pairs of cell states,
    antithetic ones where states come from the prior.
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

    states, batch = _states(module, background, n_blocks, generator)  # (B, 2S, 1, L)
    untreated = module.state(states, torch.zeros_like(states), torch.zeros_like(dosages[:1]))
    control = module.log_proportions(untreated, batch)  # (B, 2S, 1, G)
    curve = expression_curve(module, control, library_size)
    return [
        block_moments(_with_sums(_block_shifts(module, curve, *block, dosages, batch)))
        for block in zip(states, shifts, control, strict=True)
    ]


def _states(
    module: PerturbationVAE,
    background: Background | None,
    n_blocks: int,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor | None]:
    """Cell states (B, 2S, 1, L), and the batch that they are decoded in."""
    like = module.log_concentration
    if background is not None:
        states = background.draw((n_blocks, 2 * _STATES), generator, like)
        return states, background.batch_index(like)
    shape = (n_blocks, _STATES, 1, module.n_latent)
    half = torch.randn(shape, device=like.device, dtype=like.dtype, generator=generator)
    return torch.cat([half, -half], dim=1), None


def _block_shifts(
    module: PerturbationVAE,
    curve: ExpressionCurve,
    states: Tensor,
    shifts: Tensor,
    control: Tensor,
    dosages: Tensor,
    batch: Tensor | None,
) -> Tensor:
    """Expression shifts of a block, averaged over pairs of states: (C + 1, S, D, G).

    The last is the combination's under a decoder that is linear in log proportions before they are
    normalised.

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
        Log proportions of the states untreated.
    dosages : (C, T) tensor
        Doses behind the shifts.
    batch
        Of the cells.
    """
    basal = states.expand(-1, shifts.shape[1], -1)
    treated = [
        module.state(basal, shift, dosage) for shift, dosage in zip(shifts, dosages, strict=True)
    ]
    decoded = module.log_proportions(torch.stack(treated), batch)  # (C, 2S, D, G)
    linear = decoded[:-1].sum(0).sub_((len(decoded) - 2) * control).log_softmax(-1)
    expression = curve(torch.cat([decoded, linear[None]])).sub_(curve(control))
    plus, minus = expression.chunk(2, dim=1)
    return plus.add_(minus).mul_(0.5)


def _with_sums(shifts: Tensor) -> Tensor:
    """Singles and what `_COMBINED` names of (C + 1, S, D, G) shifts: (C + 4, S, D, G)."""
    singles, predicted, linear = shifts[:-2], shifts[-2:-1], shifts[-1:]
    additive = singles.sum(0, keepdim=True)
    parts = [predicted - additive, predicted - linear, linear - additive]
    return torch.cat([singles, additive, predicted, *parts])


def _tabulate(names: Sequence[str], summary: ShiftSummary) -> pd.DataFrame:
    """Columns of the prediction's table."""
    columns: dict[str, npt.NDArray[np.floating]] = {}
    for row, name in enumerate([*names, *_COMBINED]):
        columns[name] = summary.mean[row]
        columns[f"{name}_sd"] = summary.sd[row]
        columns[f"{name}_lower"] = summary.lower[row]
        columns[f"{name}_upper"] = summary.upper[row]
        if name in _WITH_ERROR:
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
