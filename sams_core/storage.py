"""Files that are whole or not there: atomic writes, and contents that carry their own digest."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sams_core.errors import CheckpointError

MAX_JSON_BYTES = 64 * 2**20


def pack(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors and text to a safetensors file with a digest over both, atomically."""
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with replacing(path) as temporary:
        save_file(plain, temporary, {**metadata, "payload": _payload_digest(plain, metadata)})


def unpack(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read what :func:`pack` wrote.

    Raises
    ------
    CheckpointError
        When the file is missing, truncated, changed or not a safetensors file.
    """
    metadata = read_metadata(path)
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError, AttributeError) as error:
        raise _damaged(path) from error
    stated = metadata.pop("payload", None)
    if stated != _payload_digest(tensors, metadata):
        raise _damaged(path)
    return tensors, metadata


def read_metadata(path: Path) -> dict[str, str]:
    """Text in the header of a safetensors file."""
    if not path.is_file():
        raise CheckpointError(
            f"{path.parent} has no file {path.name}, so it is not a whole checkpoint: copy the "
            "folder again or train again."
        )
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError, ValueError) as error:
        raise _damaged(path) from error


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


def _damaged(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path} is damaged or cut short (its contents do not match its digest): restore it from "
        "a copy or train again."
    )


def _payload_digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    digest = hashlib.sha256(json.dumps(dict(metadata), sort_keys=True).encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"\n{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def json_digest(record: Mapping[str, Any]) -> str:
    """SHA-256 over a record in canonical JSON."""
    canonical = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
