"""What the details of the masks page say first, in one or two plain sentences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from sams_core.analysis.effect_tables import listed
from sams_core.analysis.enrichment import ALPHA
from sams_core.analysis.markdown import escape
from sams_core.analysis.mask_tables import has_mask, open_entries

if TYPE_CHECKING:
    from anndata import AnnData

    from sams_core.analysis.latent_enrichment import LatentEnrichment


def tell_entry(
    masks: AnnData, perturbation: str, latent: str, threshold: float, seeds: str | None = None
) -> str:
    """Say what one mask entry is.

    Parameters
    ----------
    masks
        The checkpoint's mask table.
    perturbation, latent
        Names of its row and of its column.
    threshold
        Inclusion probability from which an entry counts as open.
    seeds
        In how many seeds it is open, in words.
    """
    entry = masks[perturbation, latent]
    effect, sd = (float(entry.layers[name][0, 0]) for name in ("effect", "effect_sd"))
    shift = f"it shifts cells by {effect:+.2f} ± {sd:.2f} basal s.d."
    if not has_mask(masks):
        return f"**{escape(perturbation)}** and **{escape(latent)}**: {shift}"
    probability = float(entry.X[0, 0])
    state = "opens" if open_entries(entry, threshold)[0, 0] else "does not open"
    words = f" It is {seeds}." if seeds else ""
    return (
        f"**{escape(perturbation)}** {state} **{escape(latent)}** "
        f"(inclusion probability {probability:.2f}); {shift}{words}"
    )


def tell_perturbation(masks: AnnData, row: pd.DataFrame, perturbation: str) -> str:
    """Say which latent dimensions a perturbation shifts, and how well it is known.

    Parameters
    ----------
    masks
        The checkpoint's mask table.
    row
        From `sams_core.analysis.perturbation_details.mask_row`.
    perturbation
        Its name.
    """
    counts = masks.obs.loc[perturbation]
    known = (
        f"The model learned it from {int(counts['n_cells_train']):,} training cells; in the data "
        f"{_genes(int(counts['n_significant']))} at FDR 5%."
    )
    if not has_mask(masks):
        parts = [f"{latent} ({_shift(found)})" for latent, found in row.head(3).iterrows()]
        return (
            f"**{escape(perturbation)}** shifts every latent dimension, most of all "
            f"{listed(parts)}, in basal s.d. {known}"
        )
    opened = row[row["open"]]
    if opened.empty:
        return f"**{escape(perturbation)}** opens no latent dimension at this threshold. {known}"
    parts = [
        f"{latent} ({_shift(found)}, {_shared(int(found['n_others']))})"
        for latent, found in opened.head(4).iterrows()
    ]
    more = f" and {len(opened) - 4} more" if len(opened) > 4 else ""
    return (
        f"**{escape(perturbation)}** opens {len(opened)} of {len(row)} latent dimensions: "
        f"{listed(parts)}{more}. {known}"
    )


def tell_latent(
    openers: pd.DataFrame,
    latent: str,
    up: pd.DataFrame,
    down: pd.DataFrame,
    tests: LatentEnrichment | None,
    *,
    masked: bool,
) -> str:
    """Say who opens a latent dimension, which genes that moves, and the best gene set.

    Parameters
    ----------
    openers
        From `sams_core.analysis.latent_dimension.openers`.
    latent
        Name of the dimension.
    up, down
        Genes that the openers' typical step moves, from
        `sams_core.analysis.latent_dimension.top_genes`.
    tests
        Of gene sets; the best set of all is named.
    masked
        Whether the model has a mask: without one every perturbation shifts every dimension.
    """
    effect, names = openers["effect"], [*map(escape, openers.index)]
    if openers.empty:
        who = f"No perturbation opens **{escape(latent)}** at this threshold: it describes only "
        who += "how cells differ by themselves. A step up along it"
    elif not masked:
        who = f"Every perturbation shifts **{escape(latent)}**, {listed(names, limit=3)} most. "
        who += f"A step of {typical_step(openers):+.1f} basal s.d."
    else:
        verb = "opens" if len(openers) == 1 else "open"
        who = f"**{listed(names, limit=5)}** {verb} **{escape(latent)}**"
        towards = np.sign(typical_step(openers))
        against = int((np.sign(effect) == -towards).sum())
        if against:
            who += f", {len(openers) - against} pushing it {_way(towards)}, {against} "
            who += f"{_way(-towards)}. A step of {typical_step(openers):+.1f} basal s.d."
        else:
            who += f", pushing it {_way(towards)} by {abs(typical_step(openers)):.1f} basal s.d."
            who += " on average. That step"
    moves = [
        f"{verb} {listed([*map(escape, genes.index[:3])])}"
        for verb, genes in (("raises", up), ("lowers", down))
        if len(genes)
    ]
    text = f"{who} {' and '.join(moves) + ' most' if moves else 'moves no gene clearly'}."
    if tests is None or tests.best is None:
        return f"{text} No gene set is enriched at an FDR of {ALPHA:.0%}."
    what, best = tests.best
    first = best.enriched.iloc[0]
    return (
        f"{text} The best gene set is **{escape(first['set'])}**, with {first['overlap']} of the "
        f"{best.n_chosen} {what} ({_rate(first['fdr'])})."
    )


def typical_step(openers: pd.DataFrame) -> float:
    """Mean effect of the openers that push the way that most of the push goes; 1 without any.

    Parameters
    ----------
    openers
        From `sams_core.analysis.latent_dimension.openers`.
    """
    effect = openers["effect"].to_numpy(np.float64)
    same = effect[np.sign(effect) == np.sign(effect.sum())]
    return float(same.mean()) if len(same) and same.any() else 1.0


def tell_pathways(found: Mapping[str, Any]) -> str:
    """Say how often pathways are told from masks, beside chance and the data themselves.

    Parameters
    ----------
    found
        From `sams_core.analysis.evaluation_masks.pathway_scores`.
    """
    from_mask, shuffled = found["accuracy_logistic"], found["permutation"]
    text = (
        f"From its mask alone, the pathway of a left-out perturbation is told right in "
        f"**{from_mask['mean']:.0%}** ± {from_mask['sd']:.0%} of {found['n_perturbations']:,} "
        f"({found['n_pathways']} pathways); guessing the largest pathway is right in "
        f"{found['majority']:.0%}, masks with shuffled pathways in {shuffled['mean']:.0%} ± "
        f"{shuffled['sd']:.0%}"
    )
    measured = found.get("ate")
    return (
        f"{text}, and the measured effects themselves in {measured['mean']:.0%}."
        if measured
        else (f"{text}.")
    )


def _rate(fdr: float) -> str:
    return "FDR below 0.001" if fdr < 0.001 else f"FDR {fdr:.2g}"


def _genes(number: int) -> str:
    if number == 0:
        return "it changes no gene"
    return f"it changes {number:,} gene{'s' if number > 1 else ''}"


def _way(sign: float) -> str:
    return "up" if sign > 0 else "down"


def _shift(found: pd.Series) -> str:
    return f"{found['effect']:+.1f} ± {found['effect_sd']:.1f}"


def _shared(others: int) -> str:
    return f"shared with {others}" if others else "alone"
