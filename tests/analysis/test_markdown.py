from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from sams_core.analysis.markdown import escape, escape_sentence, plain

NAMES = [
    "*x*", "**x**", "_x_", "$a$", "![i](http://x)", "[l](javascript:1)", "<b>", "`code`", "~~x~~",
    "&amp;", ":red[x]", ":material/home:", "# x", "> x", "- x", "+ x", "1. x", "12) x", "www.x.org",
    "http://x.org", "a@b.org", "a | b", "\\*x\\*", "HLA-DRA", "chr1:100", "NT+x", "--", "===",
]  # fmt: skip
RENDERER = MarkdownIt("gfm-like", {"linkify": False}).enable(["table", "strikethrough"])


def shown(markdown: str) -> str:
    """Text of a paragraph; fails if the Markdown has anything else in it."""
    tokens = RENDERER.parse(markdown)
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    children = tokens[1].children or []
    assert {token.type for token in children} <= {"text", "text_special", "softbreak"}
    return "".join("\n" if token.type == "softbreak" else token.content for token in children)


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_shown_letter_by_letter(name: str) -> None:
    assert shown(escape(name)) == name
    assert shown(f"The perturbation {escape(name)} is not here.") == (
        f"The perturbation {name} is not here."
    )
    assert plain(escape(name)) == name


@pytest.mark.parametrize("name", ["*x*", "[l](x)", "<b>", "# x"])
def test_the_check_itself_sees_markup(name: str) -> None:
    with pytest.raises(AssertionError):
        assert shown(name) == name


@settings(derandomize=True)
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30))
def test_any_printed_text_comes_back(name: str) -> None:
    assert shown(escape(name)) == name
    assert plain(escape(name)) == name


@pytest.mark.parametrize(
    ("name", "written"),
    [
        (":red[x]", "\\:red\\[x\\]"),
        ("$a$", "\\$a\\$"),
        ("http://x.org", "http\\://x.org"),
        ("www.x.org", "www\\.x.org"),
        ("a@b.org", "a\\@b.org"),
    ],
)
def test_what_only_streamlit_reads_as_markup_is_escaped(name: str, written: str) -> None:
    assert escape(name) == written


def test_commands_in_a_message_stay_code_and_names_are_escaped() -> None:
    told = escape_sentence("The run *x* is not prepared; run `python -m a_b prepare *x*` again.")
    assert told == "The run \\*x\\* is not prepared; run `python -m a_b prepare *x*` again."
    assert escape_sentence("a `b") == "a \\`b"


def test_bold_type_goes_and_escaped_stars_stay() -> None:
    assert plain(f"Model **0.58** of {escape('**x**')}") == "Model 0.58 of **x**"
