"""Expected log-normalised expression of decoded cell states."""

from __future__ import annotations

from torch import Tensor

from sams_core.analysis.drawn_cells import LibrarySize, library_sizes
from sams_core.analysis.expression_curves import ExpressionCurve, fit_curves
from sams_core.models import PerturbationVAE


def expression_curve(
    module: PerturbationVAE, control: Tensor, library_size: LibrarySize
) -> ExpressionCurve:
    """Expected ``log2(1e4 * x / sum(x) + 1)`` by log proportion, averaged over library sizes.

    Parameters
    ----------
    module
        A trained model.
    control : (..., G) tensor
        Log proportions of unperturbed cells, whose mean gives the total's distribution.
    library_size
        Counts of a cell, or sizes to average over.
    """
    sizes = library_sizes(module, library_size)
    curves = fit_curves(
        module.log_concentration,
        reference=control.flatten(0, -2).exp().mean(0),
        library_sizes=sizes,
        mean_floor=module.config.mean_floor,
    )
    return curves.mean(sizes)
