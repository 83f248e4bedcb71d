"""`compare`: evaluated runs side by side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

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
) -> None:
    """Put evaluated runs side by side, with baselines and the data's own ceiling.

    Runs that differ only in their seed are averaged. There is a table for each screen and split.
    """
    from sams_core.analysis.comparison import DEFAULT_METRICS, read_runs, tidy
    from sams_core.analysis.comparison_text import comparison_csv, report, sections

    evaluations, left_out = read_runs(runs)
    metrics = tuple(metric or DEFAULT_METRICS)
    known = set(tidy(evaluations)["metric"])
    for name in metric or ():
        if name not in known:
            raise ConfigError(f"No run has the metric {name!r}{nearest(name, sorted(known))}.")
    tables = sections(evaluations, metrics)
    if form == "csv":
        text = comparison_csv(tables)
    elif form == "markdown":
        text = report(evaluations, metrics=metrics)
    else:
        on_terminal = out is None and sys.stdout.isatty()
        text = "\n".join(_drawn(heading, table, on_terminal) for heading, table in tables)
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
