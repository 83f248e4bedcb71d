"""Zip files that must not be opened, each with the words that say why."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import pytest

from sams_core import archive
from sams_core.archive import Archive, Limits
from sams_core.errors import CheckpointError

LIMITS = Limits(packed=2**20, entries=20, unpacked=2**21, ratio=10)
Entry = tuple[ZipInfo | str, bytes]


def packed(*entries: Entry, compression: int = ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with ZipFile(buffer, "w", compression) as file:
        for info, content in entries:
            file.writestr(info, content)
    return buffer.getvalue()


def special(name: str, kind: int) -> ZipInfo:
    info = ZipInfo(name)
    info.external_attr = (kind | 0o777) << 16
    return info


def twice() -> bytes:
    with pytest.warns(UserWarning, match="Duplicate"):
        return packed(("run/a", b"1"), ("run/a", b"2"))


def with_flag() -> bytes:
    content = bytearray(packed(("run/a", b"1")))
    at = content.rfind(b"PK\x01\x02")
    content[at + 8] |= 1
    return bytes(content)


def with_bad_crc(name: str = "run/a") -> bytes:
    content = bytearray(packed((name, b"abcdefgh"), compression=zipfile.ZIP_STORED))
    content[content.find(b"abcdefgh")] ^= 1
    return bytes(content)


def with_understated_size() -> bytes:
    content = bytearray(packed(("run/a", b"x" * 5000)))
    at = content.rfind(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<L", 10)
    return bytes(content)


def claiming_many() -> bytes:
    content = bytearray(packed(("run/a", b"1")))
    at = content.rfind(b"PK\x05\x06")
    content[at + 10 : at + 12] = struct.pack("<H", 60_000)
    return bytes(content)


def with_large_directory() -> bytes:
    content = bytearray(packed(("run/a", b"1")))
    at = content.rfind(b"PK\x05\x06")
    content[at + 12 : at + 16] = struct.pack("<L", 2**28)
    return bytes(content)


def with_zip64_end() -> bytes:
    content = packed(("run/a", b"1"))
    at = content.rfind(b"PK\x05\x06")
    return content[:at] + b"PK\x06\x07" + bytes(16) + content[at:]


def with_null_in_name() -> bytes:
    return packed(("run/ab", b"1")).replace(b"run/ab", b"run/\0b")


MALFORMED: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "not a zip file"),
    "text": (lambda: b"hello", "not a zip file"),
    "cut short": (lambda: packed(("run/a", b"1" * 999))[:-30], "not a zip file"),
    "only an end": (lambda: packed()[:-1], "not a zip file"),
    "to the parent": (lambda: packed(("../a", b"1")), "leads out of its folder"),
    "through the parent": (lambda: packed(("run/../../a", b"1")), "leads out of its folder"),
    "absolute": (lambda: packed(("/etc/passwd", b"1")), "leads out of its folder"),
    "backslashes": (lambda: packed(("..\\a", b"1")), "leads out of its folder"),
    "a drive": (lambda: packed(("C:/a", b"1")), "leads out of its folder"),
    "a dot": (lambda: packed(("run/./a", b"1")), "leads out of its folder"),
    "no name": (lambda: packed(("run//a", b"1")), "leads out of its folder"),
    "a null": (with_null_in_name, "leads out of its folder"),
    "a line break": (lambda: packed(("run/a\nb", b"1")), "leads out of its folder"),
    "a symlink": (lambda: packed((special("run/a", stat.S_IFLNK), b"/etc/passwd")), "a link"),
    "a device": (lambda: packed((special("run/a", stat.S_IFCHR), b"")), "special file"),
    "twice": (twice, "holds 'run/a' twice"),
    "twice but for case": (lambda: packed(("run/a", b"1"), ("run/A", b"2")), "twice"),
    "file and folder": (lambda: packed(("run/a", b"1"), ("run/a/", b"")), "twice"),
    "a password": (with_flag, "with a password"),
    "bzip2": (lambda: packed(("a", b"1"), compression=zipfile.ZIP_BZIP2), "unusual way"),
    "lzma": (lambda: packed(("a", b"1"), compression=zipfile.ZIP_LZMA), "unusual way"),
    "many entries": (
        lambda: packed(*((f"run/{number}", b"") for number in range(30))),
        "more than 20 files",
    ),
    "many claimed": (claiming_many, "more than 20 files"),
    "a large list": (with_large_directory, "more than 20 files"),
    "zip64": (with_zip64_end, "more than 20 files"),
    "large": (lambda: packed(("run/a", b"0" * 3 * 2**20)), "would unpack to 3 MB"),
    "large file": (lambda: bytes(2**20 + 1), "larger than 1 MB"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_what_is_wrong_is_told_in_one_sentence(case: str) -> None:
    make, words = MALFORMED[case]
    with pytest.raises(CheckpointError, match=words) as caught:
        Archive(io.BytesIO(make()), "mine.zip", LIMITS)
    said = str(caught.value)
    assert said.startswith("mine.zip ")
    assert "\n" not in said
    assert said.endswith(".")


@pytest.mark.parametrize("make", [with_bad_crc, with_understated_size])
def test_contents_that_do_not_agree_with_the_list_are_refused_before_writing(
    make: Callable[[], bytes], tmp_path: Path
) -> None:
    opened = Archive(io.BytesIO(make()), "mine.zip", LIMITS)
    with pytest.raises(CheckpointError, match=r"'run/a' in mine\.zip is damaged"):
        opened.check({"a": "run/a"})
    assert list(tmp_path.iterdir()) == []


def test_a_bomb_is_refused_by_its_ratio(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = packed(("run/a", bytes(2**20)))
    Archive(io.BytesIO(bomb), "mine.zip", LIMITS)
    monkeypatch.setattr(archive, "SMALL", 2**19)
    with pytest.raises(CheckpointError, match="10 times its own size"):
        Archive(io.BytesIO(bomb), "mine.zip", LIMITS)


def test_overlapping_entries_do_not_pass_for_a_large_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries that share their bytes state more packed bytes than the file has."""
    monkeypatch.setattr(archive, "SMALL", 0)
    content = bytearray(packed(*((f"run/{number}", bytes(50_000)) for number in range(8))))
    at = content.find(b"PK\x01\x02")
    while at >= 0:
        content[at + 20 : at + 24] = struct.pack("<L", 100_000)
        at = content.find(b"PK\x01\x02", at + 1)
    with pytest.raises(CheckpointError, match="would unpack"):
        Archive(io.BytesIO(bytes(content)), "mine.zip", LIMITS)


def test_a_sound_archive_is_written_as_asked(tmp_path: Path) -> None:
    opened = Archive(io.BytesIO(packed(("run/", b""), ("run/b/c", b"12"))), "mine.zip", LIMITS)
    assert list(opened.files) == ["run/b/c"]
    wanted = {"x/c": "run/b/c"}
    opened.check(wanted)
    opened.write(wanted, tmp_path)
    assert (tmp_path / "x" / "c").read_bytes() == b"12"
    with pytest.raises(FileExistsError):
        opened.write(wanted, tmp_path)
