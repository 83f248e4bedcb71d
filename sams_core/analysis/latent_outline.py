"""Outlines drawn around cells on a map: as text for an address, and which cells lie inside."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sams_core.analysis.latent_expression import STATES, Space
from sams_core.errors import ConfigError

MAX_CORNERS = 40
"""Corners of an outline; of a longer one, evenly many along its way are kept."""
MAX_OUTLINES = 8
_NUMBER = r"-?\d{1,5}(?:\.\d{1,3})?"
_TEXT = re.compile(rf"({'|'.join(STATES)})~({_NUMBER},{_NUMBER}(?:~{_NUMBER},{_NUMBER})+)")


@dataclass(frozen=True)
class Outline:
    """A closed line on the map of a space.

    Attributes
    ----------
    space
        Whose map: "basal" or "full".
    corners
        At least three (x, y), to two decimals, so that the text says exactly what is drawn.
    """

    space: Space
    corners: tuple[tuple[float, float], ...]

    @classmethod
    def drawn(cls, space: Space, x: Sequence[float], y: Sequence[float]) -> Outline | None:
        """An outline with at most `MAX_CORNERS` corners; None of a stroke that encloses nothing."""
        points = np.round(np.column_stack([x, y]).astype(float), 2)
        if len(points) > MAX_CORNERS:
            points = points[_along(points)]
        corners = tuple(dict.fromkeys((float(a), float(b)) for a, b in points))
        return cls(space, corners) if len(corners) > 2 else None

    def __str__(self) -> str:
        return "~".join([self.space, *(f"{x:.6g},{y:.6g}" for x, y in self.corners)])

    def inside(self, points: npt.NDArray[np.floating]) -> npt.NDArray[np.bool_]:
        """Which (n, 2) points lie inside, by the even-odd rule: (n,)."""
        x, y = np.asarray(points, float).T
        found = np.zeros(len(x), bool)
        following = (*self.corners[1:], self.corners[0])
        for (x0, y0), (x1, y1) in zip(self.corners, following, strict=True):
            if y0 != y1:
                crosses = (y0 > y) != (y1 > y)
                found ^= crosses & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
        return found


def parse(text: str) -> list[Outline]:
    """Outlines from the text of an address, joined by ``!``.

    Raises
    ------
    ConfigError
        If it is not such a text.
    """
    outlines: list[Outline] = []
    for part in text.split("!"):
        match = _TEXT.fullmatch(part)
        pairs = [pair.split(",") for pair in match[2].split("~")] if match else []
        found = Outline.drawn(match[1], *zip(*pairs, strict=True)) if match else None  # type: ignore[arg-type]
        if found is None or len(pairs) > MAX_CORNERS or len(outlines) == MAX_OUTLINES:
            raise ConfigError(
                "The link's outline of cells cannot be read: draw it on the map again."
            )
        outlines.append(found)
    return outlines


def to_text(outlines: Iterable[Outline]) -> str:
    """Text that :func:`parse` reads."""
    return "!".join(map(str, outlines))


def enclosed(
    outlines: Iterable[Outline], maps: dict[Space, npt.NDArray[np.floating]]
) -> npt.NDArray[np.bool_]:
    """Which cells lie inside any outline: (n,).

    Parameters
    ----------
    outlines
        At least one.
    maps
        (n, 2) positions of the same cells in each space.
    """
    return np.logical_or.reduce([each.inside(maps[each.space]) for each in outlines])


def _along(points: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """`MAX_CORNERS` points at even distances along the way through all."""
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    way = np.concatenate([[0.0], np.cumsum(steps)])
    wanted = np.linspace(0.0, way[-1], MAX_CORNERS, endpoint=False)
    return np.unique(np.searchsorted(way, wanted))
