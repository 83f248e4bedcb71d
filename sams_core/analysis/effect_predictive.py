"""What the model expects to be measured of one condition, from the model alone.

A replicate is the measurement made again under the model: E and M are drawn from the guide, as many
cells of the condition and of the control as were measured are drawn, and effects are computed as
from the data. Expected effects at each draw of E and M come from the expectation of log-normalised
counts. Cells are resampled from a pool of posterior predictive ones, scaled to that expectation, so
that a cell without a count of a gene stays one, and the cost does not grow with the number of
cells.

Unlike :func:`sams_core.analysis.evaluation_draws.replicate_check`, no screen is needed: cells have
the library sizes of the training cells and the average batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from sams_core.analysis.combinations import TrainedModel
from sams_core.analysis.decoded_expression import expression_curve
from sams_core.analysis.drawn_cells import draw_gamma, library_sizes, log_normalised
from sams_core.data.dosages import DOSE_MARK
from sams_core.errors import ConfigError

N_DRAWS = 200
"""Posterior draws of E and M."""
N_REPLICATES = 2000
"""Replicates of the measurement; the smallest p-value is about 1 in as many."""
_STATES = 4  # antithetic pairs of cell states, shared by all draws
_POOL = (500, 4000)  # fewest and most cells of a pool
_MIN_DETECTED = 10
_MAX_ELEMENTS = 8_000_000

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PredictedMeasurement:
    """Draws of one condition's effects on G genes, in log2 units.

    Attributes
    ----------
    effects
        (D, G) expected effects at draws of E and M from the guide: what the model is unsure of.
    replicates
        (R, G) effects that a measurement would show: the same with the noise of its cells.
    resolved
        (G,) whether the gene has a count in enough of the simulated cells, ten of them, for its
        replicates to mean anything.
    """

    effects: FloatArray
    replicates: FloatArray
    resolved: npt.NDArray[np.bool_]


def doses_of_condition(name: str, perturbations: Sequence[str] | pd.Index) -> dict[str, float]:
    """Read a condition's name: the dose of each of the model's perturbations that it has.

    Parameters
    ----------
    name
        As a screen writes conditions: ``A``, ``A+B``, ``A@0.5+B``, or a perturbation of the model
        under its own name.
    perturbations
        Names that the model knows.

    Raises
    ------
    ConfigError
        If a part of the name is unknown.
    """
    known = set(perturbations)
    if name in known:
        return {name: 1.0}
    found: dict[str, float] = {}
    part = ""
    for piece in name.split("+"):
        part = f"{part}+{piece}" if part else piece  # a perturbation's own name may have a "+"
        label, mark, dose = part.rpartition(DOSE_MARK)
        if part in known:
            found[part], part = 1.0, ""
        elif mark and label in known and _is_number(dose):
            found[label], part = float(dose), ""
    if part or not found:
        raise ConfigError(
            f"The model does not know all perturbations of {name!r}: choose a condition of its "
            "screen."
        )
    return found


@torch.no_grad()
def predict_measurement(
    model: TrainedModel,
    condition: str,
    *,
    n_cells: int,
    n_control: int,
    expected: npt.ArrayLike,
    n_draws: int = N_DRAWS,
    n_replicates: int = N_REPLICATES,
    seed: int = 0,
) -> PredictedMeasurement:
    """Draw what a measurement of a condition would show if the model were right.

    Parameters
    ----------
    model
        A trained model.
    condition
        Name of a condition of its screen.
    n_cells, n_control
        Cells of the condition and of the control that are measured; at least one of each.
    expected
        (G,) the model's average treatment effects, log2 units, from many cells; draws are centred
        on them.
    n_draws
        Posterior draws of E and M.
    n_replicates
        Replicates, spread evenly over the draws.
    seed
        Of every draw.

    Raises
    ------
    ConfigError
        If the model does not know the condition, or there are no cells to measure.
    """
    if min(n_cells, n_control) < 1:
        raise ConfigError(f"No cells of {condition!r} or of the control are measured.")
    doses = doses_of_condition(condition, model.perturbation_names)
    drawn = _Drawn(model, doses, seed)
    centre = np.asarray(expected, dtype=np.float64)
    effects = drawn.effects(n_draws)
    effects += centre - effects.mean(0)
    treated, control = drawn.cells(perturbed=True), drawn.cells(perturbed=False)
    rng = np.random.default_rng(seed)
    wanted = np.maximum(control.mean(0) + effects, 0.0)[np.arange(n_replicates) % n_draws]
    simulated = treated.mean(0)
    scale = np.divide(wanted, simulated, out=np.zeros_like(wanted), where=simulated > 0)
    replicates = scale * _means(treated, n_cells, n_replicates, rng)
    replicates -= _means(control, n_control, n_replicates, rng)
    resolved = ((treated > 0).sum(0) + (control > 0).sum(0)) >= _MIN_DETECTED
    return PredictedMeasurement(effects, replicates, resolved)


class _Drawn:
    """Draws from a model under one condition."""

    def __init__(self, model: TrainedModel, doses: dict[str, float], seed: int) -> None:
        self.module = model.module
        like = self.module.log_concentration
        columns = model.perturbation_names.get_indexer(pd.Index(list(doses)))
        self.carried = torch.as_tensor(columns, device=like.device)
        self.parts = torch.as_tensor([list(doses.values())]).to(like)  # (1, k)
        self.dosage = like.new_zeros(1, self.module.n_perturbations)
        self.dosage[:, self.carried] = self.parts
        self.sizes = library_sizes(self.module, model.library_sizes)
        self.generator = torch.Generator(device=like.device).manual_seed(seed)

    def _noise(self, *shape: int) -> Tensor:
        like = self.module.log_concentration
        return torch.randn(
            (*shape, self.module.n_latent), device=like.device, dtype=like.dtype,
            generator=self.generator,
        )  # fmt: skip

    def _shift(self, n: int) -> Tensor:
        sample = self.module.sample_shift_parameters(n, self.generator, self.carried)
        return self.module.shift(self.parts, sample).expand(n, -1, -1)  # (n, 1, L)

    def effects(self, n_draws: int) -> FloatArray:
        """Expected effects at draws of E and M, averaged over the same cell states: (D, G)."""
        module = self.module
        half = self._noise(_STATES, 1)
        states = torch.cat([half, -half])  # (2S, 1, L)
        shift = self._shift(n_draws)[:, 0]  # (D, L)
        untreated = module.state(states, torch.zeros_like(states), torch.zeros_like(self.dosage))
        log_proportions = module.log_proportions(untreated)
        expression = expression_curve(module, log_proportions, self.sizes.cpu().numpy())
        control = expression(log_proportions)  # (2S, 1, G)
        at_once = max(1, _MAX_ELEMENTS // (len(states) * module.n_genes))
        blocks = []
        for part in shift.split(at_once):
            basal = states.expand(-1, len(part), -1)
            state = module.state(basal, part.expand_as(basal), self.dosage)
            blocks.append((expression(module.log_proportions(state)) - control).mean(0))
        return torch.cat(blocks).double().cpu().numpy()

    def cells(self, *, perturbed: bool) -> FloatArray:
        """Log-normalised expression of a pool of posterior predictive cells: (N, G)."""
        module = self.module
        n = int(np.clip(_MAX_ELEMENTS // module.n_genes, *_POOL))
        basal = self._noise(n, 1)
        if perturbed:
            state = module.state(basal, self._shift(n), self.dosage)
        else:
            state = module.state(basal, torch.zeros_like(basal), torch.zeros_like(self.dosage))
        device = self.sizes.device
        index = torch.randint(len(self.sizes), (n, 1), device=device, generator=self.generator)
        rate = module.log_expected_counts(state, self.sizes[index]) - module.log_concentration
        rate = rate.exp_().mul_(draw_gamma(module, (n, 1), self.generator))
        counts = torch.poisson(rate, generator=self.generator)[:, 0]
        return log_normalised(counts).double().cpu().numpy()


def _means(
    pool: FloatArray, n_cells: int, n_replicates: int, rng: np.random.Generator
) -> FloatArray:
    """Means of ``n_cells`` cells drawn from the pool with replacement, (R, G)."""
    n = len(pool)
    if n_cells > n:
        times = rng.multinomial(n_cells, np.full(n, 1 / n), size=n_replicates)
    else:  # the same, quicker for few cells
        drawn = rng.integers(n, size=(n_replicates, n_cells)) + n * np.arange(n_replicates)[:, None]
        times = np.bincount(drawn.ravel(), minlength=n * n_replicates).reshape(n_replicates, n)
    return ((times / n_cells).astype(np.float32) @ pool.astype(np.float32)).astype(np.float64)


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False
