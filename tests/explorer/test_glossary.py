from __future__ import annotations

import pytest

from sams_core.explorer.glossary import GLOSSARY
from sams_core.explorer.glossary_list import PAGE_WORDS, entries, matching
from sams_core.explorer.navigation import PAGES


def test_the_terms_that_newcomers_meet_first_are_there() -> None:
    assert {"mask", "latent dimension", "ATE", "IWELBO", "perturbation", "screen"} <= set(entries())


def test_entries_are_sentences_from_a_to_z() -> None:
    found = entries()
    assert list(found) == sorted(found, key=str.casefold)
    assert all(words.endswith(".") for words in found.values())
    assert set(GLOSSARY) <= set(found)


def test_a_search_finds_terms_first_then_meanings() -> None:
    found = list(matching("mask", entries()))
    assert found[0].casefold().startswith("mask")
    assert "shift" in found
    assert "UMAP" not in found
    assert next(iter(matching("LATENT dim", entries()))) == "latent dimension"
    assert matching("", entries()) == entries()
    assert matching("zzz", entries()) == {}


@pytest.mark.parametrize("page", PAGE_WORDS)
def test_words_of_a_page_are_in_the_glossary(page: str) -> None:
    assert page in {title for title, _, _ in PAGES.values()}
    assert set(PAGE_WORDS[page]) <= set(GLOSSARY)
