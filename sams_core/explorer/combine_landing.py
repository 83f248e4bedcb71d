"""Where cells with a combination would lie on the map of measured cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from sams_core.analysis.combination_background import MIN_CELLS, control_rows
from sams_core.analysis.markdown import escape
from sams_core.explorer.caching import kept
from sams_core.explorer.combine_page import Asked, CombinePage
from sams_core.explorer.glossary import GLOSSARY
from sams_core.explorer.widgets import show_figure, show_table
from sams_core.figures import combine_views

if TYPE_CHECKING:
    from sams_core.analysis.combination_landing import Landing

_COLUMNS = {
    "condition": st.column_config.TextColumn("Nearest to cells with", pinned=True),
    "share": st.column_config.NumberColumn(
        "Of the neighbours",
        format="percent",
        help="Share of the measured cells next to them.",
    ),
    "share_of_all": st.column_config.NumberColumn(
        "Of all cells",
        format="percent",
        help="Share of all cells on the map: what chance gives.",
    ),
}


@st.fragment
def show_landing(page: CombinePage) -> None:
    """Show where background cells would land with the combination."""
    from sams_core.analysis.combination_landing import N_NEIGHBOURS, describe_landing

    if not page.with_shift:
        st.info(
            "In this model perturbations do not move cells in the latent space, so there is no "
            "place on its map to show. The Genes tab has what it predicts.",
            icon=":material/wrong_location:",
        )
        return
    with st.spinner("Looking for the nearest measured cells…"):
        landing = _land(page.run.cache_key, page.asked, page)
    told = describe_landing(landing)
    st.markdown(escape(told), help=GLOSSARY["UMAP"])
    cells = page.run.cells()
    conditions = cells.obs["condition"].astype(str).to_numpy()
    measured = None if page.condition is None else conditions == page.condition
    left, right = st.columns([3, 2], gap="medium")
    with left:
        show_figure(
            combine_views.landing_map(np.asarray(cells.obsm["X_umap"]), landing.cells, measured),
            key="combination_landing",
            alt=f"{page.name}: {told}",
            name=f"{page.file}_landing",
            code=_code(page),
            data=landing.cells.reset_index(),
        )
        st.caption(
            f"Approximate: each cell is shown at the median place of the {N_NEIGHBOURS} measured "
            "cells nearest to it in the latent space; the map itself is not computed again. The "
            "arrow leads from the median before to the median after."
        )
    with right:
        show_table(
            landing.neighbours,
            key="combine_neighbours",
            name=f"{page.file}_neighbours",
            column_config=_COLUMNS,
        )


def _rows(page: CombinePage) -> tuple[int, ...]:
    """Rows of the cells to move: the background, control cells, or else any."""
    if page.asked.cells.rows is not None:
        return page.asked.cells.rows
    cells = page.run.cells()
    rows = control_rows(cells, str(page.run.config["control"]))
    return tuple(rows if len(rows) >= MIN_CELLS else range(cells.n_obs))


@kept(64)
def _land(cache_key: str, asked: Asked, _page: CombinePage) -> Landing:
    from sams_core.analysis.combination_landing import land

    return land(_page.model, _page.run.cells(), dict(asked.doses), _rows(_page))


def _code(page: CombinePage) -> str:
    rows, control = _rows(page), str(page.run.config["control"])
    groups = page.asked.cells.groups or ()
    made = f"control_rows(cells, {control!r}, {dict(groups)!r})"
    if page.asked.cells.rows is not None and page.asked.cells.groups is None:
        made = repr(list(rows))
    elif len(rows) == page.run.cells().n_obs:
        made = "range(cells.n_obs)"
    return (
        "import numpy as np\n"
        "from sams_core.analysis.combination_background import control_rows\n"
        "from sams_core.analysis.combination_landing import land\n"
        "from sams_core.figures.combine_views import landing_map\n\n"
        f"rows = {made}\n"
        f"landing = land(model, cells, {page.doses!r}, rows)\n"
        f"measured = (cells.obs['condition'].astype(str) == {page.condition!r}).to_numpy()\n"
        "fig = landing_map(np.asarray(cells.obsm['X_umap']), landing.cells, measured)"
    )
