"""``config.json`` and ``history.csv``: what a checkpoint is of, and how its training went.

Nothing here needs torch, so that a catalogue of checkpoints opens at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from sams_core.errors import CheckpointError
from sams_core.storage import json_digest, read_json, write_json

FORMAT = "sams_core.checkpoint"
FORMAT_VERSION = 1
CONFIG, WEIGHTS, SPLIT, HISTORY = (
    "config.json",
    "weights.safetensors",
    "split.safetensors",
    "history.csv",
)
HISTORY_COLUMNS = (
    "step",
    "split",
    "elbo",
    "log_likelihood",
    "kl_z_basal",
    "kl_mask",
    "kl_embedding",
    "share_open",
    "mask_penalty",
    "seconds",
)
EXPLORER, MANIFEST = "explorer", "manifest.json"
SPLIT_NAMES = ("train", "val", "test", "unused")

Combinations = Literal["sum", "own"]
"""Whether a combination's dosages are the sum of its parts', or it is a perturbation of its own."""


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
    model: dict[str, Any]
    training: dict[str, Any]
    genes: list[str]
    perturbations: list[str]
    combinations: Combinations = "sum"
    control: str
    batches: list[str] | None = None
    data: DataRecord
    split: dict[str, Any] | None = None
    versions: dict[str, str]
    seed: int

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """``model``, and what it means where an earlier version left it unsaid."""
        unsaid = {"embedding_table": False} if self.family == "sams_vae" else {}
        return unsaid | self.model

    @property
    def training_settings(self) -> dict[str, Any]:
        """``training``, and what it means where an earlier version left it unsaid."""
        unsaid = {"effects_fraction": 0.0, "mask_share": 0.0, "pruned_fraction": 0.0}
        if "learning_rate" in self.training:
            unsaid["embedding_learning_rate"] = self.training["learning_rate"]
        return (unsaid if self.training else {}) | self.training

    @property
    def digest(self) -> str:
        """SHA-256 over the record in canonical JSON; a field left at its default is left out."""
        return json_digest(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """The record without the fields that were left at their default."""
        return self.model_dump(mode="json", exclude_unset=True)


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
    write_json(folder / CONFIG, {**config.to_json(), "digest": config.digest})


def read_history(folder: Path) -> pd.DataFrame:
    """The training curves of a checkpoint; empty where none were written.

    Raises
    ------
    CheckpointError
        When the file is not the CSV that training writes.
    """
    path = folder / HISTORY
    if not path.exists():
        return pd.DataFrame(columns=list(HISTORY_COLUMNS))
    try:
        history = pd.read_csv(path, float_precision="round_trip")
    except (ValueError, OSError) as error:
        raise CheckpointError(
            f"{path} is not a readable CSV file: restore or delete it."
        ) from error
    if not set(HISTORY_COLUMNS) <= set(history.columns):
        raise CheckpointError(
            f"{path} should have the columns {', '.join(HISTORY_COLUMNS)}: restore or delete it."
        )
    if len(history) and not all(
        map(pd.api.types.is_numeric_dtype, history.drop(columns="split").dtypes)
    ):
        raise CheckpointError(f"{path} holds text among its numbers: restore or delete it.")
    return history
