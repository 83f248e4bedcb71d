from __future__ import annotations

import plotly.graph_objects as go
import pytest

from sams_core.figures.traces import trace_table


def test_a_heatmap_given_by_the_edges_of_its_rows_lists_their_centres() -> None:
    fig = go.Figure(go.Heatmap(z=[[1, 2], [3, 4]], x=["a", "b"], y=[0, 1, 3], name="map"))
    table = trace_table(fig)
    assert table["z"].tolist() == [1, 2, 3, 4]
    assert table["y"].tolist() == pytest.approx([0.5, 0.5, 2, 2])
    assert table["x"].tolist() == ["a", "b", "a", "b"]
