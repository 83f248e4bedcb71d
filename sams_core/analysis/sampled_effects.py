"""Average treatment effects from posterior predictive counts.

Control and conditions have z_basal, E, M, the library size and the gamma-distributed rates in
common, and their Poisson counts as far as those can be: a count with rate r' is made of the
control's count x with rate r by keeping each of the x with probability ``min(1, r' / r)`` and
adding ``Poisson(max(0, r' - r))``. It has exactly its own distribution, and differs from x by as
little as the rates do (thinning and superposition of Poisson processes: Kingman 1993, "Poisson
Processes", chapters 2 and 5).
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from sams_core.analysis.drawn_cells import draw_cells, log_normalised, particles_at_once
from sams_core.analysis.effect_moments import EffectMoments, ModelEffects
from sams_core.models import PerturbationVAE


def sampled_ate(
    module: PerturbationVAE,
    dosages: Tensor,
    sizes: Tensor,
    n_particles: int,
    generator: torch.Generator,
    max_elements: int,
    report: Callable[[float], None],
) -> ModelEffects:
    """Effects of (C, T) dosages at (K,) library sizes.

    Every condition has a generator of its own, seeded by the block of particles and by its
    dosages, so that its effects do not depend on which others are asked for. Other parameters are
    those of :func:`sams_core.analysis.effects.model_ate`.
    """
    moments = EffectMoments(n_particles, (len(dosages), module.n_genes), dosages.device)
    at_once = particles_at_once(module, n_particles, max_elements)
    none = dosages.new_zeros(1, dosages.shape[1])
    for done in range(0, n_particles, at_once):
        cells = draw_cells(module, min(at_once, n_particles - done), sizes, generator)
        rate = cells.rates(none)  # (P, 1, G)
        counts = torch.poisson(rate, generator=generator)
        control = log_normalised(counts.clone())
        seed = int(torch.randint(2**62, (), generator=generator, device=dosages.device))
        rows = max(1, max_elements // control.numel())
        for start in range(0, len(dosages), rows):
            chunk = dosages[start : start + rows]
            drawn = _draw_beside(counts, rate, cells.rates(chunk), _generators(seed, chunk))
            moments.add(slice(start, start + rows), log_normalised(drawn).sub_(control))
            particles = done + len(control) * min(1.0, (start + rows) / len(dosages))
            report(particles / n_particles)
    return ModelEffects.of([moments])


def thinned_counts(
    counts: Tensor, rate: Tensor, new_rate: Tensor, generator: torch.Generator
) -> Tensor:
    """Poisson counts with a new rate, as close as can be to counts with another rate.

    Parameters
    ----------
    counts, rate : (P, G) tensors
        Poisson counts and their rates.
    new_rate : (P, G) tensor
        Rates of the counts to draw.
    generator
        On their device.
    """
    share = (new_rate / rate.clamp_min(torch.finfo(rate.dtype).tiny)).clamp_max_(1)
    kept = torch.binomial(counts, share, generator=generator)
    return kept.add_(torch.poisson((new_rate - rate).clamp_min_(0), generator=generator))


def _draw_beside(
    counts: Tensor, rate: Tensor, new_rates: Tensor, generators: list[torch.Generator]
) -> Tensor:
    """Counts (P, C, G) beside the control's, drawn for several conditions at a time."""
    control, base = counts[:, 0], rate[:, 0]

    def draw(row: int) -> Tensor:
        return thinned_counts(control, base, new_rates[:, row], generators[row])

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return torch.stack(list(pool.map(draw, range(len(generators)))), dim=1)


def _generators(seed: int, dosages: Tensor) -> list[torch.Generator]:
    rows = dosages.double().cpu().numpy()
    return [
        torch.Generator(dosages.device).manual_seed(
            int(np.random.SeedSequence([seed, *row.view(np.uint32).tolist()]).generate_state(1)[0])
        )
        for row in rows
    ]
