"""Where rows, group headers, names and clickable points of a mask map lie."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sams_core.analysis.ordering import Group

HEADER_PIXELS = 26
LABELLED_ROW_PIXELS = 12
MAX_LABELLED_LATENTS = 64
MAX_LEVEL_LATENTS = 14
"""Latents up to which their names are written level."""
_HEIGHT_OF_DENSE_MAP = 1200
_CHARACTER_PIXELS = 7.2


class RowLayout:
    """Where each row and each group's header lies on the vertical axis, in units of a row.

    Parameters
    ----------
    groups
        Named blocks of row numbers; a block without a name has no header.
    """

    def __init__(self, groups: Sequence[Group]) -> None:
        self.row_pixels = row_pixels(sum(len(group.rows) for group in groups))
        self.header_height = HEADER_PIXELS / self.row_pixels
        self.rows: list[int] = []
        """Row numbers in order; -1 is a header."""
        self.edges = [0.0]
        self.headers: list[tuple[str, int, float]] = []
        """Name, number of rows and upper edge of each group."""
        self.group_of: list[str] = []
        for group in groups:
            if group.name:
                self.headers.append((group.name, len(group.rows), self.edges[-1]))
                self._append(-1, self.header_height, group.name)
            for row in group.rows:
                self._append(int(row), 1.0, group.name)
        self.plot_height = round(self.edges[-1] * self.row_pixels)

    def _append(self, row: int, height: float, group: str) -> None:
        self.rows.append(row)
        self.group_of.append(group)
        self.edges.append(self.edges[-1] + height)

    @property
    def labelled(self) -> bool:
        """Whether rows are tall enough for their names."""
        return self.row_pixels >= LABELLED_ROW_PIXELS

    @property
    def centres(self) -> NDArray[np.float64]:
        """Middle of each row and header."""
        edges = np.asarray(self.edges)
        return np.asarray((edges[1:] + edges[:-1]) / 2)

    @property
    def is_row(self) -> NDArray[np.bool_]:
        """Which are rows, not headers."""
        return np.asarray(self.rows) >= 0

    def spread(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Order rows as shown, with NaN where headers are."""
        shown = np.asarray(values, dtype=np.float64)[self.rows]
        shown[~self.is_row] = np.nan
        return shown


class Strips:
    """Room inside the plot for the names of rows and of latents, which only there can be clicked.

    Parameters
    ----------
    layout
        Of the rows.
    names
        All row names.
    latents
        Names of the latents shown.
    width
        Of the narrowest plot that the figure may be shown in, in pixels.
    """

    def __init__(
        self, layout: RowLayout, names: Sequence[str], latents: Sequence[str], width: int
    ) -> None:
        longest = max((len(str(names[row])) for row in layout.rows if row >= 0), default=0)
        pixels = min(_CHARACTER_PIXELS * longest + 14, 0.4 * width) if layout.labelled else 0.0
        self.characters = max(1, int((pixels - 8) / _CHARACTER_PIXELS))
        """Letters of a row name that there is room for."""
        self.share = pixels / width
        """Part of the plot's width that row names take."""
        self.columns = self.share / (1 - self.share) * len(latents)
        """The same in units of a column."""
        self.shows_latents = len(latents) <= MAX_LABELLED_LATENTS
        self.level = len(latents) <= MAX_LEVEL_LATENTS
        longest = max((len(name) for name in latents), default=0)
        tilted = 0 if self.level else _CHARACTER_PIXELS * longest - 10
        self.pixels = round(30 + tilted) if self.shows_latents else 0
        """Height that latent names take."""
        self.rows = self.pixels / layout.row_pixels
        """The same in units of a row."""


def row_pixels(n_rows: int) -> float:
    """Height of a row: few rows are tall enough for names, many share a page's height."""
    for limit, pixels in ((6, 32.0), (30, 24.0), (60, 18.0), (100, 13.0)):
        if n_rows <= limit:
            return pixels
    return max(2.0, min(11.0, _HEIGHT_OF_DENSE_MAP / n_rows))


def shorten(name: str, limit: int) -> str:
    """Make a name fit into so many letters, safe to show."""
    return html.escape(name if len(name) <= limit else name[: limit - 1].rstrip() + "…")
