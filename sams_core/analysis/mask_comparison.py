"""Another checkpoint's mask in this one's latents, to be shown beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sams_core.analysis.mask_tables import NO_PARTNER, ZERO, frame, responses
from sams_core.analysis.replication import LatentMatch, match_latents

if TYPE_CHECKING:
    from anndata import AnnData

MIRRORED = "−"
"""Before the name of a partner that acts in the opposite direction."""


def match_tables(
    first: AnnData,
    second: AnnData,
    genes: Sequence[str],
    other_genes: Sequence[str],
    threshold: float,
) -> LatentMatch:
    """Match the latents of two mask tables, by effects and by responses of the genes if stored.

    Parameters
    ----------
    first, second
        Mask tables of checkpoints with perturbations in common.
    genes, other_genes
        Names of either model's genes, in its order.
    threshold
        Inclusion probability from which an entry is open.

    Raises
    ------
    ConfigError
        When the two have no perturbation or no gene in common.
    """
    moved = responses(first, genes), responses(second, other_genes)
    stored = moved[0] is not None and moved[1] is not None
    return match_latents(
        frame(first),
        frame(second),
        frame(first, "effect"),
        frame(second, "effect"),
        first_responses=moved[0] if stored else None,
        second_responses=moved[1] if stored else None,
        threshold=threshold,
    )


def in_latents_of(
    match: LatentMatch,
    first: AnnData,
    second: AnnData,
    latents: Sequence[str],
    layer: str | None,
) -> pd.DataFrame:
    """The second mask with the columns that are partners of the first's, in the order shown.

    Parameters
    ----------
    match
        From :func:`match_tables`.
    first, second
        The two mask tables.
    latents
        Latents of the first, in the order shown.
    layer
        Layer of the second, by default inclusion probabilities; values of layers turn their sign
        where partners act in opposite directions.

    Returns
    -------
    Rows of the first, NaN where the second has no such perturbation; columns named after the
    second's latents, `MIRRORED` before those that act in the opposite direction and `NO_PARTNER`
    where there is none.
    """
    theirs = frame(second, layer).reindex(first.obs_names)
    columns, names = [], []
    for number, latent in enumerate(latents):
        partner, sign = match.partners[latent], int(match.signs[latent])
        if partner is None or pd.isna(partner):
            columns.append(np.full(first.n_obs, np.nan))
            names.append(NO_PARTNER + ZERO * number)
            continue
        turned = 1 if layer is None else sign
        columns.append(theirs[partner].to_numpy(np.float64) * turned)
        names.append((MIRRORED if sign < 0 else "") + str(partner))
    return pd.DataFrame(np.column_stack(columns), index=first.obs_names, columns=names)
