"""Checkpoints side by side, with baselines and the data's own ceiling."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from sams_core import explorer
from sams_core.analysis import mask_tables, model_tables, replication_tables
from sams_core.analysis.comparison import DEFAULT_METRICS, lines_table, paper_table
from sams_core.analysis.paper_results import SOURCE, SOURCE_NORMAN
from sams_core.analysis.replication import match_latents
from sams_core.analysis.score_names import metric_of
from sams_core.explorer import (
    GLOSSARY,
    catalogue,
    columns,
    comparing,
    controls,
    links,
    models_code,
    results,
)
from sams_core.explorer.navigation import enter_by_the_front_door
from sams_core.explorer.state import chosen_entry, mark_simulated, open_entry
from sams_core.figures import models

VIEWS = ["Side by side", "Training fraction", "Replication", "The paper"]


@st.fragment
def side_by_side() -> None:
    """Show the paper's table for the chosen screen and split, and one figure of it as bars."""
    mark_simulated(shown.simulated)
    splits = list(dict.fromkeys(shown.table["split"]))
    links.tell("split", splits)
    notices = st.container()
    with st.container(horizontal=True):
        split = controls.pick(
            "Split",
            splits,
            key="split",
            help="Which cells were trained on and which held out. Figures on different splits are "
            "never averaged or put in one table.",
        )
        table = shown.table[shown.table["split"] == split]
        scopes, titles = model_tables.scopes_in(table), comparing.titles(table)
        with notices:
            links.tell("scope", scopes)
            links.tell("figures", titles)
        scope = scopes[
            controls.pick(
                "Scores over",
                list(scopes),
                key="scope",
                help="Which conditions' effects are scored. Figures of a whole run, such as mask "
                "F1, are the same for all.",
            )
        ]
    chosen = st.multiselect(
        "Figures",
        list(titles),
        default=[title for title, name in titles.items() if name in DEFAULT_METRICS],
        key="figures",
        bind="query-params",
        help="Columns of the table; it opens on those of the paper.",
    )
    metrics = [titles[title] for title in chosen]
    rows = paper_table(table, scope=scope, metrics=metrics)
    comparing.show_scores(rows, metrics, key="models_table", name=f"{shown.title}_{split}_models")
    comparing.show_verdicts(rows, metrics)
    bars(table, titles, split)


def bars(table: pd.DataFrame, titles: dict[str, str], split: str) -> None:
    """Draw one figure of all models, for conditions seen and not seen in training if there are."""
    st.subheader("One figure at a time", anchor=False)
    metric = comparing.pick_figure(titles, key="figure")
    words = {scope: text for text, scope in model_tables.scopes_in(table).items()}
    scopes = model_tables.generalisation_scopes(words)
    rows = model_tables.scope_table(table, metric, scopes)
    kept = [scope for scope in scopes if scope in set(rows["scope"])] or scopes[:1]
    told = model_tables.tell_scopes(table, metric, kept)
    st.markdown(told)
    titled = {scope: words.get(scope, scope) for scope in kept}
    drawing: dict[str, Any] = {
        "title": comparing.axis_title(metric),
        "digits": metric_of(metric).digits,
        "direction": metric_of(metric).direction,
        "from_zero": metric != "iwelbo",
    }
    explorer.show_figure(
        models.score_bars(rows, titled, **drawing),
        key="models_bars",
        alt=f"{comparing.axis_title(metric)} of every model and baseline. {told}".replace("**", ""),
        name=f"{shown.title}_{metric}",
        code=models_code.bars_code(shown, split, metric, titled, scopes, drawing),
        data=rows,
    )
    st.caption(
        "Whiskers are one standard deviation over runs with different seeds. The ceiling is a "
        "second measurement: of training cells or, where a condition has none, of half its "
        "held-out cells. A model that averages noise out can pass it."
        + (f" {comparing.FEWER}" if rows["coverage"].any() else "")
    )


@st.fragment
def training_fraction() -> None:
    """Draw one figure over the fraction of the combinations that trained."""
    mark_simulated(shown.simulated)
    table = shown.table[shown.table["fraction"].notna()]
    if table.empty:
        st.info(comparing.NO_FRACTIONS, icon=":material/show_chart:")
        return
    settings = list(dict.fromkeys(table["setting"]))
    links.tell("setting", settings)
    notices = st.container()
    with st.container(horizontal=True):
        setting = controls.pick("Setting", settings, key="setting", help=comparing.SETTINGS_HELP)
        table = table[table["setting"] == setting]
        scopes, titles = model_tables.scopes_in(table), comparing.titles(table)
        with notices:
            links.tell("fraction_scope", scopes)
        scope = scopes[
            controls.pick(
                "Scores over",
                list(scopes),
                default=model_tables.unseen_first(scopes),
                key="fraction_scope",
                help="Held-out combinations are the same at every fraction, so that their scores "
                "can be compared along a line; those of all conditions cannot.",
            )
        ]
        metric = comparing.pick_figure(titles, key="fraction_figure")
    lines = lines_table(table, metric, scope=scope)
    lines["name"] = model_tables.shared_names(lines)
    told = model_tables.tell_lines(lines, metric)
    st.markdown(told)
    if len(set(lines["fraction"])) == 1:
        st.info(comparing.ONE_FRACTION, icon=":material/show_chart:")
        return
    drawing: dict[str, Any] = {
        "x_title": comparing.FRACTION,
        "y_title": comparing.axis_title(metric),
        "digits": metric_of(metric).digits,
    }
    explorer.show_figure(
        models.fraction_lines(lines, **drawing),
        key="models_lines",
        alt=f"{comparing.axis_title(metric)} over the fraction in training. {told}".replace(
            "**", ""
        ),
        name=f"{shown.title}_{metric}_by_fraction",
        code=models_code.lines_code(shown, setting, metric, scope, drawing),
        data=lines,
    )
    if lines["fewer"].any():
        st.caption(comparing.FEWER)
    lines["name"] = model_tables.names(lines)
    explorer.show_table(
        lines[["name", "kind", "fraction", "mean", "sd", "n"]],
        key="models_lines_table",
        name=f"{shown.title}_{metric}_by_fraction",
        column_config=columns.LINES,
    )


@st.fragment
def replication() -> None:
    """Match the latents of two checkpoints and show which mask entries both open."""
    masked = comparing.replicable(entries)
    if not masked:
        st.info(comparing.NO_PAIR, icon=":material/compare:")
        return
    pair = pick_pair(masked)
    threshold = st.slider(
        "Threshold on the inclusion probability",
        *(0.05, 0.95, 0.5, 0.05),
        key="pair_threshold",
        bind="query-params",
        width=300,
        help=GLOSSARY["open"],
    )
    first, second = (open_entry(entry) for entry in pair)
    mark_simulated(first.simulated)
    masks = [mask_tables.trained(run.masks()) for run in (first, second)]
    responses = [
        mask_tables.responses(table, run.config["genes"])
        for table, run in zip(masks, (first, second), strict=True)
    ]
    match = match_latents(
        *map(mask_tables.frame, masks),
        *(mask_tables.frame(table, "effect") for table in masks),
        first_responses=responses[0],
        second_responses=responses[1],
        threshold=threshold,
    )
    likeness = "how they shift perturbed cells"
    if all(table is not None for table in responses):
        likeness += " and in what they do to the genes"
    told = replication_tables.tell_replication(match, first.name, second.name)
    st.markdown(told)
    explorer.show_figure(
        models.replication_map(replication_tables.entries_in_order(match), first.name, second.name),
        key="replication_map",
        alt=told.replace("**", ""),
        name=f"{first.name}_{second.name}_replication",
        code=models_code.replication_code(first, second, threshold),
    )
    st.caption(
        "Latents have no order and no sign of their own: those of the second checkpoint are "
        "moved to the latents of the first that they are most like, one to one, in "
        f"{likeness}. Entries that do not replicate say more of the seed than of the screen."
    )
    explorer.show_table(
        replication_tables.latent_pairs(match),
        key="replication_table",
        name=f"{first.name}_{second.name}_latents",
        column_config=columns.LATENT_PAIRS,
    )


def pick_pair(masked: list[catalogue.Entry]) -> tuple[catalogue.Entry, catalogue.Entry]:
    """Ask for two checkpoints on one screen; the sidebar's is the first unless another is asked."""
    by_name = {entry.name: entry for entry in masked}
    links.tell("first", by_name)
    default = chosen_entry(entries).name
    with st.container(horizontal=True):
        first = by_name[
            controls.pick(
                "First checkpoint",
                list(by_name),
                default=default if default in by_name else None,
                key="first",
                width=380,
                help="Prepared checkpoints with masks of whose screen there are at least two.",
            )
        ]
        others = [
            entry.name
            for entry in masked
            if entry.fingerprint == first.fingerprint and entry is not first
        ]
        second = controls.pick(
            "Second checkpoint",
            others,
            key="second",
            width=380,
            help="Another on the same screen: another seed, inference, model or split.",
        )
    return first, by_name[second]


def the_paper() -> None:
    """Show the paper's own numbers, for reference."""
    mark_simulated(False)
    st.subheader(SOURCE, anchor=False)
    comparing.show_scores(
        model_tables.paper_rows(),
        ["iwelbo", "pathway_accuracy", "pearson"],
        key="paper_table",
        name="paper_table",
        digits={"pathway_accuracy": 2},
    )
    st.caption(
        "Measured on other screens than yours and split otherwise: hold orders and differences "
        "against yours, not values."
    )
    st.subheader(SOURCE_NORMAN, anchor=False)
    norman = model_tables.norman_rows()
    for place, (metric, title) in zip(st.columns(2), comparing.NORMAN.items(), strict=True):
        lines = norman.assign(mean=norman[metric], sd=float("nan"))
        drawing: dict[str, Any] = {
            "x_title": comparing.FRACTION,
            "y_title": title,
            "digits": 2,
            "legend_below": True,
        }
        with place:
            explorer.show_figure(
                models.fraction_lines(lines, **drawing),
                key=f"paper_{metric}",
                alt=f"{title} on Norman's screen, by model and fraction, as the paper gives it.",
                name=f"paper_norman_{metric}",
                code=models_code.paper_code(metric, drawing),
                data=norman[["name", "kind", "fraction", metric]],
            )
    explorer.show_table(
        norman.drop(columns="kind"),
        key="paper_norman",
        name="paper_norman",
        column_config=columns.LINES,
    )


enter_by_the_front_door()
entries = catalogue.find()
found, problems = results.find(entries)
top = st.container()
if found:
    by_name = {result.name: result for result in found}
    links.tell("results", by_name)
    name = controls.pick(
        "Results",
        list(by_name),
        default=comparing.of_the_chosen_screen(found, entries),
        key="results",
        width=420,
        help="Runs on one screen, whatever model, inference, seed or split. Screens are never "
        "mixed.",
    )
    shown = by_name[name]
with top:
    explorer.header(
        "Models",
        "Which model does best on this screen, by how much, and does any beat a simple baseline?",
        screen=shown.title if found else None,
        simulated=bool(found) and shown.simulated,
    )
comparing.about(found, problems, shown if found else None)
tabs = st.tabs(VIEWS, key="models_view", bind="query-params", on_change="rerun")
for tab, draw in zip(tabs, (side_by_side, training_fraction, replication, the_paper), strict=True):
    if tab.open:
        with tab:
            if found or draw not in (side_by_side, training_fraction):
                draw()
            else:
                st.info(comparing.NO_RESULTS, icon=":material/leaderboard:")
