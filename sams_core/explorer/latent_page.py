"""What the blocks of the latents page share: the checkpoint's cells and their two maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go

from sams_core.analysis import latent_tables
from sams_core.analysis.latent_expression import Space
from sams_core.analysis.latent_outline import Outline
from sams_core.analysis.mask_tables import annotation_columns, has_shift
from sams_core.explorer.run import Run

if TYPE_CHECKING:
    from anndata import AnnData

GET_COUNTS = "With its screen at hand, `python -m sams_core prepare` keeps them."
"""What to do about a table of cells without counts."""
COORDINATES: dict[Space, str] = {"basal": "X_umap_basal", "full": "X_umap"}
"""Where the table of cells has the map of each space."""


@dataclass(frozen=True)
class LatentPage:
    """One visit of the latents page.

    Attributes
    ----------
    run
        The checkpoint.
    sets
        Collections of gene sets by name.
    """

    run: Run
    sets: Mapping[str, Mapping[str, Sequence[str]]]

    @cached_property
    def cells(self) -> AnnData:
        """Table of cells; read-only."""
        return self.run.cells()

    @cached_property
    def masks(self) -> AnnData:
        """Mask table with each perturbation's gene sets among its annotations."""
        return latent_tables.with_gene_sets(self.run.masks(), self.sets)

    @property
    def control(self) -> str:
        """The control condition."""
        return str(self.run.config["control"])

    @property
    def shifted(self) -> bool:
        """Whether perturbations shift the latent state: else basal and full are one space."""
        return has_shift(self.masks)

    @cached_property
    def maps(self) -> dict[Space, np.ndarray]:
        """(n, 2) places of all cells on the map of each space."""
        return {space: np.asarray(self.cells.obsm[key]) for space, key in COORDINATES.items()}

    @property
    def annotations(self) -> list[str]:
        """Annotations of perturbations that are no columns of the cells."""
        return [name for name in annotation_columns(self.masks) if name not in self.cells.obs]


@dataclass(frozen=True)
class Shown:
    """Cells on the map.

    Attributes
    ----------
    splits, keep
        Parts of the screen shown, and which (n,) cells these are.
    spaces
        The map's panels.
    outlines
        Lines drawn around cells.
    chosen
        (n,) cells inside of them and shown; None without outlines.
    """

    splits: list[str]
    keep: np.ndarray
    spaces: tuple[Space, ...]
    outlines: list[Outline]
    chosen: np.ndarray | None

    @property
    def chosen_shown(self) -> np.ndarray | None:
        """The same over the shown cells alone."""
        return None if self.chosen is None else self.chosen[self.keep]

    def panels(self, page: LatentPage) -> tuple[np.ndarray, np.ndarray | None]:
        """Places of the shown cells on the first panel and, if there is one, on the second."""
        first, *others = (page.maps[space][self.keep] for space in self.spaces)
        return first, others[0] if others else None


@dataclass(frozen=True)
class Drawn:
    """A figure, what it says, the Python of it, and the number or category of each cell."""

    fig: go.Figure
    finding: str
    code: str
    values: dict[str, Any]
