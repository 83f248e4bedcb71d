"""From labels and doses to the dosage matrix D and the name of every cell's condition."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse

from sams_core.data.checks import plural
from sams_core.data.labels import JOINER, Labels
from sams_core.errors import ScreenError

DOSE_MARK = "@"
"""Text between a perturbation and its dose in a condition's name, as in ``A@0.5``."""


def build_dosages(
    labels: Labels, doses: pd.Series | None
) -> tuple[sparse.csr_matrix, pd.Categorical]:
    """Dosage matrix and conditions of every cell.

    Parameters
    ----------
    labels
        What the perturbation column says.
    doses
        One dose a cell, or for combinations several joined by the separator; control cells' are
        not looked at. ``None`` gives every perturbation a dose of 1.

    Returns
    -------
    dosages
        float32 CSR of shape (n, T); rows of control cells are empty.
    conditions
        The control label, ``A`` at a dose of 1, ``A@0.5`` at others, ``A+B`` for combinations;
        ordered control, singles, doubles, and so on.

    Raises
    ------
    ScreenError
        If a dose is missing, not a positive number, or there are too few or too many.
    """
    names = labels.names
    position = {name: i for i, name in enumerate(names)}
    if doses is None:
        codes, described = (
            labels.codes,
            [dict.fromkeys(labels.perturbations(i), 1.0) for i in range(len(labels.parts))],
        )
    else:
        codes, described = _with_doses(labels, doses)
    indptr = np.cumsum([0] + [len(row) for row in described])
    indices = np.array([position[name] for row in described for name in row], dtype=np.int32)
    values = np.array([dose for row in described for dose in row.values()], dtype=np.float32)
    rows = sparse.csr_matrix((values, indices, indptr), shape=(len(described), len(names)))
    called = [condition_name(row, labels.control) for row in described]
    order = sorted(set(zip(map(len, described), called, strict=True)))
    conditions = pd.Categorical(
        pd.Index(called, dtype=object).take(codes), categories=[name for _, name in order]
    )
    return rows[codes], conditions


def condition_name(doses: dict[str, float], control: str) -> str:
    """Name of a condition: its perturbations in sorted order, doses only where they are not 1."""
    if not doses:
        return control
    return JOINER.join(
        name if doses[name] == 1 else f"{name}{DOSE_MARK}{_short(doses[name])}"
        for name in sorted(doses)
    )


def _short(dose: float) -> str:
    return np.format_float_positional(np.float32(dose), trim="-")


def _with_doses(labels: Labels, doses: pd.Series) -> tuple[np.ndarray, list[dict[str, float]]]:
    """Distinct (label, dose) pairs: the pair of every cell, and what each pair means."""
    text = doses.astype("object").where(doses.notna(), "").astype(str).str.strip()
    dose_codes, written = pd.factorize(text, sort=True)
    if any(DOSE_MARK in name for name in labels.names):
        raise ScreenError(
            f"Perturbation names contain '{DOSE_MARK}', which marks doses in the names of "
            f"conditions; rename them or leave dose_key off."
        )
    pairs, first, codes = np.unique(
        labels.codes.astype(np.int64) * len(written) + dose_codes,
        return_index=True,
        return_inverse=True,
    )
    described = [
        _doses_of(labels, pair // len(written), str(written[pair % len(written)]), doses, cell)
        for pair, cell in zip(pairs.tolist(), first.tolist(), strict=True)
    ]
    return codes, described


def _doses_of(
    labels: Labels, label: int, text: str, column: pd.Series, cell: int
) -> dict[str, float]:
    perturbed = [part for part in labels.parts[label] if part not in labels.controls]
    if not perturbed:
        return {}
    where = f"Column '{column.name}' of obs gives cell '{column.index[cell]}'"
    values = text.split(labels.separator)
    if len(values) == len(labels.parts[label]):
        named = zip(labels.parts[label], values, strict=True)
    elif len(values) == len(perturbed):
        named = zip(perturbed, values, strict=True)
    else:
        raise ScreenError(
            f"{where} the dose '{text}', but it has {plural(len(perturbed), 'perturbation')} "
            f"('{labels.labels[label]}'); write one dose for each, joined by '{labels.separator}'."
        )
    doses: dict[str, float] = {}
    for name, value in named:
        if name not in labels.controls:
            doses[name] = max(doses.get(name, 0.0), _number(value, where))
    return dict(sorted(doses.items()))


def _number(text: str, where: str) -> float:
    try:
        dose = float(np.float32(text))
    except ValueError:
        dose = float("nan")
    if not np.isfinite(dose) or dose <= 0:
        said = f"the dose '{text.strip()}'" if text.strip() else "no dose"
        raise ScreenError(
            f"{where} {said}; doses of perturbed cells must be positive numbers, and cells without "
            "a dose belong to the control."
        )
    return dose
