"""Tables of the masks page: what a perturbation opens, and who opens a latent dimension."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sams_core.analysis.effect_tables import MANY_GENES, listed
from sams_core.analysis.metrics import MaskMatch, match_masks
from sams_core.analysis.ordering import UNGROUPED, Group, group_by_annotation, group_by_sets

if TYPE_CHECKING:
    from anndata import AnnData

NO_GROUPING = "No grouping"
OPEN_THRESHOLD = 0.5
NO_PARTNER = "–"
ZERO = "\u200b"
"""A character without width, which tells equal labels apart."""
_NOT_ANNOTATIONS = {"n_cells", "n_cells_train", "n_significant"}


def has_mask(masks: AnnData) -> bool:
    """Whether the model says which latent dimensions a perturbation shifts, and which not."""
    return bool(masks.uns.get("has_mask", True))


def has_shift(masks: AnnData) -> bool:
    """Whether a perturbation is a shift in the model's latent space."""
    return bool(masks.uns.get("has_shift", True))


def trained(masks: AnnData) -> AnnData:
    """The mask table without perturbations that no training cell has: nothing was learned of them.

    Their masks are what the model assumes before training, and would count as open or replicated.
    """
    keep = masks.obs["n_cells_train"].to_numpy() > 0
    if keep.all():
        return masks
    part = masks[keep].copy()
    if "truth_mask" in masks.uns:
        part.uns["truth_mask"] = np.asarray(masks.uns["truth_mask"])[keep]
    return part


def annotation_columns(masks: AnnData) -> list[str]:
    """Columns of ``masks.obs`` that can group perturbations: text with a few repeated values."""
    return [
        str(name)
        for name, column in masks.obs.items()
        if name not in _NOT_ANNOTATIONS
        and not pd.api.types.is_float_dtype(column)
        and 1 < column.nunique() <= max(2, len(column) // 2)
    ]


def grouping_choices(
    masks: AnnData, gene_sets: Mapping[str, Mapping[str, Sequence[str]]]
) -> list[str]:
    """Annotations, then collections that name at least one group of this screen, then none."""
    names = [str(name) for name in masks.obs_names]
    return [
        *annotation_columns(masks),
        *(
            label
            for label, sets in gene_sets.items()
            if group_by_sets(names, sets)[0].name != UNGROUPED
        ),
        NO_GROUPING,
    ]


def grouping(
    masks: AnnData, choice: str, gene_sets: Mapping[str, Mapping[str, Sequence[str]]]
) -> list[Group]:
    """Group perturbations as chosen on the page.

    Parameters
    ----------
    masks
        The checkpoint's mask table.
    choice
        An annotation column, a key of ``gene_sets``, or anything else for a single nameless group.
    gene_sets
        Collections of gene sets by name.
    """
    if choice in annotation_columns(masks):
        return group_by_annotation(masks.obs[choice])
    if choice in gene_sets:
        return group_by_sets([str(name) for name in masks.obs_names], gene_sets[choice])
    return [Group("", np.arange(masks.n_obs))]


def open_entries(masks: AnnData, threshold: float) -> NDArray[np.bool_]:
    """(T, L) whether the inclusion probability is at or above the threshold."""
    # Tables hold float32: 0.3 there is a little above 0.3 here.
    return np.asarray(np.asarray(masks.X) >= np.float32(threshold))


def used_latents(masks: AnnData, latents: Sequence[str], threshold: float) -> list[str]:
    """Those of ``latents`` that any perturbation opens, in the same order."""
    used = set(masks.var_names[open_entries(masks, threshold).any(axis=0)])
    return [name for name in latents if name in used]


def frame(masks: AnnData, layer: str | None = None) -> pd.DataFrame:
    """(T, L) inclusion probabilities, or one of the table's layers, with names."""
    values = masks.X if layer is None else masks.layers[layer]
    return pd.DataFrame(np.asarray(values), index=masks.obs_names, columns=masks.var_names)


def responses(masks: AnnData, genes: Sequence[str]) -> pd.DataFrame | None:
    """(L, G) what each latent does to the genes, with names; None where the table has it not.

    Parameters
    ----------
    masks
        The checkpoint's mask table.
    genes
        Names of the model's genes, in its order.
    """
    values = masks.varm.get("response")
    if values is None or np.shape(values) != (masks.n_vars, len(genes)):
        return None
    return pd.DataFrame(np.asarray(values), index=masks.var_names, columns=list(genes))


def finding(masks: AnnData, threshold: float) -> str:
    """Say in one sentence what the mask shows at this threshold."""
    is_open = open_entries(masks, threshold)
    per_perturbation = is_open.sum(axis=1)
    acting = int((per_perturbation > 0).sum())
    if not acting:
        return f"No perturbation opens any latent dimension at a threshold of {threshold:.2f}."
    typical = np.median(per_perturbation[per_perturbation > 0])
    return (
        f"{acting:,} of {masks.n_obs:,} perturbations shift at least one latent dimension, "
        f"typically {typical:g}; {int(is_open.any(axis=0).sum())} of {masks.n_vars} dimensions are "
        f"used, and {is_open.mean():.1%} of all entries are open. {missed(masks, threshold)}"
    ).strip()


def shift_finding(masks: AnnData) -> str:
    """Say in a sentence or two how far perturbations shift where there is no mask."""
    lengths = pd.Series(_shift_lengths(masks), index=masks.obs_names.astype(str))
    strongest = lengths.sort_values(ascending=False, kind="stable")
    return (
        f"{masks.n_obs:,} perturbations shift all {masks.n_vars} latent dimensions, by "
        f"{lengths.median():.1f} in the typical one (length of the whole shift, in units where "
        f"unperturbed cells spread by about 1). {listed(strongest.index[:3])} shift farthest, "
        f"{strongest.index[0]} by {strongest.iloc[0]:.1f}."
    )


def silent_rows(masks: AnnData, threshold: float) -> NDArray[np.bool_]:
    """(T,) whether a perturbation opens no latent dimension."""
    return np.asarray(~open_entries(masks, threshold).any(axis=1))


def without_rows(groups: Sequence[Group], hidden: NDArray[np.bool_]) -> list[Group]:
    """Groups without the hidden rows; a group that loses all of them is left out."""
    kept = [Group(group.name, group.rows[~hidden[group.rows]]) for group in groups]
    return [group for group in kept if len(group.rows)]


def missed(masks: AnnData, threshold: float) -> str:
    """Name the perturbations that open nothing though the data show an effect, most genes first."""
    significant = masks.obs["n_significant"].astype(int)
    quiet = significant[silent_rows(masks, threshold) & (significant >= MANY_GENES).to_numpy()]
    if quiet.empty:
        return ""
    verb, each = ("opens", "it changes") if len(quiet) == 1 else ("open", "each changes")
    names = listed(quiet.sort_values(ascending=False, kind="stable").index)
    return f"{names} {verb} none, though in the data {each} {MANY_GENES} genes or more."


def perturbation_table(masks: AnnData, groups: Sequence[Group], threshold: float) -> pd.DataFrame:
    """One row a perturbation, in the order of ``groups``.

    Returns
    -------
    DataFrame: ``group`` (if named), ``n_cells``, ``n_open``, ``open_latents`` (strongest effect
    first), ``strength`` (length of the effect vector, basal s.d.), ``n_significant``; without a
    mask nothing of what is open.
    """
    is_open = open_entries(masks, threshold)
    effect = np.asarray(masks.layers["effect"], dtype=np.float64)
    latents = masks.var_names.to_numpy(dtype=str)
    table = pd.DataFrame(
        {
            "n_cells": masks.obs["n_cells"].to_numpy(),
            "n_open": is_open.sum(axis=1),
            "open_latents": [
                _listed(latents, open_row, np.abs(effect_row))
                for open_row, effect_row in zip(is_open, effect, strict=True)
            ],
            "strength": _shift_lengths(masks),
            "n_significant": masks.obs["n_significant"].to_numpy(),
        },
        index=pd.Index(masks.obs_names.astype(str), name="perturbation"),
    )
    if not has_mask(masks):
        table = table.drop(columns=["n_open", "open_latents"])
    rows = np.concatenate([group.rows for group in groups])
    ordered = table.iloc[rows]
    if any(group.name for group in groups):
        ordered.insert(
            0, "group", np.repeat([g.name for g in groups], [len(g.rows) for g in groups])
        )
    return ordered


def latent_table(masks: AnnData, threshold: float) -> pd.DataFrame:
    """One row a latent dimension, the most shared first.

    Returns
    -------
    DataFrame: ``n_open`` perturbations that open it, ``mean_effect`` (mean absolute effect of
    those, basal s.d.; NaN if none), ``perturbations`` (strongest effect first).
    """
    is_open = open_entries(masks, threshold)
    magnitude = np.abs(np.asarray(masks.layers["effect"], dtype=np.float64))
    names = masks.obs_names.to_numpy(dtype=str)
    counts = is_open.sum(axis=0)
    totals = np.where(is_open, magnitude, 0.0).sum(axis=0)
    table = pd.DataFrame(
        {
            "n_open": counts,
            "mean_effect": np.where(counts > 0, totals / np.maximum(counts, 1), np.nan),
            "perturbations": [
                _listed(names, is_open[:, latent], magnitude[:, latent])
                for latent in range(masks.n_vars)
            ],
        },
        index=pd.Index(masks.var_names.astype(str), name="latent"),
    )
    return table.sort_values("n_open", ascending=False, kind="stable")


def match_truth(
    masks: AnnData, latents: Sequence[str], threshold: float
) -> tuple[pd.DataFrame, MaskMatch]:
    """Pair the simulated truth's latents with the model's.

    Parameters
    ----------
    masks
        Mask table with ``uns["truth_mask"]``.
    latents
        The model's latents in the order shown; true latents follow their partners' order, those
        whose partner is not shown come last.
    threshold
        Inclusion probability from which an entry counts as open.

    Returns
    -------
    The true mask (T, K) without the latents that no perturbation truly opens, columns named after
    the model's latent they are paired with (`NO_PARTNER` if none is left); and the match.
    """
    truth = np.asarray(masks.uns["truth_mask"]) > 0
    match = match_masks(truth, open_entries(masks, threshold))
    place = {masks.var_names.get_loc(name): rank for rank, name in enumerate(latents)}
    order = sorted(
        np.flatnonzero(truth.any(axis=0)),
        key=lambda k: (place.get(match.columns[k], masks.n_vars), k),
    )
    names = [
        str(masks.var_names[match.columns[k]]) if match.columns[k] >= 0 else NO_PARTNER + ZERO * k
        for k in order
    ]
    return pd.DataFrame(truth[:, order], index=masks.obs_names, columns=names), match


def _shift_lengths(masks: AnnData) -> NDArray[np.float64]:
    return np.linalg.norm(np.asarray(masks.layers["effect"], dtype=np.float64), axis=1)


def _listed(names: NDArray[Any], chosen: NDArray[np.bool_], weight: NDArray[np.float64]) -> str:
    order = np.argsort(-weight[chosen], kind="stable")
    return ", ".join(names[chosen][order])
