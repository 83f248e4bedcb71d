"""Every malformed screen gives one sentence that names the field and the cure."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sams_core.data import read_screen
from sams_core.errors import ScreenError
from tests.malformed import MALFORMED_SCREENS, Malformed


def test_table_is_large_and_names_are_unique() -> None:
    names = [case.name for case in MALFORMED_SCREENS]
    assert len(names) >= 30
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("case", MALFORMED_SCREENS, ids=lambda case: case.name)
def test_one_sentence(case: Malformed, tmp_path: Path) -> None:
    path = case.write(tmp_path)
    with pytest.raises(ScreenError) as caught:
        read_screen(path, **case.options)
    sentence = str(caught.value)
    assert re.search(case.expect, sentence), sentence
    assert "\n" not in sentence
    assert sentence[-1] in ".?", sentence
    assert not re.search(r"[.?!] [A-Z]", sentence), sentence
    assert len(sentence) < 400, sentence
    assert str(tmp_path) not in sentence or case.name == "missing-file"
