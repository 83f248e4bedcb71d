"""The app on small made-up checkpoints, run in process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from sams_core.explorer.catalogue import NO_DEMO_VARIABLE, RUNS_VARIABLE
from tests.support.example_run import write_example_run

APP = Path(__file__).resolve().parents[2] / "app.py"
OpenPage = Callable[..., AppTest]


@pytest.fixture(scope="session")
def example_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with two prepared checkpoints: ``real`` and ``simulated``."""
    folder = tmp_path_factory.mktemp("runs")
    write_example_run(folder / "real", title="A real screen")
    write_example_run(folder / "simulated", title="A made-up screen", simulated=True, seed=1)
    return folder


@pytest.fixture
def runs_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Point the app at a folder of checkpoints, without the embedded ones."""

    def point(folder: Path) -> None:
        monkeypatch.setenv(NO_DEMO_VARIABLE, "1")
        monkeypatch.setenv(RUNS_VARIABLE, str(folder))
        st.cache_data.clear()
        st.cache_resource.clear()

    return point


@pytest.fixture
def example_runs(example_folder: Path, runs_at: Callable[[Path], None]) -> Path:
    """The app sees the checkpoints of `example_folder` and no others."""
    runs_at(example_folder)
    return example_folder


@pytest.fixture
def open_page() -> OpenPage:
    """Open a page as a browser would: ``open_page("masks", {"run": "simulated"})``."""

    def open_(page: str = "start", query: Mapping[str, str | list[str]] | None = None) -> AppTest:
        app = AppTest.from_file(str(APP), default_timeout=60)
        for key, value in (query or {}).items():
            app.query_params[key] = value
        app.run()
        if page != "start":
            for key, value in (query or {}).items():
                app.query_params[key] = value
            app.switch_page(f"pages/{page}.py").run()
        return app

    return open_
