"""The model's effect on every gene beside the effect measured in the data."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from sams_core import explorer
from sams_core.analysis import effect_tables
from sams_core.explorer import GLOSSARY, card, controls, links
from sams_core.explorer.columns import EFFECTS, FITS
from sams_core.figures import effects

VIEWS = ["One perturbation", "One gene", "All perturbations"]


@st.fragment
def one_perturbation() -> None:
    """Compare all genes of one condition."""
    links.tell("condition", conditions)
    links.tell("cells", controls.CELLS)
    links.tell("fdr", controls.FDR_WORDS)
    with st.container(horizontal=True):
        condition = controls.pick(
            "Perturbation",
            conditions,
            key="condition",
            default=effect_tables.strongest_condition(table),
            help="Type to search; combinations are written A+B. It opens on the perturbation that "
            "changes the most genes.",
        )
        choice = controls.pick_cells("cells")
        alpha = controls.pick_fdr("fdr")
    cells = effect_tables.resolve_cells(table, condition, choice)
    words = effect_tables.CELL_WORDS[cells]
    shown = effect_tables.condition_table(table, condition, cells=cells)
    fit = fits.T[condition]
    score_cards(fit, f"{int((shown['fdr'] < alpha).sum()):,}", f"of {len(genes):,} in {words}")
    finding = effect_tables.describe_fit(fit, len(genes))
    st.markdown(finding)
    if not fit["seen_in_training"]:
        st.info(card.unseen_sentence(run), icon=":material/visibility_off:")
    left, right = st.columns([6, 5], gap="medium")
    with left:
        explorer.show_figure(
            effects.effect_scatter(shown, alpha=alpha, x_title=f"Measured in {words}"),
            key="effect_scatter",
            alt=f"{condition}: {finding}",
            name=f"{run.name}_{condition}_effects",
        )
    with right:
        st.caption(
            f"One point is one gene, measured in {words}; on the dashed line the model is exact. "
            "The table has every gene, the strongest first."
        )
        explorer.show_table(
            effect_tables.strongest_first(shown),
            key="condition_table",
            name=f"{run.name}_{condition}_{cells}_effects",
            column_config=EFFECTS | {"model_se": None, "data_se": None},
        )


def score_cards(fit: pd.Series, significant: str, among: str) -> None:
    """Show one condition's scores, each beside what it should be read against."""
    cards = st.grid(4, min_column_width=150)
    for label, score, term in (
        ("All genes", "", "Pearson"),
        ("Top 20 genes", "_top20", "top 20"),
    ):
        cards.metric(
            f"Pearson, {label.lower()}",
            effect_tables.two_digits(fit[f"pearson{score}"]),
            delta=f"ceiling {effect_tables.two_digits(fit[f'ceiling{score}'])}",
            delta_color="off",
            delta_arrow="off",
            border=True,
            help=f"{GLOSSARY[term]} On held-out cells. Ceiling: {GLOSSARY['ceiling']}",
        )
    seen = "seen in training" if fit["seen_in_training"] else "not seen in training"
    cards.metric(
        "Cells, training / held out",
        f"{fit['n_cells_train']:,} / {fit['n_cells_test']:,}",
        delta=seen,
        delta_color="blue" if fit["seen_in_training"] else "orange",
        delta_arrow="off",
        border=True,
        help=f"{GLOSSARY['held-out cells']} A condition not seen in training is held out whole: "
        "the model never saw it in any cell.",
    )
    cards.metric(
        "Significant genes",
        significant,
        delta=among,
        delta_color="off",
        delta_arrow="off",
        border=True,
        help=GLOSSARY["FDR"],
    )


@st.fragment
def one_gene() -> None:
    """Look up which perturbations move one gene."""
    links.tell("gene", genes)
    links.tell("gene_fdr", controls.FDR_WORDS)
    links.tell_number("gene_top", 5, 60)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        gene = controls.pick(
            "Gene",
            genes,
            key="gene",
            default=effect_tables.most_moved_gene(table),
            help="Type to search. It opens on the gene that the most perturbations change.",
        )
        all_cells = st.toggle(
            "Use all cells",
            value=True,
            key="gene_all_cells",
            bind="query-params",
            help="All cells measure most precisely; switch off for held-out cells only, the fair "
            "test of the model.",
        )
        alpha = controls.pick_fdr("gene_fdr")
        limit = st.slider(
            "Perturbations shown",
            *(5, 60, 20, 5),
            key="gene_top",
            bind="query-params",
            width=200,
            help="Those with the largest effect in the model or in the data.",
        )
    shown = effect_tables.gene_table(table, gene, cells="all" if all_cells else "held-out")
    finding = effect_tables.describe_gene(shown, gene, alpha)
    st.markdown(finding)
    explorer.show_figure(
        effects.gene_dots(shown, gene=gene, alpha=alpha, limit=limit),
        key="gene_dots",
        alt=finding,
        name=f"{run.name}_{gene}_perturbations",
    )
    st.caption("Bars are one standard error: from sampling for the model, from cells for the data.")
    explorer.show_table(
        shown, key="gene_table", name=f"{run.name}_{gene}_perturbations", column_config=EFFECTS
    )


def open_condition(condition: str) -> None:
    """Show one condition in the first view."""
    st.session_state["condition"] = condition
    st.session_state["effects_view"] = VIEWS[0]


def all_perturbations() -> None:
    """List every condition by how well the model fits it."""
    # A value that was never set before does not reach the address when a button sets it.
    st.session_state.setdefault("condition", effect_tables.strongest_condition(table))
    finding = effect_tables.describe_fits(fits)
    st.markdown(finding)
    left, right = st.columns([5, 4], gap="medium")
    with left:
        explorer.show_figure(
            effects.fit_scatter(fits), key="fits", alt=finding, name=f"{run.name}_fits"
        )
    with right:
        st.markdown(
            "One point is one perturbation. On the dashed line the model predicts held-out cells "
            "as well as their own training cells do; below it, the model misses something that "
            "can be learned."
        )
        st.caption(
            "Points grow with the number of significant genes. A perturbation without an effect "
            "leaves nothing to correlate: its numbers are near zero and mean little. “Open” in "
            "the table shows a perturbation gene by gene."
        )
    controls.table_to_open(
        fits, open_condition, key="fit_table", name=f"{run.name}_fits", column_config=FITS
    )


run = explorer.current_run()
explorer.page_header(
    "Effects",
    "Does the model believe what the data say? Each gene's effect as the model predicts it and as "
    "it was measured, in log2 of counts per 10,000: +1 is about a doubling against control cells.",
)
table = run.effects()
fits = effect_tables.fit_table(table)
conditions = [str(name) for name in table.obs_names]
genes = effect_tables.gene_names(table).tolist()
tabs = st.tabs(VIEWS, key="effects_view", bind="query-params", on_change="rerun")
for tab, draw in zip(tabs, (one_perturbation, one_gene, all_perturbations), strict=True):
    if tab.open:
        with tab:
            draw()
