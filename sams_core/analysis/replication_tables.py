"""Tables and words about the mask entries that two checkpoints share."""

from __future__ import annotations

import pandas as pd

from sams_core.analysis.ordering import cluster_order, latent_order
from sams_core.analysis.replication import BOTH, FIRST, NEITHER, SECOND, LatentMatch


def tell_replication(match: LatentMatch, first: str, second: str) -> str:
    """Say which share of the mask replicates (from `match_latents`)."""
    codes = match.entries.to_numpy()
    either = int((codes != NEITHER).sum())
    if not either:
        return "Neither checkpoint opens any mask entry at this threshold."
    used = (codes[:, : len(match.partners)] % 2 == 1).any(axis=0)
    paired = int((match.partners.notna().to_numpy() & used).sum())
    return (
        f"**{match.replicated:.0%}** of the {either:,} mask entries that either checkpoint opens "
        f"are open in both; {int((codes == FIRST).sum()):,} are only in {first}, "
        f"{int((codes == SECOND).sum()):,} only in {second}. Of the {int(used.sum())} latent "
        f"dimensions that {first} uses, {paired} have a partner."
    )


def entries_in_order(match: LatentMatch) -> pd.DataFrame:
    """Entries for a map: similar rows together, shared latents first, empty ones left out."""
    entries = match.entries
    opened = entries != NEITHER
    entries = entries.loc[opened.any(axis=1), opened.any(axis=0)]
    if entries.empty:
        return entries
    is_open = (entries != NEITHER).to_numpy(float)
    return entries.iloc[cluster_order(is_open), latent_order(is_open)]


def latent_pairs(match: LatentMatch) -> pd.DataFrame:
    """One row a latent that either checkpoint opens, the best replicated first.

    Returns
    -------
    DataFrame: ``partner`` (in the second; missing without one), ``direction``, ``overlap`` (NaN
    without a partner), ``n_both``, ``n_first`` and ``n_second`` entries.
    """
    table = pd.DataFrame(
        {
            "partner": match.partners,
            "direction": match.signs.map({1: "same", -1: "opposite", 0: None}),
            "overlap": match.overlap.where(match.partners.notna()),
        }
    ).reindex(match.entries.columns)
    for name, code in (("n_both", BOTH), ("n_first", FIRST), ("n_second", SECOND)):
        table[name] = (match.entries == code).sum(axis=0)
    table.index.name = "latent"
    used = table[["n_both", "n_first", "n_second"]].sum(axis=1) > 0
    return table[used].sort_values("n_both", ascending=False, kind="stable")
