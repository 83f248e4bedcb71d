"""Posterior draws of what a combination and its single perturbations do to mean expression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from sams_core.analysis.combination_background import Background
from sams_core.analysis.combinations import TrainedModel
from sams_core.analysis.decoded_expression import expression_curve
from sams_core.errors import ConfigError
from sams_core.models import PerturbationVAE

N_DRAWS = 64
_STATES = 16  # antithetic pairs of cell states, shared by all draws


@torch.no_grad()
def combination_draws(
    model: TrainedModel,
    perturbations: Sequence[str],
    *,
    doses: Mapping[str, float] | None = None,
    library_size: float | npt.ArrayLike | None = None,
    background: Background | None = None,
    n_draws: int = N_DRAWS,
    seed: int = 0,
) -> npt.NDArray[np.float64]:
    """Draw the effects of single perturbations and of their combination together.

    Parameters
    ----------
    model
        A trained model.
    perturbations
        k different names, at least two.
    doses
        Dose of each perturbation; 1 where not given.
    library_size
        Counts of a cell, or sizes to average over; by default those of the training cells.
    background
        The cells it is done to; by default unperturbed cells as the model draws them.
    n_draws
        Posterior draws of E and M, which all effects share.
    seed
        Of every draw.

    Returns
    -------
    (k + 1, draws, G) array of effects against control, log2 units, each averaged over the same
    cell states; the combination comes last.

    Raises
    ------
    ConfigError
        For an unknown or repeated name, or fewer than two.
    """
    columns = model.perturbation_names.get_indexer(pd.Index(list(perturbations)))
    if (columns < 0).any() or len(set(columns.tolist())) < max(2, len(columns)):
        raise ConfigError(
            f"Perturbations {', '.join(perturbations)} make no combination: name two or more "
            "different ones that the model knows."
        )
    module = model.module
    like = module.log_concentration
    generator = torch.Generator(device=like.device).manual_seed(seed)
    states, batch = _states(module, background, generator)  # (2S, 1, L)
    carried = torch.as_tensor(columns, device=like.device)
    sample = module.sample_shift_parameters(n_draws, generator, carried)
    amounts = [float((doses or {}).get(name, 1.0)) for name in perturbations]
    parts = torch.diag(torch.as_tensor(amounts)).to(like)
    parts = torch.cat([parts, parts.sum(0, keepdim=True)])  # (k + 1, k)
    dosages = like.new_zeros(len(parts), module.n_perturbations)
    dosages[:, carried] = parts
    shifts = module.shift(parts, sample).transpose(0, 1)  # (k + 1, draws, L)
    basal = states.expand(-1, n_draws, -1)
    untreated = module.state(states, torch.zeros_like(states), torch.zeros_like(dosages[:1]))
    log_proportions = module.log_proportions(untreated, batch)
    sizes = model.library_sizes if library_size is None else library_size
    expression = expression_curve(module, log_proportions, sizes)
    control = expression(log_proportions)  # (2S, 1, G)
    effects = [
        (
            expression(module.log_proportions(module.state(basal, shift, dosage), batch)) - control
        ).mean(0)
        for shift, dosage in zip(shifts, dosages, strict=True)
    ]
    return torch.stack(effects).double().cpu().numpy()


def _states(
    module: PerturbationVAE, background: Background | None, generator: torch.Generator
) -> tuple[Tensor, Tensor | None]:
    """Cell states (2S, 1, L), and the batch that they are decoded in."""
    like = module.log_concentration
    if background is not None:
        return background.draw((1, 2 * _STATES), generator, like)[0], background.batch_index(like)
    shape = (_STATES, 1, module.n_latent)
    half = torch.randn(shape, device=like.device, dtype=like.dtype, generator=generator)
    return torch.cat([half, -half]), None
