"""Where the screen of a checkpoint is and how it was held, noted where the model was trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sams_core.data.screen import Screen
from sams_core.errors import CheckpointError
from sams_core.storage import read_json, write_json

SOURCE = "source.json"


def write_source(folder: Path, screen: Screen) -> None:
    """Note the screen's path, if it has one, and whether its counts stay on disk."""
    if screen.source is not None:
        path = str(screen.source.resolve())
        write_json(folder / SOURCE, {"screen": path, "on_disk": screen.on_disk})


def read_source(folder: Path) -> dict[str, Any]:
    """What is noted: ``screen`` and ``on_disk``; empty where there is no note."""
    note = folder / SOURCE
    return read_json(note) if note.is_file() else {}


def require_same_order(folder: Path, screen: Screen) -> None:
    """Refuse to go on with minibatches in another order than a run was begun with.

    Raises
    ------
    CheckpointError
        When the screen was on disk and is given in memory, or the other way round.
    """
    on_disk = read_source(folder).get("on_disk", screen.on_disk)
    if on_disk != screen.on_disk:
        raise CheckpointError(
            f"{folder} was begun with its screen {'on disk' if on_disk else 'in memory'}, which "
            "sets the order of its minibatches, so it cannot go on otherwise: read the screen with "
            f"on_disk={on_disk}."
        )
