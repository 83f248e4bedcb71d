"""The Python that figures bring along, run and held against what the page shows.

A page's test says::

    app = open_page("effects", {"run": "real"})
    check_snippets(app, example_folder / "real", {"effects_scatter", "effects_map"})

which opens "Save / Python" of each figure named, runs its script and compares the figure that the
script makes with the one on the page. ``example_folder / "real"`` may be any checkpoint folder.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.io import to_json
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Code

from sams_core.explorer.exports import popover_key
from sams_core.explorer.snippets import PROJECT, complete
from sams_core.explorer.state import SIMULATED_KEY
from sams_core.explorer.widgets import INK
from sams_core.figures.finish import finished


def run_snippet(code: str, folder: Path) -> go.Figure:
    """Run a page's code, or the whole script that a page shows; return the figure that it makes.

    Parameters
    ----------
    code
        Ends in ``fig = ...``. Unless it defines ``folder`` itself, what defines its variables is
        put before it, as the app does.
    folder
        The checkpoint; the script runs in its parent, or in the project if it is an embedded one.
    """
    if "\nfolder = Path(" not in code:
        code = complete(code, _opened(folder))
    variables: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.chdir(PROJECT if folder.is_relative_to(PROJECT) else folder.parent):
        exec(compile(code.replace("fig.show()", ""), "snippet", "exec"), variables)
    fig = variables["fig"]
    assert isinstance(fig, go.Figure)
    return fig


def shown_figures(app: AppTest) -> dict[str, dict[str, Any]]:
    """Figures that a page shows, by their keys, as what the browser gets of them."""
    return {_key(chart.proto.id): json.loads(chart.proto.spec) for chart in app.get("plotly_chart")}


def shown_scripts(app: AppTest, keys: Iterable[str]) -> dict[str, str]:
    """Open "Save / Python" of the figures with these keys; return the scripts that it shows."""
    for key in keys:
        app.session_state[popover_key(key)] = True
    app.run()
    assert not app.exception
    found = {}
    for box in app.get("popover"):
        for block in box.children.values():
            if isinstance(block, Code):
                found[_key(box.proto.popover.id).removesuffix("_save")] = block.value
    return found


def check_snippets(app: AppTest, folder: Path, keys: Iterable[str]) -> None:
    """Run the script of each figure named, and compare its figure with the page's.

    Parameters
    ----------
    app
        A page that was run.
    folder
        The checkpoint that it shows.
    keys
        Of figures that the page shows; each must have a script.
    """
    keys = set(keys)
    scripts = shown_scripts(app, keys)
    figures = shown_figures(app)
    simulated = SIMULATED_KEY in app.session_state and app.session_state[SIMULATED_KEY]
    assert keys <= set(figures), f"the page shows {sorted(figures)}"
    for key in sorted(keys):
        assert key in scripts, f"{key} has no code"
        fig = run_snippet(scripts[key], folder)
        made = to_json(finished(fig, ink=INK, simulated=bool(simulated)), validate=False)
        assert_same_figure(json.loads(made), figures[key], key)


def assert_same_figure(made: dict[str, Any], shown: dict[str, Any], key: str) -> None:
    """Fail, naming the first difference, unless two figures have equal data and layout."""
    for figure in (made, shown):
        figure["layout"].pop("template", None)
    for part in ("data", "layout"):
        difference = _difference(made[part], shown[part], part)
        assert difference is None, f"{key}: the script's figure is not the page's: {difference}"


def _difference(made: Any, shown: Any, where: str) -> str | None:
    if isinstance(made, dict) and isinstance(shown, dict):
        for name in sorted(set(made) | set(shown)):
            if name not in made or name not in shown:
                return f"{where}.{name} is only in the {'script' if name in made else 'page'}'s"
            if found := _difference(made[name], shown[name], f"{where}.{name}"):
                return found
        return None
    if isinstance(made, list) and isinstance(shown, list):
        if len(made) != len(shown):
            return f"{where} has {len(made)} entries, the page's {len(shown)}"
        pairs = enumerate(zip(made, shown, strict=True))
        return next(filter(None, (_difference(*two, f"{where}[{n}]") for n, two in pairs)), None)
    return None if made == shown else f"{where} is {str(made)[:80]!r}, not {str(shown)[:80]!r}"


def _key(element_id: str) -> str:
    """Return the user's key in a Streamlit element's id, ``$$ID-hash-key``."""
    return element_id.split("-", 2)[2]


def _opened(folder: Path) -> Any:
    from sams_core.explorer import catalogue
    from sams_core.explorer.run import open_run

    (entry,) = catalogue.find([folder])
    return open_run(entry)
