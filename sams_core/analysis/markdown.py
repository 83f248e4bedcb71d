"""Names in Markdown: shown letter by letter, whoever chose them."""

from __future__ import annotations

import re

_MARKUP = re.compile(r"[\\`*_\[\]$~<&]|:(?=[a-z])")
_ESCAPED = re.compile(r"\\([\\`*_\[\]$~<&:])|\*\*")


def escape(text: object) -> str:
    """Write a name, or a sentence with names, so that Markdown shows it as it is.

    Names come with a checkpoint, an address or an uploaded file: unescaped, they could draw an
    image from elsewhere, a formula or a link.
    """
    return _MARKUP.sub(r"\\\g<0>", str(text))


def plain(text: str) -> str:
    """Markdown that has escaped names and bold type only, as plain text."""
    return _ESCAPED.sub(r"\1", text)
