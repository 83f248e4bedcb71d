"""What two or more perturbations would do together."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from sams_core import explorer
from sams_core.analysis import combination_tables, effect_tables
from sams_core.analysis.mask_tables import has_shift
from sams_core.errors import SamsError
from sams_core.explorer import card, columns, controls, links
from sams_core.figures import combine, effects

AT_MOST = 6
WHY = {
    True: "In the model's latent space the shifts of the perturbations add up by construction. A "
    "deviation from the sum comes only from how latent positions turn into expression: the decoder "
    "is not linear, and each gene's expression is a share of the cell's library.",
    False: "This model has no shifts that could add up: its decoder is told which perturbations a "
    "cell has and makes of them what it learned. For combinations unlike those in training it may "
    "make anything.",
}
SORTS = {words: column for column, words in combine.SORTS.items()}


@st.cache_data(max_entries=128, show_spinner=False)
def predict(cache_key: str, chosen: tuple[str, ...], _model: Any) -> pd.DataFrame:
    """Predict a combination; kept for everybody who asks the same of the same checkpoint."""
    from sams_core.analysis.combinations import predict_combination

    return predict_combination(_model, chosen).table


@st.cache_data(max_entries=64, show_spinner=False)
def default(cache_key: str, _effects: Any, _masks: Any) -> list[str]:
    """Choose what the page opens on; kept, as every run of the page asks for it."""
    return combination_tables.default_combination(_effects, _masks)


@st.fragment
def combination() -> None:
    """Choose perturbations and show what is expected of them together."""
    links.tell("combine", names)
    links.tell("combine_genes", SORTS)
    links.tell("combine_cells", controls.CELLS)
    with st.container(horizontal=True):
        chosen = st.multiselect(
            "Perturbations to combine",
            names,
            default=default(run.cache_key, table, run.masks()),
            key="combine",
            bind="query-params",
            max_selections=AT_MOST,
            width=310,
            help=f"Two to {AT_MOST}. It opens on a measured combination whose single perturbations "
            "were measured too, or else on two strong perturbations with different masks.",
        )
        sort = controls.pick(
            "List genes by",
            list(SORTS),
            key="combine_genes",
            width=230,
            help="The first figure lists the genes with the largest of these.",
        )
        choice = controls.pick_cells("combine_cells")
    if len(chosen) < 2:
        st.info(
            "Choose at least two perturbations to see what they would do together. What one does "
            "alone is on the Effects page.",
            icon=":material/add_circle:",
        )
        return
    try:
        with st.spinner("Loading the model and predicting the combination…"):
            model = run.model()
            prediction = predict(run.cache_key, tuple(sorted(chosen, key=names.index)), model)
    except SamsError as error:
        st.error(str(error), icon=":material/error:")
        return
    condition = combination_tables.measured_condition(table, chosen)
    provenance(chosen, condition)
    if warning := combination_tables.extrapolation(run.masks(), table, chosen):
        st.warning(warning, icon=":material/trending_up:")
    cells: effect_tables.Cells = "all"
    if condition is not None:
        cells = effect_tables.resolve_cells(table, condition, choice)
    shown = combination_tables.add_measurement(prediction, table, condition, cells=cells)
    compare(shown, chosen, condition, SORTS[sort], effect_tables.CELL_WORDS[cells])


def unable() -> None:
    """Say that a model with combinations of their own cannot predict others."""
    trained = combination_tables.trained_combinations(table)
    st.warning(
        f"This {card.family_name(run)} cannot predict combinations that it was not trained on: to "
        "it every combination is a perturbation of its own, unrelated to the perturbations that it "
        "is made of. Choose another checkpoint to combine perturbations.",
        icon=":material/link_off:",
    )
    if trained:
        st.markdown(
            f"It was trained on {len(trained):,} combination{'s' if len(trained) > 1 else ''}, "
            f"whose effects it knows as it knows those of single perturbations: "
            f"{effect_tables.listed(trained)}. The Effects page shows them."
        )
        links.to_pages("effects", "models")


def provenance(chosen: list[str], condition: str | None) -> None:
    """Say what the prediction rests on: training cells, and whether it was ever measured."""
    trained = run.masks().obs["n_cells_train"].astype(int)
    with st.container(horizontal=True, gap="small"):
        if condition is None:
            st.badge("not measured in this screen", icon=":material/help:", color="orange")
        else:
            row = table.obs.loc[condition]
            st.badge(
                f"measured in {int(row['n_cells']):,} cells, {int(row['n_cells_test']):,} held out",
                icon=":material/check:",
                color="green",
            )
        seen = condition is not None and bool(table.obs.loc[condition, "seen_in_training"])
        st.badge(
            f"combination {'' if seen else 'never '}seen in training",
            color="blue" if seen else "orange",
            help="Whether the model was trained on cells that carry all of these together.",
        )
        for name in chosen:
            st.badge(f"{name}: {trained.get(name, 0):,} training cells", color="gray")


def compare(
    shown: pd.DataFrame, chosen: list[str], condition: str | None, sort: str, words: str
) -> None:
    """Show the singles, their sum, the prediction and the measurement, gene by gene."""
    finding = combination_tables.describe_interaction(shown)
    name = "+".join(chosen)
    st.markdown(f"**{finding}**")
    st.caption(WHY[has_shift(run.masks())])
    explorer.show_figure(
        combine.combination_dots(shown, chosen, sort=sort),
        key="combination_dots",
        alt=f"{name}: {finding}",
        name=f"{run.name}_{name}_genes",
    )
    st.caption(
        "Bars are one standard deviation: of what the model has learned (its posterior) for "
        "predictions, of the mean over cells for measurements."
    )
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader("Prediction against the sum", anchor=False)
        explorer.show_figure(
            combine.interaction_scatter(shown),
            key="interaction_scatter",
            alt=finding,
            name=f"{run.name}_{name}_interaction",
        )
    with right:
        if condition is not None:
            measurement(shown, condition, words)
        else:
            st.subheader("All genes", anchor=False)
            gene_table(shown, chosen, name)
    if condition is not None:
        with st.expander("All genes as a table", icon=":material/table:"):
            gene_table(shown, chosen, name)


def gene_table(shown: pd.DataFrame, chosen: list[str], name: str) -> None:
    """List every gene with all that was predicted and measured."""
    explorer.show_table(
        combination_tables.in_reading_order(shown),
        key="combine_table",
        name=f"{run.name}_{name}_prediction",
        column_config=columns.combination(shown.columns, chosen),
    )


def measurement(shown: pd.DataFrame, condition: str, words: str) -> None:
    """Hold the prediction against the measured combination."""
    finding = combination_tables.describe_measurement(shown, table.obs.loc[condition], words)
    st.subheader("Prediction against the measurement", anchor=False)
    explorer.show_figure(
        effects.effect_scatter(
            combination_tables.as_effects(shown),
            x_title=f"Measured in {words}",
            y_title="Model's prediction",
            height=480,
        ),
        key="combination_measured",
        alt=finding,
        name=f"{run.name}_{condition}_measured",
    )
    st.markdown(finding)


run = explorer.current_run()
explorer.page_header(
    "Combine",
    "What would these perturbations do together? The model's prediction beside what each does "
    "alone, their sum, and the measurement where there is one.",
)
table = run.effects()
if run.config.get("combinations") == "own":
    unable()
    st.stop()
names = [str(name) for name in run.config["perturbations"]]
combination()
