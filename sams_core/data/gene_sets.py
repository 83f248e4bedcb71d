"""Gene sets from GMT files."""

from __future__ import annotations

from pathlib import Path

from sams_core.errors import ScreenError


def read_gmt(path: str | Path) -> dict[str, list[str]]:
    """Read gene sets: one a line, as name, description and genes between tabs.

    Returns
    -------
    dict
        Set name to its genes, each once, in the file's order.

    Raises
    ------
    ScreenError
        If the file is missing or not text, or a line has no name, no genes or a repeated name.
    """
    path = Path(path)
    if not path.is_file():
        raise ScreenError(f"There is no gene set file '{path}'; check the path.")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ScreenError(
            f"Gene set file '{path.name}' is not text; give a GMT file in UTF-8."
        ) from error
    sets: dict[str, list[str]] = {}
    for number, line in enumerate(lines, start=1):
        if line.strip():
            name, genes = _read_line(line, f"Line {number} of gene set file '{path.name}'")
            if name in sets:
                raise ScreenError(
                    f"Line {number} of gene set file '{path.name}' repeats the set '{name}'; give "
                    "every set a name of its own."
                )
            sets[name] = genes
    if not sets:
        raise ScreenError(f"Gene set file '{path.name}' holds no sets; give one set a line.")
    return sets


def _read_line(line: str, where: str) -> tuple[str, list[str]]:
    name, *rest = (text.strip() for text in line.split("\t"))
    if not rest:
        raise ScreenError(
            f"{where} has no tabs; write the set's name, a description and its genes between tabs."
        )
    if not name:
        raise ScreenError(f"{where} has no set name before the first tab; add one.")
    genes = list(dict.fromkeys(gene for gene in rest[1:] if gene))
    if not genes:
        raise ScreenError(f"{where} has no genes after the description of '{name}'; add some.")
    return name, genes
