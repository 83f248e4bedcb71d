"""Python text that makes the figures of the latents page again."""

from __future__ import annotations

from collections.abc import Sequence

from sams_core.analysis.latent_expression import Space
from sams_core.explorer.latent_page import COORDINATES, LatentPage
from sams_core.figures.latents import PANELS


def cell_map(
    page: LatentPage, splits: Sequence[str], spaces: Sequence[Space], outline: str, draw: str
) -> str:
    """Python of a map of cells.

    Parameters
    ----------
    page
        The visit.
    splits, spaces, outline
        What is shown: parts of the screen, spaces, and the outlines as in the address.
    draw
        Lines that set ``fig``; they may use ``keep``, ``maps`` and ``chosen``.
    """
    places = ", ".join(
        f'"{space}": np.asarray(cells.obsm["{key}"])[keep]' for space, key in COORDINATES.items()
    )
    lines = [
        "import numpy as np",
        "",
        "from sams_core.analysis import latent_expression, latent_outline, latent_tables",
        "from sams_core.figures import latents",
        "",
        f'keep = cells.obs["split"].isin({list(splits)!r}).to_numpy()',
        f"maps = {{{places}}}",
        f"outlines = latent_outline.parse({outline!r})" if outline else "outlines = []",
        "chosen = latent_outline.enclosed(outlines, maps) if outlines else None",
        draw,
    ]
    lines += [
        f"spaces = {list(spaces)!r}",
        "drawn = [(spaces.index(o.space), o.corners) for o in outlines if o.space in spaces]",
        "fig = latents.add_outlines(fig, drawn)",
    ]
    return "\n".join(lines)


def panels(spaces: Sequence[Space]) -> str:
    """First arguments of a map of cells."""
    second = f'maps["{spaces[1]}"]' if len(spaces) > 1 else "None"
    return f'maps["{spaces[0]}"], {second}'


def titles(page: LatentPage, spaces: Sequence[Space]) -> list[str]:
    """Titles of the maps; none where there is one space only."""
    return [PANELS[space] for space in spaces] if page.shifted else []


def annotated(page: LatentPage, choice: str) -> str:
    """A line that defines ``annotated``: the mask table with the annotation ``choice``."""
    if choice not in page.sets or choice not in page.masks.obs:
        return "annotated = masks"
    names = set(map(str, page.masks.obs_names))
    members = {
        group: inside
        for group, genes in page.sets[choice].items()
        if (inside := [gene for gene in genes if gene in names])
    }
    return f"annotated = latent_tables.with_gene_sets(masks, {{{choice!r}: {members!r}}})"
