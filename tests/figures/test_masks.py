from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from sams_core.analysis.ordering import Group
from sams_core.figures.mask_views import SATURATION, SCALES, VIEWS, Beside, Chosen, MaskTables
from sams_core.figures.masks import CELL, LATENT, ROW, mask_heatmap


def example(n_rows: int = 4, n_latents: int = 3) -> MaskTables:
    rng = np.random.default_rng(0)
    rows = [f"P{number}" for number in range(n_rows)]
    latents = [f"z{number}" for number in range(n_latents)]

    def table(low: float) -> pd.DataFrame:
        return pd.DataFrame(rng.uniform(low, 1, (n_rows, n_latents)), rows, latents)

    probability = table(0)
    cells = pd.Series(np.arange(n_rows) + 1000, rows)
    return MaskTables(probability, probability, table(-1), table(0), cells)


def groups(n_rows: int = 4) -> list[Group]:
    half = n_rows // 2
    return [
        Group("first <b>", np.arange(half)[::-1]),
        Group("second", np.arange(half, n_rows)),
    ]


def draw(tables: MaskTables, blocks: list[Group], **options: object) -> go.Figure:
    latents = [str(name) for name in tables.values.columns]
    return mask_heatmap(tables, blocks, latents, VIEWS["probability"], **options)  # type: ignore[arg-type]


def points(fig: go.Figure, kind: str | None = None) -> list[tuple[float, float, list[Any]]]:
    """Clickable points: x, y and what is known of them."""
    found = [
        (float(x), float(y), list(data))
        for trace in fig.data
        if trace.type == "scattergl"
        for x, y, data in zip(trace.x, trace.y, trace.customdata, strict=True)
    ]
    return found if kind is None else [each for each in found if each[2][0] == kind]


def latent_names(fig: go.Figure) -> list[str]:
    return list(fig.layout.xaxis.ticktext)


def test_rows_lie_in_group_order_with_a_blank_header_before_each_group() -> None:
    tables = example()
    heatmap = draw(tables, groups()).data[0]
    blank = np.isnan(np.asarray(heatmap.z, float)).all(axis=1)
    assert blank.tolist() == [True, False, False, True, False, False]
    assert len(heatmap.y) == len(heatmap.z) + 1
    shown = np.asarray(heatmap.z, float)[~blank]
    np.testing.assert_allclose(shown, tables.values.iloc[[1, 0, 2, 3]], atol=1e-4)


def test_headers_name_groups_safely_and_dividers_lie_between_them() -> None:
    fig = draw(example(), groups())
    assert [note.text for note in fig.layout.annotations] == [
        "<b>first &lt;b&gt;</b>  2",
        "<b>second</b>  2",
    ]
    assert len(fig.layout.shapes) == 1


def test_a_nameless_group_has_neither_header_nor_divider() -> None:
    fig = draw(example(), [Group("", np.arange(4))])
    assert not fig.layout.annotations
    assert not fig.layout.shapes
    assert np.isfinite(np.asarray(fig.data[0].z, float)).all()


def test_hover_names_perturbation_group_and_cells() -> None:
    cells = points(draw(example(), groups()), CELL)
    assert len(cells) == 12
    first, last = cells[0][2], cells[-1][2]
    assert first[:3] == [CELL, "P1", "z0"]
    assert first[7] == "first &lt;b&gt; · 1,001 cells"
    assert last[:3] == [CELL, "P3", "z2"]


def test_only_given_latents_are_drawn_in_the_given_order() -> None:
    tables = example()
    fig = mask_heatmap(tables, groups(), ["z2", "z0"], VIEWS["probability"])
    assert latent_names(fig) == ["z2", "z0"]
    np.testing.assert_allclose(
        np.asarray(fig.data[0].z, float)[1],
        tables.values[["z2", "z0"]].loc["P1"].to_numpy(),
        atol=1e-4,
    )


def test_every_cell_has_its_point_in_its_middle() -> None:
    tables = example()
    fig = draw(tables, groups())
    edges = np.asarray(fig.data[0].y)
    for x, y, data in points(fig, CELL):
        row = int(np.searchsorted(edges, y)) - 1
        assert y == pytest.approx((edges[row] + edges[row + 1]) / 2)
        assert latent_names(fig)[int(x)] == data[2]
        expected = tables.values.loc[data[1], data[2]]
        assert float(fig.data[0].z[row][int(x)]) == pytest.approx(expected, abs=1e-4)
    assert {trace.marker.opacity for trace in fig.data[1:]} == {0}


@pytest.mark.parametrize("n_latents", [3, 40])
def test_names_of_rows_and_latents_can_be_clicked_where_they_are_written(n_latents: int) -> None:
    fig = draw(example(n_latents=n_latents), groups())
    _, top = fig.layout.yaxis.range
    rows, latents = points(fig, ROW), points(fig, LATENT)
    assert {data[1] for *_, data in rows} == {"P0", "P1", "P2", "P3"}
    assert all(x <= -1 for x, *_ in rows)
    assert [data[2] for *_, data in latents] == latent_names(fig)
    assert all(top < y < 0 for _, y, _ in latents)
    ticks = dict(zip(fig.layout.yaxis.ticktext, fig.layout.yaxis.tickvals, strict=True))
    assert all(ticks[data[1]] == y for _, y, data in rows)


def test_a_header_only_names_its_group() -> None:
    headers = points(draw(example(), groups()), None)
    told = {data[3] for *_, data in headers if data[0] is None}
    assert told == {"first &lt;b&gt;: 2", "second: 2"}


def test_the_chosen_row_and_latent_are_framed() -> None:
    tables = example()
    fig = mask_heatmap(
        tables, groups(), ["z0", "z1"], VIEWS["probability"], chosen=Chosen("P2", "z1")
    )
    column, row = (shape for shape in fig.layout.shapes if shape.type == "rect")
    assert (column.x0, column.x1) == (0.5, 1.5)
    (at,) = {y for _, y, data in points(fig, ROW) if data[1] == "P2"}
    assert row.y0 < at < row.y1
    assert not [
        shape
        for shape in draw(tables, groups(), chosen=Chosen("nobody", "z9")).layout.shapes
        if shape.type == "rect"
    ]


def test_scales_have_a_colour_of_their_own_for_probabilities_and_for_shifts() -> None:
    tables = example()
    colours = {
        mask_heatmap(tables, groups(), ["z0"], VIEWS[view], scale=scale).data[0].colorscale
        for scale in SCALES.values()
        for view in ("probability", "effect")
    }
    assert len(colours) == 2 * len(SCALES)


@pytest.mark.parametrize("name", ["effect", "embedding"])
def test_signed_views_are_centred_on_zero(name: str) -> None:
    tables = example()
    heatmap = mask_heatmap(tables, groups(), ["z0"], VIEWS[name]).data[0]
    assert heatmap.zmin == -heatmap.zmax


def test_one_giant_shift_does_not_hide_the_others() -> None:
    tables = example()
    giant = MaskTables(
        tables.values * 100, tables.probability, tables.effect, tables.effect_sd, tables.n_cells
    )
    assert mask_heatmap(giant, groups(), ["z0"], VIEWS["effect"]).data[0].zmax == SATURATION


def test_all_blank_values_still_draw() -> None:
    tables = example()
    blank = MaskTables(
        tables.values * np.nan,
        tables.probability,
        tables.effect,
        tables.effect_sd,
        tables.n_cells,
    )
    assert mask_heatmap(blank, groups(), ["z0"], VIEWS["effect"]).data[0].zmax == 1.0


def test_truth_shares_rows_with_the_model() -> None:
    tables = example()
    truth = pd.DataFrame(np.eye(4, 2, dtype=bool), tables.values.index, ["z1", "no partner (0)"])
    fig = draw(tables, groups(), beside=Beside("Simulated truth", truth, "open", binary=True))
    model, shown = (trace for trace in fig.data if trace.type == "heatmap")
    assert model.y == shown.y
    assert np.asarray(shown.z, float)[2].tolist() == [1.0, 0.0]
    assert list(fig.layout.xaxis2.ticktext) == ["z1", "no partner (0)"]
    assert {note.text for note in fig.layout.annotations} >= {"Model", "Simulated truth"}


def test_another_mask_beside_has_the_same_colours() -> None:
    tables = example()
    fig = mask_heatmap(
        tables, groups(), ["z0"], VIEWS["effect"], beside=Beside("b", -tables.values, "effect")
    )
    own, other = (trace for trace in fig.data if trace.type == "heatmap")
    assert (own.zmin, own.zmax, own.colorscale) == (other.zmin, other.zmax, other.colorscale)


@pytest.mark.parametrize(("n_rows", "labelled"), [(25, True), (100, True), (300, False)])
def test_row_labels_give_way_when_rows_are_dense(n_rows: int, labelled: bool) -> None:
    fig = draw(example(n_rows, 40), groups(n_rows))
    assert (len(fig.layout.yaxis.tickvals) == n_rows) is labelled
    assert 300 < fig.layout.height < 1700


def test_long_row_names_are_cut_to_the_room_there_is() -> None:
    tables = example()
    tables.values.index = pd.Index(
        ["a", "b", "c <1>", "A pathway with a very long name indeed (12)"]
    )
    fig = mask_heatmap(tables, groups(), ["z0", "z1", "z2"], VIEWS["probability"], width=260)
    texts = list(fig.layout.yaxis.ticktext)
    assert texts[:3] == ["b", "a", "c &lt;1&gt;"]
    assert texts[3].startswith("A pathway")
    assert texts[3].endswith("…")
    low, high = fig.layout.xaxis.range
    room = (-0.5 - low) / (high - low) * 260
    assert 7 * len(texts[3]) < room < 130


def test_hidden_rows_make_the_map_lower() -> None:
    tables = example()
    assert draw(tables, groups()[:1]).layout.height < draw(tables, groups()).layout.height


def test_hover_says_in_how_many_seeds_an_entry_is_open() -> None:
    tables = example()
    words = tables.values.map(lambda value: f"open in {round(value * 5)} of 5 seeds")
    fig = draw(replace(tables, seeds=words), groups())
    told = {(data[1], data[2]): data[8] for *_, data in points(fig, CELL)}
    assert told == {(row, latent): words.loc[row, latent] for row, latent in told}
    assert "%{customdata[8]}" in fig.data[1].hovertemplate
    assert "customdata[8]" not in draw(tables, groups()).data[1].hovertemplate
