"""What the model expects a perturbation to do: its average treatment effect.

The ATE of a condition is the mean over posterior predictive cells of
``log2(1e4 * x / sum(x) + 1)``, condition minus control (Bereket & Karaletsos 2023, section 5).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from sams_core.analysis.drawn_cells import LibrarySize, library_sizes
from sams_core.analysis.effect_moments import ModelEffects
from sams_core.analysis.expected_effects import expected_ate
from sams_core.analysis.sampled_effects import sampled_ate
from sams_core.models import PerturbationVAE

Method = Literal["expected", "sampled"]

_METHODS = {"expected": expected_ate, "sampled": sampled_ate}
_MAX_ELEMENTS = 1_250_000


@torch.no_grad()
def model_ate(
    module: PerturbationVAE,
    dosages: npt.ArrayLike,
    *,
    library_size: LibrarySize,
    n_particles: int = 2500,
    seed: int = 0,
    method: Method = "expected",
    max_elements: int = _MAX_ELEMENTS,
    progress: Callable[[float], None] | None = None,
) -> ModelEffects:
    """Average treatment effect of each condition over posterior predictive cells.

    One particle is a cell under control and under every condition: ``z_basal`` from its prior, E
    and M from the guide, and a library size, which control and conditions have in common. The
    standard error is that of the paired differences. The effects of a condition do not depend on
    which others are asked for.

    Parameters
    ----------
    module
        A trained model, on any device.
    dosages
        (C, T) dose of each perturbation in each condition.
    library_size
        Counts of a simulated cell: one positive number, or sizes resampled per particle.
    n_particles
        Simulated cells per condition.
    seed
        Of every draw. Draws also depend on ``max_elements`` and on the device.
    method
        ``"expected"`` takes the expectation of log-normalised counts given the latent state
        (:mod:`sams_core.analysis.expected_effects`); ``"sampled"`` draws counts, which has the
        same mean and more noise (:mod:`sams_core.analysis.sampled_effects`).
    max_elements
        Bound on the entries of an intermediate array (4 bytes each, about ten live at once), which
        must at least hold one particle under one condition; the results are not counted. Blocks
        of the default size stay in a processor's cache.
    progress
        Called with the share done, in (0, 1].

    Raises
    ------
    ConfigError
        For a library size that is not positive.
    """
    device, dtype = module.log_concentration.device, module.log_concentration.dtype
    return _METHODS[method](
        module,
        torch.as_tensor(np.asarray(dosages), device=device, dtype=dtype),
        library_sizes(module, library_size),
        n_particles,
        torch.Generator(device=device).manual_seed(seed),
        max_elements,
        progress or (lambda share: None),
    )
