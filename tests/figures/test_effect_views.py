"""Volcano, MA and surprising genes of one condition, heatmap and means of a gene list."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from sams_core.figures import effects
from sams_core.figures.effect_lists import effect_heatmap, list_dots
from sams_core.figures.effect_views import ma_plot, residual_intervals, volcano


def rows(n: int = 40, seed: int = 0) -> pd.DataFrame:
    """Statistics of n genes; the model's effects are nine tenths of the data's."""
    rng = np.random.default_rng(seed)
    data = np.sort(rng.normal(0, 1, n))
    p_value = 10.0 ** -(5 * np.abs(data))
    residual = 0.1 * data
    return pd.DataFrame(
        {
            "model": data - residual, "data": data, "data_se": 0.2, "model_se": 0.01,
            "p_value": p_value, "fdr": p_value * 2, "model_p": p_value**0.5,
            "model_fdr": p_value**0.5 * 2, "predicted_low": data - 0.3,
            "predicted_high": data + 0.1, "ppc_p": 0.3, "ppc_fdr": 0.5,
            "outside": np.arange(n) % 4 == 0, "mean_control": rng.gamma(2, 1, n),
        },
        index=pd.Index([f"G{i}" for i in range(n)], name="gene"),
    )  # fmt: skip


def trace(fig: go.Figure, start: str) -> go.Scatter:
    return next(each for each in fig.data if (each.name or "").startswith(start))


@pytest.mark.parametrize(("figure", "y"), [(volcano, None), (ma_plot, "effect")])
def test_both_panels_show_every_gene_once(figure, y: str | None) -> None:  # type: ignore[no-untyped-def]
    table = rows()
    fig = figure(table, alpha=0.1, measured_in="held-out cells")
    for side, fdr, p_value in (("model", "model_fdr", "model_p"), ("data", "fdr", "p_value")):
        quiet, significant = trace(fig, f"{side}, FDR ≥"), trace(fig, f"{side}, FDR <")
        assert {*quiet.text} | {*significant.text} == {*table.index}
        assert {*significant.text} == {*table.index[table[fdr] < 0.1]}
        assert significant.name.endswith(f": {len(significant.x)}")
        part = table.loc[list(significant.text)]
        effect = part[side]
        if y is None:
            np.testing.assert_allclose(significant.x, effect)
            np.testing.assert_allclose(significant.y, -np.log10(part[p_value]))
        else:
            np.testing.assert_allclose(significant.x, part["mean_control"])
            np.testing.assert_allclose(significant.y, effect)
    assert fig.layout.xaxis.range == fig.layout.xaxis2.range
    assert fig.layout.xaxis.title.text.startswith("Model<br>")
    assert fig.layout.xaxis2.title.text.startswith("Measured in held-out cells<br>")
    assert "log2" in fig.layout.xaxis.title.text


def test_only_significant_genes_are_named_the_clearest_first() -> None:
    table = rows()
    fig = volcano(table, n_labels=3)
    left = [a.text for a in fig.layout.annotations if a.xref == "x"]
    assert set(left) <= set(table["model_p"].nsmallest(3).index)
    assert table["model_p"].idxmin() in left
    assert not volcano(rows().assign(fdr=1.0, model_fdr=1.0)).layout.annotations


def test_p_values_that_are_zero_stay_on_the_page() -> None:
    fig = volcano(rows().assign(p_value=0.0))
    assert max(trace(fig, "data, FDR <").y) == pytest.approx(38)


@pytest.mark.parametrize("figure", [volcano, ma_plot, residual_intervals])
@pytest.mark.parametrize("table", [rows(0), rows().assign(
    model=np.nan, data=np.nan, predicted_low=np.nan)])  # fmt: skip
def test_nothing_measured_is_said(figure, table: pd.DataFrame) -> None:  # type: ignore[no-untyped-def]
    fig = figure(table)
    assert not fig.data
    assert "No gene was measured" in fig.layout.annotations[0].text


def test_intervals_hold_what_the_table_says() -> None:
    table = rows(30)
    fig = residual_intervals(table, limit=12)
    bar = trace(fig, "model's 90%")
    shown = table.iloc[:12].iloc[::-1]
    assert list(bar.y) == list(shown.index)
    base = np.asarray(bar.base, float)
    np.testing.assert_allclose(base, shown["predicted_low"])
    np.testing.assert_allclose(base + np.asarray(bar.x, float), shown["predicted_high"])
    outside, inside = trace(fig, "measured, outside"), trace(fig, "measured, inside")
    assert [*outside.y] == [*shown.index[shown["outside"]]]
    assert len(outside.y) + len(inside.y) == 12
    assert outside.marker.symbol == "diamond"
    assert set(outside.customdata[:, 2]) == {0.3}


def test_the_scatter_rings_what_lies_outside() -> None:
    table = rows()
    ring = trace(effects.effect_scatter(table), "outside 90%")
    assert {*ring.text} == {*table.index[table["outside"]]}
    assert ring.name.endswith(f": {len(ring.x)}")
    assert not any(
        (each.name or "").startswith("outside")
        for each in effects.effect_scatter(table.drop(columns="outside")).data
    )


def frames() -> tuple[pd.DataFrame, pd.DataFrame]:
    model = pd.DataFrame([[1.0, -2.0, 0.0], [0.5, 0.0, 0.1]], ["A", "B"], ["g", "h", "i"])
    data = model + 0.1
    data.iloc[1] = np.nan
    return model, data


def test_heatmaps_share_their_scale() -> None:
    model, data = frames()
    fig = effect_heatmap(model, data, measured_in="held-out cells")
    left, right = fig.data
    np.testing.assert_array_equal(left.z, model)
    np.testing.assert_array_equal(right.z, data)
    assert left.coloraxis == right.coloraxis == "coloraxis"
    scale = fig.layout.coloraxis
    assert scale.cmax == -scale.cmin
    assert 1.9 < scale.cmax <= 2
    assert [a.text for a in fig.layout.annotations] == ["Model", "Measured in held-out cells"]
    assert "no perturbation" in effect_heatmap(model[:0], data[:0]).layout.annotations[0].text


def test_a_heatmap_without_measurements() -> None:
    model, data = frames()
    fig = effect_heatmap(model * 0, data * np.nan)
    assert fig.layout.coloraxis.cmax > 0


def test_dots_of_a_list() -> None:
    table = pd.DataFrame(
        {"model": [-2.0, 1.0, 0.0], "data": [-1.9, np.nan, 0.1], "fdr": [0.001, np.nan, 0.6],
         "n_significant": [3, 0, 0], "n_cells": [10, 0, 20]},
        index=["A", "B", "C"],
    )  # fmt: skip
    fig = list_dots(table, of="3 genes", limit=2)
    assert list(trace(fig, "model").y) == ["B", "A"]
    assert list(trace(fig, "data, list FDR <").y) == ["A"]
    assert list(trace(fig, "data, list FDR ≥").y) == ["B"]
    assert "Mean effect on 3 genes" in fig.layout.xaxis.title.text
    assert not list_dots(table[:0]).data
