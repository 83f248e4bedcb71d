"""Python that makes a figure again outside the app, from the checkpoint that it shows.

A page hands `show_figure` the part that is its own, which ends in ``fig = ...`` and may use the
variables of `VARIABLES`. `complete` puts before it what defines those it uses.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from pathlib import Path

import sams_core
from sams_core.explorer.catalogue import DEMO_FOLDER
from sams_core.explorer.run import Run

PROJECT = DEMO_FOLDER.parents[1]

_TABLE = '{0} = anndata.read_h5ad(folder / "explorer" / "{0}.h5ad")'
VARIABLES = {
    "folder": "",
    **{name: _TABLE.format(name) for name in ("masks", "effects", "cells")},
    "model": "model = load_model(folder)",
}
"""What a page's code may use without defining it, and the line that defines it."""
_IMPORTS = {"pathlib": ("Path",), "anndata": (), "sams_core.api": ("load_model",)}


def complete(code: str, run: Run | None) -> str:
    """Return a page's code as a script of its own, with the variables that it uses defined.

    Parameters
    ----------
    code
        Ends in ``fig = ...``; may use the names of `VARIABLES`, ``Path`` and ``anndata``.
    run
        The checkpoint that the page shows; None if it shows none, and the code names its files.
    """
    used = names_used(code) & set(VARIABLES)
    made_by = f"sams_core {sams_core.__version__}"
    if run is None or not used:
        return f"# {made_by}\n{with_imports(code.strip(), _IMPORTS)}\n"
    lines = [f"folder = {path_text(run.folder)}"]
    lines += [line for name, line in VARIABLES.items() if name in used and line]
    script = "\n".join([*lines, "", code.strip(), ""])
    return f"# Checkpoint {run.digest[:12]}, {made_by}\n{with_imports(script, _IMPORTS)}"


def path_text(folder: Path) -> str:
    """Write a folder as Python, with a comment on where it lies."""
    place = "in the folder of sams_core" if _is_ours(folder) else "wherever your copy of it lies"
    return f"{path_code(folder)}  # {place}"


def path_code(path: Path) -> str:
    """Write a path as Python: within the project as it lies there, others by name alone."""
    ours = path.resolve().relative_to(PROJECT).as_posix() if _is_ours(path) else path.name
    return f'Path("{ours}")' if '"' not in ours and "\\" not in ours else f"Path({ours!r})"


def _is_ours(path: Path) -> bool:
    return path.resolve().is_relative_to(PROJECT)


def with_imports(code: str, imports: Mapping[str, Sequence[str]]) -> str:
    """Put before code the imports of those names that it uses.

    Parameters
    ----------
    code
        Python text.
    imports
        Names to import by module; a module without names is imported itself, under the name after
        "as" or its own.
    """
    used, lines = names_used(code), []
    for module, names in imports.items():
        wanted = [name for name in names if name in used]
        if wanted:
            lines.append(f"from {module} import {', '.join(wanted)}")
        elif not names and module.split()[-1] in used:
            lines.append(f"import {module}")
    return "\n".join([*lines, "", code])


def names_used(code: str) -> set[str]:
    """Names that Python text reads.

    Raises
    ------
    SyntaxError
        If it is no Python.
    """
    return {
        node.id
        for node in ast.walk(ast.parse(code))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
