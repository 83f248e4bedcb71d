"""Figures of the combine page."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sams_core.figures import combine, combine_views


def prediction(n: int = 30, *, measured: bool = True) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 0.5, n), rng.normal(0, 0.5, n)
    interaction = np.where(np.arange(n) == 4, 0.6, 0.01)
    table = pd.DataFrame(
        {
            "A": a,
            "B": b,
            "additive": a + b,
            "predicted": a + b + interaction,
            "interaction": interaction,
            "interaction_se": 0.01,
        },
        index=pd.Index([f"G{i}" for i in range(n)], name="gene"),
    )
    for column in ("A", "B", "additive", "predicted", "interaction"):
        table[f"{column}_sd"] = 0.05
        table[f"{column}_lower"], table[f"{column}_upper"] = (
            table[column] - 0.1,
            table[column] + 0.2,
        )
    table["interaction_upper"] = table["interaction"] + 0.1
    if measured:
        table = table.assign(measured=a + b, measured_se=0.1, fdr=0.01)
    return table


def trace(fig, name: str):  # type: ignore[no-untyped-def]
    return next(t for t in fig.data if (t.name or "").startswith(name))


def test_dots_show_singles_sum_prediction_and_measurement() -> None:
    fig = combine.combination_dots(prediction(), ["A", "B"], limit=12)
    assert [t.name for t in sorted(fig.data, key=lambda t: t.legendrank)] == [
        "A alone",
        "B alone",
        "sum of singles",
        "model's prediction",
        "measured",
    ]
    assert all(len(t.x) == 12 for t in fig.data)
    hollow = ["open" in t.marker.symbol for t in fig.data]
    assert hollow == sorted(hollow)
    assert len({t.marker.symbol for t in fig.data}) == 5
    for name, low, high in (
        ("A alone", 0.1, 0.2),
        ("model", 0.1, 0.2),
        ("measured", 1.645 * 0.1, 1.645 * 0.1),
    ):
        bars = trace(fig, name).error_x
        np.testing.assert_allclose(bars.array, high)
        np.testing.assert_allclose(bars.arrayminus, low)


def test_dots_without_measurement() -> None:
    fig = combine.combination_dots(prediction(measured=False), ["A", "B"], sort="measured")
    assert "measured" not in {t.name for t in fig.data}


@pytest.mark.parametrize("sort", list(combine.SORTS))
def test_genes_are_chosen_by_the_sorting_column(sort: str) -> None:
    table = prediction()
    fig = combine.combination_dots(table, ["A", "B"], sort=sort, limit=3)
    assert {*trace(fig, "model").y} == {*table[sort].abs().nlargest(3).index}


def test_more_singles_than_symbols() -> None:
    table = prediction()
    names = [f"S{i}" for i in range(6)]
    for name in names:
        table[name], table[f"{name}_se"] = table["A"], 0.05
    assert len(combine.combination_dots(table, names).data) == 9


def test_scatter_sets_apart_what_exceeds_its_uncertainty() -> None:
    fig = combine.interaction_scatter(prediction())
    assert list(trace(fig, "beyond").text) == ["G4"]
    assert len(trace(fig, "within").x) == 29
    assert fig.layout.xaxis.range == fig.layout.yaxis.range


def test_missing_values_and_empty_tables() -> None:
    table = prediction()
    table.loc["G4", "predicted"] = np.nan
    assert len(trace(combine.interaction_scatter(table), "beyond").x) == 0
    assert not combine.interaction_scatter(table.iloc[:0]).data
    assert not combine.combination_dots(table.iloc[:0], ["A", "B"]).data


def evidence(n: int = 20) -> pd.DataFrame:
    shift = np.linspace(-1, 1, n)
    table = pd.DataFrame(
        {"shift": shift, "lower": shift - 0.2, "upper": shift + 0.2, "sd": 0.12},
        index=[f"G{i}" for i in range(n)],
    )
    return table.assign(ratio=table["shift"].abs() / 0.12, certain=table["shift"].abs() > 0.2)


def test_volcano_sets_apart_what_exceeds_its_uncertainty() -> None:
    fig = combine_views.volcano(evidence(), "predicted")
    beyond = trace(fig, "beyond")
    assert len(beyond.x) == 16
    assert (np.abs(beyond.x) > 0.2).all()
    assert fig.layout.yaxis.type == "log"
    low, high = fig.layout.yaxis.range
    labels = [note for note in fig.layout.annotations if note.text]
    assert labels
    for label in labels:  # annotations of a logarithmic axis are at the logarithm
        assert low <= label.y <= high
        assert 10**label.y == pytest.approx(evidence()["ratio"][label.text])
    assert not combine_views.volcano(evidence().iloc[:0], "predicted").data


def test_parts_of_a_deviation_stack_up_to_it() -> None:
    table = prediction()
    table = table.assign(network=table["interaction"] * 1.5, scale=table["interaction"] * -0.5)
    fig = combine_views.deviation_parts(table, limit=6)
    parts = np.add(trace(fig, "scale").x, trace(fig, "network").x)
    np.testing.assert_allclose(parts, trace(fig, "deviation").x)
    assert "G4" in trace(fig, "deviation").y
    assert fig.layout.barmode == "relative"
    assert not combine_views.deviation_parts(table.iloc[:0]).data


@pytest.mark.parametrize("measured", [True, False])
def test_landing_map(measured: bool) -> None:
    umap = np.random.default_rng(0).normal(size=(50, 2))
    landing = pd.DataFrame({"from_x": [0.0, 2.0], "from_y": 1.0, "x": [4.0, 6.0], "y": -1.0})
    carries = np.arange(50) < 7
    fig = combine_views.landing_map(umap, landing, carries if measured else None)
    names = [t.name for t in fig.data]
    assert ("measured with the combination: 7" in names) == measured
    assert list(trace(fig, "with the combination").x) == [4.0, 6.0]
    (arrow,) = fig.layout.annotations
    assert (arrow.ax, arrow.ay, arrow.x, arrow.y) == (1.0, 1.0, 5.0, -1.0)
