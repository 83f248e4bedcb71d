from __future__ import annotations

import numpy as np
import pandas as pd

from sams_core.figures.mask_details import effect_dots, gene_bars, gene_pairs
from sams_core.figures.style import BLUE, ORANGE


def moved(names: list[str], change: list[float]) -> pd.DataFrame:
    values = np.array(change)
    return pd.DataFrame({"change": values, "lower": values - 0.2, "upper": values + 0.3}, names)


def test_genes_run_from_most_raised_to_most_lowered_with_their_spread() -> None:
    fig = gene_bars(moved(["A", "B<"], [2.0, 1.0]), moved(["C", "D"], [-3.0, -1.5]), limit=2)
    (bars,) = fig.data
    assert list(bars.y) == ["A", "B&lt;", "D", "C"]
    assert list(bars.x) == [2.0, 1.0, -1.5, -3.0]
    assert list(bars.marker.color) == [ORANGE, ORANGE, BLUE, BLUE]
    np.testing.assert_allclose(bars.error_x.array, 0.3)
    np.testing.assert_allclose(bars.error_x.arrayminus, 0.2)


def test_only_the_strongest_genes_are_drawn_and_none_is_told() -> None:
    many = moved([f"g{number}" for number in range(30)], list(np.linspace(3, 1, 30)))
    assert list(gene_bars(many, moved([], []), limit=4).data[0].y) == ["g0", "g1", "g2", "g3"]
    empty = gene_bars(moved([], []), moved([], []))
    assert not empty.data
    assert "No gene moves" in empty.layout.annotations[0].text


def test_open_and_closed_effects_are_told_apart() -> None:
    row = pd.DataFrame(
        {
            "inclusion": [0.9, 0.1, 0.8],
            "open": [True, False, True],
            "effect": [1.0, 0.0, -2.0],
            "effect_sd": [0.1, 0.2, 0.3],
        },
        ["z0", "z1", "z2"],
    )
    fig = effect_dots(row)
    opened, closed = fig.data
    assert (opened.name, list(opened.y), list(opened.error_x.array)) == (
        "open",
        ["z0", "z2"],
        [0.1, 0.3],
    )
    assert (closed.name, list(closed.y)) == ("closed", ["z1"])
    assert list(fig.layout.yaxis.categoryarray) == ["z0", "z1", "z2"]


def test_model_and_data_lie_on_one_line_a_gene() -> None:
    genes = pd.DataFrame(
        {
            "model": [1.0, -0.5],
            "data": [1.2, np.nan],
            "fdr": [0.01, np.nan],
            "model_rank": [1, 2],
            "data_rank": [1, np.nan],
        },
        ["A", "B"],
    )
    fig = gene_pairs(genes)
    data, model = fig.data
    assert (data.name, model.name) == ("measured", "model")
    assert list(model.x) == [1.0, -0.5]
    assert list(fig.layout.yaxis.categoryarray) == ["A", "B"]
    assert "No gene" in gene_pairs(genes.head(0)).layout.annotations[0].text
