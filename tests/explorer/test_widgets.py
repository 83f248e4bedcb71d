from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.support.example_run import write_example_run

ROOT = Path(__file__).resolve().parents[2]


def figure_page() -> None:
    import plotly.graph_objects as go

    from sams_core import explorer

    fig = go.Figure(
        [
            go.Heatmap(z=[[1, 2]]),
            go.Scatter(x=[1], y=[1], marker={"color": [1], "showscale": True}),
            go.Scatter(x=[1], y=[1], mode="lines"),
        ]
    )
    fig.update_layout(annotations=[{"text": "note"}], coloraxis={"colorscale": "Viridis"})
    explorer.show_figure(fig, key="figure", alt="What it shows.", name="run/1 figure")


def table_page() -> None:
    import pandas as pd

    from sams_core import explorer

    numbered = pd.DataFrame({"a": [1, 2]})
    named = pd.DataFrame({"a": [1]}, index=pd.Index(["x"], name="gene"))
    explorer.show_table(numbered, key="numbered", name="numbered")
    explorer.show_table(named, key="named", name="named")


def colours(node: Any) -> list[str]:
    """Colours of every font in a plotly figure."""
    if isinstance(node, list):
        return [colour for part in node for colour in colours(part)]
    if not isinstance(node, dict):
        return []
    own = [node[key].get("color", "none") for key in ("font", "tickfont") if key in node]
    return own + [colour for part in node.values() for colour in colours(part)]


def image_name(app: AppTest) -> str:
    """File name, without ending, of the images that the only figure is saved as."""
    (buttons,) = app.get("bidi_component")
    return str(json.loads(buttons.proto.json)["file"])


def test_figures_carry_alt_text_a_safe_file_name_and_readable_type() -> None:
    app = AppTest.from_function(figure_page, default_timeout=30).run()
    (chart,) = app.get("plotly_chart")
    assert chart.proto.alt == "What it shows."
    assert image_name(app) == "run_1_figure"
    spec = json.loads(chart.proto.spec)
    spec["layout"].pop("template", None)
    found = colours(spec)
    assert len(found) >= 8
    assert set(found) == {"#000037"}  # which Streamlit turns into the theme's own ink


def test_tables_show_a_named_index_and_can_be_downloaded() -> None:
    app = AppTest.from_function(table_page, default_timeout=30).run()
    assert not app.exception
    assert [button.proto.label for button in app.get("download_button")] == ["Download CSV"] * 2
    assert [table.value.index.name for table in app.dataframe] == [None, "gene"]


LIGHT = """
import sys
from streamlit.testing.v1 import AppTest
from sams_core import explorer
explorer.warm_up = lambda: None
app = AppTest.from_file("app.py", default_timeout=60).run()
for page in ("masks", "models", "stories", "open"):
    app.switch_page(f"pages/{page}.py").run()
    assert not app.exception, page
heavy = {"torch", "lightning", "scanpy"} & set(sys.modules)
assert not heavy, heavy
"""


@pytest.mark.timeout(120)
def test_pages_of_tables_open_without_torch(tmp_path: Path) -> None:
    write_example_run(tmp_path / "run", title="A screen")
    done = subprocess.run(
        [sys.executable, "-c", LIGHT],
        cwd=ROOT,
        env={**os.environ, "SAMS_CORE_RUNS": str(tmp_path), "SAMS_CORE_NO_DEMO": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def simulated_page() -> None:
    import pandas as pd
    import plotly.graph_objects as go
    import streamlit as st

    from sams_core import explorer
    from sams_core.explorer.state import SIMULATED_KEY

    st.session_state[SIMULATED_KEY] = True
    explorer.show_figure(go.Figure(go.Bar(y=[1])), key="figure", alt="What it shows.", name="mine")
    explorer.show_table(pd.DataFrame({"a": [1]}), key="table", name="mine")


def test_what_is_saved_of_a_simulated_screen_says_so() -> None:
    app = AppTest.from_function(simulated_page, default_timeout=30).run()
    (chart,) = app.get("plotly_chart")
    assert json.loads(chart.proto.spec)["layout"]["title"]["text"].count("simulated screen") == 1
    assert image_name(app) == "simulated_mine"
