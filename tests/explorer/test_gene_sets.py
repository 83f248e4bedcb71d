from __future__ import annotations

from pathlib import Path

import pytest

from sams_core.explorer import gene_sets
from sams_core.explorer.gene_sets import GENE_SET_FOLDER


def test_shipped_collections_are_read_and_named_in_words() -> None:
    collections = gene_sets.gene_sets()
    assert list(collections) == ["Reactome signalling gene sets", "Hallmark gene sets"]
    assert len(collections["Hallmark gene sets"]) == 50
    assert "Interferon gamma response" in collections["Hallmark gene sets"]
    signalling = collections["Reactome signalling gene sets"]["Interferon gamma signaling"]
    assert {"IFNGR1", "IFNGR2", "JAK2", "STAT1"} <= set(signalling)


def test_every_shipped_file_names_its_source() -> None:
    readme = (GENE_SET_FOLDER / "README.md").read_text()
    for path in GENE_SET_FOLDER.glob("*.gmt"):
        assert path.name in readme
        assert all(line.split("\t")[1] for line in path.read_text().splitlines())


def test_a_new_file_is_offered_and_a_changed_one_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gene_sets, "GENE_SET_FOLDER", tmp_path)
    path = tmp_path / "my_own.gmt"
    path.write_text("one\tme\tA\tB\n")
    assert gene_sets.gene_sets() == {"My own gene sets": {"one": ["A", "B"]}}
    path.write_text("two\tme\tC\n")
    assert list(gene_sets.gene_sets()["My own gene sets"]) == ["two"]


def test_a_bad_file_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gene_sets, "GENE_SET_FOLDER", tmp_path)
    (tmp_path / "bad.gmt").write_text("no tabs here\n")
    (tmp_path / "good.gmt").write_text("one\tme\tA\n")
    assert list(gene_sets.gene_sets()) == ["Good gene sets"]
