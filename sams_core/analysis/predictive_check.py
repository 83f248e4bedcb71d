"""Posterior predictive check: whether the model would have produced the measured effects.

A replicate is the screen measured again under the model: as many cells of the condition and of the
control as were measured, with E and M drawn from the guide, and the effect of every gene computed
as from the data. Against D replicates stand the measured effects. Where the model is right, the
p-value of a gene in a condition is uniform and 90 % of the 90 % intervals hold the measured effect
(Gelman, Meng & Stern 1996; on test cells, which the model has not seen, the check is not too kind).

Replicates of all conditions at once are large; check a block of conditions at a time and join the
blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating]

INTERVAL = 0.9
"""Probability of the predictive interval."""

LEVEL = 0.05
"""p-value under which a measured effect is surprising."""


@dataclass(frozen=True)
class PredictiveCheck:
    """Measured effects against replicates, all (C, G); NaN where nothing was measured.

    Attributes
    ----------
    p_value
        Two-sided predictive p-value, in (0, 1].
    lower, upper
        Ends of the central 90 % predictive interval, in log2 units.
    mean
        Mean over replicates, in log2 units.
    inside
        Whether the interval holds the measured effect; false where nothing was measured.
    """

    p_value: npt.NDArray[np.float64]
    lower: npt.NDArray[np.float64]
    upper: npt.NDArray[np.float64]
    mean: npt.NDArray[np.float64]
    inside: npt.NDArray[np.bool_]

    def summary(self) -> dict[str, float | int | None]:
        """Coverage of the intervals, share of p-values under 0.05, and how many were checked.

        Under a right model the first two are about 0.9 and 0.05.
        """
        known = np.isfinite(self.p_value)
        n = int(known.sum())
        return {
            "coverage_90": float(self.inside[known].mean()) if n else None,
            "share_p_below_0.05": float((self.p_value[known] < LEVEL).mean()) if n else None,
            "n": n,
        }


def check_draws(draws: FloatArray, measured: FloatArray) -> PredictiveCheck:
    """Check measured effects against draws of replicates.

    The p-value is twice the smaller tail, a draw equal to the measurement counting half in each;
    its smallest value is 1 / (D + 1). The interval's ends are the quantiles that hold a further
    draw with the stated probability exactly (Weibull's), which takes at least 19 draws.

    Parameters
    ----------
    draws
        (D, C, G) effects of replicates in log2 units.
    measured
        (C, G) measured effects; NaN where there are none.
    """
    n = len(draws)
    below = (draws < measured).sum(axis=0) + 0.5 * (draws == measured).sum(axis=0)
    share = (below + 0.5) / (n + 1)
    tails = ((1 - INTERVAL) / 2, (1 + INTERVAL) / 2)
    lower, upper = np.quantile(draws, tails, axis=0, method="weibull").astype(np.float64)
    return _check(2 * np.minimum(share, 1 - share), lower, upper, draws.mean(0), measured)


def join_checks(blocks: Sequence[PredictiveCheck]) -> PredictiveCheck:
    """Join checks of blocks of conditions, in order."""
    return PredictiveCheck(
        p_value=np.concatenate([block.p_value for block in blocks]),
        lower=np.concatenate([block.lower for block in blocks]),
        upper=np.concatenate([block.upper for block in blocks]),
        mean=np.concatenate([block.mean for block in blocks]),
        inside=np.concatenate([block.inside for block in blocks]),
    )


def _check(
    p_value: FloatArray,
    lower: FloatArray,
    upper: FloatArray,
    mean: FloatArray,
    measured: FloatArray,
) -> PredictiveCheck:
    known = np.isfinite(measured)
    return PredictiveCheck(
        p_value=np.where(known, p_value, np.nan),
        lower=np.where(known, lower, np.nan),
        upper=np.where(known, upper, np.nan),
        mean=np.where(known, mean, np.nan),
        inside=known & (lower <= measured) & (measured <= upper),
    )
