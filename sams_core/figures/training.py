"""Training curves: the objective on training and validation cells, and the closing mask."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sams_core.figures.style import BLUE, GREEN, ORANGE, apply_style

_SETTLED = 0.1
_SPLITS = {"train": ("Training cells", BLUE), "validation": ("Validation cells", ORANGE)}


def training_curves(history: pd.DataFrame) -> go.Figure:
    """Draw ELBO a cell and, with a mask, the share of its open entries over training steps.

    Parameters
    ----------
    history
        Columns ``step``, ``split`` (``"train"`` or ``"validation"``), ``elbo`` (nats a cell) and
        ``share_open`` (0 to 1; NaN without a mask).

    Returns
    -------
    go.Figure
        Two panels; one without a mask. The first tenth of training, where the ELBO climbs steeply,
        may lie below the left panel's range; zoom out to see it.
    """
    shares = history[np.isfinite(history["share_open"])].drop_duplicates("step")
    titles = ["ELBO per cell (higher is better)"]
    titles += [] if shares.empty else ["Share of mask entries open"]
    fig = make_subplots(rows=1, cols=len(titles), column_titles=titles, horizontal_spacing=0.08)
    for split, (label, colour) in _SPLITS.items():
        part = history[(history["split"] == split) & np.isfinite(history["elbo"])]
        if len(part):
            fig.add_scatter(
                x=part["step"],
                y=part["elbo"],
                name=label,
                mode="lines" if len(part) > 1 else "markers",
                line={"color": colour, "width": 2},
                hovertemplate="step %{x:,}<br>%{y:,.1f} nats a cell",
                row=1,
                col=1,
            )
    if not shares.empty:
        fig.add_scatter(
            x=shares["step"],
            y=shares["share_open"],
            name="Open mask entries",
            line={"color": GREEN, "width": 2},
            hovertemplate="step %{x:,}<br>%{y:.2~%} open<extra></extra>",
            showlegend=False,
            row=1,
            col=2,
        )
    apply_style(fig, height=340)
    fig.update_layout(
        margin_t=76, legend={"y": 1.12, "x": 0}, hovermode="x unified", hoverlabel_namelength=-1
    )
    fig.update_annotations(font_size=14)
    fig.update_xaxes(title_text="Training step", tickformat=",")
    if not shares.empty:
        fig.update_yaxes(tickformat=".2~%", rangemode="tozero", row=1, col=2)
    limits = _settled_limits(history)
    if limits is not None:
        fig.update_yaxes(range=limits, row=1, col=1)
    return fig


def _settled_limits(history: pd.DataFrame) -> list[float] | None:
    late = history.loc[history["step"] >= _SETTLED * history["step"].max(), "elbo"]
    late = late[np.isfinite(late)]
    if late.empty or late.min() == late.max():
        return None
    margin = 0.06 * float(late.max() - late.min())
    return [float(late.min()) - margin, float(late.max()) + margin]
