"""The Open page in process: every state, uploads and their session, names shown literally."""

from __future__ import annotations

import io
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt
from scipy import sparse
from streamlit.testing.v1 import AppTest

from sams_core.bundle import write_bundle
from sams_core.errors import CheckpointError
from sams_core.explorer import catalogue, uploads
from sams_core.explorer.caching import PRIVATE, is_private
from sams_core.explorer.run import open_run
from tests.pages.conftest import OpenPage
from tests.support import example_run
from tests.support.example_run import write_example_run

NAMES = ("*x*", "$a$", "![i](http://x)", "[l](javascript:1)", "<b>", "`c`", ":red[r]", "_u_")


@pytest.fixture
def packed(example_folder: Path) -> bytes:
    buffer = io.BytesIO()
    write_bundle(example_folder / "real", buffer)
    return buffer.getvalue()


def text(app: AppTest) -> str:
    return "\n".join(block.value for block in [*app.markdown, *app.caption, *app.info])


def upload(app: AppTest, label: str, name: str, content: bytes, kind: str) -> AppTest:
    (chooser,) = [each for each in app.file_uploader if each.label == label]
    chooser.upload(name, content, kind)
    return app.run()


def bundle(app: AppTest, name: str, content: bytes) -> AppTest:
    return upload(app, "A bundle (.zip)", name, content, "application/zip")


def test_without_a_checkpoint_the_page_still_takes_one(
    tmp_path: Path, runs_at: Callable[[Path], None], open_page: OpenPage, packed: bytes
) -> None:
    runs_at(tmp_path)
    app = open_page("open")
    assert not app.exception
    assert "These folders hold no trained model" in text(app)
    app = bundle(app, "mine.zip", packed)
    assert not app.exception
    assert not app.error
    assert app.selectbox(key="run").value == "mine (uploaded)"
    app.switch_page("pages/masks.py").run()
    assert not app.exception
    assert not app.error
    assert "A real screen" in text(app)


@pytest.mark.usefixtures("example_runs")
def test_what_is_uploaded_belongs_to_one_session(open_page: OpenPage, packed: bytes) -> None:
    app = bundle(open_page("open"), "mine.zip", packed)
    assert "mine (uploaded)" in app.selectbox(key="run").options
    assert "mine (uploaded)" not in open_page("open").selectbox(key="run").options


@pytest.mark.usefixtures("example_runs")
def test_an_uploaded_checkpoint_can_be_closed(open_page: OpenPage, packed: bytes) -> None:
    app = bundle(open_page("open"), "mine.zip", packed)
    app.button(key="open_close_mine").click().run()
    assert not app.exception
    assert app.selectbox(key="run").value == "real"
    assert app.selectbox(key="run").options == ["real", "simulated"]
    assert "closed and removed" in app.success[0].value


@pytest.mark.usefixtures("example_runs")
def test_a_malformed_bundle_is_told_and_nothing_changes(open_page: OpenPage) -> None:
    app = bundle(open_page("open"), "*odd*.zip", b"no zip")
    assert not app.exception
    assert [error.value for error in app.error] == [
        "\\*odd\\*.zip is not a zip file or was cut short: copy or pack it again."
    ]
    assert app.selectbox(key="run").value == "real"


@pytest.mark.usefixtures("example_runs")
def test_a_window_keeps_a_few_uploads(open_page: OpenPage, packed: bytes) -> None:
    app = open_page("open")
    for _ in range(uploads.MAX_RUNS):
        app = bundle(app, "mine.zip", packed)
        assert not app.error
    assert "mine_4 (uploaded)" in app.selectbox(key="run").options
    app = bundle(app, "mine.zip", packed)
    assert "the most for one window" in app.error[0].value


def test_a_broken_checkpoint_is_listed_with_its_cure(
    example_folder: Path, tmp_path: Path, runs_at: Callable[[Path], None], open_page: OpenPage
) -> None:
    shutil.copytree(example_folder / "real", tmp_path / "broken")
    shutil.rmtree(tmp_path / "broken" / "explorer")
    runs_at(tmp_path)
    app = open_page("open")
    assert not app.exception
    assert not app.error
    table = app.dataframe[0].value
    assert "python -m sams_core prepare" in str(table.loc["broken", "state"])


@pytest.mark.usefixtures("example_runs")
@pytest.mark.parametrize("query", [{"run": "../../etc"}, {"run": "x (uploaded)"}, {"open": "1"}])
def test_bad_values_in_the_address_are_told(open_page: OpenPage, query: dict[str, str]) -> None:
    app = open_page("open", query)
    assert not app.exception
    assert app.selectbox(key="run").value == "real"
    assert bool(app.warning) is ("run" in query)
    if query.get("run", "").endswith("(uploaded)"):
        assert "upload it again" in app.warning[0].value


def screen(column: str = "perturbation") -> bytes:
    rng = np.random.default_rng(0)
    labels = np.repeat(["control", *NAMES[:3]], 60)
    cells = ad.AnnData(
        sparse.csc_matrix(rng.poisson(1.0, (240, 30)).astype(np.float32)),
        obs=pd.DataFrame({column: labels}, index=[f"c{n}" for n in range(240)]),
        var=pd.DataFrame(index=[f"G{n}" for n in range(30)]),
    )
    path = Path(uploads.tempfile.mkdtemp()) / "screen.h5ad"
    cells.write_h5ad(path)
    content = path.read_bytes()
    shutil.rmtree(path.parent)
    return content


@pytest.mark.usefixtures("example_runs")
def test_a_screen_is_previewed_and_its_commands_name_what_was_chosen(open_page: OpenPage) -> None:
    app = open_page("open")
    app = upload(app, "A screen (.h5ad)", "s.h5ad", screen("what"), "application/x-hdf5")
    assert "Name the column of obs" in app.error[0].value
    app.selectbox(key="open_screen_column").select("what").run()
    assert not app.exception
    assert not app.error
    values = {metric.label: metric.value for metric in app.metric}
    assert values["Cells"] == "240"
    assert values["Control cells"] == "60"
    assert "python -m sams_core train s.h5ad --perturbation-key what" in app.code[-1].value
    assert text_is_literal(app)


def test_a_screen_that_unpacks_to_too_much_is_refused(
    example_runs: Path, open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sams_core.data.preview.MAX_UNPACKED", 10_000)
    app = open_page("open")
    app = upload(app, "A screen (.h5ad)", "s.h5ad", screen(), "application/x-hdf5")
    assert "unpacks to more than" in app.error[0].value


@pytest.fixture
def strange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(example_run, "SINGLES", NAMES)
    monkeypatch.setattr(example_run, "DOUBLES", ("*x*+$a$", "<b>+_u_"))
    return write_example_run(tmp_path / "strange", title="A *strange* [screen](http://x)")


RENDERER = MarkdownIt("gfm-like", {"linkify": False})
MARKUP = {"em_open", "link_open", "image", "html_inline", "html_block", "s_open"}


def text_is_literal(app: AppTest) -> bool:
    """Whether no text of the page turns a strange name into markup; fails with the first."""
    blocks = [*app.markdown, *app.caption, *app.info, *app.warning, *app.error, *app.success]
    for block in blocks:
        tokens = RENDERER.parse(block.value)
        kinds = {each.type for token in tokens for each in (token, *(token.children or []))}
        assert not kinds & MARKUP, block.value
        assert not re.search(r"(?<!\\):red(?<!\\)\[r", block.value), block.value
        assert not re.search(r"(?<!\\)\$a", block.value), block.value
    return bool(blocks)


@pytest.mark.parametrize("page", ["start", "open", "masks", "models"])
def test_strange_names_are_shown_literally(
    strange: Path, runs_at: Callable[[Path], None], open_page: OpenPage, page: str
) -> None:
    runs_at(strange.parent)
    app = open_page(page)
    assert not app.exception
    assert not app.error
    assert text_is_literal(app)


@pytest.mark.parametrize("name", NAMES)
def test_strange_names_are_literal_in_the_details_of_the_mask(
    strange: Path, runs_at: Callable[[Path], None], open_page: OpenPage, name: str
) -> None:
    runs_at(strange.parent)
    app = open_page("masks", {"mask_perturbation": name, "mask_latent": "z0"})
    assert not app.exception
    assert text_is_literal(app)


def test_folders_go_when_their_session_has_been_away(tmp_path: Path) -> None:
    here = {"a", "b"}
    keeper = uploads.Keeper(tmp_path, here.__contains__, grace=0.05, period=60)
    folders = {name: keeper.folder(name) for name in ("a", "b")}
    here.discard("a")
    assert keeper.sweep()
    assert folders["a"].is_dir()  # it may come back
    time.sleep(0.1)
    assert keeper.sweep()
    assert not folders["a"].exists()
    assert folders["b"].is_dir()
    here.discard("b")
    time.sleep(0.1)
    assert not keeper.sweep()
    assert not folders["b"].exists()


def test_nothing_is_saved_over_what_is_there(example_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "x").write_text("x")
    with pytest.raises(CheckpointError, match="choose another name"):
        uploads.save(example_folder / "real", tmp_path, "taken")
    saved = uploads.save(example_folder / "real", tmp_path, "../a b")
    assert saved == tmp_path / "a_b"
    assert (saved / "config.json").is_file()
    assert [path.name for path in (tmp_path / "taken").iterdir()] == ["x"]


def test_only_configured_folders_can_be_saved_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, example_folder: Path
) -> None:
    run = shutil.copytree(example_folder / "real", tmp_path / "run")
    roots = f"{tmp_path}:{run}:{tmp_path / 'absent'}"
    monkeypatch.setenv(catalogue.RUNS_VARIABLE, roots)
    monkeypatch.delenv(catalogue.NO_DEMO_VARIABLE, raising=False)
    assert catalogue.writable_roots() == [tmp_path]


def test_an_uploads_cache_keys_are_its_own(example_folder: Path, tmp_path: Path) -> None:
    private = shutil.copytree(example_folder / "real", tmp_path / f"{PRIVATE}1" / "mine")
    (entry,) = catalogue.find([Path(private)])
    (other,) = catalogue.find([example_folder / "real"])
    assert entry.name == "mine (uploaded)"
    assert entry.uploaded
    keys = open_run(entry).cache_key, open_run(other).cache_key
    assert [is_private(key) for key in keys] == [True, False]
    assert is_private((keys[0], 0.5))


def test_results_of_an_upload_are_not_kept_for_everybody(open_page: OpenPage) -> None:
    def script() -> None:
        import streamlit as st

        from sams_core.explorer import caching

        calls = st.session_state.setdefault("calls", [])

        @caching.kept(4)
        def length(key: str) -> int:
            calls.append(key)
            return len(key)

        for key in ("shared", f"{caching.PRIVATE}x"):
            length(key)
            length(key)

    first = AppTest.from_function(script).run()
    assert not first.exception
    assert first.session_state["calls"] == ["shared", f"{PRIVATE}x"]
