"""What a prediction of a combination rests on: training cells, and likeness to training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.spatial.distance import cdist

from sams_core.analysis.combination_doses import condition_doses
from sams_core.analysis.effect_tables import listed
from sams_core.analysis.mask_tables import has_shift

if TYPE_CHECKING:
    from anndata import AnnData

FloatArray = npt.NDArray[np.floating]


def training_arms(effects: AnnData, masks: AnnData, doses: Mapping[str, float]) -> pd.DataFrame:
    """Training cells of each perturbation of a combination.

    Parameters
    ----------
    effects, masks
        The checkpoint's tables.
    doses
        Dose of each perturbation.

    Returns
    -------
    DataFrame indexed by perturbation: ``dose``, ``n_cells_train`` (alone or with others, at any
    dose) and ``n_alone`` (training cells that carry it alone, at any dose).
    """
    single = effects.obs["n_perturbations"].astype(int) == 1
    alone = effects.obs[single].groupby(effects.obs["perturbations"][single].astype(str))
    n_alone = alone["n_cells_train"].sum()
    total = masks.obs["n_cells_train"].astype(int)
    names = list(doses)
    return pd.DataFrame(
        {
            "dose": [float(doses[name]) for name in names],
            "n_cells_train": [int(total.get(name, 0)) for name in names],
            "n_alone": [int(n_alone.get(name, 0)) for name in names],
        },
        index=pd.Index(names, name="perturbation"),
    )


def nearest_training(effects: AnnData, masks: AnnData, doses: Mapping[str, float]) -> pd.DataFrame:
    """Conditions seen in training, the nearest to a combination first.

    Parameters
    ----------
    effects, masks
        The checkpoint's tables.
    doses
        Dose of each perturbation of the combination.

    Returns
    -------
    DataFrame indexed by condition: ``distance``, between posterior mean shifts in units where
    unperturbed cells spread by about 1 in each latent dimension; in a model without shifts the
    number of perturbations that only one of both has. ``n_cells_train`` and ``n_shared``
    (perturbations that both have).
    """
    names, dosages = training_dosages(effects, masks)
    wanted = dosage_matrix([doses], masks)[0]
    shared = ((dosages != 0) & (wanted != 0)).sum(axis=1)
    table = pd.DataFrame(
        {
            "distance": _distances(wanted[None], dosages, masks)[0],
            "n_cells_train": effects.obs["n_cells_train"].loc[names].to_numpy(int),
            "n_shared": shared,
        },
        index=pd.Index(names, name="condition"),
    )
    return table.sort_values(
        ["distance", "n_shared", "n_cells_train"], ascending=[True, False, False], kind="stable"
    )


def typical_distance(effects: AnnData, masks: AnnData) -> float:
    """Median distance of a training condition from its nearest other; NaN with fewer than two."""
    _, dosages = training_dosages(effects, masks)
    if len(dosages) < 2:
        return float("nan")
    between = _distances(dosages, dosages, masks)
    np.fill_diagonal(between, np.inf)
    return float(np.median(between.min(axis=1)))


def training_dosages(effects: AnnData, masks: AnnData) -> tuple[list[str], FloatArray]:
    """Names and (C, T) dosages of the conditions with training cells."""
    seen = effects.obs_names[effects.obs["seen_in_training"].astype(bool)]
    known = {str(name) for name in masks.obs_names}
    doses = {str(name): condition_doses(str(name), known) for name in seen}
    found = {name: each for name, each in doses.items() if each is not None}
    return list(found), dosage_matrix(list(found.values()), masks)


def dosage_matrix(doses: Sequence[Mapping[str, float]], masks: AnnData) -> npt.NDArray[np.float64]:
    """(n, T) dose of each perturbation of the model in each of n conditions."""
    place = {str(name): at for at, name in enumerate(masks.obs_names)}
    matrix = np.zeros((len(doses), len(place)))
    for row, each in zip(matrix, doses, strict=True):
        for name, dose in each.items():
            row[place[name]] = dose
    return matrix


def _distances(a: FloatArray, b: FloatArray, masks: AnnData) -> npt.NDArray[np.float64]:
    """Distances between rows of two dosage matrices."""
    if not has_shift(masks):
        return cdist(a != 0, b != 0, "cityblock")
    shift = np.asarray(masks.layers["effect"], dtype=float)
    return cdist(a @ shift, b @ shift)


def tell_nearest(nearest: pd.DataFrame, typical: float, *, with_shift: bool) -> str:
    """Say which training condition is nearest, and whether that is near.

    Parameters
    ----------
    nearest
        From :func:`nearest_training`.
    typical
        From :func:`typical_distance`.
    with_shift
        Whether distances are between shifts.
    """
    if nearest.empty:
        return "No condition was trained on."
    first = nearest.iloc[0]
    name, distance = str(nearest.index[0]), float(first["distance"])
    if not with_shift:
        return f"Nearest in training: {name}; {distance:g} perturbations differ."
    ties = [str(n) for n in nearest.index[nearest["distance"] == distance]]
    text = f"Nearest in training: {listed(ties, limit=2)}, {distance:.1f} away"
    if np.isfinite(typical):
        text += f"; training conditions lie {typical:.1f} from their own nearest (median)"
    return f"{text}."
