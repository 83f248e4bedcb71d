"""Tables and words of the masks page about how far other seeds open the same entries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sams_core.analysis.mask_tables import open_entries
from sams_core.analysis.stability import Stability

if TYPE_CHECKING:
    from anndata import AnnData


def stability_frame(masks: AnnData, stability: Stability) -> pd.DataFrame:
    """Share of seeds that open each entry, (T, L) in [0, 1] like the mask; NaN where unknown."""
    return stability.share.reindex(index=masks.obs_names, columns=masks.var_names)


def tell_stability(masks: AnnData, stability: Stability) -> str:
    """Say how many of the open entries are open in all seeds, and how well masks agree."""
    share = stability_frame(masks, stability).to_numpy()
    own = open_entries(masks, stability.threshold) & np.isfinite(share)
    at = f"at a threshold of {stability.threshold:.2f}"
    n_open, n = int(own.sum()), len(stability.seeds)
    if not n_open:
        return f"No entry is open {at}, so there is nothing that other seeds could find again."
    in_all = int((own & (share > 1 - 0.5 / n)).sum())
    seeds = "both seeds" if n == 2 else f"all {n} seeds"
    agreement = (
        f" Two seeds share {stability.agreement:.0%} of the entries that either opens."
        if n > 2 and np.isfinite(stability.agreement)
        else ""
    )
    return (
        f"**{in_all:,} of the {n_open:,}** entries open {at} are open in {seeds} "
        f"({in_all / n_open:.0%}).{agreement}"
    )


def tell_entries(masks: AnnData, stability: Stability) -> pd.DataFrame:
    """Words for each entry, (T, L), such as "open in 4 of 5 seeds"; empty where unknown."""
    n = len(stability.seeds)
    words = [f"open in {count} of {n} seeds" for count in range(n + 1)]
    share = stability_frame(masks, stability)
    return share.map(lambda value: words[round(value * n)] if np.isfinite(value) else "")
