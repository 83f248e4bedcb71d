"""Text labels beside the points of a scatter plot, placed so that they do not cover one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import plotly.graph_objects as go

_ANGLES = np.deg2rad(np.arange(0, 360, 30))
_RADII = (16.0, 28.0, 44.0, 64.0)
_CHARACTER_WIDTH = 0.62
_LINE_HEIGHT = 1.25


@dataclass(frozen=True)
class Label:
    """A label and the offset in pixels (right, down) of its centre from its point."""

    index: int
    text: str
    dx: float
    dy: float


def place_labels(
    x: np.ndarray,
    y: np.ndarray,
    labels: Sequence[tuple[int, str]],
    *,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    size: tuple[float, float] = (560.0, 520.0),
    font_size: float = 12.0,
) -> list[Label]:
    """Find a free place for each label, in the order given; one that finds none is left out.

    Parameters
    ----------
    x, y
        All points of the plot (n,), which labels avoid where they can; NaN is ignored.
    labels
        Pairs of a position in ``x`` and its text, the most important first.
    x_range, y_range
        What the axes show.
    size
        Width and height of the plotting area in pixels, as far as known.
    font_size
        In pixels.
    """
    scale_x = size[0] / (x_range[1] - x_range[0])
    scale_y = size[1] / (y_range[1] - y_range[0])
    px = (np.asarray(x, float) - x_range[0]) * scale_x
    py = (y_range[1] - np.asarray(y, float)) * scale_y
    finite = np.isfinite(px) & np.isfinite(py)
    boxes: list[tuple[float, float, float, float]] = []
    placed: list[Label] = []
    for index, text in labels:
        if not finite[index]:
            continue
        half = (len(text) * font_size * _CHARACTER_WIDTH / 2 + 2, font_size * _LINE_HEIGHT / 2)
        best: tuple[float, float, float] | None = None
        for dx, dy in _candidates(px[index] - size[0] / 2, py[index] - size[1] / 2, half):
            cx, cy = px[index] + dx, py[index] + dy
            box = (cx - half[0], cy - half[1], cx + half[0], cy + half[1])
            if box[0] < 0 or box[1] < 0 or box[2] > size[0] or box[3] > size[1]:
                continue
            if any(_overlap(box, other) for other in boxes):
                continue
            inside = (px > box[0]) & (px < box[2]) & (py > box[1]) & (py < box[3])
            cost = float(np.count_nonzero(inside & finite)) + np.hypot(dx, dy) / 40
            if best is None or cost < best[0]:
                best = (cost, dx, dy)
        if best is not None:
            _, dx, dy = best
            cx, cy = px[index] + dx, py[index] + dy
            boxes.append((cx - half[0], cy - half[1], cx + half[0], cy + half[1]))
            placed.append(Label(index, text, dx, dy))
    return placed


def name_points(
    fig: go.Figure,
    x: np.ndarray,
    y: np.ndarray,
    names: Sequence[str],
    importance: np.ndarray,
    *,
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    limit: int,
    size: tuple[float, float] = (560.0, 520.0),
) -> None:
    """Name the ``limit`` points of largest ``importance``, as far as there is room."""
    order = np.argsort(-np.asarray(importance, dtype=float), kind="stable")[:limit]
    labels = [(int(i), str(names[i])) for i in order]
    add_labels(fig, x, y, place_labels(x, y, labels, x_range=x_range, y_range=y_range, size=size))


def add_labels(
    fig: go.Figure, x: np.ndarray, y: np.ndarray, labels: Sequence[Label], *, font_size: int = 12
) -> None:
    """Draw placed labels as annotations with a thin line to their points."""
    for label in labels:
        fig.add_annotation(
            x=float(x[label.index]),
            y=float(y[label.index]),
            text=label.text,
            ax=label.dx,
            ay=label.dy,
            arrowhead=0,
            arrowwidth=1,
            arrowcolor="rgba(127, 143, 153, 0.7)",
            standoff=4,
            font={"size": font_size},
            borderpad=1,
        )


def _candidates(right: float, down: float, half: tuple[float, float]) -> list[tuple[float, float]]:
    """Offsets around a point, those that lead away from the middle of the plot first."""
    outward = np.arctan2(down, right)
    angles = sorted(_ANGLES, key=lambda a: -np.cos(a - outward))
    return [
        (float(np.cos(a) * (r + half[0] * 0.9)), float(np.sin(a) * (r + half[1] * 0.2)))
        for r in _RADII
        for a in angles
    ]


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
