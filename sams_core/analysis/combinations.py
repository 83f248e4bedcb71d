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

from sams_core.analysis.effects import LibrarySize
from sams_core.analysis.expected import ExpressionTable, tabulate
from sams_core.errors import ConfigError
from sams_core.models import PerturbationVAE

INTERVAL = (0.05, 0.95)
"""Posterior quantiles of the reported intervals."""

_BLOCKS = 16
_STATES = 4  # antithetic pairs of cell states in a block
_LIBRARY_NODES = 5


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
        shifts = _shifts(model.module, columns, amounts, sizes, n_particles, seed)
    table = _tabulate(names, shifts.double().cpu().numpy())
    table.index = pd.Index(model.gene_names, name="gene")
    return CombinationPrediction(table, names, amounts, shifts.shape[1] * shifts.shape[3])


def _shifts(
    module: PerturbationVAE,
    columns: npt.NDArray[np.intp],
    doses: Sequence[float],
    library_size: LibrarySize,
    n_particles: int,
    seed: int,
) -> Tensor:
    """Shifts of each single and, last, of the combination: (C, B, S, D, G).

    B blocks of D draws of E and M; the draws of a block share S cell states, each the average of
    an antithetic pair.
    """
    device, dtype = module.log_concentration.device, module.log_concentration.dtype
    generator = torch.Generator(device=device).manual_seed(seed)
    blocks = min(_BLOCKS, n_particles // 2)
    draws = n_particles // blocks
    dosages = torch.zeros(len(columns) + 1, module.n_perturbations, device=device, dtype=dtype)
    for row, (column, dose) in enumerate(zip(columns, doses, strict=True)):
        dosages[row, column] = dosages[-1, column] = dose
    sample = module.sample_shift_parameters(blocks * draws, generator)
    shifts = module.shift(dosages, sample).transpose(0, 1)  # (C, B * D, L)
    shifts = shifts.unflatten(1, (blocks, draws))[:, :, None]  # (C, B, 1, D, L)

    shape = (blocks, _STATES, 1, module.config.n_latent)
    half = torch.randn(shape, device=device, dtype=dtype, generator=generator)
    states = torch.cat([half, -half], dim=1)  # (B, 2S, 1, L)
    untreated = module.state(states, torch.zeros_like(states), torch.zeros_like(dosages[:1]))
    control = module.log_proportions(untreated)  # (B, 2S, 1, G)
    basal = states.expand(-1, -1, draws, -1)
    treated = [
        module.log_proportions(module.state(basal, shift, dose))
        for shift, dose in zip(shifts, dosages, strict=True)
    ]
    expression = _expression_table(module, [control, *treated], library_size)
    baseline = expression(control)
    return torch.stack(
        [(expression(part) - baseline).unflatten(1, (2, _STATES)).mean(1) for part in treated]
    )


def _expression_table(
    module: PerturbationVAE, log_proportions: Sequence[Tensor], library_size: LibrarySize
) -> ExpressionTable:
    """Table that covers all the given log proportions, of which control's come first."""
    flat = [values.flatten(0, -2) for values in log_proportions]
    sizes = np.atleast_1d(np.asarray(library_size, np.float64))
    levels = (np.arange(_LIBRARY_NODES) + 0.5) / _LIBRARY_NODES
    nodes = np.unique(np.quantile(sizes, levels)) if len(sizes) > 1 else sizes
    return tabulate(
        torch.stack([values.amin(0) for values in flat]).amin(0),
        torch.stack([values.amax(0) for values in flat]).amax(0),
        module.log_concentration,
        reference=flat[0].exp().mean(0),
        library_sizes=torch.as_tensor(nodes).to(flat[0]),
        mean_floor=module.config.mean_floor,
    )


def _tabulate(names: Sequence[str], shifts: npt.NDArray[np.float64]) -> pd.DataFrame:
    """Columns of the prediction's table from (C, B, S, D, G) shifts, the combination last."""
    additive = shifts[:-1].sum(0)
    parts = dict(zip(names, shifts[:-1], strict=True))
    parts |= {
        "additive": additive,
        "predicted": shifts[-1],
        "interaction": shifts[-1] - additive,
    }
    columns: dict[str, npt.NDArray[np.float64]] = {}
    for name, values in parts.items():
        summary = _summarise(values)
        columns[name] = summary.mean
        columns[f"{name}_sd"] = summary.sd
        if name in ("predicted", "interaction"):
            columns[f"{name}_lower"], columns[f"{name}_upper"] = summary.lower, summary.upper
            columns[f"{name}_se"] = summary.standard_error
    return pd.DataFrame(columns)


@dataclass(frozen=True)
class _Summary:
    mean: npt.NDArray[np.float64]
    standard_error: npt.NDArray[np.float64]
    sd: npt.NDArray[np.float64]
    lower: npt.NDArray[np.float64]
    upper: npt.NDArray[np.float64]


def _summarise(values: npt.NDArray[np.float64]) -> _Summary:
    """Mean over cell states, and its spread over draws, of (B, S, D, G) shifts.

    Within a block, the variance over draws of the average over S shared states is the wanted
    variance plus 1/S of the draw-by-state interaction's, which the two-way residuals give.
    """
    blocks, states, draws, _ = values.shape
    by_draw = values.mean(1)  # (B, D, G)
    by_block = by_draw.mean(1)  # (B, G)
    deviation = by_draw - by_block[:, None]
    observed = np.square(deviation).sum((0, 1)) / (blocks * (draws - 1))
    residual = values - values.mean(2, keepdims=True) - deviation[:, None]
    interaction = np.square(residual).sum((0, 1, 2)) / (blocks * (states - 1) * (draws - 1))
    wanted = np.clip(observed - interaction / states, 0, None)
    share = np.divide(wanted, observed, out=np.zeros_like(observed), where=observed > 0)
    scale = np.sqrt(share * draws / (draws - 1))
    lower, upper = np.quantile(deviation.reshape(blocks * draws, -1), INTERVAL, axis=0) * scale
    mean = by_block.mean(0)
    standard_error = by_block.std(0, ddof=1) / np.sqrt(blocks)
    return _Summary(mean, standard_error, np.sqrt(wanted), mean + lower, mean + upper)


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
