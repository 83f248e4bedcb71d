"""Names in Markdown: shown letter by letter, whoever chose them."""

from __future__ import annotations

import re

_MARKUP = re.compile(r"[\\`*_\[\]$~<&|]|:(?=[a-z/])|@|(?<=www)\.", re.IGNORECASE)
_AT_LINE_START = re.compile(r"^(\s*\d*)([#>+.)=-])", re.MULTILINE)
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])|\*\*")
_CODE = re.compile(r"(`[^`\n]+`)")


def escape(text: object) -> str:
    """Write a name, or a sentence with names, so that Markdown shows it as it is.

    Names come with a checkpoint, an address or an uploaded file: unescaped, they could draw an
    image from elsewhere, a formula or a link.
    """
    return _AT_LINE_START.sub(r"\1\\\2", _MARKUP.sub(r"\\\g<0>", str(text)))


def escape_sentence(text: object) -> str:
    """Write a message, such as an error's, whose only markup is commands between backticks."""
    pieces = _CODE.split(str(text))
    return "".join(
        piece if number % 2 else escape(piece) for number, piece in enumerate(pieces)
    )  # fmt: skip


def plain(text: str) -> str:
    """Markdown that has escaped names and bold type only, as plain text."""
    return _ESCAPED.sub(r"\1", text)
