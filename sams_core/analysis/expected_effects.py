"""Average treatment effects from expected expression given the latent state.

No counts are drawn. The exact expectation of every entry would cost some 40 evaluations, so the
mean over particles is taken in two levels (Giles 2008, "Multilevel Monte Carlo path simulation")::

    mean over n particles of f(z)  +  mean over m << n other particles of (exact(z, l) - f_l(z))

``f_l`` is the expectation at library size l with the distribution of a cell's total taken at a
reference profile, as a polynomial in a gene's log proportion; ``f`` is its mean over library
sizes. The second level removes the bias of the first, whatever f is. Both are means of paired
differences between condition and control.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from sams_core.analysis.drawn_cells import LatentCells, draw_latent_cells, particles_at_once
from sams_core.analysis.effect_moments import EffectMoments, ModelEffects
from sams_core.analysis.expected import expected_log_normalised
from sams_core.analysis.expression_curves import ExpressionCurves, fit_curves, floored
from sams_core.models import PerturbationVAE

_PILOTS = 64  # control cells that make the reference profile
_AT_LEAST, _ONE_IN = 16, 64  # particles of the second level
_CONDITIONS = 16  # for which a block of particles leaves room

Expression = Callable[[LatentCells, Tensor], Tensor]
"""From P cells and (c, T) dosages to (P, c, G)."""


def expected_ate(
    module: PerturbationVAE,
    dosages: Tensor,
    sizes: Tensor,
    n_particles: int,
    generator: torch.Generator,
    max_elements: int,
    report: Callable[[float], None],
) -> ModelEffects:
    """Effects of (C, T) dosages at (K,) library sizes.

    Nothing is drawn after a condition was looked at, so that the effects of one do not depend on
    which others are asked for. Other parameters are those of
    :func:`sams_core.analysis.effects.model_ate`.
    """
    curves = _pilot_curves(module, sizes, generator, max_elements)
    curve = curves.mean(sizes)

    def first(cells: LatentCells, rows: Tensor) -> Tensor:
        return curve(cells.log_proportions(rows))

    def correction(cells: LatentCells, rows: Tensor) -> Tensor:
        log_proportions = cells.log_proportions(rows)
        log_mean = floored(
            log_proportions + cells.library.log()[..., None], module.config.mean_floor
        )
        exact = expected_log_normalised(log_mean, module.log_concentration)
        return exact.sub_(curves.at(cells.library)(log_proportions))

    def level(n: int, expression: Expression, report: Callable[[float], None]) -> EffectMoments:
        moments = EffectMoments(n, (len(dosages), module.n_genes), dosages.device)
        at_once = min(
            particles_at_once(module, n, max_elements),
            max(1, max_elements // (module.n_genes * _CONDITIONS)),
        )
        for done in range(0, n, at_once):
            cells = draw_latent_cells(module, min(at_once, n - done), sizes, generator)
            _add_differences(moments, expression, cells, dosages, max_elements)
            report((done + len(cells)) / n)
        return moments

    few = min(n_particles, max(_AT_LEAST, n_particles // _ONE_IN))
    correct = level(few, correction, lambda share: None)
    return ModelEffects.of([correct, level(n_particles, first, report)])


def _pilot_curves(
    module: PerturbationVAE, sizes: Tensor, generator: torch.Generator, max_elements: int
) -> ExpressionCurves:
    """Curves with the distribution of total counts of an average control cell."""
    few = particles_at_once(module, _PILOTS, max_elements)
    cells = draw_latent_cells(module, few, sizes, generator)
    none = module.log_concentration.new_zeros(1, module.n_perturbations)
    return fit_curves(
        module.log_concentration,
        reference=cells.log_proportions(none).exp_().mean((0, 1)),
        library_sizes=sizes,
        mean_floor=module.config.mean_floor,
    )


def _add_differences(
    moments: EffectMoments,
    expression: Expression,
    cells: LatentCells,
    dosages: Tensor,
    max_elements: int,
) -> None:
    """Add the differences of a block of cells between (C, T) conditions and control."""
    control = expression(cells, dosages.new_zeros(1, dosages.shape[1]))  # (P, 1, G)
    at_once = max(1, max_elements // control.numel())
    for start in range(0, len(dosages), at_once):
        rows = slice(start, start + at_once)
        moments.add(rows, expression(cells, dosages[rows]).sub_(control))
