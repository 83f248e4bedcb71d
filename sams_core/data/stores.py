"""Opening the files that screens are read from, and saying in one sentence what is wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import zarr

from sams_core.errors import ScreenError


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open a store and close it at the end, see :func:`open_store`."""
    store = open_store(path)
    try:
        yield store
    finally:
        if isinstance(store, h5py.File):
            store.close()


def open_store(path: Path) -> Any:
    """Open an ``.h5ad`` file or a ``.zarr`` folder for reading.

    Raises
    ------
    ScreenError
        If it cannot be opened; the message says why.
    """
    if not path.exists():
        raise ScreenError(f"There is no file '{path}'; check the path.")
    if path.suffix.lower() == ".zarr":
        return _open_zarr(path)
    if path.suffix.lower() == ".h5ad":
        return _open_hdf5(path)
    raise ScreenError(
        f"'{path.name}' is neither an .h5ad file nor a .zarr folder; write it with "
        "AnnData.write_h5ad."
    )


@contextmanager
def damage_named(name: str, field: str) -> Iterator[None]:
    """Turn whatever a reader throws at damaged bytes into one sentence."""
    try:
        yield
    except ScreenError:
        raise
    except MemoryError as error:
        raise ScreenError(
            f"{field} of {name} does not fit into this machine's memory; keep fewer cells or genes."
        ) from error
    except Exception as error:
        raise ScreenError(
            f"{field} of {name} cannot be read, because the file is damaged or is not an AnnData; "
            "copy or write it again."
        ) from error


def _open_hdf5(path: Path) -> h5py.File:
    if path.is_dir():
        raise ScreenError(f"'{path.name}' is a folder, not an .h5ad file; name the file inside it.")
    try:
        if not h5py.is_hdf5(path):
            size = path.stat().st_size
            said = "is empty" if size == 0 else "is not an HDF5 file, whatever its name says"
            raise ScreenError(f"'{path.name}' {said}; copy or download it again.")
        return h5py.File(path, "r")
    except PermissionError as error:
        raise ScreenError(f"'{path.name}' may not be read; change its permissions.") from error
    except OSError as error:
        if "unable to lock file" in str(error):
            raise ScreenError(
                f"'{path.name}' is open for writing in another program; close it there first."
            ) from error
        raise ScreenError(
            f"'{path.name}' is damaged or cut short; copy or download it again."
        ) from error


def _open_zarr(path: Path) -> zarr.Group:
    if not path.is_dir():
        raise ScreenError(f"'{path.name}' is a file, not a .zarr folder; unpack it first.")
    try:
        return zarr.open_group(path, mode="r")
    except Exception as error:
        raise ScreenError(
            f"'{path.name}' is a folder without a zarr group; name the folder that "
            "AnnData.write_zarr made."
        ) from error
