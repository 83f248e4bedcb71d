"""`evaluate`: how good a trained model is, beside baselines and the data's own ceiling."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from sams_core.analysis.evaluation_config import EvaluationConfig
from sams_core.cli.flags import Table, flags
from sams_core.cli.steps import Steps
from sams_core.cli.terminal import reports_failures, say

EVALUATION_FLAGS = Table("evaluation", "Evaluation", EvaluationConfig)
WIDE = 160


@reports_failures
@flags(EVALUATION_FLAGS)
def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder written by train.")],
    evaluation: dict[str, Any],
    screen: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The screen that RUN was trained on, if it has been moved."
        ),
    ] = None,
) -> None:
    """Judge a trained model on cells it was not trained on.

    Everything is scored on test cells, beside baselines that know only training cells and beside
    the data themselves measured twice (the ceiling). Scores below a baseline are shown as they are.

    The figures go to RUN/evaluation.json, from which compare and the models page make tables, and
    the predictive check of every gene and condition to RUN/predictive_check.h5ad. RUN/mask.h5ad is
    what compare measures the agreement of seeds by.
    """
    from sams_core.analysis import evaluate as evaluating
    from sams_core.settings import validated

    config = validated(EvaluationConfig, evaluation)
    with Steps(evaluating.STEPS) as steps:
        found = evaluating.evaluate(run, screen=screen, config=config, progress=steps.report)
    _report(run, found)


def _report(run: Path, found: dict[str, Any]) -> None:
    from sams_core.cli import evaluation_report as report
    from sams_core.perturbation_model import STATE

    simulated = " (simulated screen)" if found["simulated"] else ""
    say(f"\n{found['label']}, seed {found['seed']}, on {found['title']}{simulated}", style="bold")
    say(report.iwelbo_sentence(found["iwelbo"]))
    scores = report.Scores(found["scores"])
    console = Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)
    if scores.scopes:
        for table in report.tables(scores, found["n_genes"]):
            console.print(table)
        say("* is the best of the model and the baselines; ↑ higher is better, ↓ lower is better.")
        for scope in scores.scopes:
            say(report.verdict(scores, scope))
    else:
        say("No condition has enough test cells to be scored.")
    if calibration := report.calibration_table(found):
        console.print(calibration)
    for sentence in report.sentences(found):
        say(sentence)
    if (run / STATE.parent).exists():
        say("This run is not trained to its end: train --resume, then evaluate again.")
    say("\nNext:", style="bold")
    say(f"  python -m sams_core compare {run} ANOTHER_RUN")
