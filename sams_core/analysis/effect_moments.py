"""Means over particles of differences between conditions and control, with their errors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


class EffectMoments:
    """Moments over particles of (C, G) differences, in float64.

    Parameters
    ----------
    n_particles
        Particles that are added in all.
    shape
        Conditions C and genes G.
    device
        Where the differences are.
    """

    def __init__(self, n_particles: int, shape: tuple[int, int], device: torch.device) -> None:
        self.n_particles = n_particles
        self._total = torch.zeros(shape, dtype=torch.float64, device=device)
        self._squares = torch.zeros_like(self._total)

    def add(self, rows: slice, difference: Tensor) -> None:
        """Add (P, c, G) differences of some conditions; they are overwritten."""
        self._total[rows] += difference.sum(0)
        self._squares[rows] += difference.square_().sum(0)

    @property
    def mean(self) -> Tensor:
        """Mean over the particles, (C, G)."""
        return self._total / self.n_particles

    @property
    def error_variance(self) -> Tensor:
        """Estimated variance of the mean, (C, G); NaN with a single particle."""
        if self.n_particles == 1:
            return torch.full_like(self._total, math.nan)
        spread = self._squares / self.n_particles - self.mean.square()
        return spread.clamp_min_(0) / (self.n_particles - 1)


ROUNDING = 1e-6
"""Log2 units: what float32 may leave of the difference of two equal means of expression."""


@dataclass(frozen=True)
class ModelEffects:
    """Average treatment effects under the model, (C, G) float64 in log2 units.

    Attributes
    ----------
    mean
        Condition minus control.
    standard_error
        Monte Carlo standard error of ``mean``; NaN with a single particle.
    n_particles
        Simulated cells per condition.
    """

    mean: npt.NDArray[np.float64]
    standard_error: npt.NDArray[np.float64]
    n_particles: int

    @classmethod
    def of(cls, levels: Sequence[EffectMoments]) -> ModelEffects:
        """The sum of independent estimates; the particles are those of the last one.

        Where a condition does nothing, what float32 leaves of equal numbers is taken as zero.
        """
        mean = torch.stack([level.mean for level in levels]).sum(0)
        mean[mean.abs() < ROUNDING] = 0
        error = torch.stack([level.error_variance for level in levels]).sum(0).sqrt()
        return cls(mean.cpu().numpy(), error.cpu().numpy(), levels[-1].n_particles)
