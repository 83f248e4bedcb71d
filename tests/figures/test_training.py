from __future__ import annotations

import numpy as np
import pandas as pd

from sams_core.figures.quality import Score, quality_bars
from sams_core.figures.training import training_curves


def history(steps: int = 50) -> pd.DataFrame:
    step = np.repeat(np.arange(steps) + 1, 2)
    return pd.DataFrame(
        {
            "step": step,
            "split": ["train", "validation"] * steps,
            "elbo": -100 - 1e4 * np.exp(-step.astype(float)),
            "share_open": 0.1,
        }
    )


def test_curves_split_training_from_validation_cells() -> None:
    fig = training_curves(history())
    assert [trace.name for trace in fig.data] == [
        "Training cells",
        "Validation cells",
        "Open mask entries",
    ]
    assert len(fig.data[0].x) == 50


def test_the_steep_start_does_not_flatten_the_rest() -> None:
    low, high = training_curves(history()).layout.yaxis.range
    assert low > -250
    assert high >= -100


def test_missing_values_and_a_single_step_draw() -> None:
    one = history(1)
    one.loc[1, "elbo"] = np.nan
    fig = training_curves(one)
    assert [trace.name for trace in fig.data] == ["Training cells", "Open mask entries"]


def test_bars_name_an_undefined_score_and_mark_the_ceiling() -> None:
    fig = quality_bars([Score("Model", 0.8, True), Score("No change", None, False)], 0.84)
    assert list(fig.data[0].y) == ["No change  <b>undefined</b>", "Model  <b>0.80</b>"]
    assert list(fig.data[0].x) == [0.0, 0.8]
    assert fig.layout.annotations[0].text == "ceiling 0.84"


def test_a_negative_score_is_in_range_and_no_ceiling_draws_no_line() -> None:
    fig = quality_bars([Score("Model", -0.2, True)], None)
    assert fig.layout.xaxis.range[0] < -0.2
    assert not fig.layout.shapes
