"""Tables and words of the masks page about how far other seeds open the same entries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sams_core.analysis.mask_tables import open_entries
from sams_core.analysis.stability import Stability

if TYPE_CHECKING:
    from anndata import AnnData


def stability_frame(masks: AnnData, stability: Stability) -> pd.DataFrame:
    """Share of seeds that open each entry, (T, L) in [0, 1] like the mask; NaN where unknown.

    It is of the seeds that have the perturbation, and unknown where there are not two of them.
    """
    known = stability.share[stability.n_seeds > 1]
    return known.reindex(index=masks.obs_names, columns=masks.var_names)


def tell_stability(masks: AnnData, stability: Stability) -> str:
    """Say how many of the open entries are open in all seeds, and how well masks agree.

    Entries of perturbations that not all seeds have are counted apart.
    """
    share = stability_frame(masks, stability).to_numpy()
    n = len(stability.runs)
    n_seeds = stability.n_seeds.reindex(masks.obs_names).to_numpy()[:, None]
    is_open = open_entries(masks, stability.threshold)
    own = is_open & (n_seeds == n)
    n_open, n_others = int(own.sum()), int((is_open & (n_seeds < n)).sum())
    at = f"at a threshold of {stability.threshold:.2f}"
    others = (
        f" Not counted: {n_others:,} of perturbations that not all seeds were trained on."
        if n_others
        else ""
    )
    if not n_open:
        which = " of perturbations that all seeds were trained on" if others else ""
        return (
            f"No entry{which} is open {at}, so there is nothing that all seeds could find again."
            f"{others}"
        )
    in_all = int((own & (share > 1 - 0.5 / n)).sum())
    seeds = "both seeds" if n == 2 else f"all {n} seeds"
    agreement = (
        f" Two seeds share {stability.agreement:.0%} of the entries that either opens."
        if n > 2 and np.isfinite(stability.agreement)
        else ""
    )
    return (
        f"**{in_all:,} of the {n_open:,}** entries open {at} are open in {seeds} "
        f"({in_all / n_open:.0%}).{agreement}{others}"
    )


def tell_entries(masks: AnnData, stability: Stability) -> pd.DataFrame:
    """Words for each entry, (T, L), such as "open in 4 of 5 seeds"; empty where unknown."""
    share = stability.share.reindex(index=masks.obs_names, columns=masks.var_names)
    n_seeds = stability.n_seeds.reindex(masks.obs_names).fillna(0).astype(int)
    rows = zip(share.to_numpy(), n_seeds, strict=True)
    words = [_tell(row, having, len(stability.runs)) for row, having in rows]
    return pd.DataFrame(words, index=share.index, columns=share.columns)


def tell_trained_again(seeds: Sequence[int]) -> str:
    """Say which seeds were trained again since, and what to do; nothing where none was."""
    if not seeds:
        return ""
    listed = ", ".join(str(seed) for seed in seeds)
    which = f"Seed {listed} was" if len(seeds) == 1 else f"Seeds {listed} were"
    return (
        f"{which} trained again since: what is shown is of the earlier training. Run `evaluate` on "
        "what is new, then `compare --stability` on all seeds."
    )


def _tell(share: NDArray[np.floating], n_seeds: int, n: int) -> list[str]:
    if n_seeds < 2:
        return ["no other seed was trained on it" if n_seeds else ""] * len(share)
    of = f"{n} seeds" if n_seeds == n else f"the {n_seeds} seeds that were trained on it"
    return [f"open in {round(value * n_seeds)} of {of}" for value in share]
