"""Posterior moments of what each perturbation does to the latent state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from sams_core.models.base import PerturbationVAE

_DRAWS = 1024
_MAX_ELEMENTS = 8_000_000

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ShiftMoments:
    """Posterior mean and standard deviation of E and of E * M under the guide, (T, L) each."""

    embedding_mean: FloatArray
    embedding_sd: FloatArray
    effect_mean: FloatArray
    effect_sd: FloatArray


@torch.no_grad()
def shift_moments(module: PerturbationVAE, *, n_draws: int = _DRAWS, seed: int = 0) -> ShiftMoments:
    """Moments of the latent shifts, over draws of M and exact over E given M.

    Parameters
    ----------
    module
        A trained model.
    n_draws
        Draws of the mask.
    seed
        Of the draws.
    """
    device = module.log_concentration.device
    generator = torch.Generator(device=device).manual_seed(seed)
    shape = (module.n_perturbations, module.n_latent)
    at_once = max(1, _MAX_ELEMENTS // (module.n_perturbations * module.particle_width))
    sums = torch.zeros(4, *shape, dtype=torch.float64, device=device)
    for start in range(0, n_draws, at_once):
        sample = module.sample_shift_parameters(min(at_once, n_draws - start), generator)
        mask = sample.mask.double()
        loc = sample.embedding_loc.double().expand_as(mask)
        second = (loc.square() + sample.embedding_scale.double().square()).expand_as(mask)
        for row, values in enumerate((loc, second, mask * loc, mask * second)):
            sums[row] += values.sum(0)
    mean_e, second_e, mean_s, second_s = (sums / n_draws).cpu().numpy()
    return ShiftMoments(
        mean_e,
        np.sqrt(np.maximum(second_e - mean_e**2, 0)),
        mean_s,
        np.sqrt(np.maximum(second_s - mean_s**2, 0)),
    )
