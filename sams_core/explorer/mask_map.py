"""The mask map of the masks page: what it shows, and what a click on it does."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from sams_core.analysis import (
    mask_comparison,
    mask_groups,
    mask_tables,
    mask_words,
    stability_tables,
)
from sams_core.analysis.evaluation_files import read_evaluation
from sams_core.analysis.markdown import plain
from sams_core.analysis.ordering import Group
from sams_core.analysis.replication import LatentMatch
from sams_core.analysis.replication_tables import tell_replication
from sams_core.analysis.stability import trained_again
from sams_core.errors import SamsError
from sams_core.explorer import mask_code, mask_page, trust
from sams_core.explorer.caching import kept
from sams_core.explorer.glossary import FIGURES, GLOSSARY
from sams_core.explorer.mask_controls import LAYERS, VIEW_OF, MapChoices, show_group
from sams_core.explorer.mask_page import MaskPage, choose
from sams_core.explorer.run import Run
from sams_core.explorer.widgets import show_figure
from sams_core.figures.mask_views import (
    VIEWS,
    Beside,
    Chosen,
    MaskTables,
    average,
)
from sams_core.figures.masks import CELL, LATENT, ROW, mask_heatmap


def show_map(page: MaskPage, choices: MapChoices, framed: Chosen) -> None:
    """Draw the map; a click on it chooses what the details tell about."""
    masks, view = page.masks, choices.view
    layer = VIEW_OF[view.label]
    values = page.shares if layer == "stability" else mask_tables.frame(masks, LAYERS[layer])
    assert values is not None
    beside, compared, beside_code = _beside(page, choices, layer)
    tables = _hover(page, values)
    groups, names = choices.groups, {}
    if choices.averaged:
        names = dict(zip(mask_groups.average_names(groups), (g.name for g in groups), strict=True))
        tables = average(tables, groups)
        if beside is not None:
            beside = replace(beside, values=mask_groups.averages(beside.values, groups))
        groups = [Group("", np.arange(len(groups)))]
    elif choices.only_open:
        is_open = mask_tables.open_entries(masks, page.threshold)
        tables = replace(tables, values=values.where(is_open))
    if compared:
        st.markdown(compared, help=GLOSSARY["F1"] if choices.with_truth else None)
    finding = tell_finding(page)
    width = 260 if choices.leaves_room else 780
    show_figure(
        mask_heatmap(
            tables,
            groups,
            choices.latents,
            view,
            beside=beside,
            chosen=framed,
            scale=choices.scale,
            width=width,
        ),
        key=mask_page.MAP_KEY,
        alt=f"{view.label} of each perturbation on each latent dimension. {finding} "
        + plain(compared),
        name=f"{page.run.name}_{'masks' if page.with_mask else 'shifts'}_{layer}",
        code=mask_code.map_code(page, choices, framed, layer, beside_code, width),
        data=partial(_entries, page, choices),
        on_select=partial(_clicked, names),
    )
    if choices.with_truth:
        trust.show_calibration(masks, page.run.name)
    if pathways := _pathways(page):
        st.markdown(pathways, help=FIGURES["pathway_accuracy"])


def tell_finding(page: MaskPage) -> str:
    """Say in plain text what the whole mask shows."""
    if not page.with_mask:
        return mask_tables.shift_finding(page.masks)
    found = mask_tables.finding(page.masks, page.threshold)
    if page.stability[0] is None:
        return found
    told = stability_tables.tell_stability(page.masks, page.stability[0])
    return f"{found} {told.replace('**', '')}"


def show_finding(page: MaskPage) -> None:
    """Write what the whole mask shows, with a word on other seeds."""
    if not page.with_mask:
        st.markdown(mask_tables.shift_finding(page.masks), help=GLOSSARY["effect"])
        return
    st.markdown(mask_tables.finding(page.masks, page.threshold), help=GLOSSARY["open"])
    stability, problem = page.stability
    if stability:
        told = stability_tables.tell_stability(page.masks, stability)
        st.markdown(told, help=f"{GLOSSARY['stability']}\n\n**Seed**: {GLOSSARY['seed']}")
        if older := stability_tables.tell_trained_again(trained_again(page.run.folder, stability)):
            st.caption(older)
    elif problem:
        st.caption(f"In how many seeds entries are open is not shown. {problem}")


def _pathways(page: MaskPage) -> str:
    """Say how well pathways are told from this mask, where that was evaluated; else nothing."""
    try:
        evaluation = read_evaluation(page.run.folder)
    except SamsError:
        return ""
    found = evaluation["pathways"] if evaluation["checkpoint"] == page.run.digest else None
    return "" if found is None else mask_words.tell_pathways(found)


def _beside(page: MaskPage, choices: MapChoices, layer: str) -> tuple[Beside | None, str, str]:
    """Build the second map, a sentence on how the two compare, and its Python."""
    masks = page.masks
    if choices.with_truth:
        truth, match = mask_tables.match_truth(masks, choices.latents, page.threshold)
        told = (
            f"Against the **simulated truth** at this threshold: F1 **{match.f1:.2f}**. "
            f"{match.precision:.0%} of the open entries are truly open (precision), and "
            f"{match.recall:.0%} of the truly open ones are found (recall)."
        )
        code = mask_code.truth_code(page.threshold)
        return Beside("Simulated truth", truth, "truly open", binary=True), told, code
    if choices.other is None:
        return None, "", ""
    other = choices.other
    second = mask_tables.trained(other.masks())
    try:
        paired = _matched((page.run.cache_key, other.cache_key), page, other, page.threshold)
    except SamsError as error:
        st.warning(str(error), icon=":material/compare:")
        return None, "", ""
    shown = "probability" if layer == "stability" else layer
    values = mask_comparison.in_latents_of(paired, masks, second, choices.latents, LAYERS[shown])
    if choices.only_open:
        is_open = mask_comparison.in_latents_of(paired, masks, second, choices.latents, None)
        values = values.where(is_open.to_numpy() >= page.threshold)
    words = VIEWS[shown].label.lower()
    told = tell_replication(paired, page.run.name, other.name)
    code = mask_code.other_code(page, other, shown, words, only_open=choices.only_open)
    return Beside(other.name, values, words), told, code


@kept(32)
def _matched(keys: tuple[str, str], _page: MaskPage, _other: Run, threshold: float) -> LatentMatch:
    return mask_comparison.match_tables(
        _page.masks,
        mask_tables.trained(_other.masks()),
        _page.run.config["genes"],
        _other.config["genes"],
        threshold,
    )


def _hover(page: MaskPage, values: pd.DataFrame) -> MaskTables:
    """Put what the hover text says beside what is coloured."""
    masks = page.masks
    return MaskTables(
        values,
        mask_tables.frame(masks) if page.with_mask else None,
        mask_tables.frame(masks, "effect"),
        mask_tables.frame(masks, "effect_sd"),
        masks.obs["n_cells"],
        page.seeds if page.with_mask else None,
    )


def _entries(page: MaskPage, choices: MapChoices) -> pd.DataFrame:
    """List the entries that the map shows, one a row, in its order; effects in basal s.d."""
    masks = page.masks
    columns = {
        "inclusion": mask_tables.frame(masks) if page.with_mask else None,
        "effect": mask_tables.frame(masks, "effect"),
        "effect_sd": mask_tables.frame(masks, "effect_sd"),
        "seeds_open": page.shares,
    }
    parts = []
    for group in choices.groups:
        rows = masks.obs_names[group.rows]
        part = pd.MultiIndex.from_product(
            [rows, choices.latents], names=["perturbation", "latent"]
        ).to_frame(index=False)
        part.insert(0, "group", group.name)
        for name, table in columns.items():
            if table is not None:
                part[name] = table.loc[rows, choices.latents].to_numpy().ravel()
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _clicked(groups: dict[str, str]) -> None:
    """Choose what was clicked; a click on the choice itself keeps it.

    Parameters
    ----------
    groups
        Names of the groups, by what the rows of a map of averages are called.
    """
    points = st.session_state[mask_page.MAP_KEY]["selection"]["points"]
    kind, row, latent = (
        (list(points[0].get("customdata") or []) + [None] * 3)[:3] if points else (None, None, None)
    )
    if kind == ROW and row in groups:
        show_group(groups[row])
    elif kind in (CELL, LATENT, ROW):
        choose(row=None if row in groups else row, latent=latent)
