from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from sams_core.analysis.ordering import Group
from sams_core.figures.masks import SATURATION, VIEWS, MaskTables, mask_heatmap


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
    hover = np.asarray(draw(example(), groups()).data[0].customdata, dtype=object)
    assert hover[1, 0, 0] == "P1"
    assert hover[1, 0, 4] == "first &lt;b&gt; · 1,001 cells"
    assert hover[5, 2, 0] == "P3"


def test_only_given_latents_are_drawn_in_the_given_order() -> None:
    tables = example()
    fig = mask_heatmap(tables, groups(), ["z2", "z0"], VIEWS["probability"])
    assert list(fig.data[0].x) == ["z2", "z0"]
    np.testing.assert_allclose(
        np.asarray(fig.data[0].z, float)[1],
        tables.values[["z2", "z0"]].loc["P1"].to_numpy(),
        atol=1e-4,
    )


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
    model, shown = draw(tables, groups(), truth=truth).data
    assert model.y == shown.y
    assert np.asarray(shown.z, float)[2].tolist() == [1.0, 0.0]


@pytest.mark.parametrize(("n_rows", "labelled"), [(25, True), (100, True), (300, False)])
def test_row_labels_give_way_when_rows_are_dense(n_rows: int, labelled: bool) -> None:
    fig = draw(example(n_rows, 40), groups(n_rows))
    assert (len(fig.layout.yaxis.tickvals) == n_rows) is labelled
    assert 300 < fig.layout.height < 1700


def test_few_latents_do_not_fill_the_page() -> None:
    few, many = (draw(example(4, n), groups()) for n in (3, 12))
    assert few.layout.xaxis.domain == (0, 0.5)
    assert few.layout.shapes[0].x1 == 0.5
    assert many.layout.xaxis.domain == (0, 1)


def test_hidden_rows_make_the_map_lower() -> None:
    tables = example()
    assert draw(tables, groups()[:1]).layout.height < draw(tables, groups()).layout.height


def test_hover_says_in_how_many_seeds_an_entry_is_open() -> None:
    tables = example()
    words = tables.values.map(lambda value: f"open in {round(value * 5)} of 5 seeds")
    heatmap = draw(replace(tables, seeds=words), groups()).data[0]
    assert "%{customdata[5]}" in heatmap.hovertemplate
    assert list(heatmap.customdata[1, :, 5]) == list(words.iloc[1])
    assert "customdata[5]" not in draw(tables, groups()).data[0].hovertemplate
