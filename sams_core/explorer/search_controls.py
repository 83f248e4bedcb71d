"""The controls of the search page: which pairs, and wanted for what."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from sams_core.analysis.effect_tables import gene_names, listed
from sams_core.analysis.markdown import escape
from sams_core.analysis.pair_ranking import RANKINGS, Goal, Kind, candidates, default_gene
from sams_core.explorer.controls import pick
from sams_core.explorer.gene_sets import gene_sets
from sams_core.explorer.glossary import GLOSSARY
from sams_core.explorer.links import tell
from sams_core.explorer.own_gene_sets import own_gene_sets
from sams_core.explorer.run import Run
from sams_core.explorer.search_page import Request

if TYPE_CHECKING:
    from anndata import AnnData

KINDS: dict[str, Kind] = {
    "interact most": "interaction",
    "raise genes": "raise",
    "lower genes": "lower",
    "move towards a condition": "towards",
    "are unlike training": "novelty",
}
_GOAL_HELP = (
    f"**interact most**: {GLOSSARY['interaction']} It counts as strong as "
    "its uncertainty allows.\n\n"
    "**raise / lower genes**: the predicted effect on one gene, or the mean over a gene set.\n\n"
    "**move towards a condition**: how far a pair brings control cells on the way to the "
    "measured profile of a condition, without that condition's own perturbations; beyond 1 it "
    "overshoots.\n\n"
    "**are unlike training**: the pair whose predicted profile is least like any condition in "
    "training. There the model has least to go on, and a measurement teaches most."
)
ALL, GIVEN = "All pairs", "With a given one"
ONE_GENE = "One gene"
MIN_SET = 2
"""Genes of the model that a set must hold to be offered."""
SKIPS = {
    "Measured pairs": "measured",
    "Pairs in training": "seen",
    "Perturbations of these genes": "direct",
}


def request_controls(run: Run) -> Request | None:
    """Draw what a search needs; None, with a word on why, where something is missing."""
    effects = run.effects()
    tell("search_goal", KINDS)
    tell("search_pairs", (ALL, GIVEN))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        words = pick("Find pairs that", list(KINDS), key="search_goal", help=_GOAL_HELP, width=230)
        kind = KINDS[words]
        goal, own = Goal(kind), False
        if kind in ("raise", "lower"):
            goal, own = _pick_genes(kind, effects)
        elif kind == "towards":
            goal = Goal(kind, _pick_condition(effects))
        names = candidates(run.masks(), goal)
        given = _pick_given(names)
        chosen = _pick_some(names)
    if goal.kind == "towards":
        st.caption(_without(run, goal, names))
    if given is None and len(chosen) == 1:
        st.info("Choose two or more perturbations to pair.", icon=":material/add_circle:")
        return None
    return Request(run, goal, tuple(chosen or names), not chosen, given, own)


def ranking_controls(request: Request) -> tuple[str, tuple[str, ...]]:
    """Ask by what to rank, and what to leave out."""
    goal, rankings = request.goal, RANKINGS[request.goal.kind]
    direct = sorted(goal.targets & {*request.perturbations, request.given})
    skips = [words for words, name in SKIPS.items() if direct or name != "direct"]
    tell("search_by", {words for each in RANKINGS.values() for words in each})
    tell("search_skip", SKIPS)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        by = pick(
            "Rank by",
            list(rankings),
            key="search_by",
            help="**Cautious**: the end of the 90% interval that is less good, so that pairs of "
            "which the model is unsure come later. **Prediction**: the middle alone."
            if goal.kind != "novelty"
            else "What the table is sorted by.",
            width=270,
        )
        skip = st.pills(
            "Leave out",
            skips,
            selection_mode="multi",
            key="search_skip",
            bind="query-params",
            help="Pairs that this screen has cells of, or that the model was trained on: what is "
            "left are pairs that nobody has tested here. Perturbations of the genes that are to be "
            "raised or lowered act on them directly.",
        )
    if direct and "direct" not in (SKIPS[words] for words in skip):
        st.caption(
            f"{escape(listed(direct))} {'is' if len(direct) == 1 else 'are'} perturbed in this "
            "screen: pairs with it act on the gene directly."
        )
    return rankings[by], tuple(SKIPS[words] for words in skip)


def _pick_genes(kind: Kind, effects: AnnData) -> tuple[Goal, bool]:
    """Ask for a gene or a gene set; whether it comes from a user's own file."""
    symbols = [str(name) for name in gene_names(effects)]
    columns = dict(zip(symbols, map(str, effects.var_names), strict=True))
    own = own_gene_sets("choose it under “Genes from”.")
    collections = gene_sets() | ({} if own is None else {own.label: own.sets})
    offered = {
        label: {name: genes for name, genes in sets.items() if _inside(genes, columns) >= MIN_SET}
        for label, sets in collections.items()
    }
    labels = [ONE_GENE, *(label for label, sets in offered.items() if sets)]
    tell("search_from", labels)
    label = pick(
        "Genes from",
        labels,
        key="search_from",
        help="A single gene, or a collection of gene sets. Sets with fewer than "
        f"{MIN_SET} genes of this model are not offered.",
        width=230,
    )
    if label == ONE_GENE:
        tell("search_gene", symbols)
        gene = pick(
            "Gene",
            symbols,
            default=symbols[default_gene(effects)],
            key="search_gene",
            help="It opens on the gene that most perturbations change in the data.",
            width=180,
        )
        return Goal(kind, gene, (columns[gene],)), False
    sets = offered[label]
    tell("search_set", sets)
    name = pick(
        "Gene set",
        list(sets),
        key="search_set",
        help="Its genes that the model has; their mean effect counts.",
        width=280,
    )
    genes = tuple(columns[gene] for gene in dict.fromkeys(sets[name]) if gene in columns)
    return Goal(kind, name, genes), own is not None and label == own.label


def _inside(genes: list[str], columns: dict[str, str]) -> int:
    return len({gene for gene in genes if gene in columns})


def _pick_condition(effects: AnnData) -> str:
    strongest = effects.obs["n_significant"].astype(int).sort_values(ascending=False, kind="stable")
    conditions = [str(name) for name in strongest.index]
    tell("search_towards", conditions)
    return pick(
        "Condition",
        conditions,
        key="search_towards",
        help="Its measured effect on the genes that clearly change (FDR 5%), or on all genes "
        "where few do. Conditions with most such genes come first.",
        width=200,
    )


def _pick_given(names: list[str]) -> str | None:
    choice = st.segmented_control(
        "Pairs",
        (ALL, GIVEN),
        default=ALL,
        required=True,
        key="search_pairs",
        bind="query-params",
        help="Every pair of perturbations, or one perturbation with each other.",
    )
    if choice == ALL:
        return None
    tell("search_given", names)
    return pick("Given", names, key="search_given", help="Every pair has it.", width=180)


def _pick_some(names: list[str]) -> list[str]:
    """Ask for some perturbations in a popover; none stand for all."""
    asked = st.session_state.get("search_among", st.query_params.get_all("search_among"))
    chosen = [name for name in asked if name in names]
    label = f"{len(chosen):,} of {len(names):,} perturbations" if chosen else "All perturbations"
    with st.popover(label, icon=":material/filter_list:"):
        tell("search_among", names)
        return st.multiselect(
            "Pair only these",
            names,
            key="search_among",
            bind="query-params",
            placeholder="All that the model was trained on",
            width=420,
            help="Leave it empty for all perturbations that training cells have.",
        )


def _without(run: Run, goal: Goal, names: list[str]) -> str:
    left_out = [name for name in candidates(run.masks(), Goal("novelty")) if name not in names]
    if not left_out:
        return ""
    listed = " and ".join(left_out)
    return f"Without {listed}: pairs with it would be near that profile by what they are made of."
