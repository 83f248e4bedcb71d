"""What every figure gets at last: readable type in one ink, and a stamp if it is simulated."""

from __future__ import annotations

import re
from typing import Any

import plotly.graph_objects as go

SMALL = 12
"""Pixels of the smallest type in a figure."""
PRINT_INK = "#0F1A21"
"""Ink on white paper."""
_HEIGHT = 420
_STAMP_PIXELS = 28
_AXIS = re.compile(r"[xy]axis\d*")


def finished(fig: go.Figure, *, ink: str = PRINT_INK, simulated: bool = False) -> dict[str, Any]:
    """Describe a figure as plotly's JavaScript takes it, with all its text in one colour.

    The figure itself stays as it is. Plain dictionaries are changed, as plotly's own updates check
    every value and take ten times as long.

    Parameters
    ----------
    fig
        Any figure.
    ink
        Colour of all text.
    simulated
        Whether to say, in the lower right corner below the axis titles, that the screen was
        simulated.
    """
    spec: dict[str, Any] = fig.to_dict()
    layout = spec["layout"]
    text, small = {"color": ink}, {"color": ink, "size": SMALL}
    _merge(layout, {"font": text, "hoverlabel": {"font": text}})
    _merge(layout, {"legend": {"font": small, "title": {"font": small}}})
    for name in {"xaxis", "yaxis"} | set(filter(_AXIS.fullmatch, layout)):
        _merge(layout, {name: {"tickfont": small, "title": {"font": text}}})
    for annotation in layout.get("annotations", ()):
        _merge(annotation, {"font": text})
    scales = [layout[name] for name in layout if name.startswith("coloraxis")]
    for scale in scales + [scale for trace in spec["data"] if (scale := _scale(trace))]:
        _merge(scale, {"colorbar": {"tickfont": small, "title": {"font": small}}})
    if simulated:
        _stamp(layout, ink)
    return spec


def _scale(trace: dict[str, Any]) -> dict[str, Any] | None:
    """Return the part of a trace that has a colour bar, if any."""
    if trace["type"] == "heatmap":
        return trace
    marker: dict[str, Any] = trace.get("marker", {})
    return marker if marker.get("showscale") else None


def _stamp(layout: dict[str, Any], ink: str) -> None:
    stamp = {
        "text": "<span style='font-weight: 400'>simulated screen</span>",
        "font": {"size": SMALL, "color": ink},
        "x": 1,
        "xanchor": "right",
        "y": 0,
        "yanchor": "bottom",
        "yref": "container",
        "pad": {"b": 4, "r": 8},
    }
    margin = layout.get("margin", {}).get("b") or 0
    _merge(layout, {"title": stamp, "margin": {"b": margin + _STAMP_PIXELS}})
    layout["height"] = (layout.get("height") or _HEIGHT) + _STAMP_PIXELS


def _merge(node: dict[str, Any], changes: dict[str, Any]) -> None:
    """Set what ``changes`` names, level by level, and leave the rest."""
    for name, change in changes.items():
        if not isinstance(change, dict):
            node[name] = change
            continue
        if not isinstance(node.get(name), dict):
            node[name] = {}
        _merge(node[name], change)
