"""A trained model on disk and back, safely.

A checkpoint is a folder::

    config.json            what was trained, on what, how: one validated record with its own digest
    weights.safetensors    the module's tensors, with the digest of config.json and of themselves
    split.safetensors      which cells were used for training, validation and test
    history.csv            the training curves
    explorer/              derived tables (``sams_core.analysis.prepare``), each named in
                           manifest.json with its digest

There is no pickle anywhere. Each file is written beside its place and renamed into it, so that a
reader sees the old file or the new one; a new folder appears whole. Each file carries a digest of
its own, so damage is told from a checkpoint.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sams_core.errors import CheckpointError
from sams_core.record import (
    CONFIG,
    EXPLORER,
    MANIFEST,
    SPLIT,
    SPLIT_NAMES,
    WEIGHTS,
    CheckpointConfig,
    read_config,
)
from sams_core.storage import json_digest, read_json
from sams_core.tensors import pack, read_metadata, unpack


def write_weights(folder: Path, config: CheckpointConfig, state: Mapping[str, Tensor]) -> None:
    """Write ``weights.safetensors``, tied to the configuration that it belongs to."""
    pack(folder / WEIGHTS, state, {"config": config.digest})


def read_weights(folder: str | Path, config: CheckpointConfig) -> dict[str, Tensor]:
    """Read ``weights.safetensors`` and check that it belongs to ``config``.

    Raises
    ------
    CheckpointError
        When the file is missing, damaged or another checkpoint's.
    """
    path = Path(folder) / WEIGHTS
    state, metadata = unpack(path)
    if metadata.get("config") != config.digest:
        raise CheckpointError(
            f"{path} belongs to another checkpoint than the {CONFIG} beside it: restore the pair "
            "from one copy."
        )
    return state


def load_state(module: torch.nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Fill a module with tensors, refusing missing, surplus or misshapen ones by name."""
    check_state(module, state, path)
    module.load_state_dict(dict(state))


def check_state(module: torch.nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Refuse missing, surplus or misshapen tensors by name; the module may be on ``meta``."""
    expected = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in state.items()}
    for name in sorted(expected.keys() ^ found.keys()):
        kind = "misses" if name in expected else "holds an unknown tensor"
        near = difflib.get_close_matches(name, list(found if name in expected else expected), 1)
        hint = f" (nearest: {near[0]!r})" if near else ""
        raise CheckpointError(f"{path} {kind} {name!r}{hint}: restore it from a copy.")
    for name, shape in expected.items():
        if found[name] != shape:
            raise CheckpointError(
                f"{path} holds {name!r} with shape {found[name]}, but {CONFIG} asks for {shape}: "
                "restore the pair from one copy."
            )


def checkpoint_digest(folder: str | Path) -> str:
    """SHA-256 over the configuration, the weights and the derived tables.

    Raises
    ------
    CheckpointError
        When ``config.json`` or ``weights.safetensors`` cannot be read.
    """
    folder = Path(folder)
    config = read_config(folder)
    parts = [config.digest, read_metadata(folder / WEIGHTS).get("payload", "")]
    manifest = folder / EXPLORER / MANIFEST
    if manifest.exists():
        parts.append(json_digest(read_json(manifest)))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def write_split(folder: Path, config: CheckpointConfig, split: Sequence[str] | np.ndarray) -> None:
    """Write which cells train, validate and test: (n,) names of :data:`SPLIT_NAMES`."""
    codes = torch.tensor([SPLIT_NAMES.index(name) for name in split], dtype=torch.uint8)
    pack(folder / SPLIT, {"split": codes}, {"config": config.digest})


def read_split(folder: Path, config: CheckpointConfig) -> np.ndarray:
    """Read what :func:`write_split` wrote: (n,) names of :data:`SPLIT_NAMES`.

    Raises
    ------
    CheckpointError
        When the file is missing, damaged or another checkpoint's.
    """
    tensors, metadata = unpack(folder / SPLIT)
    codes = tensors.get("split")
    if metadata.get("config") != config.digest or codes is None:
        raise CheckpointError(
            f"{folder / SPLIT} belongs to another checkpoint than the {CONFIG} beside it: restore "
            "the pair from one copy."
        )
    return np.asarray(SPLIT_NAMES, dtype=object)[codes.numpy()]
