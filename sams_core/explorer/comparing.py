"""The pieces of the models page: tables of runs, sentences about them, and what to do without."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from sams_core.analysis.comparison import coverage
from sams_core.analysis.evaluation_files import MASKED_FAMILIES
from sams_core.analysis.model_tables import best_row, comparable, metrics_in, verdict
from sams_core.analysis.score_names import NOTHING, mean_and_sd, metric_of
from sams_core.explorer import catalogue
from sams_core.explorer.controls import pick
from sams_core.explorer.glossary import FIGURES
from sams_core.explorer.results import Results
from sams_core.explorer.state import chosen_entry
from sams_core.explorer.widgets import download_csv
from sams_core.figures.style import GREEN, ORANGE

NO_RESULTS = """
No run has been evaluated yet. Train checkpoints on your screen, with several seeds or models, and
score each on its held-out cells:

```
python -m sams_core train SCREEN.h5ad --perturbation-key COLUMN --out runs/mine
python -m sams_core evaluate runs/mine
```

or let a sweep do all of it, for every model, inference, seed and split that a file names:

```
python -m sams_core sweep CONFIG.toml --out runs/sweep
```

then start the app again with `SAMS_CORE_RUNS=runs`.
"""
NO_FRACTIONS = """
No run on this screen trained on a stated fraction of its combinations. A sweep over fractions does:
name splits of the kind `ood_combinations` or `data_efficiency` with several values of `fraction` in
its file, and run `python -m sams_core sweep CONFIG.toml --out runs/sweep`.
"""
ONE_FRACTION = """
All runs of this setting trained on one fraction: Side by side has their scores. A line needs a
sweep over several values of `fraction`.
"""
NO_PAIR = """
There are no two prepared checkpoints with masks on one screen. Train the same model with another
seed and prepare it too:

```
python -m sams_core train SCREEN.h5ad --perturbation-key COLUMN --seed 1 --out runs/again
python -m sams_core prepare runs/again
```
"""
FEWER = (
    'A name marked as over fewer conditions, such as "(5 of 8 conditions)", is scored on those '
    "alone, which is no like-for-like comparison with the models; so it is never called best."
)
"""What is said where scores are over fewer conditions than others'."""
SETTINGS_HELP = (
    "**Held-out combinations**: some combinations are test cells only, and a fraction of the "
    "others trains. **Data efficiency**: a fraction of every combination's cells trains."
)
NORMAN = {
    "iwelbo_relative": "test IWELBO, relative to SAMS-VAE at 0 (higher is better)",
    "pearson": "ATE Pearson (higher is better)",
}
"""Figures of the paper's Norman results, and their axes."""
FRACTION = "Fraction of the combinations in training"

_DIRECTION_WORDS = {1: "higher is better", -1: "lower is better", 0: ""}
_ARROWS = {1: " ↑", -1: " ↓", 0: ""}
_KIND_WORDS = {"baseline": "baseline", "ceiling": "ceiling"}


def titles(table: pd.DataFrame) -> dict[str, str]:
    """Figures that a tidy table holds, by their headings."""
    return {metric_of(name).title: name for name in metrics_in(table)}


def axis_title(metric: str) -> str:
    """Heading of a figure and which way is better."""
    words = _DIRECTION_WORDS[metric_of(metric).direction]
    return metric_of(metric).title + (f" ({words})" if words else "")


def pick_figure(choices: dict[str, str], *, key: str) -> str:
    """Ask for one figure, the effects' correlation first; its name."""
    preferred = next((title for title, name in choices.items() if name == "pearson"), None)
    title = pick(
        "Figure",
        list(choices),
        default=preferred,
        key=key,
        help="\n\n".join(f"**{title}**: {_words(name)}" for title, name in choices.items()),
    )
    return choices[title]


def show_scores(
    rows: pd.DataFrame,
    metrics: Sequence[str],
    *,
    key: str,
    name: str,
    digits: Mapping[str, int] | None = None,
) -> None:
    """Show rows of `sams_core.analysis.comparison.paper_table` as "mean ± sd".

    The best model of each figure stands out in bold green; a baseline that beats every model does
    in bold orange. A row over fewer conditions than others says so.

    Parameters
    ----------
    rows, metrics
        What to show.
    key
        Unique on the page.
    name
        File name, without ending, of the CSV.
    digits
        Decimals of figures that are to have others than usual.
    """
    metrics = [metric for metric in metrics if metric in rows]
    table = rows.reset_index(drop=True)
    if "conditions" in table:
        table["model"] += coverage(table)
    table["inference"] = table["inference"].where(
        table["kind"].eq("model"), table["kind"].map(_KIND_WORDS)
    )
    shown = table[["model", "inference", *metrics, *(["n"] if "n" in table else [])]]
    styled = shown.style.apply(lambda _: _emphasis(table, shown.columns), axis=None)
    for metric in metrics:
        places = (digits or {}).get(metric, metric_of(metric).digits)
        for row in table.index:
            text = mean_and_sd(table[metric].iloc[row], table[f"{metric}_sd"].iloc[row], places)
            styled = styled.format(_constant(text), subset=(slice(row, row), slice(metric, metric)))
    st.dataframe(
        styled,
        key=key,
        hide_index=True,
        height="content",
        placeholder=NOTHING,
        alt=name.replace("_", " "),
        column_config=_column_config(metrics),
    )
    download_csv(rows, key=key, name=name)
    if "conditions" in rows and coverage(rows).any():
        st.caption(FEWER)


def show_verdicts(rows: pd.DataFrame, metrics: Sequence[str]) -> None:
    """Say for each figure who is best; first, and as a warning, where a baseline beats them all."""
    verdicts = [found for metric in metrics if (found := verdict(rows, metric))]
    beaten = [sentence for sentence, is_beaten in verdicts if is_beaten]
    if beaten:
        st.warning("\n\n".join(beaten), icon=":material/balance:")
    won = [sentence for sentence, is_beaten in verdicts if not is_beaten]
    st.markdown("\n".join(f"- {sentence}" for sentence in won))


def about(found: Sequence[Results], problems: Sequence[str], shown: Results | None) -> None:
    """Say where the shown results come from, and which files could not be read."""
    for problem in problems:
        st.warning(problem, icon=":material/warning:")
    if shown is not None and shown.command:
        st.caption(f"Shipped with the app; made by `{shown.command}`.")
    elif shown is not None:
        runs = shown.table["run"].nunique()
        others = len(found) - 1
        also = f" {others} more to choose from." if others else ""
        st.caption(f"{runs:,} evaluated run{'s' if runs > 1 else ''} on this screen.{also}")


def of_the_chosen_screen(found: Sequence[Results], entries: list[catalogue.Entry]) -> str:
    """Name the results on the screen of the sidebar's checkpoint, or else the first."""
    wanted = chosen_entry(entries).fingerprint if entries else ""
    return next((each.name for each in found if each.fingerprint == wanted), found[0].name)


def replicable(entries: Sequence[catalogue.Entry]) -> list[catalogue.Entry]:
    """Prepared checkpoints with masks of whose screen there are at least two."""
    masked = [e for e in entries if e.problem is None and e.family in MASKED_FAMILIES]
    number = Counter(entry.fingerprint for entry in masked)
    return [entry for entry in masked if number[entry.fingerprint] > 1]


def _words(metric: str) -> str:
    direction = _DIRECTION_WORDS[metric_of(metric).direction]
    text = FIGURES.get(metric, "A figure that this version of the app has no words for.")
    return f"{text} {direction.capitalize()}." if direction else text


def _constant(text: str) -> Callable[[object], str]:
    return lambda _: text


def _emphasis(table: pd.DataFrame, columns: pd.Index) -> pd.DataFrame:
    css = pd.DataFrame("", index=table.index, columns=columns)
    for metric in columns.drop(["model", "inference", "n"], errors="ignore"):
        best = best_row(table, metric, "model")
        if best is None:
            continue
        stressed = {"model": (best, GREEN)}
        found, simple = verdict(table, metric), best_row(table, metric, "baseline")
        if found is not None and found[1] and simple is not None:
            stressed["baseline"] = (simple, ORANGE)
        for kind, (row, colour) in stressed.items():
            equal = comparable(table, metric, kind) & table[metric].eq(table.loc[row, metric])
            css.loc[equal, metric] = f"font-weight: bold; color: {colour}"
    return css


def _column_config(metrics: Sequence[str]) -> dict[str, Any]:
    return {
        "model": st.column_config.TextColumn("Model", pinned=True),
        "inference": st.column_config.TextColumn(
            "Inference",
            help="How effects, masks and cells are inferred from the data; the model card on the "
            "Start page says it in words. Baselines use no model: they predict from averages of "
            "training cells. The ceiling is the agreement that noise in the data leaves.",
        ),
        **{
            metric: st.column_config.NumberColumn(
                metric_of(metric).title + _ARROWS[metric_of(metric).direction], help=_words(metric)
            )
            for metric in metrics
        },
        "n": st.column_config.NumberColumn(
            "n",
            help="Runs with different seeds that are averaged; ± is one standard deviation over "
            "them. Baselines and the ceiling depend on the split alone and count once for each.",
        ),
    }
