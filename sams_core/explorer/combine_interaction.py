"""The interaction of a predicted combination: what bends the sum, and the field's scores."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import streamlit as st

from sams_core.analysis import combination_tables
from sams_core.analysis.combination_genes import describe_parts
from sams_core.analysis.genetic_interactions import SCORES
from sams_core.analysis.interval_calibration import InteractionCall, interaction_call
from sams_core.analysis.markdown import escape
from sams_core.errors import SamsError
from sams_core.explorer import controls, links
from sams_core.explorer.caching import kept
from sams_core.explorer.combine_genes import show_interaction_scatter
from sams_core.explorer.combine_page import Asked, CombinePage
from sams_core.explorer.glossary import GLOSSARY
from sams_core.explorer.widgets import show_figure, show_table
from sams_core.figures import combine_views

_NUMBER = st.column_config.NumberColumn
_NAMES = {
    "magnitude": "Magnitude",
    "model_fit": "Model fit",
    "similarity": "Similarity",
    "equality": "Equality of contribution",
    "dominance": "Dominance",
    "c1": "Weight of {0}",
    "c2": "Weight of {1}",
}
_COLUMNS = {
    "score": st.column_config.TextColumn("Score", pinned=True, width=170),
    "value": _NUMBER("Predicted", format="%.2f", help="Median over posterior draws."),
    "lower": _NUMBER("5%", format="%.2f", help="Lower end of the 90% interval."),
    "upper": _NUMBER("95%", format="%.2f", help="Upper end of the 90% interval."),
    "additive": _NUMBER("A sum has", format="%.2f", help=GLOSSARY["additive expectation"]),
    "measured": _NUMBER(
        "Measured", format="%.2f", help="The same score of the measured effects, noise included."
    ),
    "differs": st.column_config.CheckboxColumn(
        "Differs", help="Whether the interval of the difference from a sum leaves out 0."
    ),
    "sentence": None,
}


@st.fragment
def show_interaction(page: CombinePage) -> None:
    """Say whether the prediction deviates from the sum, through what, and score it."""
    finding = combination_tables.describe_interaction(page.table)
    st.markdown(f"**{escape(finding)}**")
    st.markdown(
        describe_parts(page.table, with_shift=page.with_shift),
        help=f"Sum: {GLOSSARY['additive expectation']}",
    )
    with st.spinner("Drawing from the posterior…"):
        st.markdown(
            escape(call(page.run.cache_key, page.asked, page).sentence),
            help="How much of the sum the combination adds to it or takes from it: the deviations "
            "of all genes, projected on the sum of the singles.",
        )
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("Prediction against the sum", anchor=False)
        show_interaction_scatter(page, "interaction_scatter", finding)
    with right:
        st.subheader("What the deviation is made of", anchor=False)
        show_figure(
            combine_views.deviation_parts(page.table),
            key="deviation_parts",
            alt=f"{page.name}: {describe_parts(page.table, with_shift=page.with_shift)}",
            name=f"{page.file}_deviation_parts",
            code=page.code(
                "fig = deviation_parts(table)",
                imports="from sams_core.figures.combine_views import deviation_parts",
            ),
            data=page.table.reset_index(),
        )
    st.subheader("Genetic-interaction scores", anchor=False)
    _scores(page)


def _scores(page: CombinePage) -> None:
    pairs = {"+".join(pair): pair for pair in itertools.combinations(page.chosen, 2)}
    pair = next(iter(pairs))
    if len(pairs) > 1:
        links.tell("combine_pair", pairs)
        pair = controls.pick(
            "Pair",
            list(pairs),
            key="combine_pair",
            help="The scores are defined for two perturbations: choose two of those combined.",
        )
    doses = {name: page.doses[name] for name in pairs[pair]}
    asked = Asked(tuple(doses.items()), page.asked.cells, page.asked.library_size)
    try:
        with st.spinner("Scoring the pair; the first time takes some seconds…", show_time=True):
            table, n_genes = score(page.run.cache_key, asked, page.measured_in, page)
    except SamsError as error:
        st.info(escape(error), icon=":material/science_off:")
        return
    st.caption(
        f"As Norman et al. (2019) and GEARS define them, over the {n_genes:,} genes that at least "
        "10% of cells show, without the perturbed ones. Intervals are those of the model's "
        "posterior alone, which can be too narrow.",
        help=GLOSSARY["interaction scores"],
    )
    shown = table.rename(index=lambda name: _NAMES[name].format(*doses))
    shown = shown[["value", "lower", "upper", "additive", "measured", "differs", "sentence"]]
    show_table(
        shown.rename_axis("score"),
        key="combine_scores",
        name=f"{page.run.name}_{pair}_interaction_scores",
        column_config=_COLUMNS,
    )
    st.markdown("\n".join(f"- {escape(table['sentence'][name])}" for name in SCORES))
    if np.isfinite(table["measured"]["magnitude"]):
        st.caption(
            "Measured scores carry the noise of the measured cells, which pulls the magnitude and "
            "every correlation down; they have no interval here."
        )


@kept(128)
def call(cache_key: str, asked: Asked, _page: CombinePage) -> InteractionCall:
    """Call synergy, suppression or neither along the sum of the singles."""
    from sams_core.analysis.combination_draws import combination_draws

    doses = dict(asked.doses)
    draws = combination_draws(
        _page.model,
        list(doses),
        doses=doses,
        library_size=asked.library_size,
        background=_page.background(),
    )
    return interaction_call(draws, _page.scale)


@kept(128)
def score(cache_key: str, asked: Asked, cells: str, _page: CombinePage) -> tuple[pd.DataFrame, int]:
    """Score a pair; kept for everybody who asks the same of the same checkpoint."""
    from sams_core.analysis.combination_pairs import pair_scores

    return pair_scores(
        _page.model,
        _page.effects,
        dict(asked.doses),
        library_size=asked.library_size,
        background=_page.background(),
        cells="held-out" if cells == "held-out" else "all",
    )
