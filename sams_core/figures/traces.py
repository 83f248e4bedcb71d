"""What a figure shows, as a table read from its traces."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

_COLUMNS = ("x", "y", "text", "hovertext")


def trace_table(fig: go.Figure) -> pd.DataFrame:
    """List the points, bars and cells of all traces, one a row.

    Parameters
    ----------
    fig
        Any figure of scatter plots, bars, histograms and heatmaps.

    Returns
    -------
    pd.DataFrame
        Columns ``trace`` (its name, or its number) and, where a trace has them, ``x``, ``y``,
        ``z`` (of heatmaps), ``error_x``, ``error_y``, ``colour`` (numbers alone), ``text`` and
        ``hovertext``. Points that draw nothing (neither marker, line nor bar is seen) are left out.
    """
    tables = [_table(trace, number) for number, trace in enumerate(fig.data)]
    tables = [table for table in tables if len(table)]
    if not tables:
        return pd.DataFrame(columns=["trace", "x", "y"])
    return pd.concat(tables, ignore_index=True)


def _table(trace: Any, number: int) -> pd.DataFrame:
    if getattr(trace, "visible", None) is False or trace.opacity == 0:
        return pd.DataFrame()
    columns = _heatmap(trace) if trace.type == "heatmap" else _points(trace)
    table = pd.DataFrame(columns)
    table.insert(0, "trace", trace.name or str(number + 1))
    return table


def _heatmap(trace: Any) -> dict[str, Any]:
    z = np.asarray(trace.z)
    x, y = _centres(trace.x, z.shape[1]), _centres(trace.y, z.shape[0])
    columns = {"x": np.tile(x, len(y)), "y": np.repeat(y, len(x)), "z": z.ravel()}
    for name in ("text", "hovertext"):
        text = getattr(trace, name, None)
        if text is not None and np.shape(text) == z.shape:
            columns[name] = np.asarray(text, dtype=object).ravel()
    return columns


def _centres(places: Any, number: int) -> np.ndarray:
    """Places of a heatmap's rows or columns, which may be given by their edges."""
    if places is None:
        return np.arange(number)
    found = np.asarray(places)
    return (found[1:] + found[:-1]) / 2 if len(found) == number + 1 else found


def _points(trace: Any) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name in _COLUMNS:
        values = getattr(trace, name, None)
        if values is not None and not isinstance(values, str):
            columns[name] = values
    for name in ("error_x", "error_y"):
        error = getattr(trace, name, None)
        if error is not None and error.array is not None:
            columns[name] = error.array
    marker = getattr(trace, "marker", None)
    colour = None if marker is None else marker.color
    if colour is not None and not isinstance(colour, str) and np.asarray(colour).dtype.kind in "fi":
        columns["colour"] = colour
    length = max((len(values) for values in columns.values()), default=0)
    return {name: values for name, values in columns.items() if len(values) == length}
