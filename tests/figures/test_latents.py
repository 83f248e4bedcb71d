"""Maps of cells and of perturbations."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sams_core.analysis.latent_chosen import composition
from sams_core.analysis.latent_separation import Separation
from sams_core.figures import latents
from sams_core.figures.latent_chosen import composition_bars, gene_differences
from sams_core.figures.latent_density import MAX_CONTOURS
from sams_core.figures.latent_perturbations import perturbation_map
from sams_core.figures.latent_separation import separation_dots

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

    def test_chosen_cells_stand_out_on_both_maps(self) -> None:
        chosen = np.arange(N) < 20
        fig = latents.cells_by_category(
            *maps(), categories(["control", "A", "B"]), control="control", chosen=chosen
        )
        for axis in ("x", "x2"):
            traces = [t for t in fig.data if t.xaxis == axis]
            assert sum(len(t.selectedpoints) for t in traces) == 20
            for trace in traces:
                places = {tuple(p) for p in maps()[axis == "x2"][chosen]}
                for at in trace.selectedpoints:
                    assert (trace.x[at], trace.y[at]) in places
        plain = latents.cells_by_category(
            *maps(), categories(["A"]), control="control", chosen=np.zeros(N, bool)
        )
        assert all(trace.selectedpoints is None for trace in plain.data)

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

    @pytest.mark.parametrize("centred", [True, False])
    def test_extreme_cells_lie_on_top_and_keep_their_place(self, centred: bool) -> None:
        value = np.random.default_rng(3).normal(size=N)
        chosen = value > 1
        fig = latents.cells_by_number(
            *maps(), (value, value), categories(["A"]), title="z0", centred=centred, chosen=chosen
        )
        for trace, points in zip(fig.data, maps(), strict=True):
            colour = np.asarray(trace.marker.color)
            rank = np.abs(colour) if centred else colour
            assert (np.diff(rank) >= 0).all()
            assert set(trace.selectedpoints) == set(np.flatnonzero(colour > 1))
            by_place = {tuple(p): v for p, v in zip(points, value, strict=True)}
            drawn = zip(trace.x, trace.y, colour, strict=True)
            assert all(by_place[x, y] == v for x, y, v in drawn)

    def test_a_gene_that_few_cells_express_keeps_a_scale(self) -> None:
        value = np.zeros(400)
        value[:2] = 5.0
        places = maps(400)
        fig = latents.cells_by_number(
            *places, (value, value), categories(["A"], 400), title="G", expression=True
        )
        assert (fig.layout.coloraxis.cmin, fig.layout.coloraxis.cmax) == (0, 5)

    def test_missing_values_do_not_break_the_scale(self) -> None:
        values = np.full(N, np.nan)
        fig = latents.cells_by_number(*maps(), (values, values), categories(["A"]), title="x")
        assert np.isfinite(fig.layout.coloraxis.cmin)

    def test_no_cells_is_said(self) -> None:
        empty = np.empty(0)
        fig = latents.cells_by_number(*maps(0), (empty, empty), categories(["A"], 0), title="x")
        assert "No cells" in fig.layout.annotations[0].text


class TestManyCells:
    """Above `DENSITY_FROM` cells."""

    @pytest.fixture(autouse=True)
    def few_are_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(latents, "DENSITY_FROM", N - 1)

    def test_categories_are_contours_over_shades(self) -> None:
        fig = latents.cells_by_category(
            *maps(), categories(["control", "A", "B"]), control="control", highlight=["A"]
        )
        for axis in ("x", "x2"):
            kinds = [t.type for t in fig.data if t.xaxis == axis]
            assert kinds == ["heatmap", "contour", "contour", "scattergl"]
        shades, sample = fig.data[0], fig.data[3]
        assert np.sum(shades.customdata) == N
        assert {t.name for t in fig.data if t.type == "contour"} == {"control", "A"}
        assert sample.marker.opacity == 0
        assert {(x, y) for x, y in zip(sample.x, sample.y, strict=True)} <= {
            tuple(p) for p in maps()[0]
        }

    def test_only_a_few_categories_have_contours(self) -> None:
        names = [f"P{i}" for i in range(MAX_CONTOURS + 3)]
        fig = latents.cells_by_category(
            *maps(), categories(["control", *names]), control="control", order=names
        )
        drawn = {t.name for t in fig.data if t.type == "contour"}
        assert drawn == {"control", *names[:MAX_CONTOURS]}

    def test_numbers_are_means_of_bins(self) -> None:
        value = np.arange(N, dtype=float)
        fig = latents.cells_by_number(*maps(), (value, value), categories(["A"]), title="x")
        kinds = [t.type for t in fig.data]
        assert kinds == ["heatmap", "scattergl"] * 2
        drawn = np.asarray(fig.data[0].z)
        assert np.nanmax(drawn) == N - 1
        assert fig.data[0].coloraxis == "coloraxis"


class TestOutlines:
    def test_lines_are_closed_and_on_their_map(self) -> None:
        fig = latents.cells_by_category(*maps(), categories(["A"]), control="control")
        corners = np.array([[0, 0], [1, 0], [1, 1.5]])
        latents.add_outlines(fig, [(0, corners), (1, corners)])
        assert [(s.xref, s.yref) for s in fig.layout.shapes] == [("x", "y"), ("x2", "y2")]
        assert fig.layout.shapes[0].path == "M 0,0 L 1,0 L 1,1.5 Z"
        assert fig.layout.dragmode == "lasso"


def edges() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "first": ["P0", "P1", "P0"],
            "second": ["P1", "P2", "GONE"],
            "cosine": [0.99, 0.3, 0.9],
            "share_positive": 1.0,
            "mutual": True,
        }
    )


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

    def test_edges_join_their_ends_and_are_wider_if_alike(self) -> None:
        table = perturbations()
        fig = perturbation_map(table, colour="pathway", edges=edges())
        lines = [t for t in fig.data if t.mode == "lines"]
        widths = {}
        for line in lines:
            ends = [(line.x[i], line.y[i]) for i in (0, 1)]
            joined = [str(table.index[(table["x"] == x) & (table["y"] == y)][0]) for x, y in ends]
            widths["".join(joined)] = line.line.width
        assert set(widths) == {"P0P1", "P1P2"}
        assert widths["P0P1"] > widths["P1P2"]
        assert perturbation_map(table, colour="n_open", edges=edges()).data[-1].marker.showscale

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


class TestChosen:
    def test_shares_of_the_chosen_lie_beside_those_of_all(self) -> None:
        values = pd.Series(["x"] * 30 + ["y"] * 30, name="kind")
        table = composition(values, np.arange(N) < 10)
        fig = composition_bars(table)
        shares = {t.name: dict(zip(t.y, t.x, strict=True)) for t in fig.data}
        assert shares == {"chosen cells": {"x": 1.0}, "all cells": {"x": 0.5}}
        nothing = composition_bars(composition(values, np.zeros(N, bool)))
        assert "No cells are chosen" in nothing.layout.annotations[0].text

    def test_genes_are_in_order_on_either_side(self) -> None:
        difference = np.linspace(-1, 2, 40)
        table = pd.DataFrame(
            {"difference": difference, "chosen": difference, "others": 0.0},
            index=[f"G{i}" for i in range(40)],
        )
        bars = gene_differences(table[::-1]).data[0]
        assert list(bars.y[:2]) == ["G0", "G1"]
        assert list(bars.y[-2:]) == ["G38", "G39"]
        assert len(bars.y) == 20
        colours = np.asarray(bars.marker.color)
        assert len(set(colours[:10]) | set(colours[10:])) == 2
        assert len(set(colours[:10])) == 1


def test_the_basal_check_shows_every_condition() -> None:
    recall = pd.DataFrame(
        {"n_cells": 20, "basal": [0.6, 0.2], "full": [1.0, 0.9], "null_high": [0.3, 0.4]},
        index=["A", "control"],
    )
    found = Separation({"basal": 0.4, "full": 0.95}, np.zeros(3), 0.5, 0.2, recall, 40, 0)
    fig = separation_dots(found)
    shown = {t.name.split(" ")[0]: dict(zip(t.y, t.x, strict=True)) for t in fig.data}
    assert shown["basal"] == {"A": 0.6, "control": 0.2}
    assert shown["shuffled"] == {"A": 0.3, "control": 0.4}
    assert fig.layout.shapes[0].x0 == 0.5
