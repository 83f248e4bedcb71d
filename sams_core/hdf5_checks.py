"""HDF5 files from strangers: what makes one unsafe to read, found without reading its arrays.

A link, an external or a virtual dataset of an HDF5 file can name any other file of this machine;
a compressed array can be a thousand times as large as the file.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from pathlib import Path

import h5py
import numpy as np

MAX_OBJECTS = 20_000
_TEXTS_AT_ONCE = 16
_CHUNK_CACHE = 64 * 2**20


def hdf5_problem(path: Path, max_bytes: int, parts: Collection[str] | None = None) -> str | None:
    """Say in one sentence why a file must not be read; None when nothing speaks against it.

    Parameters
    ----------
    path
        The file.
    max_bytes
        How large its arrays may be together once they are unpacked.
    parts
        Paths of the groups and arrays that are going to be read, whose size counts; by default
        all. Links are refused anywhere.
    """
    try:
        if not h5py.is_hdf5(path):
            return f"{path.name} is not an HDF5 file or was cut short: copy or write it again."
        with h5py.File(path, "r", rdcc_nbytes=_CHUNK_CACHE) as file:
            return _problem(file, path.name, max_bytes, parts)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError):
        return f"{path.name} is damaged or cut short: copy or write it again."


def _problem(
    file: h5py.File, name: str, max_bytes: int, parts: Collection[str] | None
) -> str | None:
    size = 0
    for number, (at, found) in enumerate(_objects(file)):
        if number >= MAX_OBJECTS:
            return f"{name} holds more than {MAX_OBJECTS:,} arrays and groups: keep fewer columns."
        if found is None or (isinstance(found, h5py.Dataset) and _lies_elsewhere(found)):
            return f"{name} links '{at}' to another place or file: write it again without links."
        if not isinstance(found, h5py.Dataset) or not _is_part(at, parts):
            continue
        if found.size:  # even one number is read with its whole chunk
            size += max(found.size, math.prod(found.chunks or ())) * found.dtype.itemsize
        if size <= max_bytes and found.dtype.hasobject:
            texts = _text_bytes(found, max_bytes - size)
            if texts is None:
                return f"{name} holds '{at}', which is neither numbers nor text: leave it out."
            size += texts
        if size > max_bytes:
            return (
                f"{name} unpacks to more than {max_bytes / 2**30:,.1f} GiB, the most that is read "
                "here: use the command line on your machine, or keep fewer cells or genes."
            )
    return None


def _objects(file: h5py.File) -> Iterator[tuple[str, h5py.Group | h5py.Dataset | None]]:
    """Every object by its path, once; None for what is only a link."""
    seen, waiting = {h5py.h5o.get_info(file.id).addr}, [("", file["/"])]
    while waiting:
        at, group = waiting.pop()
        for name in group:
            path = f"{at}/{name}" if at else name
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                yield path, None
                continue
            found = group[name]
            address = h5py.h5o.get_info(found.id).addr
            if address in seen:
                yield path, None
                continue
            seen.add(address)
            yield path, found
            if isinstance(found, h5py.Group):
                waiting.append((path, found))


def _lies_elsewhere(dataset: h5py.Dataset) -> bool:
    return bool(dataset.is_virtual or dataset.external)


def _is_part(at: str, parts: Collection[str] | None) -> bool:
    return parts is None or any(at == part or at.startswith(f"{part}/") for part in parts)


def _text_bytes(dataset: h5py.Dataset, limit: int) -> int | None:
    """Bytes of an array of texts, counted until they exceed ``limit``; None if it is no text."""
    if h5py.check_string_dtype(dataset.dtype) is None:
        return None
    total = 0
    if dataset.ndim == 0:
        return len(dataset[()])
    step = max(1, _TEXTS_AT_ONCE // max(1, math.prod(dataset.shape[1:])))
    for first in range(0, dataset.shape[0], step):
        total += sum(map(len, np.ravel(dataset[first : first + step])))
        if total > limit:
            break
    return total
