"""Expected log-normalised expression as a function of one gene's proportion, quick to evaluate.

The distribution of a cell's total counts is taken at a reference profile. Then the expectation
depends on the gene's own proportion p and on the library size alone. Both are interpolated at
Chebyshev nodes: in ``log(1 + s p)``, in which the expectation is nearly linear at both ends, over
all p from 0 to 1; and in the log of the library size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.polynomial import chebyshev, polynomial
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from sams_core.analysis.differential import COUNTS_PER_CELL
from sams_core.analysis.expected import expected_given_total

_DEGREE = 14
_LIBRARY_NODES = 6


@dataclass(frozen=True)
class ExpressionCurve:
    """A polynomial for each gene.

    Attributes
    ----------
    log_scale
        Log of s.
    coefficients : (D + 1, ..., G) tensor
        In log2 units, of ascending powers of ``log(1 + s p)``, scaled to go from -1 to 1.
    """

    log_scale: float
    coefficients: Tensor

    def __call__(self, log_proportions: Tensor) -> Tensor:
        """Evaluate (..., G) log proportions."""
        position = F.softplus(log_proportions + self.log_scale)
        position.mul_(2 / _log1p_exp(self.log_scale)).sub_(1)
        *lower, value = self.coefficients
        value = torch.addcmul(lower[-1], value, position)
        for coefficient in lower[-2::-1]:
            torch.addcmul(coefficient, value, position, out=value)
        return value


@dataclass(frozen=True)
class ExpressionCurves:
    """Curves at any library size in a range.

    Attributes
    ----------
    log_scale
        Log of s.
    log_sizes
        Log of the smallest and of the largest library size.
    coefficients : (K, D + 1, G) tensor
        Of the Chebyshev polynomials of the log library size, scaled to go from -1 to 1, and of
        the powers of :class:`ExpressionCurve`.
    """

    log_scale: float
    log_sizes: tuple[float, float]
    coefficients: Tensor

    def at(self, library_sizes: Tensor) -> ExpressionCurve:
        """The curve at each of (...) library sizes: coefficients (D + 1, ..., G)."""
        return self._mix(self._basis(library_sizes))

    def mean(self, library_sizes: Tensor) -> ExpressionCurve:
        """The mean over (n,) library sizes: coefficients (D + 1, G)."""
        return self._mix(self._basis(library_sizes).mean(0))

    def _mix(self, weights: Tensor) -> ExpressionCurve:
        mixed = torch.einsum("...k,kdg->d...g", weights, self.coefficients)
        return ExpressionCurve(self.log_scale, mixed)

    def _basis(self, library_sizes: Tensor) -> Tensor:
        """Chebyshev polynomials at library sizes; sizes under one count pass for one."""
        low, high = self.log_sizes
        log_sizes = library_sizes.double().clamp_min(1).log().cpu().numpy()
        position = (2 * log_sizes - low - high) / max(high - low, 1e-9)
        basis = chebyshev.chebvander(position, len(self.coefficients) - 1)
        return torch.as_tensor(basis).to(self.coefficients)


def fit_curves(
    log_concentration: Tensor,
    *,
    reference: Tensor,
    library_sizes: Tensor,
    mean_floor: float = 0.0,
) -> ExpressionCurves:
    """Interpolate the expectation over all proportions and a range of library sizes.

    Parameters
    ----------
    log_concentration : (G,) tensor
        Log of the concentrations.
    reference : (G,) tensor
        Proportions of an average cell, which give the total's distribution.
    library_sizes : (n,) tensor
        Library sizes at which curves are wanted.
    mean_floor
        Counts added to every expected count.
    """
    ends = (float(library_sizes.min()), float(library_sizes.max()))
    low, high = (math.log(max(size, 1.0)) for size in ends)
    log_scale = max(math.log(COUNTS_PER_CELL), math.log(3) + (low + high) / 2)
    knots = chebyshev.chebpts1(_DEGREE + 1)
    log_p = np.log(np.expm1((knots + 1) / 2 * _log1p_exp(log_scale))) - log_scale
    log_proportions = torch.as_tensor(log_p).to(reference)[:, None].expand(-1, len(reference))
    nodes = chebyshev.chebpts1(_LIBRARY_NODES if high > low else 1)
    sizes = torch.as_tensor((low + high) / 2 + nodes * (high - low) / 2).to(reference)
    values = expected_given_total(
        floored(log_proportions + sizes[:, None, None], mean_floor),  # (K, D + 1, G)
        log_concentration,
        floored(reference.log() + sizes[:, None, None], mean_floor),  # (K, 1, G)
    )
    stacked = values.double().cpu().numpy()
    by_power = np.linalg.solve(polynomial.polyvander(knots, _DEGREE), stacked)
    by_library = np.linalg.inv(chebyshev.chebvander(nodes, len(nodes) - 1))
    coefficients = torch.as_tensor(np.einsum("jk,kdg->jdg", by_library, by_power)).to(reference)
    return ExpressionCurves(log_scale, (low, high), coefficients)


def floored(log_mean: Tensor, mean_floor: float) -> Tensor:
    """Log of expected counts with a number of counts added to each."""
    return log_mean if mean_floor == 0 else torch.log(log_mean.exp() + mean_floor)


def _log1p_exp(value: float) -> float:
    return math.log1p(math.exp(value))
