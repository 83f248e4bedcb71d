"""Python that makes the figures of the models page again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sams_core.explorer import results
from sams_core.explorer.run import Run
from sams_core.explorer.snippets import path_code, with_imports

_IMPORTS = {
    "anndata": (),
    "pathlib": ("Path",),
    "pandas as pd": (),
    "sams_core.analysis": ("mask_tables", "model_tables", "replication_tables"),
    "sams_core.analysis.comparison": ("lines_table", "tidy"),
    "sams_core.analysis.evaluation_files": ("read_evaluation", "told_apart"),
    "sams_core.analysis.replication": ("match_latents",),
    "sams_core.figures": ("models",),
    "sams_core.record": ("read_config",),
}


def bars_code(
    shown: results.Results,
    split: str,
    metric: str,
    words: Mapping[str, str],
    scopes: Sequence[str],
    drawing: Mapping[str, object],
) -> str:
    """Write the bars' of one figure over scopes; ``drawing`` is what `score_bars` is told."""
    return _finish(
        f"""{_table(shown)}
table = table[table["split"] == {split!r}]
rows = model_tables.scope_table(table, {metric!r}, {list(scopes)})
fig = models.score_bars(rows, {dict(words)}, {_arguments(drawing)})
"""
    )


def lines_code(
    shown: results.Results, setting: str, metric: str, scope: str, drawing: Mapping[str, object]
) -> str:
    """Write the lines' over the fraction in training."""
    return _finish(
        f"""{_table(shown)}
table = table[table["fraction"].notna() & (table["setting"] == {setting!r})]
lines = lines_table(table, {metric!r}, scope={scope!r})
lines["name"] = model_tables.shared_names(lines)
fig = models.fraction_lines(lines, {_arguments(drawing)})
"""
    )


def replication_code(first: Run, second: Run, threshold: float) -> str:
    """Write the map's of entries that two checkpoints open."""
    return _finish(
        f"""folders = [
    {path_code(first.folder)},
    {path_code(second.folder)},
]
masks = [anndata.read_h5ad(folder / "explorer" / "masks.h5ad") for folder in folders]
masks = [mask_tables.trained(table) for table in masks]
responses = [
    mask_tables.responses(table, read_config(folder).genes)
    for table, folder in zip(masks, folders, strict=True)
]
match = match_latents(
    *[mask_tables.frame(table) for table in masks],
    *[mask_tables.frame(table, "effect") for table in masks],
    first_responses=responses[0],
    second_responses=responses[1],
    threshold={threshold!r},
)
entries = replication_tables.entries_in_order(match)
fig = models.replication_map(entries, {first.name!r}, {second.name!r})
"""
    )


def paper_code(metric: str, drawing: Mapping[str, object]) -> str:
    """Write the lines' of the paper's own numbers."""
    return _finish(
        f"""norman = model_tables.norman_rows()
lines = norman.assign(mean=norman[{metric!r}], sd=float("nan"))
fig = models.fraction_lines(lines, {_arguments(drawing)})
"""
    )


def _table(shown: results.Results) -> str:
    """Write what reads the scores."""
    if shown.command is not None:
        (file,) = shown.sources
        return f"""table = pd.read_csv({path_code(file)})
table["inference"] = table["inference"].astype(object).replace(float("nan"), None)
table["value"] = table["value"].astype(float)"""
    listed = "".join(f"    {path_code(folder)},\n" for folder in shown.sources)
    labels = {each.name: label for each in shown.sources if (label := results.label(each))}
    read = "read_evaluation(folder)"
    if labels:
        read += ' | ({"model": labels[folder.name]} if folder.name in labels else {})'
        listed += f"]\nlabels = {labels}\n"
    else:
        listed += "]\n"
    return f"""folders = [
{listed}evaluations = [{read} for folder in folders]
table = tidy(told_apart(evaluations))
table = table[table["fingerprint"] == {shown.fingerprint!r}].reset_index(drop=True)"""


def _arguments(drawing: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in drawing.items())


def _finish(body: str) -> str:
    return with_imports(body, _IMPORTS)
