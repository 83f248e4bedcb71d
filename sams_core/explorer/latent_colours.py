"""What the cells of the latents page are coloured by: annotations, genes, latent dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from sams_core.analysis import latent_expression, latent_tables
from sams_core.analysis.latent_expression import Space
from sams_core.analysis.markdown import escape
from sams_core.explorer import controls, latent_code, links
from sams_core.explorer.caching import kept
from sams_core.explorer.glossary import GLOSSARY
from sams_core.explorer.latent_page import GET_COUNTS, Drawn, LatentPage, Shown
from sams_core.figures import latents

EXPRESSIONS = ("Measured", "Expected")
FEW = 4


def draw_cells(page: LatentPage, choice: str, shown: Shown, notices: DeltaGenerator) -> Drawn:
    """Colour the shown cells by a choice of `latent_tables.colour_choices`, asking what it needs.

    Parameters
    ----------
    page, shown
        The visit and the cells.
    choice
        What to colour by.
    notices
        Where to say what the address asks for in vain.
    """
    if choice == latent_tables.LATENT:
        return _by_latent(page, shown, notices)
    if choice == latent_tables.GENE:
        return _by_gene(page, shown, notices)
    return _by_annotation(page, choice, shown, notices)


def _by_latent(page: LatentPage, shown: Shown, notices: DeltaGenerator) -> Drawn:
    """Colour cells by one latent dimension, before and after the perturbation's shift."""
    names = [str(name) for name in page.masks.var_names]
    used = [n for n, is_used in zip(names, page.masks.var["used"], strict=True) if is_used]
    with notices:
        links.tell("latent", names)
    latent = controls.pick(
        "Latent dimension",
        used + [name for name in names if name not in used],
        key="latent",
        help="Those that a perturbation shifts come first. " + GLOSSARY["latent dimension"],
        width=160,
    )
    at = names.index(latent)
    values = {
        space: np.asarray(page.cells.obsm[latent_expression.STATES[space]])[:, at]
        for space in shown.spaces
    }
    who = latent_tables.openers(page.masks, at)
    look = {"title": latent, "centred": True}
    code = "values = {}\n" + "\n".join(
        f'values["{s}"] = np.asarray(cells.obsm["{latent_expression.STATES[s]}"])[:, {at}]'
        for s in shown.spaces
    )
    return _numbered(
        page, shown, values, look, f"Latent dimension {latent}{', ' * bool(who)}{who}.", code
    )


def _by_gene(page: LatentPage, shown: Shown, notices: DeltaGenerator) -> Drawn:
    """Colour cells by a gene's expression, measured or as the model expects it."""
    genes = list(map(str, page.run.config["genes"]))
    counted = latent_expression.has_counts(page.cells)
    kinds = EXPRESSIONS if counted else EXPRESSIONS[1:]
    with notices:
        links.tell("gene", genes)
        links.tell("expression", kinds)
        if not counted:
            st.info(
                f"{escape(latent_expression.tell_counts(page.cells))} Shown is what the model "
                f"expects in each cell. {GET_COUNTS}",
                icon=":material/info:",
            )
    gene = controls.pick(
        "Gene", genes, key="gene", help="Type to search among the genes of the screen.", width=180
    )
    kind = _pick_expression() if counted else EXPRESSIONS[1]
    values = _expression((page.run.cache_key, gene, kind, shown.spaces), page)
    call = {
        "Measured": f"latent_expression.measured_expression(cells, {gene!r})",
        "Expected": f"latent_expression.expected_expression(model, cells, {gene!r}, space)",
    }[kind]
    code = f"values = {{space: {call} for space in {list(shown.spaces)!r}}}"
    last = values[shown.spaces[-1]][shown.keep]
    finding = f"{kind} expression of {gene}, log2(counts per 10,000 + 1)."
    if len(last) and kind == "Measured":
        finding += f" Detected in {np.mean(last > 0):.0%} of the cells shown."
    elif len(last):
        low, high = np.percentile(last, [5, 95])
        finding += f" Nine in ten cells lie from {low:.2f} to {high:.2f}."
    return _numbered(page, shown, values, {"title": gene, "expression": True}, finding, code)


def _pick_expression() -> str:
    return st.segmented_control(
        "Expression",
        EXPRESSIONS,
        default=EXPRESSIONS[0],
        required=True,
        key="expression",
        bind="query-params",
        help="**Measured**: log2(counts per 10,000 + 1) of the cell. **Expected**: the same of the "
        "share of counts that the model's decoder expects of the cell's state, without count "
        "noise; on the basal map of the cell without its perturbation.",
    )


@kept(48, spinner="Reading the gene's expression…")
def _expression(
    key: tuple[str, str, str, tuple[Space, ...]], _page: LatentPage
) -> dict[Space, np.ndarray]:
    _, gene, kind, spaces = key
    if kind == "Measured":
        return dict.fromkeys(spaces, latent_expression.measured_expression(_page.cells, gene))
    model = _page.run.model()
    return {
        space: latent_expression.expected_expression(model, _page.cells, gene, space)
        for space in spaces
    }


def _numbered(
    page: LatentPage,
    shown: Shown,
    values: dict[Space, np.ndarray],
    look: dict[str, Any],
    finding: str,
    code: str,
) -> Drawn:
    """Colour cells by a number for each space."""
    kept = tuple(values[space][shown.keep] for space in shown.spaces)
    conditions = page.cells.obs["condition"].astype(str)[shown.keep]
    titles = latent_code.titles(page, shown.spaces)
    fig = latents.cells_by_number(
        *shown.panels(page),
        kept,
        conditions,
        chosen=shown.chosen_shown,
        panels=titles,
        **look,
    )
    options = ", ".join(f"{name}={value!r}" for name, value in look.items())
    draw = (
        f"{code}\nfig = latents.cells_by_number(\n    {latent_code.panels(shown.spaces)},\n"
        f"    tuple(values[space][keep] for space in {list(shown.spaces)!r}),\n"
        f'    cells.obs["condition"].astype(str)[keep],\n    chosen=chosen,\n'
        f"    panels={titles!r},\n    {options},\n)"
    )
    named = {f"value_{space}": values[space][shown.keep] for space in shown.spaces}
    return Drawn(fig, finding, draw, named)


def _by_annotation(page: LatentPage, choice: str, shown: Shown, notices: DeltaGenerator) -> Drawn:
    """Colour cells by a number or a category; categories can be highlighted."""
    values = latent_tables.cell_values(page.cells, page.masks, choice, control=page.control)
    title = choice.replace("_", " ")
    code = (
        f"{latent_code.annotated(page, choice)}\n"
        f"each = latent_tables.cell_values(cells, annotated, {choice!r}, control={page.control!r})"
    )
    if latent_tables.is_number(values):
        number = values.to_numpy(float)
        kept = number[shown.keep]
        low, high = np.nanpercentile(kept, [5, 95]) if np.isfinite(kept).any() else (0, 0)
        finding = f"Cells coloured by {title}: nine in ten lie from {low:.3g} to {high:.3g}."
        code += '\nvalues = dict.fromkeys(["basal", "full"], each.to_numpy(float))'
        both: dict[Space, np.ndarray] = dict.fromkeys(shown.spaces, number)
        return _numbered(page, shown, both, {"title": title}, finding, code)
    order = latent_tables.category_order(values, page.masks, choice)
    highlight = _pick_highlight(page, choice, order, notices)
    kept_values: pd.Series = values[shown.keep].rename(title)
    fig = latents.cells_by_category(
        *shown.panels(page),
        kept_values,
        control=page.control,
        highlight=highlight,
        order=order,
        chosen=shown.chosen_shown,
        panels=latent_code.titles(page, shown.spaces),
    )
    told = highlight or [category for category in order if category != page.control]
    found = latent_tables.distances(
        page.cells[shown.keep], values[shown.keep], page.control, told[:FEW]
    )
    what = ", ".join(highlight) or f"all by {title}"
    finding = f"Coloured: {what}. {latent_tables.describe_distances(found)}".strip()
    code += (
        f"\nfig = latents.cells_by_category(\n    {latent_code.panels(shown.spaces)},\n"
        f"    each[keep].rename({title!r}),\n    control={page.control!r},\n"
        f"    highlight={highlight!r},\n"
        f"    order=latent_tables.category_order(each, annotated, {choice!r}),\n"
        f"    chosen=chosen,\n    panels={latent_code.titles(page, shown.spaces)!r},\n)"
    )
    return Drawn(fig, finding, code, {"value": kept_values.to_numpy()})


def _pick_highlight(
    page: LatentPage, choice: str, order: list[str], notices: DeltaGenerator
) -> list[str]:
    options = [category for category in order if category != page.control]
    key = f"highlight_{choice}"
    with notices:
        links.tell(key, options)
    return st.multiselect(
        "Highlight",
        options,
        key=key,
        bind="query-params",
        width=330,
        default=options[:4] if choice == latent_tables.PERTURBATION else [],
        help="Shown in colour against all other cells in grey; controls are always shown. Leave "
        f"empty to colour all, at most {latents.MAX_CATEGORIES} at a time.",
    )
