"""Figures of the models page: what is drawn is what the tables say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from sams_core.analysis.replication import BOTH, FIRST, NEITHER, SECOND
from sams_core.figures import models

SCORES = pd.DataFrame(
    [
        ("seen", "SAMS-VAE", "model", 0.8, 0.02, 3),
        ("seen", "additive", "baseline", 0.7, np.nan, 1),
        ("seen", "no change", "baseline", 0.1, np.nan, 1),
        ("seen", "technical duplicate", "ceiling", 0.9, np.nan, 1),
        ("unseen", "SAMS-VAE", "model", 0.5, 0.03, 3),
        ("unseen", "additive", "baseline", 0.6, np.nan, 1),
    ],
    columns=["scope", "name", "kind", "mean", "sd", "n"],
).assign(coverage="")
SCOPES = {"seen": "Seen", "unseen": "Not seen"}


def bars(table: pd.DataFrame = SCORES, **changes: Any) -> go.Figure:
    settings: dict[str, Any] = {"title": "Pearson", "digits": 2, "direction": 1, "from_zero": True}
    settings |= changes
    return models.score_bars(table, SCOPES, **settings)


def traces(fig: go.Figure, name: str, axis: str = "x") -> list[Any]:
    return [trace for trace in fig.data if trace.name == name and trace.xaxis in (axis, None)]


def test_a_panel_for_each_scope_has_its_models_and_baselines() -> None:
    fig = bars()
    (seen,), (unseen,) = traces(fig, "models", "x"), traces(fig, "models", "x2")
    assert (list(seen.x), list(unseen.x)) == ([0.8], [0.5])
    assert seen.error_x.array[0] == 0.02
    assert list(traces(fig, "baselines")[0].y) == ["additive", "no change"]
    assert [note.text for note in fig.layout.annotations] == ["Seen", "Not seen"]
    assert sum(bool(trace.showlegend) for trace in fig.data) == 4


def test_rows_stand_in_the_table_s_order_from_the_top() -> None:
    assert list(bars().layout.yaxis.categoryarray) == ["no change", "additive", "SAMS-VAE"]


@pytest.mark.parametrize(("direction", "best"), [(1, 0.7), (-1, 0.1)])
def test_the_best_baseline_is_a_line(direction: int, best: float) -> None:
    (line,) = traces(bars(direction=direction), "best baseline")
    assert set(line.x) == {best}
    assert len(line.y) == 3


def test_the_best_baseline_is_over_all_conditions() -> None:
    fewer = SCORES["name"].eq("additive")
    table = SCORES.assign(coverage=fewer.map({True: " (5 of 8 conditions)", False: ""}))
    fig = bars(table)
    assert set(traces(fig, "best baseline")[0].x) == {0.1}
    assert not traces(fig, "best baseline", "x2")
    told = [row[0] for row in traces(fig, "baselines")[0].customdata]
    assert told == ["<b>0.70</b> (5 of 8 conditions)", "<b>0.10</b>"]


def test_neither_direction_has_no_best_baseline() -> None:
    assert not traces(bars(direction=0), "best baseline")


def test_the_ceiling_is_a_line_where_there_is_one() -> None:
    assert set(traces(bars(), "ceiling")[0].x) == {0.9}
    assert not traces(bars(), "ceiling", "x2")


def test_figures_without_a_zero_are_points() -> None:
    assert {trace.type for trace in traces(bars(from_zero=False), "models")} == {"scatter"}
    assert {trace.type for trace in traces(bars(), "models")} == {"bar"}


def test_nothing_to_draw_is_said() -> None:
    assert "No run" in bars(SCORES.iloc[:0]).layout.annotations[0].text


def lines(**changes: Any) -> go.Figure:
    table = pd.DataFrame(
        [
            (name, kind, fraction, value + fraction, 0.01 if kind == "model" else np.nan)
            for name, kind, value in (
                ("SAMS-VAE", "model", 0.1), ("CPA-VAE", "model", 0.2),
                ("additive", "baseline", 0.3), ("matching mean", "baseline", 0.25),
                ("technical duplicate", "ceiling", 0.4),
            )
            for fraction in (0.0, 0.5)
        ],
        columns=["name", "kind", "fraction", "mean", "sd"],
    )  # fmt: skip
    settings: dict[str, Any] = {"x_title": "x", "y_title": "y", "digits": 2} | changes
    return models.fraction_lines(table, **settings)


def test_every_model_and_baseline_has_a_line_over_fractions() -> None:
    fig = lines()
    assert len(fig.data) == 5
    sams = fig.data[0]
    assert (list(sams.x), list(sams.y)) == ([0.0, 0.5], [0.1, 0.6])
    assert sams.error_y.array[0] == 0.01
    assert [trace.line.dash for trace in fig.data[:2]] == [None, None]
    assert len({trace.line.dash for trace in fig.data[2:]}) == 3
    assert len({trace.line.color for trace in fig.data[:3]}) == 3


def test_a_narrow_figure_has_its_legend_below() -> None:
    assert lines(legend_below=True).layout.legend.y < 0 < lines().layout.legend.y


def test_without_fractions_it_is_said() -> None:
    empty = pd.DataFrame(columns=["name", "kind", "fraction", "mean", "sd"])
    fig = models.fraction_lines(empty, x_title="x", y_title="y", digits=2)
    assert "No run" in fig.layout.annotations[0].text


def test_the_replication_map_counts_what_each_checkpoint_opens() -> None:
    entries = pd.DataFrame(
        [[BOTH, NEITHER, SECOND], [FIRST, BOTH, NEITHER]], index=["A", "B"], columns=list("xyz")
    )
    fig = models.replication_map(entries, "one", "two")
    assert [trace.name for trace in fig.data[1:]] == ["both: 2", "only one: 1", "only two: 1"]
    shown = fig.data[0]
    assert shown.customdata.tolist() == [["both", "neither", "two"], ["one", "both", "neither"]]
    for code, (_, colour) in models.ENTRIES.items():
        stops = shown.colorscale[2 * code : 2 * code + 2]
        assert list(stops) == [(code / 4, colour), ((code + 1) / 4, colour)]
    empty = models.replication_map(entries * 0, "one", "two")
    assert "Neither" in empty.layout.annotations[0].text
