"""Python that makes the figures of the masks page again."""

from __future__ import annotations

from collections.abc import Sequence
from pprint import pformat
from typing import Any

from sams_core.explorer.mask_controls import LAYERS, MapChoices
from sams_core.explorer.mask_page import MaskPage
from sams_core.explorer.run import Run
from sams_core.explorer.snippets import path_text, with_imports
from sams_core.figures.mask_views import SCALES, Chosen

_IMPORTS = {
    "dataclasses": ("replace",),
    "numpy as np": (),
    "sams_core.analysis": (
        "mask_comparison", "mask_groups", "mask_tables", "stability_tables",
    ),
    "sams_core.analysis.ordering": ("Group",),
    "sams_core.analysis.stability": ("read_stability",),
    "sams_core.figures.mask_views": (
        "SCALES", "VIEWS", "Beside", "Chosen", "MaskTables", "average",
    ),
    "sams_core.figures.masks": ("mask_heatmap",),
    "sams_core.record": ("read_config",),
}  # fmt: skip
_TRAINED = "masks = mask_tables.trained(masks)"


def map_code(
    page: MaskPage, choices: MapChoices, chosen: Chosen, layer: str, beside: str, width: int
) -> str:
    """Write the map's; ``beside`` is what `truth_code` or `other_code` wrote, or nothing."""
    names = list(map(str, page.masks.obs_names))
    shown = {group.name: [names[row] for row in group.rows] for group in choices.groups}
    seeds = page.with_mask and page.stability[0] is not None
    arguments = ["tables", "groups", "latents", f"VIEWS[{layer!r}]"]
    if beside:
        arguments.append("beside=beside")
    if chosen != Chosen():
        arguments.append(f"chosen={chosen}")
    if choices.scale != next(iter(SCALES.values())):
        name = next(name for name, scale in SCALES.items() if scale == choices.scale)
        arguments.append(f"scale=SCALES[{name!r}]")
    lines = [
        _TRAINED,
        f"shown = {_literal(shown)}",
        "groups = [",
        "    Group(name, masks.obs_names.get_indexer(rows)) for name, rows in shown.items()",
        "]",
        f"latents = {_literal(choices.latents)}",
        *(["stability = read_stability(folder)"] if seeds else []),
        "tables = MaskTables(",
        f"    {_values(layer)},",
        f"    {'mask_tables.frame(masks)' if page.with_mask else None},",
        '    mask_tables.frame(masks, "effect"),',
        '    mask_tables.frame(masks, "effect_sd"),',
        '    masks.obs["n_cells"],',
        *(["    stability_tables.tell_entries(masks, stability),"] if seeds else []),
        ")",
        *beside.splitlines(),
        *_rows(page, choices, beside=bool(beside)),
        f"fig = mask_heatmap(\n    {', '.join(arguments)}, width={width}\n)",
    ]
    return with_imports("\n".join(lines), _IMPORTS)


def _values(layer: str) -> str:
    if layer == "stability":
        return "stability_tables.stability_frame(masks, stability)"
    values = LAYERS[layer]
    return f"mask_tables.frame(masks{'' if values is None else f', {values!r}'})"


def _rows(page: MaskPage, choices: MapChoices, *, beside: bool) -> list[str]:
    """Lines that average the rows of groups, or leave closed entries blank."""
    if choices.averaged:
        averages = "mask_groups.averages(beside.values, groups)"
        return [
            *([f"beside = replace(beside, values={averages})"] if beside else []),
            "tables = average(tables, groups)",
            'groups = [Group("", np.arange(len(groups)))]',
        ]
    if not choices.only_open:
        return []
    is_open = f"mask_tables.open_entries(masks, {page.threshold:g})"
    return [f"tables = replace(tables, values=tables.values.where({is_open}))"]


def truth_code(threshold: float) -> str:
    """Write what lays the simulated truth beside the map."""
    return (
        f"truth, _ = mask_tables.match_truth(masks, latents, {threshold:g})\n"
        'beside = Beside("Simulated truth", truth, "truly open", binary=True)'
    )


def other_code(page: MaskPage, other: Run, shown: str, words: str, *, only_open: bool) -> str:
    """Write what lays another checkpoint beside the map, in matched latents."""
    layer, t = LAYERS[shown], f"{page.threshold:g}"
    blank = (
        "is_open = mask_comparison.in_latents_of(match, masks, other, latents, None)\n"
        f"values = values.where(is_open.to_numpy() >= {t})\n"
        if only_open
        else ""
    )
    return (
        f"other_folder = {path_text(other.folder)}\n"
        'other = anndata.read_h5ad(other_folder / "explorer" / "masks.h5ad")\n'
        "other = mask_tables.trained(other)\n"
        "genes, other_genes = read_config(folder).genes, read_config(other_folder).genes\n"
        f"match = mask_comparison.match_tables(masks, other, genes, other_genes, {t})\n"
        f"values = mask_comparison.in_latents_of(match, masks, other, latents, {layer!r})\n"
        f"{blank}beside = Beside({other.name!r}, values, {words!r})"
    )


def row_code(name: str, threshold: float, n_rows: int) -> str:
    """Write the figure's of a perturbation's effects."""
    return f"""
from sams_core.analysis import mask_tables
from sams_core.analysis.perturbation_details import mask_row
from sams_core.figures.mask_details import effect_dots

{_TRAINED}
row = mask_row(masks, {name!r}, {threshold:g})
fig = effect_dots(row.head({n_rows}))
"""


def genes_code(name: str) -> str:
    """Write the figure's of the genes that a perturbation moves."""
    return f"""
from sams_core.analysis.perturbation_details import moved_genes
from sams_core.figures.mask_details import gene_pairs

fig = gene_pairs(moved_genes(effects, {name!r}))
"""


def response_code(latent: str, threshold: float) -> str:
    """Write the figure's of the genes that a latent dimension moves."""
    return f"""
from sams_core.analysis import mask_tables, mask_words
from sams_core.analysis.latent_dimension import basal_states, latent_response, openers, top_genes
from sams_core.figures.mask_details import gene_bars

{_TRAINED}
step = mask_words.typical_step(openers(masks, {latent!r}, {threshold:g}))
response = latent_response(model, basal_states(model, cells=cells), {latent!r}, step=step)
fig = gene_bars(top_genes(response, "up"), top_genes(response, "down"))
"""


def cells_code(latent: str, at: int) -> str:
    """Write the figure's of cells coloured by a latent dimension."""
    return f"""
import numpy as np

from sams_core.figures.latents import cells_by_number

position = np.asarray(cells.obsm["z"])[:, {at}]
fig = cells_by_number(
    np.asarray(cells.obsm["X_umap"]),
    None,
    (position, position),
    cells.obs["condition"].astype(str),
    title={latent!r},
    centred=True,
    height=440,
)
"""


def _literal(value: dict[str, Any] | Sequence[str]) -> str:
    return pformat(value, width=92, compact=True, sort_dicts=False)
