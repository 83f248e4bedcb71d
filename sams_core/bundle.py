"""A checkpoint as one file: a zip of its folder, to send to somebody and to open in the explorer.

Only the files that a checkpoint has are packed and unpacked; whatever else lies beside them is
left out. Contents are checked by their digests, as on loading from disk, before they are used.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import BinaryIO, NamedTuple
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from sams_core.archive import Archive, Limits
from sams_core.bundle_metrics import check_metrics
from sams_core.errors import CheckpointError, SamsError
from sams_core.hdf5_checks import hdf5_problem
from sams_core.record import (
    CONFIG,
    EXPLORER,
    HISTORY,
    MANIFEST,
    SPLIT,
    WEIGHTS,
    CheckpointConfig,
    read_config,
    read_history,
)
from sams_core.settings import validated
from sams_core.storage import file_stem, new_folder, read_json

NEEDED = (CONFIG, WEIGHTS, SPLIT)
OPTIONAL = (HISTORY, "evaluation.json", "mask.h5ad", "stability.h5ad", "predictive_check.h5ad")
TABLES = ("masks.h5ad", "effects.h5ad", "cells.h5ad", "metrics.json")
LIMITS = Limits()


class _Expected(NamedTuple):
    """What a table has to have: names that it shares with the configuration, and fields."""

    same: tuple[str, ...]
    fields: frozenset[str]


_SHAPES = {
    "masks.h5ad": _Expected(
        ("perturbations",), frozenset({"embedding_mean", "embedding_sd", "effect", "n_cells"})
    ),
    "effects.h5ad": _Expected(
        ("genes",), frozenset({"model_se", "data_ate", "data_se", "fdr", "n_cells", "pearson"})
    ),
    "cells.h5ad": _Expected((), frozenset({"z", "z_basal", "condition", "split"})),
}
_TABLE = re.compile(r"[a-z0-9_]{1,60}\.(h5ad|json)")
_EPOCH = (1980, 1, 1, 0, 0, 0)


def write_bundle(folder: str | Path, file: BinaryIO) -> None:
    """Write a prepared checkpoint as a zip; the same checkpoint gives the same bytes.

    Parameters
    ----------
    folder
        The checkpoint.
    file
        Opened for writing.

    Raises
    ------
    CheckpointError
        If the checkpoint is damaged or not prepared.
    """
    folder = Path(folder)
    check_checkpoint(folder)
    stem = file_stem(folder.resolve().name)
    with ZipFile(file, "w") as archive:
        for relative in _files(folder):
            entry = ZipInfo(f"{stem}/{relative}", _EPOCH)
            entry.compress_type, entry.external_attr = ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, (folder / relative).read_bytes())


def read_bundle(file: BinaryIO, name: str, target: Path, limits: Limits = LIMITS) -> None:
    """Unpack a bundle to a new folder; nothing is written before all of it was checked.

    Parameters
    ----------
    file
        Opened for reading.
    name
        What to call it.
    target
        The folder to write, which must not exist.
    limits
        What the bundle may have at most.

    Raises
    ------
    CheckpointError
        In one sentence, if the bundle is malformed or too large, or what it holds is no prepared
        checkpoint; then nothing is left of it.
    """
    archive = Archive(file, name, limits)
    wanted = _wanted(archive)
    archive.check(wanted)
    with new_folder(target) as temporary:
        archive.write(wanted, temporary)
        try:
            check_checkpoint(temporary, max_bytes=limits.unpacked)
        except SamsError as error:
            raise CheckpointError(_without(str(error), temporary, name)) from None


def check_checkpoint(folder: Path, *, max_bytes: int = LIMITS.unpacked) -> None:
    """Check that a folder is a whole, prepared checkpoint: every digest, and sizes before reading.

    Raises
    ------
    CheckpointError
        If it is not; in one sentence.
    """
    config = read_config(folder)
    manifest = _manifest(folder)
    for table, digest in manifest.items():
        path = folder / EXPLORER / table
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != digest:
            raise CheckpointError(
                f"The table {table} of {folder} is missing or damaged: run `python -m sams_core "
                f"prepare {folder}` again."
            )
    for relative in _files(folder):
        if relative.endswith(".h5ad"):
            problem = hdf5_problem(folder / relative, max_bytes)
            if problem is not None:
                raise CheckpointError(problem)
    read_history(folder)
    check_metrics(folder / EXPLORER / "metrics.json")
    _check_model(folder, config)
    _check_names(folder, config)


def _check_model(folder: Path, config: CheckpointConfig) -> None:
    """Weights and split by their digests, and weights against a model that takes no memory."""
    import torch

    from sams_core.api import FAMILIES
    from sams_core.checkpoint import check_state, read_split, read_weights

    if config.family not in FAMILIES:
        raise CheckpointError(
            f"{folder / CONFIG} is of a family {config.family!r} that this version of sams_core "
            "does not know: install the version that wrote it."
        )
    family = FAMILIES[config.family]
    sizes = (len(config.genes), len(config.perturbations), len(config.batches or []))
    with torch.device("meta"):
        module = family.Module(validated(family.Config, config.hyperparameters), *sizes)
    check_state(module, read_weights(folder, config), folder / WEIGHTS)
    read_split(folder, config)


def _check_names(folder: Path, config: CheckpointConfig) -> None:
    """Tables must speak of the model's perturbations, genes and latent dimensions."""
    import anndata

    for table, expected in _SHAPES.items():
        path = folder / EXPLORER / table
        try:
            found = anndata.read_h5ad(path)
            names = {"perturbations": found.obs_names, "genes": found.var_names}
            sound = all(
                sorted(names[field]) == sorted(getattr(config, field)) for field in expected.same
            )
            held = {*found.layers, *found.obs, *found.obsm}
        except Exception:  # anything may come out of a damaged HDF5 file
            raise CheckpointError(_not_a_table(path, "it cannot be read")) from None
        if not sound:
            words = f"its {expected.same[0]} are not those of {CONFIG}"
            raise CheckpointError(_not_a_table(path, words))
        for missing in sorted(expected.fields - held):
            raise CheckpointError(_not_a_table(path, f"it has no '{missing}'"))


def _not_a_table(path: Path, why: str) -> str:
    return (
        f"{path} is not a table of this checkpoint ({why}): run `python -m sams_core prepare "
        f"{path.parent.parent}` again."
    )


def _manifest(folder: Path) -> dict[str, str]:
    if not (folder / EXPLORER / MANIFEST).is_file():
        raise CheckpointError(
            f"{folder} has no prepared tables, which the explorer shows: run `python -m sams_core "
            f"prepare {folder}` first."
        )
    manifest = read_json(folder / EXPLORER / MANIFEST)
    sound = all(isinstance(value, str) and _TABLE.fullmatch(key) for key, value in manifest.items())
    if not sound or not set(TABLES) <= set(manifest):
        raise CheckpointError(
            f"{folder / EXPLORER / MANIFEST} does not list the tables of a checkpoint: run "
            f"`python -m sams_core prepare {folder}` again."
        )
    return {str(key): str(value) for key, value in manifest.items()}


def _files(folder: Path) -> list[str]:
    """Relative paths of the checkpoint's files that are there."""
    tables = [f"{EXPLORER}/{name}" for name in (MANIFEST, *sorted(_manifest(folder)))]
    return [name for name in (*NEEDED, *OPTIONAL, *tables) if (folder / name).is_file()]


def _wanted(archive: Archive) -> dict[str, str]:
    """Path in the archive of each file of the one checkpoint in it."""
    tops = [path.removesuffix(CONFIG) for path in archive.files if _is_config(path)]
    if len(tops) != 1:
        held = "no" if not tops else "more than one"
        raise CheckpointError(
            f"{archive.name} holds {held} {CONFIG}, so it is not the bundle of one checkpoint: "
            "pack it with `python -m sams_core bundle RUN`."
        )
    top = tops[0]
    if top.count("/") > 1:
        raise CheckpointError(
            f"{archive.name} holds its {CONFIG} in folders within folders: pack the checkpoint "
            "folder itself."
        )
    found = {path.removeprefix(top): path for path in archive.files if path.startswith(top)}
    return {relative: path for relative, path in found.items() if _is_known(relative)}


def _is_config(path: str) -> bool:
    return path.rpartition("/")[2] == CONFIG and not path.startswith("__MACOSX/")


def _is_known(relative: str) -> bool:
    folder, _, table = relative.rpartition("/")
    return relative in (*NEEDED, *OPTIONAL) or (
        folder == EXPLORER and _TABLE.fullmatch(table) is not None
    )


def _without(sentence: str, folder: Path, name: str) -> str:
    """An error about a temporary folder, as one about the bundle."""
    sentence = sentence.replace(f"{folder}/", "").replace(str(folder), "RUN")
    return f"{name} cannot be opened. {sentence}"
