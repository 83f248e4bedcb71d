"""Tables behind the latents page: what cells and perturbations can be coloured by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sams_core.analysis.effect_tables import listed
from sams_core.analysis.mask_tables import (
    OPEN_THRESHOLD,
    annotation_columns,
    has_mask,
    has_shift,
    open_entries,
)
from sams_core.analysis.ordering import UNGROUPED, group_by_sets
from sams_core.record import SPLIT_NAMES

if TYPE_CHECKING:
    from anndata import AnnData

PERTURBATION = "perturbation"
LATENT = "latent dimension"
GENE = "gene expression"
SEVERAL = "more than one"

_SHOWN = ("condition", PERTURBATION, GENE, LATENT)
_FEW = 10
MIN_CELLS = 5


def colour_choices(cells: AnnData, masks: AnnData) -> list[str]:
    """List what cells can be coloured by.

    The perturbation, its annotations, columns of the cells, a gene and a latent dimension.
    """
    annotations = [column for column in annotation_columns(masks) if column not in cells.obs]
    columns = [str(column) for column in cells.obs.columns if column not in _SHOWN]
    return [PERTURBATION, *annotations, *columns, GENE, LATENT]


def splits(cells: AnnData) -> list[str]:
    """Parts of the screen that occur among the cells: training, validation, held out, unused."""
    found = [str(name) for name in cells.obs["split"].unique()]
    return sorted(found, key=lambda name: (*SPLIT_NAMES, name).index(name))


def is_number(values: pd.Series) -> bool:
    """Whether to show values on a scale rather than as categories."""
    return bool(
        pd.api.types.is_numeric_dtype(values)
        and not pd.api.types.is_bool_dtype(values)
        and values.nunique() > _FEW
    )


def cell_values(cells: AnnData, masks: AnnData, choice: str, *, control: str) -> pd.Series:
    """One value a cell for a choice of `colour_choices` other than `GENE` and `LATENT`.

    A perturbation's annotation is handed to its cells: control cells get ``control``, and cells
    with perturbations of different annotation get `SEVERAL`.
    """
    conditions = cells.obs["condition"].astype(str)
    if choice == PERTURBATION:
        return conditions
    if choice in cells.obs:
        values = cells.obs[choice]
        return values if is_number(values) else _as_text(values)
    groups = masks.obs[choice].astype(object).to_dict()
    return conditions.map(
        {c: _shared_group(c, groups, control) for c in conditions.unique()}
    ).rename(choice)


def with_gene_sets(masks: AnnData, gene_sets: Mapping[str, Mapping[str, Sequence[str]]]) -> AnnData:
    """A copy of the mask table whose annotations hold each perturbation's gene set besides.

    Parameters
    ----------
    gene_sets
        Collections of gene sets by name; perturbations in no group of a collection have no value.
    """
    names = [str(name) for name in masks.obs_names]
    table = masks.copy()
    for label, sets in gene_sets.items():
        column = np.full(len(names), None, dtype=object)
        for group in group_by_sets(names, sets):
            if group.name != UNGROUPED:
                column[group.rows] = group.name
        table.obs[label] = column
    return table


def distances(
    cells: AnnData, labels: pd.Series, control: str, categories: Sequence[str]
) -> dict[str, tuple[float, float]]:
    """How far cells lie from the control cells on the basal and on the full side.

    Parameters
    ----------
    labels
        One category a cell, in the order of ``cells``.
    categories
        Those to measure; fewer than `MIN_CELLS` cells are left out.

    Returns
    -------
    Category to (basal, full) distance between mean positions, less what chance alone would give;
    in units where unperturbed cells spread by about 1.
    """
    known = labels.to_numpy(dtype=object)
    found = {}
    for category in categories:
        rows = {name: np.flatnonzero(known == name) for name in (category, control)}
        if category == control or min(len(row) for row in rows.values()) < MIN_CELLS:
            continue
        basal, full = (
            _mean_distance(*(np.asarray(cells.obsm[key])[row] for row in rows.values()))
            for key in ("z_basal", "z")
        )
        found[category] = (basal, full)
    return found


def describe_distances(found: Mapping[str, tuple[float, float]]) -> str:
    """Say how far perturbations move their cells (from `distances`); nothing without any."""
    if not found:
        return ""
    if all(basal == full for basal, full in found.values()):
        parts = [f"{name} {basal:.1f}" for name, (basal, _) in found.items()]
        return f"Distance from control cells: {', '.join(parts)}."
    parts = [f"{name} {basal:.1f} → {full:.1f}" for name, (basal, full) in found.items()]
    return f"Distance from control cells, basal → full: {', '.join(parts)}."


def openers(masks: AnnData, latent: int) -> str:
    """Say which perturbations shift a latent dimension; nothing where none ever does."""
    if not has_shift(masks):
        return ""
    if not has_mask(masks):
        return "shifted by every perturbation, as this model has no mask"
    names = masks.obs_names[open_entries(masks, OPEN_THRESHOLD)[:, latent]]
    return f"shifted by {listed(names)}" if len(names) else "not used by any mask"


def category_order(values: pd.Series, masks: AnnData, choice: str) -> list[str]:
    """Order the categories of ``values``: perturbations by strength, all else by frequency.

    A perturbation's strength is its number of significant genes; combinations come after singles.
    """
    frequent = [str(category) for category in values.value_counts().index]
    if choice != PERTURBATION:
        return frequent
    strength = masks.obs["n_significant"].astype(int).to_dict()
    return sorted(frequent, key=lambda name: -strength.get(name, -1))


def perturbation_table(masks: AnnData) -> pd.DataFrame:
    """Lay out the map of perturbations, one row each.

    Returns
    -------
    DataFrame: ``x``, ``y``, ``n_cells``, ``n_significant``, ``n_open`` (latent dimensions with an
    inclusion probability above one half), ``open_latents`` (their names), and the annotations;
    without a mask nothing of what is open.
    """
    is_open = open_entries(masks, OPEN_THRESHOLD)
    position = np.asarray(masks.obsm["X_umap"], dtype=float)
    names = np.asarray(masks.var_names.astype(str))
    table = pd.DataFrame(
        {
            "x": position[:, 0],
            "y": position[:, 1],
            "n_cells": masks.obs["n_cells"].to_numpy(int),
            "n_significant": masks.obs["n_significant"].to_numpy(int),
            "n_open": is_open.sum(1),
            "open_latents": [", ".join(names[row]) or "none" for row in is_open],
        },
        index=pd.Index(masks.obs_names.astype(str), name="perturbation"),
    )
    if not has_mask(masks):
        table = table.drop(columns=["n_open", "open_latents"])
    for column in annotation_columns(masks):
        table[column] = masks.obs[column].astype(object).to_numpy()
    return table


def _mean_distance(a: np.ndarray, b: np.ndarray) -> float:
    chance = sum(float(part.var(axis=0, ddof=1).sum()) / len(part) for part in (a, b))
    apart = float(((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum())
    return float(np.sqrt(max(apart - chance, 0.0)))


def _as_text(values: pd.Series) -> pd.Series:
    text = values.astype(object)
    words = text.map(str)
    words[values.isna().to_numpy()] = None
    return words


def _shared_group(condition: str, groups: dict[str, object], control: str) -> object:
    if condition == control:
        return control
    names = [n if n in groups else n.rpartition("@")[0] for n in condition.split("+")]
    parts = {groups[name] for name in names if name in groups}
    if len(parts) > 1:
        return SEVERAL
    return parts.pop() if parts else None
