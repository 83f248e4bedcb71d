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
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sams_core.errors import CheckpointError
from sams_core.models.config import ModelConfig

FORMAT = "sams_core.checkpoint"
FORMAT_VERSION = 1
CONFIG, WEIGHTS, SPLIT, HISTORY = (
    "config.json",
    "weights.safetensors",
    "split.safetensors",
    "history.csv",
)
EXPLORER, MANIFEST = "explorer", "manifest.json"
MAX_JSON_BYTES = 64 * 2**20


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
        return _json_digest(self.model_dump(mode="json"))


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
        parts.append(_json_digest(read_json(manifest)))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


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


def _json_digest(record: Mapping[str, Any]) -> str:
    canonical = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()
