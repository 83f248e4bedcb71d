"""A small app with known faults, on which the browser tests' own instruments are tried."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

FIGURES = {
    "scatter": go.Figure(go.Scatter(x=[1, 2], y=[1, 3], mode="markers")),
    "webgl": go.Figure(go.Scattergl(x=[1, 2, 3], y=[1, 3, 2], mode="markers")),
    "bars": go.Figure(go.Bar(x=["a", "b"], y=[1, 3])),
    "heatmap": go.Figure(go.Heatmap(z=[[0, 1], [1, 0]])),
    "empty": go.Figure(),
    "empty scatter": go.Figure(go.Scatter(x=[], y=[], mode="markers")),
    "empty webgl": go.Figure(go.Scattergl(x=[], y=[], mode="markers")),
}

st.title("Sample")
for name in st.query_params.get_all("figure"):
    st.plotly_chart(FIGURES[name], key=name, alt=name)
match st.query_params.get("fault"):
    case "exception":
        raise RuntimeError("a fault on purpose")
    case "error":
        st.error("an error on purpose")
    case "wide":
        st.html("<div style='width: 5000px; height: 10px'></div>")
    case "console":
        st.html("<script>console.error('on purpose')</script>", unsafe_allow_javascript=True)
