"""Maps of cells and of perturbations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sams_core.figures import latents
from sams_core.figures.latent_perturbations import perturbation_map

N = 60


def maps(n: int = N) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 2)), rng.normal(size=(n, 2))


def categories(names: list[str], n: int = N) -> pd.Series:
    return pd.Series([names[i % len(names)] for i in range(n)], name="perturbation")


def perturbations(n: int = 10) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "x": rng.normal(size=n),
            "y": rng.normal(size=n),
            "n_cells": np.arange(n) * 10 + 1,
            "n_significant": np.arange(n),
            "n_open": np.arange(n) % 3,
            "open_latents": "z0",
            "pathway": ["IFN" if i % 2 else "TGF" for i in range(n)],
        },
        index=[f"P{i}" for i in range(n)],
    )


class TestCellsByCategory:
    def test_both_maps_show_every_cell_in_the_same_colours(self) -> None:
        fig = latents.cells_by_category(
            *maps(), categories(["control", "A", "B"]), control="control"
        )
        assert all(trace.type == "scattergl" for trace in fig.data)
        for axis in ("x", "x2"):
            assert sum(len(t.x) for t in fig.data if t.xaxis == axis) == N
        colours: dict[str, set[str]] = {}
        for trace in fig.data:
            colours.setdefault(trace.name, set()).add(trace.marker.color)
        assert all(len(shades) == 1 for shades in colours.values())

    def test_one_legend_entry_drives_both_maps(self) -> None:
        fig = latents.cells_by_category(*maps(), categories(["control", "A"]), control="control")
        for name in ("control", "A"):
            pair = [t for t in fig.data if t.legendgroup == name]
            assert [t.showlegend for t in pair] == [True, False]

    def test_highlighting_greys_the_rest_but_never_the_controls(self) -> None:
        fig = latents.cells_by_category(
            *maps(), categories(["control", "A", "B", "C"]), control="control", highlight=["B"]
        )
        assert {t.name for t in fig.data} == {"other cells", "control", "B"}
        other = next(t for t in fig.data if t.name == "other cells")
        assert other.marker.color == latents.BACKGROUND
        assert len(other.x) == N // 2

    def test_too_many_categories_become_background(self) -> None:
        names = [f"P{i}" for i in range(latents.MAX_CATEGORIES + 5)]
        fig = latents.cells_by_category(
            *maps(), categories(["control", *names]), control="control", order=names
        )
        shown = {t.name for t in fig.data}
        assert shown == {"control", "other cells", *names[: latents.MAX_CATEGORIES]}

    def test_missing_values_are_background(self) -> None:
        values = categories(["control", "A"]).mask(lambda s: s == "A")
        fig = latents.cells_by_category(*maps(), values, control="control")
        assert {t.name for t in fig.data} == {"control", "other cells"}

    def test_no_cells_is_said(self) -> None:
        fig = latents.cells_by_category(*maps(0), categories(["A"], 0), control="control")
        assert "No cells" in fig.layout.annotations[0].text


class TestCellsByNumber:
    def test_one_scale_for_both_maps(self) -> None:
        values = (np.linspace(-1, 1, N), np.linspace(-3, 3, N))
        fig = latents.cells_by_number(*maps(), values, categories(["A"]), title="z0", centred=True)
        assert {t.marker.coloraxis for t in fig.data} == {"coloraxis"}
        assert fig.layout.coloraxis.cmin == -fig.layout.coloraxis.cmax
        assert list(fig.data[0].text) == ["A"] * N

    def test_missing_values_do_not_break_the_scale(self) -> None:
        values = np.full(N, np.nan)
        fig = latents.cells_by_number(*maps(), (values, values), categories(["A"]), title="x")
        assert np.isfinite(fig.layout.coloraxis.cmin)

    def test_no_cells_is_said(self) -> None:
        empty = np.empty(0)
        fig = latents.cells_by_number(*maps(0), (empty, empty), categories(["A"], 0), title="x")
        assert "No cells" in fig.layout.annotations[0].text


class TestPerturbationMap:
    def test_groups_are_traces_and_area_grows_with_cells(self) -> None:
        fig = perturbation_map(perturbations(), colour="pathway")
        assert {t.name for t in fig.data} == {"IFN", "TGF"}
        sizes = np.asarray(fig.data[0].marker.size)
        assert (np.diff(sizes) > 0).all()

    def test_a_number_gets_a_scale(self) -> None:
        fig = perturbation_map(perturbations(), colour="n_open")
        assert len(fig.data) == 1
        assert fig.data[0].marker.showscale
        assert "open latents" in fig.data[0].hovertemplate

    def test_the_strongest_are_named_first(self) -> None:
        fig = perturbation_map(perturbations(), colour="pathway", n_labels=2)
        assert {a.text for a in fig.layout.annotations} <= {"P9", "P8"}
        assert not perturbation_map(
            perturbations(), colour="pathway", n_labels=0
        ).layout.annotations

    @pytest.mark.parametrize("n", [0, 1])
    def test_none_or_one(self, n: int) -> None:
        fig = perturbation_map(perturbations(n), colour="pathway")
        assert len(fig.data) == n

    def test_missing_groups_are_named(self) -> None:
        table = perturbations()
        table.loc["P0", "pathway"] = None
        assert "in no group" in {t.name for t in perturbation_map(table, colour="pathway").data}


def test_markers_shrink_with_the_number_of_cells() -> None:
    sizes = [latents.marker_size(n) for n in (10, 5_000, 20_000, 100_000)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] >= 2
