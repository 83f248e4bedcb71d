"""Zip files from strangers: checked from end to end before anything of them is written.

Refused are names that lead elsewhere, links, names that appear twice, passwords, unusual
compression, and whatever unpacks to more than its limits; contents must agree with their stated
size and CRC.
"""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from sams_core.errors import CheckpointError

_END, _END_64 = b"PK\x05\x06", b"PK\x06\x07"
_END_BYTES, _END_64_BYTES, _LONGEST_COMMENT = 22, 20, 2**16 - 1
_ENCRYPTED = 0x1
_CHUNK = 2**20


@dataclass(frozen=True)
class Limits:
    """What an archive may have at most.

    Attributes
    ----------
    packed
        Bytes of the file.
    entries
        Files and folders in it.
    unpacked
        Bytes of all files together.
    ratio
        Unpacked bytes for each packed one, in archives that unpack to more than `SMALL`.
    """

    packed: int = 200 * 2**20
    entries: int = 1000
    unpacked: int = 2**30
    ratio: int = 50


SMALL = 32 * 2**20
"""Bytes that an archive may unpack to, however small it is."""


class Archive:
    """A zip file whose list of contents is sound.

    Parameters
    ----------
    file
        Opened for reading.
    name
        What to call it.
    limits
        What it may have at most.

    Attributes
    ----------
    files
        Its files by their path.

    Raises
    ------
    CheckpointError
        In one sentence, if it is no zip file or breaks a rule.
    """

    def __init__(self, file: BinaryIO, name: str, limits: Limits) -> None:
        self.name, self.limits = name, limits
        _check_end(file, name, limits)
        try:
            self._zip = ZipFile(file)
        except (BadZipFile, OSError, ValueError, NotImplementedError, struct.error):
            raise CheckpointError(_no_zip(name)) from None
        self.files: dict[str, ZipInfo] = {}
        seen = set()
        for entry in self._zip.infolist():
            _check_entry(entry, name)
            path = entry.filename.rstrip("/").casefold()
            if path in seen:
                raise CheckpointError(f"{name} holds '{_shown(entry)}' twice: pack it again.")
            seen.add(path)
            if not entry.is_dir():
                self.files[entry.filename] = entry
        _check_size(self._zip.infolist(), file.seek(0, 2), name, limits)

    def check(self, wanted: Mapping[str, str]) -> None:
        """Read files to their end: sizes and CRCs must agree. ``wanted``: path by target."""
        for path in wanted.values():
            for _ in self._chunks(path):
                pass

    def write(self, wanted: Mapping[str, str], target: Path) -> None:
        """Write files to a folder: path in the archive by relative target."""
        for relative, path in wanted.items():
            place = target / relative
            place.parent.mkdir(parents=True, exist_ok=True)
            with place.open("xb") as written:
                for chunk in self._chunks(path):
                    written.write(chunk)

    def _chunks(self, path: str) -> Iterator[bytes]:
        entry, size = self.files[path], 0
        try:
            with self._zip.open(entry) as file:
                while chunk := file.read(_CHUNK):
                    size += len(chunk)
                    yield chunk
        except (BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError):
            size = -1
        if size != entry.file_size:
            raise CheckpointError(
                f"'{_shown(entry)}' in {self.name} is damaged (its contents do not match their "
                "CRC or size): copy or pack it again."
            )


def _no_zip(name: str) -> str:
    return f"{name} is not a zip file or was cut short: copy or pack it again."


def _too_many(name: str, limits: Limits) -> str:
    return (
        f"{name} holds more than {limits.entries:,} files and folders: pack the checkpoint folder "
        "alone."
    )


def _check_end(file: BinaryIO, name: str, limits: Limits) -> None:
    """Refuse by the last bytes what would fill the memory when its list of contents is read."""
    size = file.seek(0, 2)
    if size > limits.packed:
        raise CheckpointError(
            f"{name} is larger than {limits.packed // 2**20} MB, the most that is read here: copy "
            "the checkpoint folder to this machine instead."
        )
    start = max(0, size - _END_BYTES - _END_64_BYTES - _LONGEST_COMMENT)
    file.seek(start)
    tail = file.read()
    at = len(tail) - _END_BYTES
    if at < 0 or tail[at : at + 4] != _END or tail[-2:] != b"\0\0":
        at = tail.rfind(_END)
    if at < 0 or len(tail) < at + _END_BYTES:
        raise CheckpointError(_no_zip(name))
    _, _, _, entries, directory = struct.unpack_from("<4H L", tail, at + 4)
    beyond = tail[max(0, at - _END_64_BYTES) : at].startswith(_END_64)
    if beyond or entries > limits.entries or directory > 1024 * limits.entries:
        raise CheckpointError(_too_many(name, limits))
    file.seek(0)


def _shown(entry: ZipInfo) -> str:
    text = "".join(c if c.isprintable() else "?" for c in entry.orig_filename)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _check_entry(entry: ZipInfo, name: str) -> None:
    said = next((words for wrong, words in _RULES if wrong(entry)), None)
    if said is not None:
        raise CheckpointError(f"{name} {said.format(_shown(entry))}: pack the folder again.")


def _leads_elsewhere(entry: ZipInfo) -> bool:
    text = entry.orig_filename
    parts = text.removesuffix("/").split("/")
    odd = "\\" in text or ":" in text or not text.isprintable()
    return odd or any(part in ("", ".", "..") for part in parts)


def _is_special(entry: ZipInfo) -> bool:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    return kind not in (0, stat.S_IFREG, stat.S_IFDIR)


_RULES: tuple[tuple[Callable[[ZipInfo], bool], str], ...] = (
    (_leads_elsewhere, "holds a file whose name leads out of its folder ('{}')"),
    (_is_special, "holds a link or special file ('{}'), where only plain files may be"),
    (lambda entry: bool(entry.flag_bits & _ENCRYPTED), "holds a file with a password ('{}')"),
    (
        lambda entry: entry.compress_type not in (ZIP_STORED, ZIP_DEFLATED),
        "is compressed in an unusual way ('{}')",
    ),
)


def _check_size(entries: Collection[ZipInfo], packed: int, name: str, limits: Limits) -> None:
    if len(entries) > limits.entries:
        raise CheckpointError(_too_many(name, limits))
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > limits.unpacked or (unpacked > SMALL and unpacked > limits.ratio * packed):
        raise CheckpointError(
            f"{name} would unpack to {unpacked / 2**20:,.0f} MB, more than is read here "
            f"({limits.unpacked // 2**20:,} MB, and {limits.ratio} times its own size): pack the "
            "checkpoint folder alone."
        )
