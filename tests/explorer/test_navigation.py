from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
import streamlit

from sams_core.explorer import warm
from sams_core.explorer.navigation import PAGES
from sams_core.explorer.widgets import INK

ROOT = Path(__file__).resolve().parents[2]


def test_every_page_has_its_place_in_the_navigation() -> None:
    assert set(PAGES) == {path.stem for path in (ROOT / "pages").glob("*.py")}


def test_streamlit_still_turns_our_ink_into_the_theme_s() -> None:
    scripts = (Path(streamlit.__file__).parent / "static" / "static" / "js").glob("Plotly*.js")
    assert any(INK in script.read_text(encoding="utf-8") for script in scripts)


def test_the_model_s_code_is_imported_once_in_the_background(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    imported: list[str] = []
    monkeypatch.setattr(warm, "HEAVY", ("this",))
    monkeypatch.setattr(importlib, "import_module", imported.append)
    warm.warm_up.cache_clear()
    threads = {warm.warm_up(), warm.warm_up()}
    for thread in threads:
        thread.join(10)
    warm.warm_up.cache_clear()
    assert imported == ["this"]
    assert all(thread.daemon for thread in threads)


def test_what_is_imported_in_the_background_exists() -> None:
    for module in warm.HEAVY:
        importlib.import_module(module)
        assert module in sys.modules
