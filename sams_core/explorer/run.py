"""One checkpoint as the pages see it: its tables, read once and shared between users."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from sams_core.analysis.stability import STABILITY, Stability, read_stability
from sams_core.errors import CheckpointError, SamsError
from sams_core.explorer import catalogue
from sams_core.explorer.caching import PRIVATE, is_private, kept
from sams_core.record import (
    CONFIG,
    EXPLORER,
    HISTORY,
    MANIFEST,
    WEIGHTS,
    read_config,
    read_history,
)
from sams_core.storage import read_json

if TYPE_CHECKING:
    from anndata import AnnData

    from sams_core.perturbation_model import PerturbationModel


@dataclass(frozen=True)
class Run:
    """A checkpoint that can be shown.

    Tables are cached on the checkpoint's contents and shared between users: treat them as
    read-only. A table that cannot be read stops the page with a sentence instead of a traceback.

    Attributes
    ----------
    folder
        The checkpoint folder.
    name
        What the sidebar and the URL call it.
    config
        The parsed ``config.json``.
    manifest
        SHA-256 of each file in ``explorer/``.
    """

    folder: Path
    name: str
    config: dict[str, Any]
    manifest: dict[str, str]

    @property
    def digest(self) -> str:
        """Fingerprint of the trained model."""
        return str(self.config["digest"])

    @property
    def cache_key(self) -> str:
        """Fingerprint of the model and of the tables prepared from it: the key for caches."""
        text = json.dumps([self.digest, self.manifest], sort_keys=True)
        if self.uploaded:
            text = f"{self.folder} {text}"
        return (PRIVATE if self.uploaded else "") + hashlib.sha256(text.encode()).hexdigest()

    @property
    def uploaded(self) -> bool:
        """Whether it came with this session and goes with it."""
        return is_private(str(self.folder))

    @property
    def title(self) -> str:
        """The screen's name for people."""
        return str(self.config["title"])

    @property
    def simulated(self) -> bool:
        """Whether the screen was simulated."""
        return bool(self.config.get("simulated", False))

    def masks(self) -> AnnData:
        """Perturbations x latent dimensions."""
        return self._table("masks.h5ad")

    def effects(self) -> AnnData:
        """Conditions x genes."""
        return self._table("effects.h5ad")

    def cells(self) -> AnnData:
        """Cells with their latent coordinates."""
        return self._table("cells.h5ad")

    def metrics(self) -> dict[str, Any]:
        """Quality measures of the checkpoint."""
        path = self.folder / "explorer" / "metrics.json"
        metrics = _or_stop(_read_json, str(path), self.manifest.get("metrics.json"))
        if not isinstance(metrics, dict):
            _stop(_damaged(path))
        return metrics

    def history(self) -> pd.DataFrame:
        """Training curves, one row a step and split; no rows when none were stored."""
        return _or_stop(_read_history, str(self.folder), _stamp(self.folder / HISTORY))

    def stability(self) -> tuple[Stability | None, str]:
        """In how many seeds mask entries are open, where compared; else, if need be, why not."""
        stamps = tuple(_stamp(self.folder / file) for file in (STABILITY, WEIGHTS, CONFIG))
        return _read_stability(str(self.folder), stamps)

    def model(self) -> PerturbationModel:
        """Return the trained model itself, for what depends on the user's choice."""
        return _or_stop(_load_model, str(self.folder), _stamp(self.folder / WEIGHTS))

    def _table(self, file: str) -> AnnData:
        path = self.folder / "explorer" / file
        return _or_stop(_read_table, str(path), self.manifest.get(file))


def open_run(entry: catalogue.Entry) -> Run:
    """Open a checkpoint of the catalogue.

    Raises
    ------
    CheckpointError
        If its configuration or its list of tables is damaged or incomplete.
    """
    if entry.problem is not None:
        raise CheckpointError(entry.problem)
    config = read_config(entry.folder)
    path = entry.folder / EXPLORER / MANIFEST
    try:
        manifest = read_json(path)
    except CheckpointError:
        raise CheckpointError(_damaged(path)) from None
    if not set(catalogue.TABLES) <= set(manifest):
        raise CheckpointError(_damaged(path))
    for file in catalogue.TABLES:
        if not (path.parent / file).is_file():
            raise CheckpointError(_damaged(path.parent / file))
    record = {**config.model_dump(mode="json"), "digest": config.digest}
    return Run(entry.folder, entry.name, record, manifest)


def _damaged(path: Path) -> str:
    folder = path.parent.parent
    return (
        f"The table {path.name} of {folder.name} is missing or damaged; run "
        f"`python -m sams_core prepare {folder}` again."
    )


def _checked(path: Path, sha256: str | None) -> Path:
    try:
        found = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        raise CheckpointError(_damaged(path)) from None
    if found != sha256:
        raise CheckpointError(_damaged(path))
    return path


@kept(24, shared_object=True)
def _read_table(path: str, sha256: str | None) -> AnnData:
    import anndata

    table = _checked(Path(path), sha256)
    try:
        return anndata.read_h5ad(table)
    except Exception:  # anything may come out of a damaged HDF5 file
        raise CheckpointError(_damaged(table)) from None


@kept(24, shared_object=True)
def _read_json(path: str, sha256: str | None) -> Any:
    table = _checked(Path(path), sha256)
    try:
        return json.loads(table.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise CheckpointError(_damaged(table)) from None


@kept(24)
def _read_history(folder: str, stamp: int) -> pd.DataFrame:
    return read_history(Path(folder))


@kept(24)
def _read_stability(folder: str, stamps: tuple[int, ...]) -> tuple[Stability | None, str]:
    try:
        return read_stability(folder), ""
    except SamsError as error:
        return None, str(error)


@kept(2, shared_object=True)
def _load_model(folder: str, stamp: int) -> PerturbationModel:
    from sams_core.api import load_model

    return load_model(folder)


def _stamp(path: Path) -> int:
    """When a file was last written, so that caches follow a run that trains on; 0 for none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _or_stop(read: Any, *arguments: Any) -> Any:
    try:
        return read(*arguments)
    except SamsError as error:
        _stop(str(error))


def _stop(sentence: str) -> None:
    st.error(sentence, icon=":material/error:")
    st.stop()
