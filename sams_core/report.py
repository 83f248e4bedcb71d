"""A report of saved views: one HTML file that opens offline, with figures that stay interactive."""

from __future__ import annotations

import base64
import html
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version

from plotly.offline import get_plotlyjs

from sams_core import __version__
from sams_core.report_style import INK, SCRIPT, STYLE

POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline' 'unsafe-eval'; connect-src blob: data:"
)
"""Nothing is ever loaded from elsewhere; plotly compiles its WebGL code as it runs."""


@dataclass(frozen=True)
class Checkpoint:
    """The trained model that a figure shows, as the report names it."""

    name: str
    title: str
    digest: str
    seed: int
    family: str
    simulated: bool
    citation: str | None
    versions: Mapping[str, str]


@dataclass(frozen=True)
class ReportFigure:
    """One figure.

    Attributes
    ----------
    spec
        Plotly's JSON.
    alt
        Its finding in a sentence.
    file
        File name, without ending, of its table.
    code
        Python that makes it again.
    table
        Its numbers as CSV; None where they are too many.
    checkpoint
        What it shows; None for a figure of several.
    """

    spec: str
    alt: str
    file: str
    code: str | None
    table: str | None
    checkpoint: Checkpoint | None


@dataclass(frozen=True)
class ReportView:
    """One view with its figures; ``problem`` says what went wrong, if anything did."""

    name: str
    caption: str
    url: str
    figures: tuple[ReportFigure, ...]
    problem: str | None = None


def write_report(title: str, views: Sequence[ReportView], *, made: datetime) -> str:
    """Write the report.

    Parameters
    ----------
    title
        Of the report.
    views
        In order.
    made
        When, with its time zone.

    Returns
    -------
    str
        HTML that needs nothing else: plotly.js is in it once.
    """
    checkpoints = {
        figure.checkpoint.digest: figure.checkpoint
        for view in views
        for figure in view.figures
        if figure.checkpoint is not None
    }
    sections = [_section(view, number) for number, view in enumerate(views, start=1)]
    contents = "".join(
        f'<li><a href="#view-{number}">{_text(view.name)}</a></li>'
        for number, view in enumerate(views, start=1)
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="generator" content="sams_core {__version__}">
<title>{_text(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>{_text(title)}</h1>
<p class="made">{_plural(len(views), "view")} of the sams_core explorer, made on
<time datetime="{made.isoformat()}">{made:%d %B %Y, %H:%M} {made:%Z}</time>.</p>
<nav aria-label="Views"><ol>{contents}</ol></nav>
</header>
<main>
{"".join(sections)}
</main>
<footer>
<h2>What this rests on</h2>
{"".join(_provenance(each) for each in checkpoints.values())}
<p>Report written by {_versions(_own_versions())}. Everything it needs is in this file.</p>
</footer>
<script>{get_plotlyjs()}</script>
<script>const INK = {json.dumps(INK)};{SCRIPT}</script>
</body>
</html>
"""


def _section(view: ReportView, number: int) -> str:
    figures = "".join(
        _figure(figure, f"figure-{number}-{place}")
        for place, figure in enumerate(view.figures, start=1)
    )
    problem = f'<p class="problem" role="note">{_text(view.problem)}</p>' if view.problem else ""
    caption = f'<p class="caption">{_text(view.caption)}</p>' if view.caption else ""
    return f"""<section id="view-{number}" aria-labelledby="title-{number}">
<h2 id="title-{number}"><span class="number">{number}</span> {_text(view.name)}</h2>
{caption}{problem}{figures}
<p class="address">In the explorer: <code>{_text(view.url)}</code></p>
</section>
"""


def _figure(figure: ReportFigure, name: str) -> str:
    parts = []
    if figure.checkpoint is not None:
        parts.append(_source(figure.checkpoint))
    if figure.table is not None:
        data = base64.b64encode(figure.table.encode()).decode()
        parts.append(
            f'<a download="{_text(figure.file)}.csv" href="data:text/csv;base64,{data}">'
            "Save its numbers (CSV)</a>"
        )
    code = (
        "<details><summary>Python that makes this figure again</summary>"
        f"<pre><code>{_text(figure.code)}</code></pre></details>"
        if figure.code is not None
        else ""
    )
    return f"""<figure>
<div class="plot" id="{name}" role="img" aria-label="{_text(figure.alt)}"></div>
<script type="application/json" data-for="{name}">{_json(figure.spec)}</script>
<figcaption>{_text(figure.alt)}</figcaption>
<p class="source">{" · ".join(parts)}</p>
{code}</figure>
"""


def _source(checkpoint: Checkpoint) -> str:
    simulated = (
        ' · <strong class="simulated">simulated screen</strong>' if checkpoint.simulated else ""
    )
    return (
        f"{_text(checkpoint.title)} · checkpoint <code>{_text(checkpoint.digest[:12])}</code>, "
        f"seed {checkpoint.seed}{simulated}"
    )


def _provenance(checkpoint: Checkpoint) -> str:
    kind = "a simulated screen, made by a computer" if checkpoint.simulated else "a measured screen"
    rows = {
        "Screen": f"{checkpoint.title} ({kind})",
        "Data": checkpoint.citation,
        "Model": checkpoint.family,
        "Digest": checkpoint.digest,
        "Seed": str(checkpoint.seed),
        "Trained with": _versions(checkpoint.versions),
    }
    cells = "".join(
        f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in rows.items() if value
    )
    return f"<h3>Checkpoint {_text(checkpoint.name)}</h3><dl>{cells}</dl>"


def _own_versions() -> dict[str, str]:
    return {
        "sams_core": __version__,
        "Python": platform.python_version(),
        **{package: version(package) for package in ("streamlit", "plotly")},
    }


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())


def _plural(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _text(text: str) -> str:
    return html.escape(text, quote=True)


def _json(spec: str) -> str:
    """JSON that cannot end the script element that it stands in."""
    return spec.replace("<", "\\u003c")
