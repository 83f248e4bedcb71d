"""Figures of the combine page."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sams_core.figures import combine


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
            "interaction_lower": interaction - 0.1,
            "interaction_upper": interaction + 0.1,
            "interaction_se": 0.01,
        },
        index=pd.Index([f"G{i}" for i in range(n)], name="gene"),
    )
    for column in ("A", "B", "additive", "predicted", "interaction"):
        table[f"{column}_sd"] = 0.05
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
    assert list(trace(fig, "model").error_x.array) == [0.05] * 12


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
        table[name], table[f"{name}_sd"] = table["A"], 0.05
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
