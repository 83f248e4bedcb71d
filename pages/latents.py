"""Maps of cells and of perturbations in the model's latent space."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from sams_core import explorer
from sams_core.analysis import latent_tables
from sams_core.analysis.mask_tables import annotation_columns, has_mask, has_shift, trained
from sams_core.explorer import GLOSSARY, card, controls, links
from sams_core.explorer.columns import PERTURBATIONS
from sams_core.explorer.gene_sets import gene_sets
from sams_core.figures import latents

VIEWS = ["Cells", "Perturbations"]
READING = {
    True: "**Basal** is what the model takes each cell to be without its perturbation. A good "
    "basal map mixes the perturbations: whatever still sets them apart there is not explained by "
    "the perturbations' shifts. **Full** adds the shift: perturbations with a strong effect move "
    "away from the controls. On a map, near is alike; how far apart two groups lie says little.",
    False: "A good map mixes the perturbations: whatever still sets them apart there is what the "
    "networks did not learn from being told. On a map, near is alike; how far apart two groups lie "
    "says little.",
}
FEW = 4
MAP_NUMBERS = {
    "open latents": "n_open",
    "significant genes": "n_significant",
    "cells measured": "n_cells",
}

LEADS = {
    True: "The model splits each cell into a basal part, the cell without its perturbation, and "
    "the shift that the perturbation adds.",
    False: "This model tells its networks what was done to a cell, so that a cell's place in "
    "latent space is what else there is to it; no perturbation shifts it.",
}

run = explorer.current_run()
masks = latent_tables.with_gene_sets(run.masks(), gene_sets())
shifted = has_shift(masks)
explorer.page_header("Latents", f"Where do cells go? {LEADS[shifted]}")
cells = run.cells()
control = str(run.config["control"])
conditions = cells.obs["condition"].astype(str)


@st.fragment
def cell_maps() -> None:
    """Draw the cells on the basal and on the full map."""
    choices = {c.replace("_", " "): c for c in latent_tables.colour_choices(cells, masks)}
    links.tell("colour", choices)
    links.tell("splits", latent_tables.splits(cells))
    notices = st.container()
    with st.container(horizontal=True):
        colour = controls.pick(
            "Colour cells by",
            list(choices),
            key="colour",
            help="The perturbation or its pathway, any annotation of the cells, or the cell's "
            "position along one latent dimension.",
        )
        names = latent_tables.splits(cells)
        splits = st.pills(
            "Cells",
            names,
            selection_mode="multi",
            default=names,
            key="splits",
            bind="query-params",
            help="**train**: cells that the model learned from. **val**: cells that decided when "
            "it was best. **test**: held-out cells, which it never saw. **unused**: cells that the "
            "split leaves out, so that neither training nor any score knows them.",
        )
        keep = cells.obs["split"].isin(splits).to_numpy()
        draw = by_latent if choices[colour] == latent_tables.LATENT else by_annotation
        fig, finding = draw(choices[colour], keep, notices)
    explorer.show_figure(fig, key="cell_maps", alt=finding, name=f"{run.name}_cells_by_{colour}")
    total = int(cells.uns.get("n_cells_total", cells.n_obs))
    sample = f", a sample of the screen's {total:,}" if total > cells.n_obs else ""
    st.caption(f"{finding} {keep.sum():,} of {cells.n_obs:,} cells shown{sample}.")
    st.markdown(READING[shifted])


def by_latent(_: str, keep: np.ndarray, notices: DeltaGenerator) -> tuple[go.Figure, str]:
    """Colour cells by one latent dimension, before and after the perturbation's shift."""
    names = [str(name) for name in masks.var_names]
    used = [name for name, is_used in zip(names, masks.var["used"], strict=True) if is_used]
    with notices:
        links.tell("latent", names)
    latent = controls.pick(
        "Latent dimension",
        used + [name for name in names if name not in used],
        key="latent",
        help="Those that a perturbation shifts come first. " + GLOSSARY["latent dimension"],
    )
    at = names.index(latent)
    basal, full = (np.asarray(cells.obsm[key])[keep, at] for key in ("z_basal", "z"))
    fig = latents.cells_by_number(
        *positions(keep), (basal, full), conditions[keep], title=latent, centred=True
    )
    who = latent_tables.openers(masks, at)
    return fig, f"Latent dimension {latent}{', ' * bool(who)}{who}."


def by_annotation(choice: str, keep: np.ndarray, notices: DeltaGenerator) -> tuple[go.Figure, str]:
    """Colour cells by a number or a category; categories can be highlighted."""
    values = latent_tables.cell_values(cells, masks, choice, control=control)
    title = choice.replace("_", " ")
    if latent_tables.is_number(values):
        number = values.to_numpy(float)[keep]
        fig = latents.cells_by_number(
            *positions(keep), (number, number), conditions[keep], title=title
        )
        low, high = np.nanpercentile(number, [5, 95]) if np.isfinite(number).any() else (0, 0)
        return fig, f"Cells coloured by {title}: nine in ten lie from {low:.3g} to {high:.3g}."
    order = latent_tables.category_order(values, masks, choice)
    options = [category for category in order if category != control]
    key = f"highlight_{choice}"
    with notices:
        links.tell(key, options)
    highlight = st.multiselect(
        "Highlight",
        options,
        key=key,
        bind="query-params",
        width=330,
        default=options[:4] if choice == latent_tables.PERTURBATION else [],
        help="Shown in colour against all other cells in grey; controls are always shown. Leave "
        f"empty to colour all, at most {latents.MAX_CATEGORIES} at a time.",
    )
    shown: pd.Series = values[keep].rename(title)
    fig = latents.cells_by_category(
        *positions(keep), shown, control=control, highlight=highlight, order=order
    )
    told = highlight or [category for category in order if category != control]
    found = latent_tables.distances(cells[keep], values[keep], control, told[:FEW])
    what = ", ".join(highlight) or f"all by {title}"
    return fig, f"Coloured: {what}. {latent_tables.describe_distances(found)}".strip()


def positions(keep: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Look up where the chosen cells lie on the basal and, with shifts, on the full map."""
    basal, full = (np.asarray(cells.obsm[key])[keep] for key in ("X_umap_basal", "X_umap"))
    return basal, full if shifted else None


@st.fragment
def perturbation_map() -> None:
    """Draw perturbations by the likeness of their latent effects."""
    if not shifted:
        st.info(
            f"This {card.family_name(run)} has no map of perturbations: nothing in its latent "
            "space stands for one. Their effects on genes are on the Effects page.",
            icon=":material/wrong_location:",
        )
        links.to_pages("effects")
        return
    table = latent_tables.perturbation_table(trained(masks))
    groups = {c.replace("_", " "): c for c in annotation_columns(masks)}
    choices = groups | {word: name for word, name in MAP_NUMBERS.items() if name in table}
    links.tell("map_colour", choices)
    links.tell_number("map_labels", 0, 100)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        colour = controls.pick(
            "Colour perturbations by",
            list(choices),
            key="map_colour",
            help="A pathway or other annotation, or a count.",
        )
        n_labels = st.slider(
            "Names shown",
            0,
            100,
            40,
            10,
            key="map_labels",
            bind="query-params",
            width=220,
            help="As many as fit, perturbations with most significant genes first.",
        )
    finding = f"{len(table):,} perturbations, placed by their average shift in latent space"
    if has_mask(masks):
        silent = int((table["n_open"] == 0).sum())
        finding += f"; {silent:,} of them open no latent dimension"
    finding += "."
    explorer.show_figure(
        latents.perturbation_map(table, colour=choices[colour], n_labels=n_labels),
        key="perturbation_map",
        alt=finding,
        name=f"{run.name}_perturbation_map",
    )
    st.caption(
        f"{finding} Perturbations that lie together shift the same latent dimensions by similar "
        "amounts; larger points were measured in more cells. Where a perturbation without an "
        "effect lies means nothing."
    )
    with st.expander("All perturbations as a table", icon=":material/table:"):
        explorer.show_table(
            table.drop(columns=["x", "y"]),
            key="map_table",
            name=f"{run.name}_perturbation_map",
            column_config=PERTURBATIONS,
        )


tabs = st.tabs(VIEWS, key="latents_view", bind="query-params", on_change="rerun")
for tab, draw_tab in zip(tabs, (cell_maps, perturbation_map), strict=True):
    if tab.open:
        with tab:
            draw_tab()
