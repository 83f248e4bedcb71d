from __future__ import annotations

import pytest

from sams_core.errors import ScreenError
from sams_core.explorer import own_gene_sets
from sams_core.explorer.own_gene_sets import parse

GOOD = b"One\tx\tA\tB\nTwo\tx\tB\tC\n"


def test_a_file_is_read_and_named() -> None:
    found = parse("my sets.gmt", GOOD)
    assert found.sets == {"One": ["A", "B"], "Two": ["B", "C"]}
    assert found.label == "Your file my_sets"


def test_a_name_cannot_lead_out_of_its_folder() -> None:
    assert parse("../../etc/passwd.gmt", GOOD).label == "Your file passwd"


@pytest.mark.parametrize(
    ("limit", "value", "told"),
    [
        ("MAX_SETS", 1, "2 sets with 4 members"),
        ("MAX_MEMBERS", 3, "2 sets with 4 members"),
        ("MAX_MEGABYTES", 0, "larger than 0 MB"),
    ],
)
def test_limits_are_told(
    monkeypatch: pytest.MonkeyPatch, limit: str, value: int, told: str
) -> None:
    monkeypatch.setattr(own_gene_sets, limit, value)
    with pytest.raises(ScreenError, match=told):
        parse("large.gmt", GOOD)


@pytest.mark.parametrize(
    ("content", "told"),
    [(b"", "holds no sets"), (b"\xff\xfe", "not text"), (b"One\tx\n", "no genes")],
)
def test_other_files_are_refused(content: bytes, told: str) -> None:
    with pytest.raises(ScreenError, match=told):
        parse("bad.gmt", content)
