from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest

from sams_core import __version__
from sams_core.report import Checkpoint, ReportFigure, ReportView, write_report

MADE = datetime(2026, 3, 4, 5, 6, tzinfo=UTC)
CHECKPOINT = Checkpoint(
    name="run",
    title="A screen",
    digest="0123456789abcdef" * 4,
    seed=7,
    family="sams_vae",
    simulated=False,
    citation="Nobody et al. 2020",
    versions={"torch": "9.9"},
)
NASTY = "</script><img src=x onerror=alert(1)>"


def figure(**fields: Any) -> ReportFigure:
    spec = {"data": [{"type": "bar", "y": [1, 2]}], "layout": {"height": 300}}
    given: dict[str, Any] = {
        "spec": json.dumps(spec),
        "alt": "Two bars.",
        "file": "run_bars",
        "code": "import numpy as np\nfig = ...",
        "table": "a,b\n1,2\n",
        "checkpoint": CHECKPOINT,
    }
    return ReportFigure(**given | fields)


def report(*views: ReportView) -> str:
    return write_report("My report", views, made=MADE)


class Reader(HTMLParser):
    """Elements, what they lead to, and the JSON of figures."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.specs: list[str] = []
        self.words = ""
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        self.links += [str(given[name]) for name in ("src", "href") if name in given]
        self._inside = "json" if given.get("type") == "application/json" else tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "json":
            self.specs.append(data)
        elif self._inside not in ("script", "style"):
            self.words += data


def test_names_everything_that_the_figures_rest_on() -> None:
    words = Reader(report(ReportView("First", "A caption.", "masks?run=run", (figure(),)))).words
    for told in (
        "My report", "04 March 2026, 05:06 UTC", "First", "A caption.", "masks?run=run",
        "Two bars.", "fig = ...", "A screen", CHECKPOINT.digest, "seed 7", "sams_vae", "torch 9.9",
        f"sams_core {__version__}", "Nobody et al. 2020", "a measured screen",
    ):  # fmt: skip
        assert told in words


def test_leads_nowhere_else_and_has_plotly_once() -> None:
    views = [ReportView(f"V{n}", "", "masks", (figure(), figure())) for n in range(3)]
    text = report(*views)
    read = Reader(text)
    assert all(link.startswith(("#", "data:text/csv;base64,")) for link in read.links)
    assert len(read.specs) == 6
    assert len(re.findall(r"plotly\.js v\d", text)) == 1
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert "default-src 'none'" in policy.group(1)
    assert "http" not in policy.group(1)


def test_texts_are_texts_whatever_they_say() -> None:
    spec = json.dumps({"data": [], "layout": {"title": {"text": NASTY}}})
    nasty = figure(spec=spec, alt=NASTY, file=NASTY, code=NASTY)
    read = Reader(report(ReportView(NASTY, NASTY, "masks", (nasty,), NASTY)))
    assert "img" not in read.tags
    assert read.words.count(NASTY) == 6  # contents, heading, caption, problem, finding, code
    assert json.loads(read.specs[0])["layout"]["title"]["text"] == NASTY


def test_a_view_that_failed_is_told() -> None:
    read = Reader(report(ReportView("Lost", "", "masks", (), "The page drew no figure.")))
    assert "The page drew no figure." in read.words
    assert read.specs == []


def test_a_figure_s_numbers_are_in_the_file() -> None:
    (link,) = (
        link
        for link in Reader(report(ReportView("A", "", "masks", (figure(),)))).links
        if link.startswith("data:")
    )
    assert base64.b64decode(link.split(",")[1]).decode() == "a,b\n1,2\n"
    without = Reader(report(ReportView("A", "", "masks", (figure(table=None, code=None),))))
    assert not any(link.startswith("data:") for link in without.links)
    assert "Python that makes" not in without.words


@pytest.mark.parametrize("simulated", [True, False])
def test_a_simulated_screen_is_called_so(simulated: bool) -> None:
    checkpoint = Checkpoint(**{**CHECKPOINT.__dict__, "simulated": simulated})
    words = Reader(report(ReportView("A", "", "masks", (figure(checkpoint=checkpoint),)))).words
    assert ("simulated screen" in words) is simulated
