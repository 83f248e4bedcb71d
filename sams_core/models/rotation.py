"""The basis of the latent space: found where effects are sparsest, and turned to.

The prior of ``z_basal`` is the same in every direction and the decoder's first layer is linear in
``z``, so a model's likelihood does not know the basis of its latent space: any rotation of decoder,
encoder and effects gives the same one. Only the mask does. Rotating a matrix of loadings until it
is sparse is what factor analysis has long done (Kaiser 1958, varimax; Jennrich 2006, component loss
criteria, of which this is one).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

N_STARTS = 24
NOISE_WIDTH = 5.0
"""Width of the criterion in posterior standard deviations of an effect."""
SHRINKING = (2.0, 1.0)
"""Multiples of the width at which the criterion is minimised, one after the other."""
MAX_ITERATIONS = 100
"""Of L-BFGS, at each width."""


class LatentAxis(NamedTuple):
    """A parameter with an axis, or a part of one, that runs over latent dimensions.

    Attributes
    ----------
    parameter
        The parameter.
    axis
        Which of its axes.
    start
        Where on that axis the latent dimensions start.
    is_log_scale
        Whether it holds logarithms of scales or variances, which a rotation mixes, instead of
        coordinates, which it turns.
    """

    parameter: Tensor
    axis: int
    start: int = 0
    is_log_scale: bool = False


def sparsest_rotation(
    effects: Tensor, width: float, *, n_starts: int = N_STARTS, seed: int = 0
) -> Tensor:
    """Rotation after which a matrix of effects is sparsest.

    Minimises the sum over entries of ``log(1 + (x / width)^2)`` over orthogonal matrices by L-BFGS
    from random starts. Far beyond the width an entry costs about the same whatever its size, so
    large entries are not traded for several smaller ones; within it the criterion is the sum of
    squares, which no rotation changes, so noise is not fitted.

    Parameters
    ----------
    effects : (T, L) tensor
        One row for each perturbation.
    width
        Size that sets entries apart from zero, above 0: some multiple of their noise.
    n_starts
        Random starts, of which the best result is taken.
    seed
        Of the starts.

    Returns
    -------
    (L, L) float64 tensor
        Orthogonal; ``effects @ rotation`` is sparse, its columns in descending order of their
        absolute sum and mostly positive. The identity where all effects are zero.
    """
    effects = effects.detach().to("cpu", torch.float64)
    n_latent = effects.shape[1]
    best, lowest = torch.eye(n_latent, dtype=torch.float64), float("inf")
    if not effects.any():
        return best
    generator = torch.Generator().manual_seed(seed)
    for _ in range(n_starts):
        start = torch.randn(n_latent, n_latent, generator=generator, dtype=torch.float64)
        rotation, loss = torch.linalg.qr(start).Q, float("inf")
        for multiple in SHRINKING:
            rotation, loss = _descend(effects / (multiple * width), rotation)
        if loss < lowest:
            best, lowest = rotation, loss
    return _in_order(effects, best)


def _in_order(effects: Tensor, rotation: Tensor) -> Tensor:
    """The same basis, its latents ordered and signed by their effects instead of by the start."""
    found = effects @ rotation
    rotation = rotation * torch.where(found.pow(3).sum(0) < 0, -1.0, 1.0)
    return rotation[:, found.abs().sum(0).argsort(descending=True)]


def _descend(effects: Tensor, rotation: Tensor) -> tuple[Tensor, float]:
    """Nearest minimum of the criterion, and its height."""
    with torch.enable_grad():
        generators = torch.zeros(rotation.shape, dtype=rotation.dtype, requires_grad=True)
        optimiser = torch.optim.LBFGS(
            [generators], max_iter=MAX_ITERATIONS, history_size=20, line_search_fn="strong_wolfe"
        )

        def turned() -> Tensor:
            return rotation @ torch.matrix_exp(generators - generators.T)

        def loss() -> Tensor:
            optimiser.zero_grad()
            value = (effects @ turned()).square().log1p().sum()
            value.backward()
            return value.detach()

        optimiser.step(loss)
        return turned().detach(), float(loss())


@torch.no_grad()
def turn(
    axes: Iterable[LatentAxis],
    rotation: Tensor,
    optimiser_state: Mapping[Tensor, Mapping[str, Any]] | None = None,
) -> None:
    """Turn parameters, and Adam's running moments of them, to another basis, in place.

    Coordinates are turned exactly. Of a Gaussian with a diagonal covariance the rotated one is
    not diagonal; log scales are averaged with the squared rotation as weights.

    Parameters
    ----------
    axes
        The parameters.
    rotation : (L, L) tensor
        Orthogonal; coordinates x become ``x @ rotation``.
    optimiser_state
        ``torch.optim.Adam.state``.
    """
    for parameter, axis, start, is_log_scale in axes:
        turned = rotation.to(parameter)
        factor = turned.square() if is_log_scale else turned
        _multiply(parameter.data, factor, axis, start)
        moments = (optimiser_state or {}).get(parameter, {})
        if "exp_avg" in moments:
            _multiply(moments["exp_avg"], factor, axis, start)
            _multiply(moments["exp_avg_sq"], factor.square(), axis, start)


def _multiply(values: Tensor, factor: Tensor, axis: int, start: int) -> None:
    part = values.movedim(axis, -1)[..., start : start + len(factor)]
    part.copy_(part @ factor)
