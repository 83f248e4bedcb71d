"""One perturbation on the effects page: every gene in the model and in the data."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from sams_core.analysis import effect_tables
from sams_core.analysis.effect_statistics import (
    describe_residuals,
    describe_set,
    describe_volcano,
    gene_statistics,
    most_surprising,
)
from sams_core.analysis.markdown import plain
from sams_core.errors import SamsError
from sams_core.explorer import card, controls, effect_code, links
from sams_core.explorer.caching import kept
from sams_core.explorer.effect_columns import SHOWN, STATISTICS
from sams_core.explorer.effect_page import (
    CONDITION_KEY,
    GENE_KEY,
    EffectPage,
    Picked,
    follow,
    open_gene,
)
from sams_core.explorer.glossary import GLOSSARY
from sams_core.explorer.widgets import show_figure
from sams_core.figures.effect_views import ma_plot, residual_intervals, volcano
from sams_core.figures.effects import effect_scatter

SCATTER, VOLCANO, MA, RESIDUALS = "Model against data", "Volcano", "MA", "Surprising genes"
PLOTS = (SCATTER, VOLCANO, MA, RESIDUALS)
ALL_GENES = "All genes"
N_RESIDUALS = 25
_HELP = (
    "**Model against data**: one point is one gene. **Volcano**: effect against significance. "
    "**MA**: effect against expression in control cells. **Surprising genes**: those whose "
    "measured effect is farthest from what the model expects to be measured."
)


class Choice(NamedTuple):
    """What is asked for: the condition, the cells to measure in, the threshold and the genes."""

    condition: str
    cells: effect_tables.Cells
    alpha: float
    genes: Picked

    @property
    def words(self) -> str:
        """The cells in words."""
        return effect_tables.CELL_WORDS[self.cells]


@st.fragment
def one_perturbation(page: EffectPage) -> None:
    """Compare all genes of one condition."""
    follow(page, GENE_KEY)
    choice = _choose(page)
    try:
        with st.spinner("Asking the model what it expects to be measured…", show_time=False):
            known = statistics((page.run.cache_key, choice.condition, choice.cells), page)
    except SamsError as error:
        st.error(str(error), icon=":material/error:")
        return
    genes = choice.genes.genes
    shown = known if genes is None else known.loc[genes]
    fit = page.fits.T[choice.condition]
    _score_cards(fit, shown, choice)
    st.markdown(effect_tables.describe_fit(fit, len(page.genes)))
    if genes is not None:
        st.markdown(describe_set(shown, choice.genes.name))
    if not fit["seen_in_training"]:
        st.info(card.unseen_sentence(page.run), icon=":material/visibility_off:")
    plot = st.segmented_control(
        "Figure",
        PLOTS,
        default=SCATTER,
        required=True,
        key="effect_plot",
        bind="query-params",
        help=_HELP,
    )
    n_control = page.n_control(choice.cells)
    code = effect_code.Statistics(choice.condition, choice.cells, n_control, genes)
    name = f"{page.run.name}_{choice.condition}"
    if plot == SCATTER:
        left, right = st.columns([6, 5], gap="medium")
    else:
        left = right = st.container()
    with left:
        _DRAW[plot](shown, choice, code, name)
    with right:
        order = most_surprising if plot == RESIDUALS else effect_tables.strongest_first
        controls.table_to_open(
            order(shown)[[*SHOWN, *shown.columns.difference(SHOWN, sort=False)]],
            open_gene,
            key="condition_table",
            name=f"{name}_{choice.cells}_effects",
            column_config=STATISTICS,
        )


@kept(128)
def statistics(key: tuple[str, str, effect_tables.Cells], _page: EffectPage) -> pd.DataFrame:
    """Every statistic of a condition's genes; the key names run, condition and cells."""
    _, condition, cells = key
    return gene_statistics(
        _page.run.model(),
        _page.table,
        condition,
        cells=cells,
        n_control=_page.n_control(cells),
    )


def _choose(page: EffectPage) -> Choice:
    links.tell(CONDITION_KEY, page.conditions)
    links.tell("cells", controls.CELLS)
    links.tell("fdr", controls.FDR_WORDS)
    links.tell("effect_plot", PLOTS)
    notices = st.container(gap=None)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        condition = controls.pick(
            "Perturbation",
            page.conditions,
            key=CONDITION_KEY,
            default=effect_tables.strongest_condition(page.table),
            help="Type to search; combinations are written A+B. It opens on the perturbation that "
            "changes the most genes.",
            width=220,
        )
        cells = controls.pick_cells("cells")
        alpha = controls.pick_fdr("fdr")
        genes = page.pick_sets(
            "Genes of",
            [ALL_GENES],
            key="gene_set",
            notices=notices,
            help="Show only the genes of a pathway or gene set; type to search. FDRs stay those "
            "over all genes.",
        )
    resolved = effect_tables.resolve_cells(page.table, condition, cells)
    return Choice(condition, resolved, alpha, genes)


def _score_cards(fit: pd.Series, shown: pd.DataFrame, choice: Choice) -> None:
    """Show one condition's scores, each beside what it should be read against."""
    cards = st.grid(5, min_column_width=150)
    for label, score, term in (
        ("Pearson", "", "Pearson"),
        ("Pearson, top 20", "_top20", "top 20"),
    ):
        cards.metric(
            label,
            effect_tables.two_digits(fit[f"pearson{score}"]),
            delta=f"ceiling {effect_tables.two_digits(fit[f'ceiling{score}'])}",
            delta_color="off",
            delta_arrow="off",
            border=True,
            help=f"{GLOSSARY[term]} On held-out cells. Ceiling: {GLOSSARY['ceiling']}",
        )
    seen = "seen in training" if fit["seen_in_training"] else "not seen in training"
    cards.metric(
        "Trained / held out",
        f"{fit['n_cells_train']:,} / {fit['n_cells_test']:,}",
        delta=seen,
        delta_color="blue" if fit["seen_in_training"] else "orange",
        delta_arrow="off",
        border=True,
        help=f"Cells with this perturbation. {GLOSSARY['held-out cells']} A condition not seen in "
        "training is held out whole: the model never saw it in any cell.",
    )
    cards.metric(
        "Significant genes",
        f"{int((shown['fdr'] < choice.alpha).sum()):,}",
        delta=f"of {len(shown):,}, {choice.cells.replace('-', ' ')}",
        delta_color="off",
        delta_arrow="off",
        border=True,
        help=f"{GLOSSARY['FDR']} Measured on {int(shown['n_cells'].iloc[0]):,} cells and "
        f"{int(shown['n_control_cells'].iloc[0]):,} control cells.",
    )
    checked = np.isfinite(shown["ppc_p"])
    share = shown.loc[checked, "outside"].mean() if checked.any() else np.nan
    cards.metric(
        "Outside 90%",
        f"{share:.0%}" if np.isfinite(share) else "–",
        delta="10% expected",
        delta_color="off",
        delta_arrow="off",
        border=True,
        help=f"Share of the {int(checked.sum()):,} checked genes whose measured effect lies "
        "outside the model's predictive interval; 10% would if the model were right. "
        f"{GLOSSARY['predictive interval']}",
    )


def _scatter(shown: pd.DataFrame, choice: Choice, code: effect_code.Statistics, name: str) -> None:
    x_title = f"Measured in {choice.words}"
    correlation = effect_tables.pearson(shown["model"].to_numpy(), shown["data"].to_numpy())
    show_figure(
        effect_scatter(shown, alpha=choice.alpha, x_title=x_title),
        key="effect_scatter",
        alt=f"{choice.condition}: the model's effects on {len(shown):,} genes correlate "
        f"{effect_tables.two_digits(correlation)} with those measured in {choice.words}.",
        name=f"{name}_effects",
        code=code.figure("effects", "effect_scatter", alpha=choice.alpha, x_title=x_title),
        data=shown,
    )
    st.caption(
        "One point is one gene; on the dashed line the model is exact. A ring marks a gene whose "
        "measured effect lies outside the model's 90% interval.",
        help=GLOSSARY["predictive interval"],
    )


def _volcano(shown: pd.DataFrame, choice: Choice, code: effect_code.Statistics, name: str) -> None:
    told = describe_volcano(shown, choice.alpha)
    st.markdown(told, help=GLOSSARY["expected significance"])
    show_figure(
        volcano(shown, alpha=choice.alpha, measured_in=choice.words),
        key="effect_volcano",
        alt=f"{choice.condition}: {told}",
        name=f"{name}_volcano",
        code=code.figure("effect_views", "volcano", alpha=choice.alpha, measured_in=choice.words),
        data=shown,
    )
    st.caption(
        f"Left: how significant the model expects each gene to be when it is measured in "
        f"{int(shown['n_cells'].iloc[0]):,} cells{_unchecked(shown)}. Right: Welch's test of what "
        "was measured."
    )


def _ma(shown: pd.DataFrame, choice: Choice, code: effect_code.Statistics, name: str) -> None:
    told = describe_volcano(shown, choice.alpha)
    st.markdown(told, help=GLOSSARY["expected significance"])
    show_figure(
        ma_plot(shown, alpha=choice.alpha, measured_in=choice.words),
        key="effect_ma",
        alt=f"{choice.condition}, effects by expression in control cells: {told}",
        name=f"{name}_ma",
        code=code.figure("effect_views", "ma_plot", alpha=choice.alpha, measured_in=choice.words),
        data=shown,
    )
    st.caption(
        "Genes with little expression in control cells, on the left, are measured with the most "
        "noise: large effects there, in the data alone, are often chance."
    )


def _residuals(
    shown: pd.DataFrame, choice: Choice, code: effect_code.Statistics, name: str
) -> None:
    told = describe_residuals(shown)
    st.markdown(told, help=f"{GLOSSARY['predictive interval']} {GLOSSARY['predictive p-value']}")
    ordered = most_surprising(shown)
    show_figure(
        residual_intervals(ordered, limit=N_RESIDUALS),
        key="effect_residuals",
        alt=f"{choice.condition}: {plain(told)}",
        name=f"{name}_surprising_genes",
        code=code.figure("effect_views", "residual_intervals", surprising=True, limit=N_RESIDUALS),
        data=ordered,
    )
    n_shown = min(N_RESIDUALS, int(shown["ppc_p"].notna().sum()))
    st.caption(
        f"The {n_shown} most surprising genes. Bars: where the model expects 90% of measurements "
        f"in {int(shown['n_cells'].iloc[0]):,} cells and {int(shown['n_control_cells'].iloc[0]):,} "
        "control cells. Lines: one standard error of the measurement."
    )


def _unchecked(shown: pd.DataFrame) -> str:
    """Say how many genes have too few counts to expect anything of them."""
    n = int(shown["ppc_p"].isna().sum())
    return f"; without {n:,} that have next to no counts" if n else ""


_DRAW = {SCATTER: _scatter, VOLCANO: _volcano, MA: _ma, RESIDUALS: _residuals}
