"""Expected effects of many conditions at the same few posterior draws and cell states.

Differences between conditions then carry little Monte Carlo noise. The decoder's first layer is
linear in the latent state and in the dosages, so that each perturbation's contribution to it is
computed once and a condition's is their sum.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from sams_core.analysis.decoded_expression import expression_curve
from sams_core.models import PerturbationVAE

BLOCKS = 8
"""Independent blocks B: each has draws of E and M and cell states of its own."""
STATES = 1
"""Cell states S of a block; each is the average of an antithetic pair, z and -z."""
DRAWS = 8
"""Posterior draws D of E and M in a block, which share its states.

Many, as a mask entry that is nearly sure to be open is closed in few draws, which then differ much.
"""


@dataclass(frozen=True)
class SharedDraws:
    """Draws that all conditions share, and what each perturbation adds to them.

    Attributes
    ----------
    module
        The model.
    basal : (B, 2, S, 1, H) tensor
        First layer of the decoder before its non-linearity, for unperturbed cells.
    contribution : (T, B, D, H) tensor
        What each of T perturbations adds to it at each draw.
    control : (B, 2, S, 1, G) tensor
        Expected expression of unperturbed cells, log2 units.
    expression
        From log proportions (..., G) to expected expression.
    """

    module: PerturbationVAE
    basal: Tensor
    contribution: Tensor
    control: Tensor
    expression: Callable[[Tensor], Tensor]

    def effects(self, contribution: Tensor) -> Tensor:
        """Expected effects of n conditions: (n, B, D, H) contributions to (n, B, S, D, G)."""
        log_proportions = decode(self.module, self.basal, contribution)
        expression = self.expression(log_proportions).sub_(self.control)
        return expression.sum(2).mul_(0.5)


@torch.no_grad()
def shared_draws(
    module: PerturbationVAE,
    perturbations: Sequence[int],
    library_size: float | npt.ArrayLike,
    *,
    seed: int = 0,
) -> SharedDraws:
    """Draw E, M and cell states for some of a model's perturbations, each at dose 1.

    Parameters
    ----------
    module
        A trained model.
    perturbations
        Numbers of the perturbations; the result's T are these, in this order.
    library_size
        Counts of a cell, or sizes to average over.
    seed
        Of every draw.
    """
    like = module.log_concentration
    generator = torch.Generator(device=like.device).manual_seed(seed)
    half = torch.randn(
        (BLOCKS, 1, STATES, 1, module.n_latent),
        device=like.device, dtype=like.dtype, generator=generator,
    )  # fmt: skip
    effect = module.sample_shift_parameters(BLOCKS * DRAWS, generator).effect  # (B * D, T, L)
    states = torch.cat([half, -half], 1)
    still = like.new_zeros(1, module.n_perturbations)
    basal = module.decoder.first(module.state(states, torch.zeros_like(states), still))
    if module.n_batches > 1:
        basal = basal + module.decoder_batch.weight.mean(0)
    contribution = torch.stack([_contribution(module, effect, t) for t in perturbations])
    control = decode(module, basal, basal.new_zeros(1, BLOCKS, 1, module.config.n_hidden))[0]
    expression = expression_curve(module, control, library_size)
    return SharedDraws(module, basal, contribution, expression(control), expression)


def decode(module: PerturbationVAE, basal: Tensor, contribution: Tensor) -> Tensor:
    """Log proportions (n, B, 2, S, D, G) at (B, 2, S, 1, H) and (n, B, D, H)."""
    hidden = module.decoder.after_first(basal + contribution[:, :, None, None])
    return module.decoder_head(hidden).log_softmax(-1)


def _contribution(module: PerturbationVAE, effect: Tensor, perturbation: int) -> Tensor:
    """What one perturbation adds to the decoder's first layer: (B, D, H)."""
    dosage = effect.new_zeros(1, module.n_perturbations)
    dosage[0, perturbation] = 1.0
    shift = effect[:, perturbation]  # (B * D, L)
    state = module.state(torch.zeros_like(shift), shift, dosage)
    return F.linear(state, module.decoder.first.weight).unflatten(0, (BLOCKS, DRAWS))
