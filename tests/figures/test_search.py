from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from sams_core.figures.search import pair_parts, pair_ranking
from sams_core.figures.search_map import READABLE, MapView, pair_map

SIGNED = MapView("value", "Predicted (log2 units)", signed=True)
SIZE = MapView("interaction", "Interaction (log2 units)", signed=False)


def ranked(n: int = 6) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    value = np.sort(rng.normal(size=n))[::-1]
    alone = rng.normal(size=(n, 2))
    return pd.DataFrame(
        {
            "rank": np.arange(n) + 1,
            "first": [f"A{i}<b>" for i in range(n)],
            "second": [f"B{i}" for i in range(n)],
            "value": value,
            "lower": value - 0.1,
            "upper": value + 0.2,
            "alone_first": alone[:, 0],
            "alone_second": alone[:, 1],
            "additive": alone.sum(1),
            "measured": np.where(np.arange(n) == 1, 0.7, np.nan),
        },
        index=[f"A{i}<b>+B{i}" for i in range(n)],
    )


def traces(fig: go.Figure) -> dict[str, Any]:
    return {trace.name: trace for trace in reversed(fig.data)}


def symmetric(n: int = 5) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    half = np.triu(rng.normal(size=(n, n)), 1)
    values = half + half.T
    np.fill_diagonal(values, np.nan)
    names = [f"P{i}&" for i in range(n)]
    return pd.DataFrame(values, names, names)


def test_the_ranking_shows_the_best_with_interval_parts_and_measurement() -> None:
    table = ranked(30)
    shown = traces(pair_ranking(table, "Effect", number=20))
    predicted = shown["Predicted, with 90% interval"]
    np.testing.assert_allclose(predicted.x, table["value"][:20], atol=1e-4)
    np.testing.assert_allclose(predicted.error_x.array, 0.2, atol=2e-4)
    np.testing.assert_allclose(predicted.error_x.arrayminus, 0.1, atol=2e-4)
    np.testing.assert_allclose(shown["Sum of the two"].x, table["additive"][:20], atol=1e-4)
    np.testing.assert_allclose(shown["Each alone"].x, table["alone_first"][:20], atol=1e-4)
    assert shown["Measured"].x[1] == 0.7
    assert np.isfinite(shown["Measured"].x).sum() == 1
    assert list(predicted.customdata[3]) == ["A3<b>", "B3"]


def test_names_are_text_and_not_markup() -> None:
    fig = pair_ranking(ranked(), "Effect on <b>X")
    assert fig.layout.yaxis.ticktext[0] == "1. A0&lt;b&gt; + B0"
    assert "&lt;b&gt;" in fig.layout.xaxis.title.text
    assert all("<b>" not in text for trace in fig.data for text in trace.text)
    assert pair_map(symmetric(), SIZE).layout.xaxis.ticktext[0] == "P0&amp;"


def test_without_interval_or_parts_only_predictions_are_drawn() -> None:
    table = ranked()[["rank", "first", "second", "value"]]
    fig = pair_ranking(table, "Distance")
    assert [trace.name for trace in fig.data] == ["Predicted"]
    assert fig.data[0].error_x.array is None


def test_parts_of_a_pair() -> None:
    table = ranked()
    unmeasured, measured = pair_parts(table.iloc[0], "log2"), pair_parts(table.iloc[1], "log2")
    assert list(unmeasured.layout.yaxis.ticktext) == [
        "A0&lt;b&gt; alone", "B0 alone", "Sum of the two", "Predicted together",
    ]  # fmt: skip
    assert measured.layout.yaxis.ticktext[-1] == "Measured together"
    ends = [trace.x[1] for trace in measured.data[:5]]
    wanted = table.iloc[1][["alone_first", "alone_second", "additive", "value", "measured"]]
    np.testing.assert_allclose(ends, wanted.astype(float), atol=1e-4)
    interval = table.iloc[1][["lower", "upper"]].astype(float)
    np.testing.assert_allclose(measured.data[-1].x, interval, atol=1e-4)


@pytest.mark.parametrize("view", [SIGNED, SIZE])
def test_every_pair_of_the_map_lies_under_a_point(view: MapView) -> None:
    values = symmetric()
    fig = pair_map(values.abs() if not view.signed else values, view)
    heatmap, points = fig.data
    assert heatmap.zmin == (-heatmap.zmax if view.signed else 0)
    assert len(points.x) == 20
    for x, y, value, text in zip(points.x, points.y, points.customdata, points.text, strict=True):
        assert x != y
        assert heatmap.z[y][x] == pytest.approx(value)
        assert text == f"P{y}&amp; + P{x}&amp;"
    assert points.marker.opacity == points.unselected.marker.opacity == 0


def test_missing_pairs_are_blank_and_cannot_be_clicked() -> None:
    values = symmetric()
    values.iloc[0, 1] = values.iloc[1, 0] = np.nan
    points = pair_map(values, SIGNED).data[1]
    assert (0, 1) not in set(zip(points.x, points.y, strict=True))
    assert len(points.x) == 18
    assert len(pair_map(values * np.nan, SIGNED).data[1].x) == 0


def test_measured_pairs_are_marked_and_the_chosen_one_is_framed() -> None:
    values = symmetric()
    fig = pair_map(values, SIZE, marked=[frozenset(("P1&", "P3&"))], chosen=["P4&", "P2&"])
    dots = fig.data[2]
    assert set(zip(dots.x, dots.y, strict=True)) == {(1, 3), (3, 1)}
    middles = {((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2) for box in fig.layout.shapes}
    assert middles == {(2, 4), (4, 2)}
    assert not pair_map(values, SIZE, chosen=["P4&", "gone"]).layout.shapes


def test_a_dense_map_has_no_names_and_keeps_its_size() -> None:
    few, many, more = (pair_map(symmetric(n), SIZE) for n in (READABLE, 90, 160))
    assert len(few.layout.yaxis.ticktext) == READABLE
    assert not many.layout.yaxis.ticktext
    assert many.layout.height == more.layout.height < 900
    assert (many.layout.height - 190) / 90 > 5
