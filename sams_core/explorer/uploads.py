"""Checkpoints that a user brings along: in a folder of their session, which goes with it.

The folder is removed when the session has been disconnected for longer than Streamlit lets a
window come back, when the server stops, and, after a server that was killed, by the next one.
"""

from __future__ import annotations

import atexit
import fcntl
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import BinaryIO, TextIO

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from sams_core.bundle import read_bundle
from sams_core.errors import CheckpointError
from sams_core.explorer.caching import PRIVATE
from sams_core.storage import file_stem, new_folder

MAX_RUNS = 4
GRACE = 150.0
"""Seconds after which a disconnected session does not come back; Streamlit waits for 120."""
_PERIOD = 15.0
_STATE = "uploaded_runs"
_LOCK = "in_use"


class Keeper:
    """Folders of sessions, removed when their sessions have been away for too long.

    Parameters
    ----------
    root
        Where the folders are made.
    is_active
        Whether a session, by its id, is connected.
    grace, period
        Seconds that a session may be away, and between two looks.
    """

    def __init__(
        self,
        root: Path,
        is_active: Callable[[str], bool],
        *,
        grace: float = GRACE,
        period: float = _PERIOD,
    ) -> None:
        self.root, self._is_active = root, is_active
        self._grace, self._period = grace, period
        self._seen: dict[Path, tuple[str, float]] = {}
        self._guard = threading.Lock()
        self._watching = False

    def folder(self, session: str) -> Path:
        """Make a folder that stays as long as the session."""
        made = Path(tempfile.mkdtemp(prefix="session_", dir=self.root))
        with self._guard:
            self._seen[made] = session, time.monotonic()
            start, self._watching = not self._watching, True
        if start:
            threading.Thread(target=self._watch, name="uploads", daemon=True).start()
        return made

    def sweep(self) -> bool:
        """Remove the folders of sessions that are gone; whether any folder is left."""
        now = time.monotonic()
        with self._guard:
            for folder, (session, seen) in list(self._seen.items()):
                if self._is_active(session):
                    self._seen[folder] = session, now
                elif now - seen > self._grace:
                    shutil.rmtree(folder, ignore_errors=True)
                    del self._seen[folder]
            self._watching = bool(self._seen)
            return self._watching

    def _watch(self) -> None:
        while True:
            time.sleep(self._period)
            if not self.sweep():
                return


def folders() -> list[Path]:
    """Checkpoint folders that were uploaded in this session, in their order."""
    if get_script_run_ctx(suppress_warning=True) is None:
        return []
    own: Path | None = st.session_state.get(_STATE)
    if own is None or not own.is_dir():
        return []
    found = [path for path in own.iterdir() if not path.name.startswith(".")]
    return sorted(found, key=lambda path: path.stat().st_mtime_ns)


def session_folder() -> Path:
    """The folder of this session, made when it is first asked for."""
    own: Path | None = st.session_state.get(_STATE)
    if own is None or not own.is_dir():
        context = get_script_run_ctx()
        own = _keeper().folder(context.session_id if context else "")
        st.session_state[_STATE] = own
    return own


def open_bundle(file: BinaryIO, name: str) -> Path:
    """Check and unpack a bundle for this session; the checkpoint's folder.

    Raises
    ------
    CheckpointError
        If it is malformed, or this session has too many; in one sentence.
    """
    if len(folders()) >= MAX_RUNS:
        raise CheckpointError(
            f"{MAX_RUNS} uploaded checkpoints are open, the most for one window: close one first."
        )
    target = _free(session_folder(), file_stem(Path(name).stem))
    read_bundle(file, name, target)
    return target


def save(folder: Path, root: Path, name: str) -> Path:
    """Copy an uploaded checkpoint into a root, where it stays; never over anything.

    Raises
    ------
    CheckpointError
        If the root holds something of this name, or cannot be written.
    """
    target = root / file_stem(name)
    try:
        with new_folder(target) as temporary:
            shutil.copytree(folder, temporary, dirs_exist_ok=True)
    except CheckpointError:
        raise CheckpointError(
            f"{root.name} holds something named '{target.name}' already: choose another name."
        ) from None
    except OSError as error:
        raise CheckpointError(
            f"'{target.name}' cannot be saved to {root.name} ({error.strerror or error})."
        ) from None
    return target


def close(folder: Path) -> None:
    """Remove an uploaded checkpoint."""
    shutil.rmtree(folder, ignore_errors=True)


def _free(parent: Path, stem: str) -> Path:
    names = [stem, *(f"{stem}_{number}" for number in range(2, MAX_RUNS + 2))]
    return next(parent / name for name in names if not (parent / name).exists())


@cache
def _keeper() -> Keeper:
    _remove_forsaken()
    root = Path(tempfile.mkdtemp(prefix=PRIVATE))
    lock = (root / _LOCK).open("w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    atexit.register(_remove, root, lock)
    return Keeper(root, _is_connected)


def _is_connected(session: str) -> bool:
    return runtime.exists() and runtime.get_instance().is_active_session(session)


def _remove(root: Path, lock: TextIO) -> None:
    shutil.rmtree(root, ignore_errors=True)
    lock.close()


def _remove_forsaken() -> None:
    """Remove the folders of servers that ended without doing so: nobody holds their lock."""
    for root in Path(tempfile.gettempdir()).glob(f"{PRIVATE}*"):
        try:
            if time.time() - root.stat().st_mtime < _PERIOD:
                continue  # its server may be about to lock it
            with (root / _LOCK).open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(root, ignore_errors=True)
        except OSError:
            continue
