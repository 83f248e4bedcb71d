"""`compare`: evaluated runs side by side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from sams_core.cli.flags import nearest
from sams_core.cli.terminal import reports_failures, say
from sams_core.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

WIDE = 200
Form = Literal["table", "csv", "markdown"]


@reports_failures
def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Evaluated runs, or folders of sweeps."),
    ],
    metric: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A column; may be given several times. By default the paper's, mask F1 and RMSE.",
        ),
    ] = None,
    form: Annotated[
        Form,
        typer.Option("--format", metavar="NAME", help="table, csv (unrounded) or markdown."),
    ] = "table",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write it there instead.")
    ] = None,
    stability: Annotated[
        bool,
        typer.Option(
            "--stability",
            help="Write stability.h5ad beside each run that has other seeds here: of each mask "
            "entry, the share of seeds in which it is open. The Masks page shows it.",
        ),
    ] = False,
) -> None:
    """Put evaluated runs side by side, with baselines and the data's own ceiling.

    Runs that differ only in their seed are averaged. There is a table for each screen and split.
    Seed agreement is the share of the mask entries that either of two seeds opens that both open
    (Jaccard index), after matching their latents; mean and standard deviation over pairs of seeds.
    """
    from sams_core.analysis.comparison import DEFAULT_METRICS, read_runs, tidy
    from sams_core.analysis.comparison_text import AGREEMENT_IS, comparison_csv, report, sections

    evaluations, left_out = read_runs(runs)
    metrics = tuple(metric or DEFAULT_METRICS)
    agreements = _agreements(evaluations, stability)
    known = set(tidy(evaluations)["metric"]) | ({"seed_agreement"} if agreements else set())
    for name in metric or ():
        if name not in known:
            raise ConfigError(f"No run has the metric {name!r}{nearest(name, sorted(known))}.")
    if metric and "seed_agreement" not in metric:
        agreements = []
    tables = sections(evaluations, metrics, agreements)
    if form == "csv":
        text = comparison_csv(tables)
    elif form == "markdown":
        text = report(evaluations, metrics=metrics, agreements=agreements)
    else:
        on_terminal = out is None and sys.stdout.isatty()
        text = "\n".join(_drawn(heading, table, on_terminal) for heading, table in tables)
        text += f"{AGREEMENT_IS}\n" if agreements else ""
    if out is None:
        typer.echo(text, nl=not text.endswith("\n"))
    else:
        out.write_text(text, encoding="utf-8")
        say(f"Written to {out}.")
    if left_out:
        typer.echo(
            f"Left out, being unfinished or damaged: {', '.join(left_out)}. Run the sweep again "
            "to finish them.",
            err=True,
        )


def _agreements(evaluations: list[dict[str, Any]], write: bool) -> list[Any]:
    from sams_core.analysis.stability import STABILITY, agreements, write_stability

    found, problems = agreements(evaluations, mend=_write_mask if write else None)
    for problem in problems:
        typer.echo(problem, err=True)
    if write:
        for group, agreement in found:
            write_stability(group, agreement)
            names = ", ".join(str(each["run"]) for each in group)
            typer.echo(f"{STABILITY} written beside each of {names}.", err=True)
        if not found:
            typer.echo(
                "No stability was written: it takes two evaluated runs of a family with a mask "
                "that differ in their seed alone.",
                err=True,
            )
    return found


def _write_mask(folder: Path) -> None:
    from sams_core.analysis.seed_masks import write_mask

    write_mask(folder)


def _drawn(heading: str, table: pd.DataFrame, on_terminal: bool) -> str:
    from sams_core.analysis.comparison_text import as_text

    drawn = Table(box=SIMPLE_HEAD, pad_edge=False)
    text = as_text(table)
    for name in text.columns:
        drawn.add_column(name, justify="left" if name in ("model", "inference") else "right")
    kinds = table["kind"].to_list()
    for position, row in enumerate(text.itertuples(index=False)):
        last = position + 1 < len(kinds) and kinds[position] != kinds[position + 1]
        drawn.add_row(*row, end_section=last)
    console = Console(width=None if on_terminal else WIDE, highlight=False, soft_wrap=True)
    with console.capture() as captured:
        console.print(heading, style="bold")
        console.print(drawn, soft_wrap=False)
    return captured.get()
