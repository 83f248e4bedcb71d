"""Fixtures shared by every test: where the real data and the reference numbers are."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Processes started here would inherit a shell's background jobs' deafness to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parents[1]
MAIN = sys.modules["__main__"]


@pytest.fixture(autouse=True)
def _main_module(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streamlit's AppTest leaves a page as main module, which new processes would then import."""
    monkeypatch.setitem(sys.modules, "__main__", MAIN)


def _shared(name: str) -> Path:
    folder = ROOT.parent / "shared" / name
    if not folder.is_dir():
        pytest.skip(f"the folder ../shared/{name} is not here")
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the real screens and gene sets."""
    return _shared("data")


@pytest.fixture(scope="session")
def shared_fixtures() -> Path:
    """Folder of numbers from an independent implementation."""
    return _shared("fixtures")
