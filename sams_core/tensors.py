"""Tensors in safetensors files that carry a digest of their own contents."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sams_core.errors import CheckpointError
from sams_core.storage import replacing

HEADER = "sams_core"
"""The one entry of the file's own header; safetensors writes several in no fixed order."""


def pack(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write tensors and text to a safetensors file with a digest over both, atomically."""
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    with replacing(path) as temporary:
        record = {**metadata, "payload": _payload_digest(plain, metadata)}
        save_file(plain, temporary, {HEADER: json.dumps(record, sort_keys=True)})


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
            record = json.loads((file.metadata() or {})[HEADER])
    except (SafetensorError, OSError, ValueError, KeyError, RecursionError) as error:
        raise _damaged(path) from error
    if not isinstance(record, dict):
        raise _damaged(path)
    return record


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
