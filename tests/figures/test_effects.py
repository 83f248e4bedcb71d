"""Figures of the effects page: what is drawn, and odd tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sams_core.figures import effects


def gene_rows(n: int = 30, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    data = rng.normal(0, 0.4, n)
    return pd.DataFrame(
        {
            "model": data * 0.9,
            "model_se": 0.01,
            "data": data,
            "data_se": 0.1,
            "fdr": np.where(np.abs(data) > 0.3, 0.001, 0.5),
        },
        index=pd.Index([f"G{i}" for i in range(n)], name="gene"),
    )


def condition_rows(n: int = 12) -> pd.DataFrame:
    table = gene_rows(n)
    table.index = pd.Index([f"P{i}" for i in range(n)], name="perturbation")
    return table.assign(n_cells=50, seen_in_training=True)


def fits(n: int = 5) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "pearson": np.linspace(0.9, 0.3, n),
            "ceiling": np.linspace(0.95, 0.4, n),
            "n_cells_test": 40,
            "n_significant": np.arange(n),
            "seen_in_training": np.arange(n) % 2 == 0,
        },
        index=[f"P{i}" for i in range(n)],
    )


def points(fig, name: str):  # type: ignore[no-untyped-def]
    """The trace whose legend entry starts with ``name``."""
    return next(t for t in fig.data if (t.name or "").startswith(name))


class TestEffectScatter:
    def test_every_gene_is_drawn_once_and_significant_ones_are_set_apart(self) -> None:
        table = gene_rows()
        fig = effects.effect_scatter(table)
        quiet, significant = points(fig, "FDR ≥"), points(fig, "FDR <")
        assert {*quiet.text} | {*significant.text} == {*table.index}
        assert {*significant.text} == {*table.index[table["fdr"] < 0.05]}
        assert quiet.marker.color != significant.marker.color
        assert significant.name.endswith(f": {len(significant.x)}")

    def test_threshold_moves_genes_between_groups(self) -> None:
        assert len(points(effects.effect_scatter(gene_rows(), alpha=0.9), "FDR <").x) == 30

    def test_axes_are_equal_and_hold_the_identity_line(self) -> None:
        fig = effects.effect_scatter(gene_rows())
        assert fig.layout.xaxis.range == fig.layout.yaxis.range
        assert fig.layout.yaxis.scaleanchor == "x"
        line = points(fig, "model = data")
        assert list(line.x) == list(line.y)

    def test_the_strongest_genes_are_named(self) -> None:
        table = gene_rows()
        fig = effects.effect_scatter(table, n_labels=3)
        strongest = table["data"].abs().nlargest(3).index
        assert {a.text for a in fig.layout.annotations} <= {*strongest}
        assert strongest[0] in {a.text for a in fig.layout.annotations}

    def test_hover_shows_errors_and_fdr(self) -> None:
        trace = points(effects.effect_scatter(gene_rows()), "FDR <")
        assert "FDR" in trace.hovertemplate
        assert trace.customdata.shape == (len(trace.x), 3)

    def test_genes_without_measurement_are_left_out(self) -> None:
        table = gene_rows()
        table.loc["G3", ["data", "fdr"]] = np.nan
        fig = effects.effect_scatter(table)
        assert "G3" not in {*points(fig, "FDR ≥").text, *points(fig, "FDR <").text}

    @pytest.mark.parametrize("table", [gene_rows(0), gene_rows().assign(data=np.nan)])
    def test_nothing_measured_is_said(self, table: pd.DataFrame) -> None:
        fig = effects.effect_scatter(table)
        assert not fig.data
        assert "No cells were measured" in fig.layout.annotations[0].text

    def test_a_single_gene_without_effect(self) -> None:
        fig = effects.effect_scatter(gene_rows(1).assign(model=0.0, data=0.0))
        low, high = fig.layout.xaxis.range
        assert low < 0 < high


class TestGeneDots:
    def test_rows_are_sorted_by_the_model_and_limited(self) -> None:
        table = condition_rows()
        fig = effects.gene_dots(table, gene="G", limit=5)
        model = points(fig, "model")
        assert list(model.y) == list(fig.layout.yaxis.categoryarray)
        assert {*model.y} == {*table.index[:5]}
        assert list(model.x) == sorted(model.x)

    def test_significant_data_points_are_filled(self) -> None:
        fig = effects.gene_dots(condition_rows(), gene="G")
        filled, hollow = points(fig, "data, FDR <"), points(fig, "data, FDR ≥")
        assert filled.marker.symbol == "diamond"
        assert hollow.marker.symbol == "diamond-open"
        assert len(filled.x) + len(hollow.x) == 12
        assert set(filled.error_x.array) == {0.1}

    def test_missing_measurements_keep_the_model(self) -> None:
        fig = effects.gene_dots(condition_rows().assign(data=np.nan, fdr=np.nan), gene="G")
        assert len(points(fig, "model").x) == 12

    def test_one_condition_and_none(self) -> None:
        assert len(points(effects.gene_dots(condition_rows(1), gene="G"), "model").x) == 1
        assert not effects.gene_dots(condition_rows(0), gene="G").data


class TestFitScatter:
    def test_held_out_conditions_are_set_apart(self) -> None:
        fig = effects.fit_scatter(fits())
        assert list(points(fig, "seen").text) == ["P0", "P2", "P4"]
        assert list(points(fig, "not seen").text) == ["P1", "P3"]

    def test_markers_grow_with_significant_genes(self) -> None:
        sizes = points(effects.fit_scatter(fits()), "seen").marker.size
        assert list(sizes) == sorted(sizes)
        assert sizes[0] < sizes[-1]

    def test_unscored_conditions_are_left_out(self) -> None:
        table = fits()
        table.loc["P0", "pearson"] = np.nan
        assert "P0" not in points(effects.fit_scatter(table), "seen").text
        assert not effects.fit_scatter(table.assign(pearson=np.nan)).data
