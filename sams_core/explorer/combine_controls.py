"""What the combine page asks for: perturbations, doses, background cells, library size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import streamlit as st

from sams_core.analysis.combination_background import MIN_CELLS, control_groups, control_rows
from sams_core.analysis.combination_doses import (
    find_condition,
    has_doses,
    trained_doses,
    usual_dose,
)
from sams_core.analysis.combination_tables import default_combination
from sams_core.analysis.markdown import escape
from sams_core.explorer import controls, links
from sams_core.explorer.caching import kept
from sams_core.explorer.combine_page import Asked, Cells, CombinePage
from sams_core.explorer.glossary import GLOSSARY
from sams_core.explorer.lasso import chosen_cells
from sams_core.explorer.run import Run

if TYPE_CHECKING:
    from anndata import AnnData

AT_MOST = 6
MAX_DOSE = 1000.0
MAX_LIBRARY = 10_000_000
TYPICAL = "Typical unperturbed cells"
CONTROLS = "All control cells"
LASSO = "Cells chosen on Latents"
_SEPARATOR = ": "


def ask(run: Run, effects: AnnData, masks: AnnData, names: list[str]) -> CombinePage | None:
    """Draw the controls; None while fewer than two perturbations are chosen."""
    links.tell("combine", names)
    links.tell("combine_cells", controls.CELLS)
    links.tell_number("combine_library", 1, MAX_LIBRARY)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.multiselect(
            "Perturbations to combine",
            names,
            default=default(run.cache_key, effects, masks),
            key="combine",
            bind="query-params",
            max_selections=AT_MOST,
            width=330,
            help=f"Two to {AT_MOST}. It opens on a measured combination whose single perturbations "
            "were measured too, or else on two strong perturbations with different masks.",
        )
        cells = _pick_background(run)
        library_size = st.number_input(
            "Counts per cell",
            *(1, MAX_LIBRARY, None),
            key="combine_library",
            bind="query-params",
            placeholder="as in training",
            width=150,
            help=f"{GLOSSARY['library size']} Left empty, predictions are averaged over the "
            "library sizes of the training cells; with few counts, shifts of rare genes shrink.",
        )
    chosen = sorted(chosen, key=names.index)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        doses = _pick_doses(run, effects, names, chosen)
        measured = find_condition(effects, chosen, doses) is not None
        choice = controls.pick_cells("combine_cells") if measured else "auto"
    if len(chosen) < 2:
        st.info(
            "Choose at least two perturbations to see what they would do together. What one does "
            "alone is on the Effects page.",
            icon=":material/add_circle:",
        )
        return None
    asked = Asked(
        tuple(doses.items()), cells, None if library_size is None else float(library_size)
    )
    return CombinePage(run, effects, masks, asked, choice)


@kept(64)
def default(cache_key: str, _effects: AnnData, _masks: AnnData) -> list[str]:
    """Choose what the page opens on; kept, as every run of the page asks for it."""
    return default_combination(_effects, _masks)


@kept(64)
def doses_in_training(
    cache_key: str, _effects: AnnData, _names: Sequence[str]
) -> dict[str, dict[float, int]]:
    """Training cells of each perturbation at each dose."""
    return trained_doses(_effects, _names)


@kept(64)
def _groups(cache_key: str, _cells: AnnData, control: str) -> list[tuple[str, str]]:
    return control_groups(_cells, control)


def _pick_background(run: Run) -> Cells:
    """Ask for the cells that the combination is predicted in."""
    table, control = run.cells(), str(run.config["control"])
    groups = {
        f"Control cells, {column}{_SEPARATOR}{value}": (column, value)
        for column, value in _groups(run.cache_key, table, control)
    }
    options = [TYPICAL]
    if len(control_rows(table, control)) >= MIN_CELLS:
        options += [CONTROLS, *groups]
    lasso = chosen_cells(run)
    if lasso is not None:
        options.append(LASSO)
    links.tell("combine_background", options)
    picked = controls.pick(
        "Background cells",
        options,
        key="combine_background",
        width=250,
        help="The cells that receive the perturbations. Typical ones are drawn from the model; "
        "control cells are those shown on the Latents page. To take cells of your own, choose them "
        "there with the lasso: of perturbed cells the basal state counts, without their "
        "perturbation.",
    )
    if picked == LASSO and lasso is not None:
        places = table.obs_names.get_indexer(lasso)
        return Cells("the cells chosen on Latents", tuple(int(at) for at in places if at >= 0))
    if picked == TYPICAL:
        return Cells("typical unperturbed cells")
    wanted = () if picked == CONTROLS else (groups[picked],)
    rows = tuple(control_rows(table, control, dict(wanted)))
    return Cells(picked[:1].lower() + picked[1:], rows, wanted)


def _pick_doses(
    run: Run, effects: AnnData, names: Sequence[str], chosen: Sequence[str]
) -> dict[str, float]:
    """Ask for the dose of each perturbation, where the screen has doses or on demand."""
    trained = doses_in_training(run.cache_key, effects, names)
    if not chosen:
        return {}
    wanted = st.toggle(
        "Set doses",
        value=has_doses(trained),
        key="combine_doses",
        bind="query-params",
        help="A dose multiplies the shift of a perturbation in the latent space: 1 is what cells "
        "received where the screen has no doses, 0.5 half of that shift.",
    )
    if not wanted:
        return dict.fromkeys(chosen, 1.0)
    return {name: _pick_dose(name, trained.get(name, {})) for name in chosen}


def _pick_dose(name: str, trained: Mapping[float, int]) -> float:
    key = f"combine_dose_{name}"
    links.tell_number(key, 0, MAX_DOSE)
    seen = ", ".join(f"{dose:g} ({cells:,} cells)" for dose, cells in trained.items())
    return st.number_input(
        f"Dose of {escape(name)}",
        *(0.0, MAX_DOSE, usual_dose(trained), 0.1),
        format="%g",
        key=key,
        bind="query-params",
        width=150,
        help=f"In training: {seen}." if seen else "No training cell carries it.",
    )
