"""Safe reading of the authors' Lightning checkpoints, without their package.

Such a file is a pickle in a zip archive, and a pickle can run anything. So what it asks for is
listed before it is loaded: a file that wants one thing beside :data:`ALLOWED` is refused by name.
Then ``torch.load(weights_only=True)`` reads it, with stand-ins for the two things of the list that
PyTorch does not know.
"""

from __future__ import annotations

import io
import pickletools
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from sams_core.errors import CheckpointError

STATISTICS = "sams_vae.data.utils.perturbation_datamodule.ObservationNormalizationStatistics"
ALLOWED = frozenset(
    {
        STATISTICS,
        "builtins.dict",
        "collections.OrderedDict",
        "collections.defaultdict",
        "torch.DoubleStorage",
        "torch.FloatStorage",
        "torch.LongStorage",
        "torch._utils._rebuild_tensor_v2",
    }
)
"""Everything that a checkpoint of the authors' code asks its reader for."""

MAX_BYTES = 4 * 2**30
MAX_PICKLE_BYTES = 16 * 2**20
_ZIP = b"PK\x03\x04"
_COPIES = ("loss_module.", "predictor.")
_COUNTS = "D_obs_counts_"


@dataclass(frozen=True)
class ReferenceFile:
    """What is used of a checkpoint of the authors' code.

    Attributes
    ----------
    path
        The file.
    config
        Their configuration: names of classes and their arguments.
    n_steps
        Optimiser steps that were taken.
    state
        Parameters and buffers of model and guide, under their names; finite.
    cells : (T,) tensors
        Cells that carry each perturbation, of ``"train"``, ``"val"`` and ``"test"``; empty where
        the file does not say.
    """

    path: Path
    config: Mapping[str, Any]
    n_steps: int
    state: dict[str, Tensor]
    cells: dict[str, Tensor]


def read_reference(path: str | Path) -> ReferenceFile:
    """Read a checkpoint of the authors' code; nothing in it is run.

    Raises
    ------
    CheckpointError
        When the file asks for anything but :data:`ALLOWED`, is damaged or too large, or is not
        such a checkpoint.
    """
    path = Path(path)
    pickled = _pickle_of(path)
    try:
        wanted = set(wanted_globals(io.BytesIO(pickled)))
    except ValueError as error:
        raise _damaged(path) from error
    _refuse_foreign(path, wanted)
    return _understood(path, _load(path))


def _pickle_of(path: Path) -> bytes:
    """The pickle inside the archive, once the archive is known to be no larger than it looks."""
    if not path.is_file():
        said = "is a folder" if path.is_dir() else "does not exist"
        raise CheckpointError(f"{path} {said}: give the .ckpt file that Lightning wrote.")
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise CheckpointError(f"{path} is larger than {MAX_BYTES // 2**30} GiB, so it is not read.")
    with path.open("rb") as file:
        if file.read(len(_ZIP)) != _ZIP:
            file.seek(0)
            _refuse_foreign(path, _wanted_by_bare_pickles(io.BytesIO(file.read(MAX_PICKLE_BYTES))))
            raise CheckpointError(
                f"{path} is not a checkpoint, or its beginning is lost: PyTorch writes a zip "
                "archive, which this is not, so copy the file again."
            )
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read(_checked_pickle(path, archive, size))
    except CheckpointError:
        raise
    except Exception as error:  # a damaged archive can raise anything
        raise _damaged(path) from error


def _checked_pickle(path: Path, archive: zipfile.ZipFile, size: int) -> zipfile.ZipInfo:
    members = archive.infolist()
    names = [member.filename for member in members]
    pickles = [member for member in members if member.filename.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1 or len(set(names)) < len(names):
        raise _damaged(path)
    stored = all(member.compress_type == zipfile.ZIP_STORED for member in members)
    if not stored or sum(member.file_size for member in members) > size:
        raise CheckpointError(
            f"{path} is compressed, which PyTorch's checkpoints are not: it could grow beyond all "
            "bounds, so it is not read."
        )
    if pickles[0].file_size > MAX_PICKLE_BYTES:
        raise CheckpointError(
            f"{path} has more than {MAX_PICKLE_BYTES // 2**20} MiB beside its tensors, so it is "
            "not a checkpoint of the authors' code."
        )
    if archive.testzip() is not None:
        raise _damaged(path)
    return pickles[0]


def wanted_globals(stream: BinaryIO) -> Iterator[str]:
    """Dotted names of all that a pickle asks for; ValueError where it is malformed."""
    texts: list[str] = []
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name in ("GLOBAL", "INST"):
            yield _modern(*str(argument).split(" ", 1))
        elif opcode.name == "STACK_GLOBAL":
            yield ".".join(texts[-2:])
        elif opcode.name.startswith("EXT"):
            yield f"extension {argument}"
        elif isinstance(argument, str):
            texts.append(argument)


def _modern(module: str, name: str) -> str:
    """The dotted name that a name of Python 2 stands for."""
    module, name = NAME_MAPPING.get((module, name), (IMPORT_MAPPING.get(module, module), name))
    return f"{module}.{name}"


def _wanted_by_bare_pickles(stream: BinaryIO) -> set[str]:
    """The same of pickles in a row, as PyTorch wrote them long ago, up to what is none."""
    wanted = set()
    with suppress(ValueError):
        while True:
            for name in wanted_globals(stream):
                wanted.add(name)
    return wanted


def _refuse_foreign(path: Path, wanted: set[str]) -> None:
    foreign = sorted(wanted - ALLOWED)
    if foreign:
        raise CheckpointError(
            f"{path} asks for {foreign[0]!r}, which a checkpoint of the authors' code never needs: "
            "it could run code of its own, so it is refused and nothing of it was run."
        )


def _damaged(path: Path) -> CheckpointError:
    return CheckpointError(
        f"{path} is damaged, cut short, or not a checkpoint that PyTorch wrote: copy it again."
    )


class _Statistics:
    """Stand-in for the one object of theirs in a file; the tensors are in the state as well."""

    def __setstate__(self, state: object) -> None:
        pass


def _plain_dict(_factory: object = None, entries: object = ()) -> dict[Any, Any]:
    """Stand-in for ``defaultdict``, whose factory would be called for what is missing."""
    return dict(entries)  # type: ignore[call-overload]


def _load(path: Path) -> Any:
    stand_ins: list[Any] = [
        (dict, "builtins.dict"),
        (_Statistics, STATISTICS),
        (_plain_dict, "collections.defaultdict"),
    ]
    try:
        with torch.serialization.safe_globals(stand_ins):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a malformed pickle can raise anything
        raise CheckpointError(
            f"{path} cannot be read safely ({type(error).__name__}): it is damaged or was made by "
            "other code than the authors'."
        ) from error


def _understood(path: Path, found: Any) -> ReferenceFile:
    config, state = (
        _entry(path, found, keys) for keys in (("hyper_parameters", "config"), ("state_dict",))
    )
    steps = found["global_step"] if "global_step" in found else 0  # noqa: SIM401
    tensors = {str(name): state[name] for name in state}
    for name, value in tensors.items():
        _check_tensor(path, name, value)
    counts = {
        split: tensors.pop(f"{_COUNTS}{split}")
        for split in ("train", "val", "test")
        if f"{_COUNTS}{split}" in tensors
    }
    return ReferenceFile(
        path=path,
        config=config,
        n_steps=steps if isinstance(steps, int) else 0,
        state=_one_copy(path, tensors),
        cells={name: value.float() for name, value in counts.items() if (value >= 0).all()},
    )


def _entry(path: Path, found: Any, keys: tuple[str, ...]) -> dict[Any, Any]:
    for key in keys:
        found = found[key] if isinstance(found, dict) and key in found else None
    if not isinstance(found, dict):
        raise CheckpointError(
            f"{path} has no dictionary {'.'.join(keys)!r}, so it is not a checkpoint of the "
            "authors' code."
        )
    return found


def _check_tensor(path: Path, name: str, value: object) -> None:
    if not isinstance(value, Tensor):
        raise CheckpointError(f"{path} holds something that is not a tensor under {name!r}.")
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise CheckpointError(f"{path} holds fewer numbers under {name!r} than its shape says.")
    if not value.isfinite().all():
        raise CheckpointError(
            f"{path} holds values under {name!r} that are not numbers: its training diverged, so "
            "there is nothing to import."
        )


def _one_copy(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """State of model and guide, which stands in the file twice."""
    first, second = (
        {name.removeprefix(prefix): v for name, v in tensors.items() if name.startswith(prefix)}
        for prefix in _COPIES
    )
    others = [name for name in tensors if not name.startswith(_COPIES)]
    if others:
        raise CheckpointError(f"{path} holds a tensor {others[0]!r} that is not known here.")
    for name in sorted(first.keys() | second.keys()):
        same = name in first and name in second and torch.equal(first[name], second[name])
        if not same:
            raise CheckpointError(
                f"{path} should hold {name!r} twice and alike, under 'loss_module' and "
                "'predictor', but does not: it is damaged or was changed."
            )
    return second
