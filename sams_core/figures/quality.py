"""How near the model comes to what can be predicted at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from sams_core.figures.style import GREEN, GREY, LINE, apply_style


@dataclass(frozen=True)
class Score:
    """One bar.

    Attributes
    ----------
    label
        Who predicts.
    value
        Correlation with held-out effects; ``None`` where undefined.
    is_model
        Whether to stress it.
    """

    label: str
    value: float | None
    is_model: bool


def quality_bars(scores: Sequence[Score], ceiling: float | None) -> go.Figure:
    """Draw correlations as bars, with the data's own ceiling as a line.

    Parameters
    ----------
    scores
        From top to bottom. An undefined one is named, with a dash for a bar.
    ceiling
        Where noise in the data ends what can be predicted; ``None`` where undefined.
    """
    shown = list(scores)[::-1]
    fig = go.Figure(
        go.Bar(
            x=[score.value or 0.0 for score in shown],
            y=[f"{score.label}  <b>{_text(score.value)}</b>" for score in shown],
            orientation="h",
            marker_color=[GREEN if score.is_model else GREY for score in shown],
            hovertemplate="%{y}<extra></extra>",
            width=0.55,
        )
    )
    apply_style(fig, height=44 * len(shown) + 76)
    lowest = min([0.0, *(score.value for score in shown if score.value is not None)])
    fig.update_xaxes(range=[lowest * 1.15, 1.0], title_text="Correlation with held-out effects")
    fig.update_yaxes(showgrid=False)
    fig.update_layout(margin={"t": 32, "r": 40}, showlegend=False)
    if ceiling is not None:
        fig.add_vline(x=ceiling, line={"color": LINE, "width": 2, "dash": "dot"})
        fig.add_annotation(
            x=ceiling, y=1, yref="paper", yanchor="bottom", showarrow=False,
            text=f"ceiling {ceiling:.2f}", font_size=12,
        )  # fmt: skip
    return fig


def _text(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"
