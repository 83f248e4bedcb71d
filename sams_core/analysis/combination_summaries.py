"""Mean over cell states of drawn shifts, and its spread over draws of what perturbations do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import norm
from torch import Tensor

FloatArray = npt.NDArray[np.floating]


@dataclass(frozen=True)
class BlockMoments:
    """What a block of D draws that share S cell states says of R quantities.

    Attributes
    ----------
    mean : (R, G) tensor
        Over draws and states.
    deviation : (R, D, G) tensor
        Of each draw's mean over states from ``mean``.
    interaction : (R, G) tensor
        Sum of the squared residuals of draws by states.
    between_states : (R, G) tensor
        Sum of the squared deviations of each state's mean over draws from ``mean``.
    n_states
        S.
    """

    mean: Tensor
    deviation: Tensor
    interaction: Tensor
    between_states: Tensor
    n_states: int


def block_moments(values: Tensor) -> BlockMoments:
    """Moments of (R, S, D, G) values, which are overwritten."""
    by_draw = values.mean(1)  # (R, D, G)
    mean = by_draw.mean(1)
    deviation = by_draw.sub_(mean[:, None])
    by_state = values.mean(2, keepdim=True)  # (R, S, 1, G)
    between = (by_state - mean[:, None, None]).square_().sum((1, 2))
    values.sub_(by_state).sub_(deviation[:, None])
    return BlockMoments(mean, deviation, values.square_().sum((1, 2)), between, values.shape[1])


@dataclass(frozen=True)
class ShiftSummary:
    """Summaries of R quantities over draws, (R, G) arrays in float32.

    Attributes
    ----------
    mean
        Over draws and cell states.
    standard_error
        Monte Carlo standard error of ``mean``.
    sd
        Standard deviation over draws of the mean over cell states.
    lower, upper
        Quantiles over draws.
    """

    mean: FloatArray
    standard_error: FloatArray
    sd: FloatArray
    lower: FloatArray
    upper: FloatArray


def summarise(
    blocks: list[BlockMoments], interval: tuple[float, float], n_cells: int | None = None
) -> ShiftSummary:
    """Summarise blocks.

    Within a block, the variance over draws of the average over S shared states is the wanted
    variance plus 1/S of the draw-by-state interaction's, which the two-way residuals give. The
    deviations of draws are scaled to the wanted variance before their quantiles are taken.

    Parameters
    ----------
    blocks
        Moments of each.
    interval
        Levels of the quantiles.
    n_cells
        Number of cells of which the states are a sample, one cell a state and two states averaged
        in each of the S: then standard deviations and quantiles also hold the uncertainty of a
        mean over so many cells, added as an independent Gaussian.
    """
    n, states, draws = len(blocks), blocks[0].n_states, blocks[0].deviation.shape[1]
    means = torch.stack([block.mean for block in blocks])  # (B, R, G)
    squares = torch.stack([block.deviation.square().sum(1) for block in blocks]).sum(0)
    observed = squares / (n * (draws - 1))
    residual = torch.stack([block.interaction for block in blocks]).sum(0)
    residual /= n * (states - 1) * (draws - 1)
    wanted = (observed - residual / states).clamp_min_(0)
    share = torch.where(observed > 0, wanted / observed, torch.zeros_like(wanted))
    scale = (share * (draws / (draws - 1))).sqrt().cpu().numpy()
    deviations = [block.deviation.mT.cpu().numpy() for block in blocks]
    low, high = (side * scale for side in _quantiles(np.concatenate(deviations, axis=-1), interval))
    sd = wanted.sqrt().cpu().numpy()
    if n_cells is not None:
        between = torch.stack([block.between_states for block in blocks]).sum(0)
        between /= n * (states - 1)  # of averages of two states
        of_cells = (2 * between / n_cells).sqrt().cpu().numpy()
        below, above = (float(norm.ppf(level)) for level in interval)
        low = -np.hypot(low, below * of_cells)
        high = np.hypot(high, above * of_cells)
        sd = np.hypot(sd, of_cells)
    mean = means.mean(0).cpu().numpy()
    error = (means.std(0) / n**0.5).cpu().numpy()
    return ShiftSummary(mean, error, sd, mean + low, mean + high)


def _quantiles(values: FloatArray, levels: tuple[float, float]) -> list[FloatArray]:
    """``numpy.quantile`` over the last axis, by a whole sort: for float32 it is quicker."""
    ordered = np.sort(values, axis=-1)
    found = []
    for level in levels:
        place = level * (values.shape[-1] - 1)
        below = min(int(place), values.shape[-1] - 2)
        left, right = ordered[..., below], ordered[..., below + 1]
        found.append(left + (right - left) * (place - below))
    return found
