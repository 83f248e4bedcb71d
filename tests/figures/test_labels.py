"""Labels never cover one another and stay inside the plot."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import plotly.graph_objects as go
from hypothesis import given, settings
from hypothesis import strategies as st

from sams_core.figures.labels import Label, name_points, place_labels

SIZE = (560.0, 520.0)
FONT = 12.0


def box(label: Label, x: np.ndarray, y: np.ndarray) -> tuple[float, float, float, float]:
    """Pixels that a label covers, with a unit square shown: left, top, right, bottom."""
    centre_x = x[label.index] * SIZE[0] + label.dx
    centre_y = (1 - y[label.index]) * SIZE[1] + label.dy
    width, height = len(label.text) * FONT * 0.6, FONT * 1.2
    return (
        centre_x - width / 2,
        centre_y - height / 2,
        centre_x + width / 2,
        centre_y + height / 2,
    )


@settings(max_examples=40, deadline=None)
@given(
    points=st.lists(
        st.tuples(st.floats(0, 1), st.floats(0, 1), st.text("ABC1", min_size=1, max_size=12)),
        min_size=1,
        max_size=25,
    )
)
def test_labels_are_apart_and_inside(points: list[tuple[float, float, str]]) -> None:
    x, y = np.array([p[0] for p in points]), np.array([p[1] for p in points])
    wanted = [(i, p[2]) for i, p in enumerate(points)]
    placed = place_labels(x, y, wanted, x_range=(0, 1), y_range=(0, 1), size=SIZE)
    assert placed, "at least one label finds a place"
    boxes = [box(label, x, y) for label in placed]
    for left, top, right, bottom in boxes:
        assert left >= 0
        assert top >= 0
        assert right <= SIZE[0]
        assert bottom <= SIZE[1]
    for a, b in combinations(boxes, 2):
        assert a[0] >= b[2] or b[0] >= a[2] or a[1] >= b[3] or b[1] >= a[3]


def test_crowded_labels_are_left_out_least_important_first() -> None:
    x = y = np.full(60, 0.5)
    wanted = [(i, f"a rather long name {i}") for i in range(60)]
    placed = place_labels(x, y, wanted, x_range=(0, 1), y_range=(0, 1))
    assert 1 <= len(placed) < 60
    assert placed[0].index == 0


def test_missing_points_get_no_label() -> None:
    x, y = np.array([np.nan, 0.5]), np.array([0.5, 0.5])
    placed = place_labels(x, y, [(0, "gone"), (1, "here")], x_range=(0, 1), y_range=(0, 1))
    assert [label.text for label in placed] == ["here"]


def test_only_the_most_important_are_named() -> None:
    fig = go.Figure()
    x, y = np.array([0.1, 0.5, 0.9]), np.array([0.1, 0.5, 0.9])
    ranges = {"x_range": (0.0, 1.0), "y_range": (0.0, 1.0)}
    name_points(fig, x, y, ["a", "b", "c"], np.array([1, 3, 2]), **ranges, limit=2)
    assert [annotation.text for annotation in fig.layout.annotations] == ["b", "c"]
