"""Calibrated intervals of a checkpoint: what they rest on, and what they call an interaction.

Posterior intervals are too narrow, and are widened to cover measurements of conditions held out of
training; :mod:`sams_core.analysis.interval_errors` says how, and
:mod:`sams_core.analysis.interval_conditions` measures them.

For a page::

    scale = interval_scale(metrics)          # metrics.json of the checkpoint
    table = scale.widen(prediction.table)    # _sd, _lower and _upper of a prediction, widened
    call = interaction_call(draws, scale)    # synergy, suppression or none, with its interval
    scale.sentence                           # what the intervals rest on
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from sams_core.analysis.interval_errors import (
    MIN_CONDITIONS,
    POSTERIOR,
    ErrorModel,
    FloatArray,
    Z,
)

Basis = Literal["unseen_combinations", "seen_combinations", "singles"]

_BASIS_WORDS = {
    "unseen_combinations": "combinations that training never saw",
    "seen_combinations": "combinations that training saw, on cells that it did not see",
    "singles": "single perturbations, on cells that training did not see",
}


@dataclass(frozen=True)
class IntervalScale:
    """How much wider than the posterior's a checkpoint's intervals have to be.

    Attributes
    ----------
    effect
        Of a combination's effect on a gene, log2 units.
    interaction
        Of its deviation from the sum of the singles, log2 units.
    along_sum
        Of the interaction along the sum, as a share of the sum: see :func:`interaction_call`. It
        does not grow with the interaction: among pairs without one, what is predicted is the error.
        Without measured interactions it has no conditions, and ``interaction`` is ``effect``.
    basis
        Kind of the held-out conditions; None for the posterior alone.
    """

    effect: ErrorModel = POSTERIOR
    interaction: ErrorModel = POSTERIOR
    along_sum: ErrorModel = POSTERIOR
    basis: Basis | None = None

    @property
    def n_conditions(self) -> int:
        """Held-out conditions that the intervals of effects rest on."""
        return self.effect.n_conditions

    @property
    def sentence(self) -> str:
        """What the intervals rest on, for a reader."""
        if self.basis is None:
            return (
                "Intervals are the posterior's own, and probably too narrow: fewer than "
                f"{MIN_CONDITIONS} conditions with held-out cells were there to check them by."
            )
        said = (
            f"90 % intervals are widened to cover the measurements of {self.n_conditions} "
            f"{_BASIS_WORDS[self.basis]}."
        )
        if not self.along_sum.n_conditions:
            said += " Too few interactions were measured to check their intervals apart."
        if self.basis == "unseen_combinations":
            return said
        if self.basis == "seen_combinations":
            return f"{said} For combinations that training did not see they can be too narrow."
        return f"{said} For combinations they can be too narrow."

    def widen(self, table: pd.DataFrame) -> pd.DataFrame:
        """Put calibrated intervals into a prediction's table.

        Parameters
        ----------
        table
            Of :func:`sams_core.analysis.combinations.predict_combination`.

        Returns
        -------
        A copy in which ``_sd``, ``_lower`` and ``_upper`` of ``predicted`` and ``interaction`` are
        those of the calibrated error. A bound is moved only outwards.
        """
        table = table.copy()
        interaction = table["interaction"].to_numpy(np.float64)
        additive = table["additive"].to_numpy(np.float64)
        for name, error in (("predicted", self.effect), ("interaction", self.interaction)):
            centre = table[name].to_numpy(np.float64)
            posterior = table[f"{name}_sd"].to_numpy(np.float64)
            sd = error.sd(posterior, additive, interaction)
            table[f"{name}_sd"] = sd
            table[f"{name}_lower"] = np.minimum(table[f"{name}_lower"], centre - Z * sd)
            table[f"{name}_upper"] = np.maximum(table[f"{name}_upper"], centre + Z * sd)
        return table

    def as_metrics(self) -> dict[str, Any]:
        """What a checkpoint's metrics keep of it, JSON-able."""
        return asdict(self)


@dataclass(frozen=True)
class InteractionCall:
    """Whether a combination does more or less than the sum of its singles, along that sum.

    Attributes
    ----------
    kind
        ``"synergy"`` or ``"suppression"`` where the interval leaves out 0, else ``"none"``;
        ``"unchecked"`` where nothing calibrates the interval, as the posterior alone finds
        interactions everywhere.
    share, lower, upper
        Interaction along the sum, as a share of the sum, with its 90 % interval: 0.5 is half as
        much again as the sum, -1 no effect at all.
    posterior_sd
        Standard deviation over posterior draws alone.
    """

    kind: Literal["synergy", "suppression", "none", "unchecked"]
    share: float
    lower: float
    upper: float
    posterior_sd: float

    @property
    def sentence(self) -> str:
        """The call in words."""
        said = f"{self.share:+.0%} (90 % interval {self.lower:+.0%} to {self.upper:+.0%})"
        if self.kind == "unchecked":
            return (
                f"Interaction along the sum of the singles: {said} of it. No held-out conditions "
                "check this interval, so it calls neither synergy nor suppression."
            )
        if self.kind == "none":
            return f"No interaction detectable along the sum of the singles: {said} of it."
        word, than = ("Synergy", "more") if self.kind == "synergy" else ("Suppression", "less")
        return f"{word}: along the sum of the singles the combination does {than}, {said} of it."


def interval_scale(metrics: Mapping[str, Any]) -> IntervalScale:
    """Read how intervals are calibrated from a checkpoint's metrics.

    Parameters
    ----------
    metrics
        What ``explorer/metrics.json`` holds; without ``intervals``, the posterior alone is left.
    """
    found = metrics.get("intervals")
    if not found:
        return IntervalScale()
    parts = {name: ErrorModel(**found[name]) for name in ("effect", "interaction", "along_sum")}
    return IntervalScale(**parts, basis=found["basis"])


def interaction_call(draws: FloatArray, scale: IntervalScale) -> InteractionCall:
    """Call a combination's interaction along the sum of its singles.

    Parameters
    ----------
    draws : (k + 1, draws, G) array
        Effects of k singles and, last, of their combination
        (:func:`sams_core.analysis.combination_draws.combination_draws`).
    scale
        The checkpoint's calibration.
    """
    direction = sum_of_singles(draws)
    values = along_sum(draws, direction)
    share, posterior_sd = float(values.mean()), float(values.std(ddof=1))
    half = Z * _sd_along_sum(draws, direction, scale)
    kind: Literal["synergy", "suppression", "none", "unchecked"] = "none"
    if scale.basis is None:
        kind = "unchecked"
    elif abs(share) > half:
        kind = "synergy" if share > 0 else "suppression"
    return InteractionCall(kind, share, share - half, share + half, posterior_sd)


def _sd_along_sum(draws: FloatArray, direction: FloatArray, scale: IntervalScale) -> float:
    """Standard deviation of the error of the interaction along the sum.

    Where no measured interaction calibrates it, errors of genes are taken to go together, which
    no combination of them exceeds.
    """
    values = along_sum(draws, direction)
    if scale.along_sum.n_conditions or scale.basis is None:
        return float(scale.along_sum.sd(values.std(ddof=1), 1.0, 0.0))
    interaction = draws[-1] - draws[:-1].sum(0)
    sd = scale.interaction.sd(interaction.std(0, ddof=1), direction, interaction.mean(0))
    length = max(float(direction @ direction), np.finfo(float).tiny)
    return float(np.abs(direction) @ sd / length)


def sum_of_singles(draws: FloatArray) -> FloatArray:
    """Posterior mean of the sum of the singles' effects: (k + 1, draws, G) draws to (G,)."""
    return np.asarray(draws[:-1].sum(0).mean(0))


def along_sum(effects: FloatArray, direction: FloatArray) -> FloatArray:
    """Interaction along a sum of effects, as a share of it.

    Parameters
    ----------
    effects : (k + 1, ..., G) array
        Of k singles and, last, of their combination.
    direction : (G,) array
        The sum that is gone along, not all zeros.
    """
    interaction = effects[-1] - effects[:-1].sum(0)
    length = max(float(direction @ direction), np.finfo(float).tiny)
    return np.asarray(interaction @ direction / length)
