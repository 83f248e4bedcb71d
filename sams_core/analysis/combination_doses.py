"""Doses of perturbations in the conditions of a screen, read from the conditions' names."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sams_core.analysis.effect_tables import listed
from sams_core.data.dosages import DOSE_MARK
from sams_core.data.labels import JOINER

if TYPE_CHECKING:
    from anndata import AnnData


def condition_doses(condition: str, perturbations: Collection[str]) -> dict[str, float] | None:
    """Dose of each perturbation in a condition, as its name says: ``A+B@0.5`` has A 1 and B 0.5.

    None for the control, and for a condition with a perturbation that is not among those given.
    """
    doses = {}
    for part in condition.split(JOINER):
        name, mark, dose = part.rpartition(DOSE_MARK)
        if part in perturbations:
            doses[part] = 1.0
        elif mark and name in perturbations:
            try:
                doses[name] = float(dose)
            except ValueError:
                return None
        else:
            return None
    return doses


def find_condition(
    effects: AnnData, perturbations: Sequence[str], doses: Mapping[str, float] | None = None
) -> str | None:
    """Name the measured condition with exactly these perturbations at these doses, or None.

    Parameters
    ----------
    effects
        The checkpoint's table of effects.
    perturbations
        In any order.
    doses
        Dose of each; 1 where not given.
    """
    wanted = {name: np.float32((doses or {}).get(name, 1.0)) for name in perturbations}
    for condition in map(str, effects.obs_names):
        found = condition_doses(condition, wanted)
        if found is not None and {k: np.float32(v) for k, v in found.items()} == wanted:
            return condition
    return None


def trained_doses(effects: AnnData, perturbations: Collection[str]) -> dict[str, dict[float, int]]:
    """Training cells that each perturbation has at each dose, alone or with others.

    Parameters
    ----------
    effects
        The checkpoint's table of effects.
    perturbations
        The model's.
    """
    found: dict[str, dict[float, int]] = {name: {} for name in perturbations}
    cells = effects.obs["n_cells_train"].astype(int)
    for condition, number in zip(map(str, effects.obs_names), cells, strict=True):
        for name, dose in (condition_doses(condition, found) or {}).items():
            if number > 0:
                found[name][dose] = found[name].get(dose, 0) + number
    return {name: dict(sorted(doses.items())) for name, doses in found.items()}


def has_doses(trained: Mapping[str, Mapping[float, int]]) -> bool:
    """Whether any perturbation was trained on at a dose other than 1."""
    return any(set(doses) - {1.0} for doses in trained.values())


def usual_dose(trained: Mapping[float, int]) -> float:
    """The dose with the most training cells; 1 where there is none."""
    return max(trained, key=lambda dose: trained[dose], default=1.0)


def dose_warnings(
    trained: Mapping[str, Mapping[float, int]], doses: Mapping[str, float]
) -> list[str]:
    """Say for each dose that lies outside the trained ones what was trained on.

    Parameters
    ----------
    trained
        From :func:`trained_doses`.
    doses
        The doses asked for.
    """
    told = []
    for name, dose in doses.items():
        known = trained.get(name, {})
        if not known or min(known) <= dose <= max(known):
            continue
        side = "below" if dose < min(known) else "above"
        seen = listed([f"{each:g}" for each in known], limit=8)
        told.append(f"{name} at dose {dose:g} is {side} every dose in training ({seen})")
    return told
