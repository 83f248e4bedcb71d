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
from typing import Any

import numpy as np
import pandas as pd
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from sams_core.errors import CheckpointError
from sams_core.models.config import ModelConfig
from sams_core.storage import json_digest, pack, read_json, read_metadata, unpack, write_json

FORMAT = "sams_core.checkpoint"
FORMAT_VERSION = 1
CONFIG, WEIGHTS, SPLIT, HISTORY = (
    "config.json",
    "weights.safetensors",
    "split.safetensors",
    "history.csv",
)
EXPLORER, MANIFEST = "explorer", "manifest.json"
SPLIT_NAMES = ("train", "val", "test")


class DataRecord(BaseModel):
    """The screen that a checkpoint was trained on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str | None
    fingerprint: str
    n_cells: int
    reader: dict[str, Any]


class CheckpointConfig(BaseModel):
    """Contents of ``config.json``, without its digest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str
    format_version: int
    family: str
    title: str
    simulated: bool
    citation: str | None = None
    model: ModelConfig
    training: dict[str, Any]
    genes: list[str]
    perturbations: list[str]
    control: str
    batches: list[str] | None = None
    data: DataRecord
    versions: dict[str, str]
    seed: int

    @property
    def digest(self) -> str:
        """SHA-256 over the record in canonical JSON."""
        return json_digest(self.model_dump(mode="json"))


def read_config(folder: str | Path) -> CheckpointConfig:
    """Read and check ``config.json``.

    Raises
    ------
    CheckpointError
        When the folder is not a checkpoint of this version, or was changed since it was written.
    """
    folder = Path(folder)
    if not folder.exists():
        raise CheckpointError(f"There is no folder {folder}: check the path of the checkpoint.")
    if not folder.is_dir():
        raise CheckpointError(f"{folder} is a file, but a checkpoint is a folder.")
    record = read_json(folder / CONFIG)
    if record.get("format") != FORMAT:
        raise CheckpointError(
            f"{folder / CONFIG} is not a sams_core checkpoint: its field 'format' should say "
            f"{FORMAT!r}."
        )
    if record.get("format_version") != FORMAT_VERSION:
        raise CheckpointError(
            f"{folder / CONFIG} has format_version {record.get('format_version')!r}, but this "
            f"sams_core reads version {FORMAT_VERSION}: install the version that wrote it, or "
            "train again."
        )
    stated = record.pop("digest", None)
    try:
        config = CheckpointConfig.model_validate(record)
    except ValidationError as error:
        problem = error.errors()[0]
        field = ".".join(str(part) for part in problem["loc"])
        raise CheckpointError(
            f"{folder / CONFIG} has a bad field {field!r} ({problem['msg']}): restore the file "
            "from a copy or train again."
        ) from None
    if stated != config.digest:
        raise CheckpointError(
            f"{folder / CONFIG} was changed after it was written (its digest does not match): "
            "restore it from a copy or train again."
        )
    return config


def write_config(folder: Path, config: CheckpointConfig) -> None:
    """Write ``config.json`` with its digest."""
    write_json(folder / CONFIG, {**config.model_dump(mode="json"), "digest": config.digest})


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
    module.load_state_dict(dict(state))


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


def read_history(folder: Path) -> pd.DataFrame:
    """The training curves of a checkpoint; empty where none were written.

    Raises
    ------
    CheckpointError
        When the file is not the CSV that training writes.
    """
    path = folder / HISTORY
    if not path.exists():
        return pd.DataFrame()
    try:
        history = pd.read_csv(path, float_precision="round_trip")
    except (ValueError, OSError) as error:
        raise CheckpointError(
            f"{path} is not a readable CSV file: restore or delete it."
        ) from error
    if not {"step", "split", "elbo"} <= set(history.columns):
        raise CheckpointError(
            f"{path} has no columns 'step', 'split' and 'elbo': restore or delete it."
        )
    return history
