"""How far checkpoints that differ by their seed open the same mask entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pandas as pd

from sams_core.analysis.replication import match_latents
from sams_core.errors import ConfigError


@dataclass(frozen=True)
class Agreement:
    """N masks of one screen, matched pair by pair; from :func:`seed_agreement`.

    Attributes
    ----------
    masks, effects, responses
        What was compared, in the order given; None where it was not given.
    threshold
        Inclusion probability from which an entry is open.
    """

    masks: tuple[pd.DataFrame, ...]
    effects: tuple[pd.DataFrame, ...] | None
    responses: tuple[pd.DataFrame, ...] | None
    threshold: float

    @cached_property
    def jaccard(self) -> npt.NDArray[np.float64]:
        """(N, N) Jaccard index of matched masks in [0, 1], with ones on the diagonal.

        Entries that both open as a share of those that either opens, over the perturbations that
        both have; NaN for two masks without an open entry.
        """
        jaccard = np.eye(len(self.masks))
        for i, j in combinations(range(len(self.masks)), 2):
            is_open = self.opened_as(i, j)
            own = self._is_open(i).loc[is_open.index]
            both = int((own & is_open).to_numpy().sum())
            total = int(own.to_numpy().sum())
            total += int(self._is_open(j).loc[is_open.index].to_numpy().sum())
            jaccard[i, j] = jaccard[j, i] = both / (total - both) if total else np.nan
        return jaccard

    @property
    def pairs(self) -> npt.NDArray[np.float64]:
        """(N (N - 1) / 2,) Jaccard indices of the pairs; pairs of empty masks are NaN."""
        return np.asarray(self.jaccard[np.triu_indices(len(self.masks), 1)])

    @property
    def mean(self) -> float:
        """Seed agreement in [0, 1]: mean Jaccard index over pairs; NaN without a pair."""
        known = self.pairs[np.isfinite(self.pairs)]
        return float(known.mean()) if len(known) else float("nan")

    @property
    def sd(self) -> float:
        """Standard deviation of the Jaccard index over pairs; NaN for fewer than two pairs."""
        known = self.pairs[np.isfinite(self.pairs)]
        return float(known.std(ddof=1)) if len(known) > 1 else float("nan")

    def stability(self, reference: int) -> pd.DataFrame:
        """Share of seeds in which each entry of a reference is open.

        The reference counts as one of the seeds, so that the smallest share of an entry that it
        opens is 1 / N. An entry that it leaves closed may be open in others. What others open in
        latents without a partner in the reference has no entry here.

        Parameters
        ----------
        reference
            Number of the checkpoint.

        Returns
        -------
        DataFrame
            T x L in [0, 1], named like the reference's mask; of each perturbation over the
            checkpoints that have it.
        """
        count = self._is_open(reference).astype(float)
        for other in range(len(self.masks)):
            if other != reference:
                is_open = self.opened_as(reference, other)
                count.loc[is_open.index] += is_open
        return count.div(self.n_seeds(reference), axis=0)

    def n_seeds(self, reference: int) -> pd.Series:
        """(T,) how many of the N checkpoints have each perturbation of a reference, 1 to N."""
        names = self.masks[reference].index
        has = [names.isin(mask.index) for mask in self.masks]
        return pd.Series(np.sum(has, axis=0), index=names)

    def opened_as(self, reference: int, other: int) -> pd.DataFrame:
        """What another checkpoint opens, in the latents of a reference.

        Returns
        -------
        DataFrame
            Whether the other opens each entry: perturbations of both x latents of the reference.
            False throughout for a latent without a partner.
        """
        first, second = min(reference, other), max(reference, other)
        partners = self._match(first, second)
        if reference != first:
            partners = pd.Series(partners.index, index=pd.Index(partners.array), dtype=object)
        names = self.masks[reference].index
        names = names[names.isin(self.masks[other].index)]
        is_open = pd.DataFrame(False, index=names, columns=self.masks[reference].columns)
        theirs = self._is_open(other).loc[names]
        for latent, partner in partners.items():
            is_open[latent] = theirs[partner]
        return is_open

    @cached_property
    def _partners(self) -> dict[tuple[int, int], pd.Series]:
        return {}

    def _match(self, first: int, second: int) -> pd.Series:
        """Partners in the second, by the latent of the first that has one."""
        if (first, second) not in self._partners:
            match = match_latents(
                self.masks[first],
                self.masks[second],
                None if self.effects is None else self.effects[first],
                None if self.effects is None else self.effects[second],
                first_responses=None if self.responses is None else self.responses[first],
                second_responses=None if self.responses is None else self.responses[second],
                threshold=self.threshold,
            )
            self._partners[first, second] = match.partners.dropna()
        return self._partners[first, second]

    def _is_open(self, number: int) -> pd.DataFrame:
        return self.masks[number] >= np.float32(self.threshold)


def seed_agreement(
    masks: Sequence[pd.DataFrame],
    effects: Sequence[pd.DataFrame] | None = None,
    responses: Sequence[pd.DataFrame] | None = None,
    threshold: float = 0.5,
) -> Agreement:
    """Compare the masks of checkpoints that were trained alike from different seeds.

    Latents of each pair are matched one to one by
    :func:`sams_core.analysis.replication.match_latents`, as they have neither order nor sign of
    their own.

    Parameters
    ----------
    masks
        Of each checkpoint T x L inclusion probabilities, with names.
    effects
        Of each the effects, shaped like its mask; without them every open entry counts the same.
    responses
        Of each L x G what its latents do to the genes; used for matching beside the effects.
    threshold
        Inclusion probability from which an entry is open.

    Raises
    ------
    ConfigError
        When there are not as many effects or responses as masks, or two checkpoints have no
        perturbation or, with responses, no gene in common.
    """
    masks = tuple(masks)
    for what, tables in (("effects", effects), ("responses", responses)):
        if tables is not None and len(tables) != len(masks):
            raise ConfigError(
                f"There are {len(masks)} masks but {len(tables)} {what}: give one each."
            )
    agreement = Agreement(
        masks,
        None if effects is None else tuple(effects),
        None if responses is None else tuple(responses),
        threshold,
    )
    for first, second in combinations(range(len(masks)), 2):
        agreement._match(first, second)
    return agreement
