from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from sams_core.explorer import catalogue, snippets
from sams_core.explorer.run import Run, open_run
from tests.support.example_run import write_example_run
from tests.support.snippets import check_snippets, run_snippet

CODE = "import plotly.graph_objects as go\n\nfig = go.Figure(go.Heatmap(z=masks.X[:3]))\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_example_run(tmp_path_factory.mktemp("snippets") / "mine", title="A screen")


def opened(folder: Path) -> Run:
    (entry,) = catalogue.find([folder])
    return open_run(entry)


def test_only_what_the_code_uses_is_defined(folder: Path) -> None:
    script = snippets.complete(CODE, opened(folder))
    assert 'masks = anndata.read_h5ad(folder / "explorer" / "masks.h5ad")' in script
    assert "effects" not in script
    assert "load_model" not in script
    assert "load_model(folder)" in snippets.complete("fig = draw(model)", opened(folder))


def test_a_script_names_the_checkpoint_its_digest_and_the_version(folder: Path) -> None:
    run = opened(folder)
    script = snippets.complete(CODE, run)
    assert f"Checkpoint {run.digest[:12]}, sams_core 0.1.0" in script
    assert 'folder = Path("mine")  # wherever your copy of it lies' in script
    assert str(folder.parent) not in script


def test_embedded_checkpoints_are_named_as_they_lie_in_the_project() -> None:
    run = opened(catalogue.DEMO_FOLDER / "simulated_pathways")
    script = snippets.complete(CODE, run)
    assert 'Path("assets/checkpoints/simulated_pathways")' in script
    assert run_snippet(CODE, run.folder).data[0].z.shape[0] == 3


def page(code: str) -> None:
    import plotly.graph_objects as go
    import streamlit as st

    from sams_core.explorer import catalogue, show_figure
    from sams_core.explorer.run import open_run
    from sams_core.explorer.state import SHOWN_KEY, SIMULATED_KEY

    (entry,) = catalogue.find([catalogue.DEMO_FOLDER / "simulated_pathways"])
    run = open_run(entry)
    st.session_state[SHOWN_KEY], st.session_state[SIMULATED_KEY] = run, True
    fig = go.Figure(go.Heatmap(z=run.masks().X[:3]))
    show_figure(fig, key="mine", alt="Three rows.", name="mine", code=code)


def test_a_page_is_held_against_the_script_that_it_shows() -> None:
    folder = catalogue.DEMO_FOLDER / "simulated_pathways"
    app = AppTest.from_function(page, kwargs={"code": CODE}).run()
    check_snippets(app, folder, {"mine"})
    other = CODE.replace(":3", "1:4")
    with pytest.raises(AssertionError, match=r"mine: the script's figure is not .*data"):
        check_snippets(AppTest.from_function(page, kwargs={"code": other}).run(), folder, {"mine"})
    wrong = CODE + "fig.update_layout(width=300)\n"
    with pytest.raises(AssertionError, match=r"layout.width is only in the script's"):
        check_snippets(AppTest.from_function(page, kwargs={"code": wrong}).run(), folder, {"mine"})
