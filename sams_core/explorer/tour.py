"""A first walk through the pages, on the embedded screen of Papalexi et al."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from sams_core.analysis import mask_tables
from sams_core.analysis.markdown import escape
from sams_core.explorer import catalogue, links
from sams_core.explorer.mask_page import LATENT_KEY
from sams_core.explorer.navigation import PAGES
from sams_core.explorer.run import Run, open_run
from sams_core.explorer.state import RUN_KEY

if TYPE_CHECKING:
    from anndata import AnnData

FOLDER = catalogue.DEMO_FOLDER / "papalexi2021_thp1"
PAIR = ("IFNGR2", "SMAD4")
"""Two knockouts of different pathways, which no cell of that screen has together."""
OPEN_KEY = "tour"
_CLOSED = "tour_closed"
_LISTED = 4


@dataclass(frozen=True)
class Step:
    """One stop.

    Attributes
    ----------
    page
        Name of its file in ``pages/``.
    question
        What the page answers there.
    look
        What to look at, in Markdown.
    query
        Address that opens the page in the right state; None for this page.
    """

    page: str
    question: str
    look: str
    query: Mapping[str, str | list[str]] | None


def tour() -> None:
    """Draw the tour, which can be closed and opened again; nothing without the embedded screen."""
    entry = next((each for each in catalogue.find() if each.folder == FOLDER.resolve()), None)
    if entry is None or entry.problem is not None:
        return
    links.tell(OPEN_KEY, ("true", "false"))
    if st.session_state.get(_CLOSED) and OPEN_KEY not in st.session_state:
        st.session_state[OPEN_KEY] = False  # closed on an earlier visit of the page
    box = st.expander(
        "First time here? A tour in six steps",
        expanded=True,
        icon=":material/tour:",
        key=OPEN_KEY,
        bind="query-params",
        on_change=_remember,
    )
    with box:
        st.markdown(
            "Each step opens a page on a real screen: knockouts in THP-1, a line of human immune "
            "cells. Click a step, look, and come back here with the browser's back button."
        )
        with st.grid(3, min_column_width=240):
            for number, step in enumerate(steps(open_run(entry)), start=1):
                title, icon, _ = PAGES[step.page]
                with st.container(border=True, height="stretch"):
                    label, symbol = f"{number}. {title}", f":material/{icon}:"
                    if step.query is None:
                        st.markdown(f"{symbol} **{label}**, this page")
                    else:
                        st.page_link(
                            f"pages/{step.page}.py",
                            label=f"**{label}**",
                            icon=symbol,
                            query_params=step.query,
                        )
                    st.markdown(f"**{step.question}** {step.look}")


def steps(run: Run) -> list[Step]:
    """The stops, with names read from the checkpoint itself."""
    here = {RUN_KEY: run.name}
    latent, openers = most_shared(mask_tables.trained(run.masks()))
    strongest = max(openers, key=lambda name: int(run.masks().obs.loc[name, "n_significant"]))
    listed = ", ".join(escape(name) for name in openers[:_LISTED])
    return [
        Step(
            "start",
            "How far can I trust it?",
            "Below: the green bar is the model, on cells it never saw. It should beat the grey "
            "bars, simple guesses, and come near the dotted line, the most that noise allows.",
            None,
        ),
        Step(
            "masks",
            "Which knockouts share a mechanism?",
            f"Rows are knockouts, columns latent dimensions. {listed} share {escape(latent)}: at "
            "the right, the genes that it moves and the pathway that they belong to.",
            {**here, LATENT_KEY: latent},
        ),
        Step(
            "effects",
            "Does the model believe the data?",
            f"{escape(strongest)}, gene by gene: predicted beside measured effect. Points on the "
            "diagonal agree; hover to read a gene.",
            {**here, "condition": strongest},
        ),
        Step(
            "latents",
            "Where do cells go?",
            "Every point is a cell. In the basal map knockouts should mix; in the full map those "
            "with an effect move away from the controls.",
            here,
        ),
        Step(
            "combine",
            "What would two do together?",
            f"{' + '.join(PAIR)} was never measured. Read the predicted genes with their 90% "
            "intervals, and what the prediction rests on.",
            {**here, "combine": list(PAIR)},
        ),
        Step(
            "open",
            "And my own screen?",
            "Upload an `.h5ad` file to see how it is understood, with the commands that train on "
            "it; or open a model that a colleague sent you.",
            here,
        ),
    ]


def most_shared(masks: AnnData) -> tuple[str, list[str]]:
    """The latent dimension that most perturbations open, and these, the strongest first."""
    is_open = mask_tables.open_entries(masks, mask_tables.OPEN_THRESHOLD)
    column = int(is_open.sum(axis=0).argmax())
    effect = abs(masks.layers["effect"][:, column])
    order = [row for row in (-effect).argsort(kind="stable") if is_open[row, column]]
    return str(masks.var_names[column]), [str(masks.obs_names[row]) for row in order]


def _remember() -> None:
    st.session_state[_CLOSED] = not st.session_state[OPEN_KEY]
