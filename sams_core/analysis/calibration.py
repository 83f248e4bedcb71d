"""Whether inclusion probabilities keep their word: held against a known mask.

A mask is calibrated if of the entries reported at 0.9 about 90% are real. Which latent of the model
stands for which true one is not known to the model: latents are paired by the truth itself, so what
is found here is the best case. Intervals take entries as independent; entries of one latent are
not quite, as a latent that mixes two true ones is wrong for many perturbations at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import binomtest

from sams_core.analysis.mask_tables import OPEN_THRESHOLD
from sams_core.analysis.metrics import match_masks

EDGES = (0.0, 0.1, 0.5, 0.9, 0.99, 1.0)
"""Bounds of the bins; the lower one belongs to a bin. Few, as trained masks are bimodal."""

CONFIDENT = 0.9
"""Inclusion probability from which :func:`tell_calibration` counts; one of :data:`EDGES`."""

COVERAGE = 0.95
"""Of the intervals."""

_PAIRING = (
    "To count what is real, latents were paired with the true ones by the truth itself, which no "
    "real screen has."
)


@dataclass(frozen=True)
class Calibration:
    """Mask entries by their inclusion probability, and how many of them are real.

    Attributes
    ----------
    bins
        One row a bin that has entries, ascending: ``lower`` and ``upper`` bounds, ``n`` entries,
        ``n_real`` of them in the true mask, and ``mean_probability``, their mean in [0, 1].
    n_unpaired
        Entries of true latents for which no latent of the model was left: not in any bin.
    """

    bins: pd.DataFrame
    n_unpaired: int

    @property
    def ece(self) -> float:
        """Expected calibration error in [0, 1]; NaN without entries.

        Mean over entries of |share that is real - mean probability| of their bin (Naeini et al.
        2015, AAAI). Closed entries are most of a sparse mask, and so most of this mean.
        """
        if self.bins.empty:
            return float("nan")
        gap = (self.bins["n_real"] / self.bins["n"] - self.bins["mean_probability"]).abs()
        return float(np.average(gap, weights=self.bins["n"]))

    @property
    def confident(self) -> tuple[int, int]:
        """Entries at :data:`CONFIDENT` or above, and how many of them are real."""
        sure = self.bins[self.bins["lower"] >= CONFIDENT]
        return int(sure["n"].sum()), int(sure["n_real"].sum())

    def summary(self) -> dict[str, Any]:
        """Return the fields for JSON, with ``ece``."""
        ece = self.ece
        return {
            "bins": self.bins.to_dict(orient="records"),
            "n_unpaired": self.n_unpaired,
            "ece": ece if np.isfinite(ece) else None,
        }

    @classmethod
    def from_summary(cls, summary: Mapping[str, Any]) -> Calibration:
        """Take up what :meth:`summary` returned."""
        columns = ["lower", "upper", "n", "n_real", "mean_probability"]
        return cls(pd.DataFrame(summary["bins"], columns=columns), int(summary["n_unpaired"]))


def calibrate(truth: npt.ArrayLike, probability: npt.ArrayLike) -> Calibration:
    """Bin a mask's entries by their inclusion probability and count the real ones.

    Latents are paired as for F1: by the overlap of true entries with those at or above 0.5
    (Hungarian). No entry of a latent without a partner is real.

    Parameters
    ----------
    truth
        (T, K) true mask, nonzero where open.
    probability
        (T, L) inclusion probabilities in [0, 1]; L may differ from K.
    """
    true = _in_order(np.asarray(truth, bool))
    values = _in_order(np.asarray(probability, np.float32))
    partners = match_masks(true, values >= np.float32(OPEN_THRESHOLD)).columns
    paired = partners >= 0
    real = np.zeros(values.shape, bool)
    real[:, partners[paired]] = true[:, paired]
    # Tables hold float32: 0.9 there is a little below 0.9 here.
    places = np.searchsorted(np.asarray(EDGES[1:-1], np.float32), values.ravel(), side="right")
    entries = pd.DataFrame({"p": values.ravel().astype(np.float64), "real": real.ravel()})
    bins = entries.groupby(places).agg(
        n=("p", "size"), n_real=("real", "sum"), mean_probability=("p", "mean")
    )
    bins.insert(0, "lower", np.asarray(EDGES)[bins.index])
    bins.insert(1, "upper", np.asarray(EDGES)[bins.index + 1])
    return Calibration(bins.reset_index(drop=True), int(true[:, ~paired].sum()))


def reliability_table(calibration: Calibration) -> pd.DataFrame:
    """What was claimed beside what is real, one row a bin.

    Returns
    -------
    DataFrame: ``reported`` (the bin in words), ``n``, ``n_real``, ``mean_probability``,
    ``share_real``, and ``low`` and ``high``, the bounds of its 95% interval (Wilson).
    """
    bins = calibration.bins
    bounds = [wilson(n_real, n) for n_real, n in zip(bins["n_real"], bins["n"], strict=True)]
    words = [_bin_name(*row) for row in zip(bins["lower"], bins["upper"], strict=True)]
    return pd.DataFrame(
        {
            "n": bins["n"].to_numpy(),
            "n_real": bins["n_real"].to_numpy(),
            "mean_probability": bins["mean_probability"].to_numpy(),
            "share_real": (bins["n_real"] / bins["n"]).to_numpy(),
            "low": [low for low, _ in bounds],
            "high": [high for _, high in bounds],
        },
        index=pd.Index(words, name="reported"),
    )


def tell_calibration(calibration: Calibration) -> str:
    """Say how many of the confident entries are real, and whether to believe probabilities."""
    n, n_real = calibration.confident
    if not n:
        return f"No entry is reported at {CONFIDENT:g} or above. {_PAIRING}"
    low, high = wilson(n_real, n)
    sure = calibration.bins[calibration.bins["lower"] >= CONFIDENT]
    claimed = float(np.average(sure["mean_probability"], weights=sure["n"]))
    counted = (
        f"Of the {n:,} entries reported at {CONFIDENT:g} or above, {n_real:,} are real "
        f"({n_real / n:.0%}; {100 * low:.0f}–{high:.0%})."
    )
    if n == 1:
        truly = "real" if n_real else "not real"
        counted = f"One entry is reported at {CONFIDENT:g} or above; it is {truly}."
    return " ".join(part for part in (counted, _verdict(claimed, low, high), _PAIRING) if part)


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """95% interval of a share (Wilson 1927, J. Am. Stat. Assoc. 22: 209).

    Parameters
    ----------
    successes, trials
        Counts; at least one trial.
    """
    interval = binomtest(int(successes), int(trials)).proportion_ci(COVERAGE, method="wilson")
    return float(interval.low), float(interval.high)


def _verdict(claimed: float, low: float, high: float) -> str:
    if low <= claimed <= high:
        return ""
    kind = "over-confident" if claimed > high else "under-confident"
    return (
        f"Their mean probability is {claimed:.1%}: probabilities are {kind} here. Go by how many "
        "of several seeds find an entry instead (its stability), where several were trained."
    )


def _bin_name(lower: float, upper: float) -> str:
    if lower == EDGES[0]:
        return f"below {upper:g}"
    return f"{lower:g} or above" if upper == EDGES[-1] else f"{lower:g} to {upper:g}"


def _in_order(mask: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same latents in an order of their own, so that ties in the pairing do not hang on it."""
    return mask[:, np.lexsort(mask)] if len(mask) else mask
