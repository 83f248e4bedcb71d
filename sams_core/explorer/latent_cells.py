"""The map of cells on the latents page: what it shows, and what a lasso on it does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from sams_core.analysis import latent_outline, latent_tables
from sams_core.analysis.latent_expression import Space
from sams_core.analysis.latent_outline import Outline
from sams_core.analysis.markdown import escape
from sams_core.errors import ConfigError
from sams_core.explorer import controls, latent_code, links
from sams_core.explorer.glossary import GLOSSARY
from sams_core.explorer.lasso import keep_cells
from sams_core.explorer.latent_chosen import invite, show_chosen
from sams_core.explorer.latent_colours import draw_cells
from sams_core.explorer.latent_page import Drawn, LatentPage, Shown
from sams_core.explorer.widgets import show_figure
from sams_core.figures import latents
from sams_core.figures.latent_density import DENSITY_FROM, MAX_CONTOURS

MAP_KEY = "cell_maps"
OUTLINE_KEY = "lasso"
SPACES: dict[str, tuple[Space, ...]] = {
    "Both": ("basal", "full"),
    "Basal": ("basal",),
    "Full": ("full",),
}


@st.fragment
def show_cells(page: LatentPage) -> None:
    """Draw the cells on the maps of their spaces, and tell about those in a lasso."""
    choices = {c.replace("_", " "): c for c in latent_tables.colour_choices(page.cells, page.masks)}
    links.tell("colour", choices)
    links.tell("splits", latent_tables.splits(page.cells))
    links.tell("space", SPACES)
    notices = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        colour = controls.pick(
            "Colour cells by",
            list(choices),
            key="colour",
            help="The perturbation or its pathway, any annotation of the cells, a gene's "
            "expression, or the cell's position along one latent dimension.",
            width=220,
        )
        shown = _pick_shown(page, notices)
        drawn = draw_cells(page, choices[colour], shown, notices)
    _outline(drawn.fig, shown)
    show_figure(
        drawn.fig,
        key=MAP_KEY,
        alt=drawn.finding,
        name=f"{page.run.name}_cells_by_{colour}",
        code=latent_code.cell_map(
            page, shown.splits, shown.spaces, latent_outline.to_text(shown.outlines), drawn.code
        ),
        data=_data(page, shown, drawn),
        on_select=_outline_drawn,
        selection_mode=("lasso", "box"),
    )
    st.caption(f"{escape(drawn.finding)} {_tell_number(page, shown)}")
    if shown.chosen is None:
        invite(page.run, OUTLINE_KEY)
    else:
        space = shown.outlines[0].space
        show_chosen(page, shown.chosen, shown.keep, space, on_clear=_clear)


def _pick_shown(page: LatentPage, notices: DeltaGenerator) -> Shown:
    """Ask which cells and spaces to show, and read the outlines from the address."""
    spaces: tuple[Space, ...] = ("full",)
    if page.shifted:
        space = st.segmented_control(
            "Space",
            list(SPACES),
            default="Both",
            required=True,
            key="space",
            bind="query-params",
            help=f"**Basal**: {GLOSSARY['basal']} **Full**: {GLOSSARY['full latent']} The space of "
            "shifts has a map of its own: Perturbations, above.",
        )
        spaces = SPACES[space]
    names = latent_tables.splits(page.cells)
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
    keep = page.cells.obs["split"].isin(splits).to_numpy()
    outlines: list[Outline] = []
    if text := st.query_params.get(OUTLINE_KEY):
        try:
            outlines = latent_outline.parse(text)
        except ConfigError as error:
            notices.warning(str(error), icon=":material/link_off:")
    chosen = latent_outline.enclosed(outlines, page.maps) & keep if outlines else None
    if chosen is not None:
        keep_cells(page.run, page.cells.obs_names[chosen])
    st.session_state["latent_spaces"] = spaces
    return Shown(list(splits), keep, spaces, outlines, chosen)


def _outline_drawn() -> None:
    """Put what was just drawn on the map into the address; nothing drawn removes it."""
    selection = st.session_state[MAP_KEY].selection
    spaces: Sequence[Space] = st.session_state.get("latent_spaces", ("full",))
    outlines = []
    for stroke in [*selection.get("lasso", []), *selection.get("box", [])]:
        x, y = list(stroke["x"]), list(stroke["y"])
        if len(x) == 2:  # a box has two opposite corners
            x, y = [x[0], x[1], x[1], x[0]], [y[0], y[0], y[1], y[1]]
        panel = int(str(stroke["xref"])[1:] or 1) - 1
        found = Outline.drawn(spaces[min(panel, len(spaces) - 1)], x, y)
        outlines += [] if found is None else [found]
    if outlines:
        text = latent_outline.to_text(outlines[: latent_outline.MAX_OUTLINES])
        st.query_params[OUTLINE_KEY] = text
    else:
        _clear()


def _clear() -> None:
    st.query_params.pop(OUTLINE_KEY, None)


def _outline(fig: go.Figure, shown: Shown) -> None:
    latents.add_outlines(
        fig,
        [
            (shown.spaces.index(each.space), np.array(each.corners))
            for each in shown.outlines
            if each.space in shown.spaces
        ],
    )


def _data(page: LatentPage, shown: Shown, drawn: Drawn) -> pd.DataFrame:
    """What the map shows, one row a cell."""
    columns: dict[str, Any] = {"condition": page.cells.obs["condition"].astype(str)[shown.keep]}
    for space in shown.spaces:
        places = page.maps[space][shown.keep]
        columns |= {f"{space}_umap_1": places[:, 0], f"{space}_umap_2": places[:, 1]}
    columns |= drawn.values
    if shown.chosen is not None:
        columns["chosen"] = shown.chosen[shown.keep]
    return pd.DataFrame(columns).rename_axis("cell")


def _tell_number(page: LatentPage, shown: Shown) -> str:
    n, n_shown = page.cells.n_obs, int(shown.keep.sum())
    total = int(page.cells.uns.get("n_cells_total", n))
    sample = f", a sample of the screen's {total:,}" if total > n else ""
    density = ""
    if n_shown > DENSITY_FROM:
        density = (
            " They are too many to draw one by one: shown are densities, contours of "
            f"{MAX_CONTOURS} categories at most, or means."
        )
    return f"{n_shown:,} of {n:,} cells shown{sample}.{density}"
