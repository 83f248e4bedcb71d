"""Outlines around cells: their text, and who is inside."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.path import Path as Polygon

from sams_core.analysis.latent_outline import (
    MAX_CORNERS,
    MAX_OUTLINES,
    Outline,
    enclosed,
    parse,
    to_text,
)
from sams_core.errors import ConfigError

corner = st.floats(-50, 50, allow_nan=False)


@given(st.lists(st.tuples(corner, corner), min_size=3, max_size=30), st.integers(0, 100))
def test_inside_as_matplotlib_says(corners: list[tuple[float, float]], seed: int) -> None:
    outline = Outline.drawn("full", *zip(*corners, strict=True))
    if outline is None:
        return
    points = np.random.default_rng(seed).uniform(-60, 60, (200, 2))
    expected = _even_odd(np.array(outline.corners), points)
    np.testing.assert_array_equal(outline.inside(points), expected)


def _even_odd(corners: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Parity of the triangles of a fan that hold each point, each asked of matplotlib."""
    inside = np.zeros(len(points), int)
    for b, c in itertools.pairwise(corners[1:]):
        inside += Polygon([corners[0], b, c, corners[0]]).contains_points(points)
    return np.asarray(inside % 2 == 1)


@given(st.lists(st.tuples(corner, corner), min_size=3, max_size=200))
def test_text_is_read_back_exactly(corners: list[tuple[float, float]]) -> None:
    outline = Outline.drawn("basal", *zip(*corners, strict=True))
    if outline is not None:
        assert len(outline.corners) <= MAX_CORNERS
        assert parse(to_text([outline, outline])) == [outline, outline]


def test_a_long_stroke_keeps_its_shape() -> None:
    angle = np.linspace(0, 2 * np.pi, 500)
    outline = Outline.drawn("full", list(10 * np.cos(angle)), list(10 * np.sin(angle)))
    assert outline is not None
    points = np.random.default_rng(0).uniform(-15, 15, (2000, 2))
    distance = np.linalg.norm(points, axis=1)
    inside = outline.inside(points)
    assert inside[distance < 9.7].all()
    assert not inside[distance > 10.1].any()


def test_a_click_is_no_outline() -> None:
    assert Outline.drawn("full", [1, 1.001, 1], [2, 2, 2.001]) is None


def test_several_outlines_hold_what_any_holds() -> None:
    square = parse("basal~0,0~1,0~1,1~0,1!full~0,0~1,0~1,1~0,1")
    maps = {
        "basal": np.array([[0.5, 0.5], [5, 5], [5, 5]]),
        "full": np.array([[5, 5], [0.5, 0.5], [5, 5]]),
    }
    np.testing.assert_array_equal(enclosed(square, maps), [True, True, False])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "full",
        "full~1,2~3,4",
        "shift~0,0~1,0~1,1",
        "full~0,0~1,0~1,x",
        "full~0,0~1,0~1e9,1",
        "full~0,0~0,0~0,0",
        "full~" + "~".join(f"{i},{i * i % 7}" for i in range(MAX_CORNERS + 1)),
        "!".join(["full~0,0~1,0~1,1"] * (MAX_OUTLINES + 1)),
    ],
)
def test_other_texts_are_refused_with_a_sentence(text: str) -> None:
    with pytest.raises(ConfigError, match="outline of cells cannot be read"):
        parse(text)
