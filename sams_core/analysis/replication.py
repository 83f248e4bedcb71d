"""Which mask entries of one checkpoint another one finds too."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import linear_sum_assignment

from sams_core.errors import ConfigError

NEITHER, FIRST, SECOND, BOTH = 0, 1, 2, 3
"""Codes of :attr:`LatentMatch.entries`: which of the two checkpoints open an entry."""

_TIE = 1e-9
"""Weight of an open entry in common between pairings that are equally alike."""


@dataclass(frozen=True)
class LatentMatch:
    """Latents of two checkpoints, matched one to one.

    Attributes
    ----------
    partners
        (L,) for each latent of the first checkpoint its partner in the second, or None.
    signs
        (L,) 1 or -1: whether partners act in the same direction; 0 without a partner.
    overlap
        (L,) share in [0, 1] of the partners' effects in common: their absolute cosine over
        perturbations.
    entries
        T perturbations x the first checkpoint's latents, then those of the second that have no
        partner: :data:`NEITHER`, :data:`FIRST`, :data:`SECOND` or :data:`BOTH`.
    """

    partners: pd.Series
    signs: pd.Series
    overlap: pd.Series
    entries: pd.DataFrame

    @property
    def replicated(self) -> float:
        """Entries that both open, as a share of those that either opens; NaN if none does."""
        either = int((self.entries != NEITHER).to_numpy().sum())
        return float((self.entries == BOTH).to_numpy().sum() / either) if either else float("nan")


def match_latents(
    first: pd.DataFrame,
    second: pd.DataFrame,
    first_effects: pd.DataFrame | None = None,
    second_effects: pd.DataFrame | None = None,
    *,
    first_responses: pd.DataFrame | None = None,
    second_responses: pd.DataFrame | None = None,
    threshold: float = 0.5,
) -> LatentMatch:
    """Match the latents of two masks by assignment (Hungarian) on what they do.

    A latent has no order and no sign of its own. Latents are paired so that their likeness is
    largest in total: the absolute cosine of their masked effects over perturbations; where
    responses are given, the absolute sum of that cosine and of the cosine of their responses over
    genes, so that both must agree on whether the latent is mirrored. Equally good pairings are
    decided by the open entries in common. Pairs that share no perturbation are not partners.

    Parameters
    ----------
    first, second
        T x L and T' x L' inclusion probabilities with names; perturbations that only one of them
        has take no part.
    first_effects, second_effects
        Effects of the same shape as the masks; without them every open entry counts the same.
    first_responses, second_responses
        L x G and L' x G' changes of the genes along each latent; genes that only one of them has
        take no part.
    threshold
        Inclusion probability from which an entry is open.

    Raises
    ------
    ConfigError
        When the two have no perturbation, or no gene of the responses, in common.
    """
    names = first.index[first.index.isin(second.index)]
    if names.empty:
        raise ConfigError(
            "The two checkpoints have no perturbation in common: compare runs on the same screen."
        )
    is_open = [np.asarray(mask.loc[names] >= np.float32(threshold)) for mask in (first, second)]
    a, b = (
        opened * (1.0 if effects is None else effects.loc[names, mask.columns].to_numpy(np.float64))
        for opened, mask, effects in zip(
            is_open, (first, second), (first_effects, second_effects), strict=True
        )
    )
    cosines = _cosines(a, b)  # (L, L')
    likeness = cosines
    if first_responses is not None and second_responses is not None:
        likeness = cosines + _response_cosines(
            first_responses.loc[first.columns], second_responses.loc[second.columns]
        )
    shared = is_open[0].astype(float).T @ is_open[1].astype(float)
    rows, columns = linear_sum_assignment(-np.abs(likeness) - _TIE * shared)
    paired = (shared[rows, columns] > 0) & (likeness[rows, columns] != 0)
    rows, columns = rows[paired], columns[paired]
    partners = pd.Series([None] * first.shape[1], index=first.columns, dtype=object)
    partners.iloc[rows] = second.columns[columns]
    signs = pd.Series(0, index=first.columns)
    signs.iloc[rows] = np.sign(likeness[rows, columns]).astype(int)
    overlap = pd.Series(0.0, index=first.columns)
    overlap.iloc[rows] = np.abs(cosines[rows, columns])
    return LatentMatch(partners, signs, overlap, _entries(first, second, is_open, rows, columns))


def _cosines(
    first: npt.NDArray[np.floating], second: npt.NDArray[np.floating]
) -> npt.NDArray[np.float64]:
    """Cosines of the columns of (T, L) and (T, L'): (L, L'); 0 for a column of zeros."""
    lengths = np.linalg.norm(first, axis=0)[:, None] * np.linalg.norm(second, axis=0)
    products = np.asarray(first.T @ second, np.float64)
    return np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)


def _response_cosines(first: pd.DataFrame, second: pd.DataFrame) -> npt.NDArray[np.float64]:
    genes = first.columns[first.columns.isin(second.columns)]
    if genes.empty:
        raise ConfigError(
            "The two checkpoints have no gene in common: compare runs on the same screen."
        )
    return _cosines(first[genes].to_numpy(np.float64).T, second[genes].to_numpy(np.float64).T)


def _entries(
    first: pd.DataFrame,
    second: pd.DataFrame,
    is_open: list[npt.NDArray[np.bool_]],
    rows: npt.NDArray[np.intp],
    columns: npt.NDArray[np.intp],
) -> pd.DataFrame:
    names = first.index[first.index.isin(second.index)]
    codes = np.where(is_open[0], FIRST, NEITHER)
    codes[:, rows] += SECOND * is_open[1][:, columns]
    surplus = np.setdiff1d(np.flatnonzero(is_open[1].any(axis=0)), columns)
    extra = SECOND * is_open[1][:, surplus]
    labels = [*first.columns, *(f"{second.columns[latent]} (second)" for latent in surplus)]
    return pd.DataFrame(np.hstack([codes, extra]), index=names, columns=labels)
