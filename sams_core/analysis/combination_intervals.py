"""Intervals of a predicted combination, made wider where they are known to be too narrow."""

from __future__ import annotations

import pandas as pd


def widened(table: pd.DataFrame, factor: float) -> pd.DataFrame:
    """Stretch every interval and standard deviation of a prediction about its value.

    Parameters
    ----------
    table
        From `sams_core.analysis.combinations.predict_combination`.
    factor
        1 leaves intervals as the posterior has them.
    """
    changed: dict[str, pd.Series] = {}
    for column in map(str, table):
        name, _, end = column.rpartition("_")
        if name not in table:
            continue
        if end == "sd":
            changed[column] = table[column] * factor
        elif end in ("lower", "upper"):
            changed[column] = table[name] + factor * (table[column] - table[name])
    return table.assign(**changed)
