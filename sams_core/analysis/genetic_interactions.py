"""Genetic-interaction scores of a pair of perturbations.

With effects A and B of the singles and AB of the double, each a vector over genes, and the fit
``AB ~ c1 A + c2 B`` by Theil and Sen's estimator without an intercept::

    magnitude    sqrt(c1^2 + c2^2)                       sqrt(2) for a sum
    model_fit    dcor(c1 A + c2 B, AB)                   1 for a sum
    similarity   dcor([A, B], AB)
    equality     min(dcor(A, AB), dcor(B, AB)) / max(dcor(A, AB), dcor(B, AB))
    dominance    |log10 |c1 / c2||                       0 for a sum

as Norman et al. (2019, Science 365:786, table S9: ``ts_norm2``, ``ts_linear_dcor``, ``dcor``,
``dcor_ratio``, ``abs_log_ts_ratio``) and GEARS (Roohani et al. 2023, Nature Biotechnology) define
them. Norman et al. take genes with more than half a count a cell on average, without those that
are perturbed, and expression standardised by control cells; here A, B and AB are effects in log2
units on the genes of :func:`scored_genes`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from sams_core.analysis.distance_correlation import bivariate, univariate
from sams_core.analysis.theil_sen import fit_pairs
from sams_core.errors import ConfigError

if TYPE_CHECKING:
    from anndata import AnnData

FloatArray = npt.NDArray[np.float64]

MIN_DETECTED = 0.1
"""Share of cells that a scored gene is detected in, at least."""
MIN_GENES = 10
"""Scores of fewer genes say nothing."""
SCORES = ("magnitude", "model_fit", "similarity", "equality", "dominance")
INTERVAL = (0.05, 0.95)
GOOD_FIT = 0.8
"""Model fit below which the double does something that no weighted sum of its singles does."""
UNEQUAL = 0.5
"""Equality of contribution below which one single explains most."""
NEGLIGIBLE_MAGNITUDE = 0.1
"""Deviations of the magnitude from that of a sum below it are no interaction."""
_SILENT = 1e-3  # root mean square effect, log2 units


def scored_genes(effects: AnnData, perturbations: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Genes that a score takes: well detected, and not those that are perturbed themselves.

    Parameters
    ----------
    effects
        The checkpoint's table of effects.
    perturbations
        Names of the pair.
    """
    detected = effects.var["frac_detected"].to_numpy(float) >= MIN_DETECTED
    names = [effects.var_names, *([effects.var["symbol"]] if "symbol" in effects.var else [])]
    perturbed = np.any([pd.Index(part.astype(str)).isin(perturbations) for part in names], axis=0)
    return np.asarray(detected & ~perturbed)


def interaction_scores(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    double: npt.ArrayLike,
    *,
    names: tuple[str, str] = ("A", "B"),
    seed: int = 0,
) -> pd.DataFrame:
    """Score a pair with posterior intervals.

    Parameters
    ----------
    first, second, double : (draws, G) arrays
        Effects of both singles and of the double at the same posterior draws, log2 units; one
        draw, as of measured effects, has no interval.
    names
        Of the singles, for the sentences.
    seed
        Of the gene pairs that Theil and Sen's estimator looks at.

    Returns
    -------
    DataFrame indexed by score (`SCORES`, then ``c1`` and ``c2``): ``value`` (median over draws),
    ``lower`` and ``upper`` (5 % and 95 %), ``additive`` (median of the same score of A + B),
    ``differs`` and ``sentence``. A score differs if the interval of its difference from that of
    A + B leaves out 0; dominance, if that of log10 ``|c1 / c2|`` does; the model fit, which is
    never above a sum's, if its interval lies below `GOOD_FIT`.

    Raises
    ------
    ConfigError
        For arrays of different shapes, numbers that are not finite, or fewer than `MIN_GENES`
        genes.
    """
    a, b, ab = (np.atleast_2d(np.asarray(part, np.float64)) for part in (first, second, double))
    _check(a, b, ab)
    silent = [name for name, x in zip(names, (a, b), strict=True) if _rms(x) < _SILENT]
    if silent:
        table = _unscored()
        table["sentence"] = f"No score: {' and '.join(silent)} alone has no effect to compare with."
        return table
    similarities = bivariate(a, b, ab, a + b)
    measured, summed = (
        _scores(a, b, part, seed).assign(similarity=similarity)
        for part, similarity in zip((ab, a + b), similarities, strict=True)
    )
    table = pd.DataFrame(
        {
            "value": measured.median(),
            "lower": measured.quantile(INTERVAL[0]) if len(a) > 1 else np.nan,
            "upper": measured.quantile(INTERVAL[1]) if len(a) > 1 else np.nan,
            "additive": summed.median(),
            "differs": _differs(measured, summed),
        }
    )
    table = table.loc[[*SCORES, "c1", "c2"]].rename_axis("score")
    table["sentence"] = [_sentence(str(score), table, names) for score in table.index]
    return table


def _scores(a: FloatArray, b: FloatArray, ab: FloatArray, seed: int) -> pd.DataFrame:
    """Scores of each draw but the similarity, one row a draw."""
    coefficients = fit_pairs(a, b, ab, seed=seed)  # (draws, 2)
    c1, c2 = coefficients.T
    fit = c1[:, None] * a + c2[:, None] * b
    with_first, with_second = univariate(a, ab), univariate(b, ab)
    larger = np.maximum(with_first, with_second)
    with np.errstate(divide="ignore"):
        dominance = np.abs(np.log10(np.abs(c1)) - np.log10(np.abs(c2)))
    return pd.DataFrame(
        {
            "magnitude": np.hypot(c1, c2),
            "model_fit": univariate(fit, ab),
            "equality": np.divide(
                np.minimum(with_first, with_second),
                larger,
                out=np.full_like(larger, np.nan),
                where=larger > 0,
            ),
            "dominance": dominance,
            "c1": c1,
            "c2": c2,
        }
    )


def _differs(measured: pd.DataFrame, summed: pd.DataFrame) -> pd.Series:
    """Whether 90 % intervals leave out a sum's scores; never for one draw."""
    difference = measured - summed
    with np.errstate(divide="ignore"):
        ratios = np.log10(measured["c1"].abs()) - np.log10(measured["c2"].abs())
    difference["dominance"] = ratios
    lower, upper = (difference.quantile(level) for level in INTERVAL)
    found = (lower > 1e-6) | (upper < -1e-6)
    found["model_fit"] = measured["model_fit"].quantile(INTERVAL[1]) < GOOD_FIT
    return found & (len(measured) > 1)


def _sentence(score: str, table: pd.DataFrame, names: tuple[str, str]) -> str:
    value, additive = float(table["value"][score]), float(table["additive"][score])
    differs, known = bool(table["differs"][score]), bool(np.isfinite(table["lower"][score]))
    said = f"{value:.2f}"
    if known:
        low, high = float(table["lower"][score]), float(table["upper"][score])
        said += f" (90 % interval {low:.2f} to {high:.2f})"
    if score in ("c1", "c2"):
        name = names[0] if score == "c1" else names[1]
        return f"The double has {said} of the effect of {name}; 1 for a sum."
    if score == "magnitude":
        return _magnitude(said, value, differs, known)
    if score == "model_fit":
        good = value >= GOOD_FIT
        meaning = (
            "a weighted sum of the singles explains the double"
            if good
            else "the double does something that no weighted sum of the singles does"
        )
        return f"Fit {said}: {meaning}."
    if score == "similarity":
        return f"Similarity of the double to its singles {said}; a sum has {additive:.2f}."
    if score == "equality":
        meaning = "both singles are alike to the double"
        if value < UNEQUAL:
            stronger = names[int(table["value"]["c2"] > table["value"]["c1"])]
            meaning = f"the double is mostly like {stronger}"
        return f"Equality of contribution {said}: {meaning}; a sum has {additive:.2f}."
    meaning = (
        "no dominance detectable" if known and not differs else f"one counts {10**value:.1f}-fold"
    )
    return f"Dominance {said}: {meaning}."


def _magnitude(said: str, value: float, differs: bool, known: bool) -> str:
    root = math.sqrt(2)
    if not known:
        return f"Magnitude {said}; {root:.2f} for a sum."
    if not differs:
        return f"No interaction detectable: magnitude {said} covers {root:.2f}, that of a sum."
    if abs(value - root) < NEGLIGIBLE_MAGNITUDE:
        return f"No interaction to speak of: magnitude {said}, next to {root:.2f}, that of a sum."
    word, than = ("Synergy", "more") if value > root else ("Suppression", "less")
    return (
        f"{word}: the double does {than} than the sum of its singles, magnitude {said} where a sum "
        f"has {root:.2f}."
    )


def _unscored() -> pd.DataFrame:
    index = pd.Index([*SCORES, "c1", "c2"], name="score")
    columns = ["value", "lower", "upper", "additive"]
    return pd.DataFrame(np.nan, index=index, columns=columns).assign(differs=False)


def _rms(values: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _check(a: FloatArray, b: FloatArray, ab: FloatArray) -> None:
    if not a.shape == b.shape == ab.shape:
        raise ConfigError(
            f"Effects of the singles and the double have shapes {a.shape}, {b.shape} and "
            f"{ab.shape}: give the same draws and genes."
        )
    if a.shape[1] < MIN_GENES:
        raise ConfigError(
            f"Only {a.shape[1]} genes can be scored: an interaction score needs {MIN_GENES}."
        )
    if not all(np.isfinite(part).all() for part in (a, b, ab)):
        raise ConfigError("An effect is not a number: score only genes with effects of all three.")
