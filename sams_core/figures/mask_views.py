"""What a mask map shows: its views, colour scales, tables and what lies beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from sams_core.analysis import mask_groups
from sams_core.analysis.ordering import Group
from sams_core.figures.style import DIVERGING, FAINT, SEQUENTIAL

SATURATION = 3.0
"""Largest shift, in basal s.d., that has a colour of its own; beyond, it is strong anyway."""


@dataclass(frozen=True)
class View:
    """One way to look at the mask.

    Attributes
    ----------
    label
        What the control calls it.
    unit
        Title of the colour bar.
    signed
        Whether values go both ways from 0; otherwise they run from 0 to 1.
    """

    label: str
    unit: str
    signed: bool


VIEWS = {
    "probability": View("Inclusion probability", "Inclusion<br>probability", signed=False),
    "stability": View("Stability", "Share of<br>seeds open", signed=False),
    "effect": View("Signed effect", "Effect<br>(basal s.d.)", signed=True),
    "embedding": View("Embedding", "Embedding<br>(basal s.d.)", signed=True),
}


@dataclass(frozen=True)
class Scale:
    """Two colour scales that belong together, both readable with colour blindness."""

    sequential: list[list[Any]]
    signed: list[list[Any]]


SCALES = {
    "Teal, blue and orange": Scale(SEQUENTIAL, DIVERGING),
    "Cividis, purple and green": Scale(
        [[0, "#173B6C"], [0.25, "#4A5A6E"], [0.5, "#7C7B78"], [0.75, "#BBA96A"], [1, "#F2DC5D"]],
        [
            [0.0, "rgba(142, 68, 173, 1)"],
            [0.4, "rgba(142, 68, 173, 0.28)"],
            [0.5, FAINT],
            [0.6, "rgba(60, 150, 60, 0.28)"],
            [1.0, "rgba(60, 150, 60, 1)"],
        ],
    ),
}
"""Colour scales by the name that the control gives them; the first is the house's own."""


@dataclass(frozen=True)
class MaskTables:
    """What the map shows and what its hover text says; (T, L) tables share rows and columns.

    Attributes
    ----------
    values
        What is coloured; NaN leaves the page's own colour.
    probability
        Inclusion probability; None without a mask.
    effect, effect_sd
        Posterior mean and standard deviation of the effect; no deviation for averages.
    n_cells
        (T,) cells of each perturbation.
    seeds
        Words about other seeds; None where they were not compared.
    """

    values: pd.DataFrame
    probability: pd.DataFrame | None
    effect: pd.DataFrame
    effect_sd: pd.DataFrame | None
    n_cells: pd.Series
    seeds: pd.DataFrame | None = None


def average(tables: MaskTables, groups: Sequence[Group]) -> MaskTables:
    """Tables of one row a group, the mean of its perturbations; cells are summed."""
    probability = tables.probability
    return MaskTables(
        mask_groups.averages(tables.values, groups),
        None if probability is None else mask_groups.averages(probability, groups),
        mask_groups.averages(tables.effect, groups),
        None,
        mask_groups.sums(tables.n_cells, groups),
    )


@dataclass(frozen=True)
class Beside:
    """A second map with the same rows.

    Attributes
    ----------
    title
        Written above it; the first map is then titled "Model".
    values
        (T, K) what to show, columns in order; NaN is blank.
    words
        What a value is called on hover.
    binary
        Whether values are 0 and 1; otherwise they have the first map's colours.
    """

    title: str
    values: pd.DataFrame
    words: str
    binary: bool = False


@dataclass(frozen=True)
class Chosen:
    """The row and the latent dimension that are framed, by name; None frames nothing."""

    row: str | None = None
    latent: str | None = None
