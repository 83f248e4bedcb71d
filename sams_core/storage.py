"""Files that are whole or not there, and JSON that is checked when it is read."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sams_core.errors import CheckpointError

MAX_JSON_BYTES = 64 * 2**20


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object, refusing anything else in one sentence."""
    if not path.is_file():
        raise CheckpointError(
            f"{path.parent} has no file {path.name}, so it is not a checkpoint of sams_core."
        )
    if path.stat().st_size > MAX_JSON_BYTES:
        raise CheckpointError(f"{path} is larger than {MAX_JSON_BYTES // 2**20} MiB, so not ours.")
    try:
        record = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{path} is not valid JSON, so it was damaged or cut short: restore it from a copy."
        ) from error
    if not isinstance(record, dict):
        raise CheckpointError(f"{path} should hold one JSON object: restore it from a copy.")
    return record


def write_json(path: Path, record: Mapping[str, Any]) -> None:
    """Write a JSON object, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside ``path``, which takes its place when the block ends well."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A temporary folder that becomes ``target`` when the block ends well.

    Raises
    ------
    CheckpointError
        When ``target`` exists, unless it is empty or ``overwrite`` is set.
    """
    if target.exists() and not overwrite and (not target.is_dir() or any(target.iterdir())):
        raise CheckpointError(f"{target} exists already: choose another folder or remove it.")
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        yield temporary
        temporary.chmod(0o755)
        if target.exists():
            retired = temporary.with_name(temporary.name + ".old")
            target.rename(retired)
            temporary.rename(target)
            shutil.rmtree(retired)
        else:
            temporary.rename(target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def json_digest(record: Mapping[str, Any]) -> str:
    """SHA-256 over a record in canonical JSON."""
    canonical = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def remove_folder(folder: Path) -> None:
    """Remove a folder; to a reader it is gone whole from one moment to the next."""
    retired = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    folder.rename(retired / folder.name)
    shutil.rmtree(retired)


def file_stem(name: str) -> str:
    """Turn any text into a safe file name without ending."""
    return re.sub(r"[^A-Za-z0-9._+-]+", "_", name).strip("._")[:120] or "sams_core"
