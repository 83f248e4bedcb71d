"""GMT files, good and bad."""

from __future__ import annotations

from pathlib import Path

import pytest

from sams_core.data import read_gmt
from sams_core.errors import ScreenError


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "sets.gmt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_sets(tmp_path: Path) -> None:
    path = written(tmp_path, "one\tfrom a paper\tA\tB\tA\t\n\ntwo\t\tC\r\n")
    assert read_gmt(path) == {"one": ["A", "B"], "two": ["C"]}


@pytest.mark.parametrize(
    ("text", "expect"),
    [
        ("", "holds no sets"),
        ("one\td\tA\ntwo C D\n", "Line 2 .* no tabs"),
        ("one\td\n", "Line 1 .* no genes .*'one'"),
        ("one\td\tA\n\none\td\tB\n", "Line 3 .* repeats the set 'one'"),
        ("\td\tA\n", "Line 1 .* no set name"),
        (b"\xff\xfe\x00", "not text"),
    ],
)
def test_bad_files(tmp_path: Path, text: str | bytes, expect: str) -> None:
    with pytest.raises(ScreenError, match=expect):
        read_gmt(written(tmp_path, text))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ScreenError, match=r"no gene set file.*none\.gmt"):
        read_gmt(tmp_path / "none.gmt")


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("hallmark_v7", 50),
        ("reactome_2024", 2694),
        ("replogle2022_pathways", 8),
        ("replogle2022_perturbation_clusters", 60),
    ],
)
def test_real_files(shared_data: Path, name: str, count: int) -> None:
    sets = read_gmt(shared_data / "gene_sets" / f"{name}.gmt")
    assert len(sets) == count
    assert all(genes and all(gene.strip() == gene for gene in genes) for genes in sets.values())
