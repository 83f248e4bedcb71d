"""Rows of the benchmark: as a table for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table
from rich.text import Text

FIELDS = ("name", "unit", "ours", "plain", "floor", "peak_mib")
"""Of a row in JSON."""
RATES = ("cells/s",)
"""Units of which more is better."""


@dataclass(frozen=True)
class Row:
    """One measurement beside its counterparts of the same run.

    Attributes
    ----------
    name, unit
        What was measured, in which unit.
    ours, plain, floor
        Of this library, of the same written the obvious way, and of what cannot be saved; None
        where there is none.
    peak_mib
        Largest resident memory of ours, in MiB.
    faster_than_plain
        How many times better than plain ours must be.
    of_floor
        How many times the floor ours may take.
    at_most
        How much ours may be, in ``unit``.
    note
        What else is to be said.
    """

    name: str
    unit: str
    ours: float
    plain: float | None = None
    floor: float | None = None
    peak_mib: float | None = None
    faster_than_plain: float | None = None
    of_floor: float | None = None
    at_most: float | None = None
    note: str = ""

    @property
    def plain_ratio(self) -> float | None:
        """How many times better than plain ours is."""
        if self.plain is None:
            return None
        return self.ours / self.plain if self.unit in RATES else self.plain / self.ours

    @property
    def floor_ratio(self) -> float | None:
        """How many times the floor ours takes."""
        if self.floor is None:
            return None
        return self.floor / self.ours if self.unit in RATES else self.ours / self.floor

    @property
    def verdicts(self) -> dict[str, bool]:
        """Whether each demand that is made of the row is met, by its name."""
        asked = {
            "faster_than_plain": (self.plain_ratio, self.faster_than_plain, 1),
            "of_floor": (self.floor_ratio, self.of_floor, -1),
            "at_most": (self.ours, self.at_most, -1),
        }
        return {
            name: sign * value >= sign * limit
            for name, (value, limit, sign) in asked.items()
            if limit is not None and value is not None
        }


def write_json(rows: Sequence[Row], path: Path) -> None:
    """Write rows as a list of objects with :data:`FIELDS`; null where there is no figure."""
    values = [{name: _rounded(getattr(row, name)) for name in FIELDS} for row in rows]
    path.write_text(json.dumps(values, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def table(rows: Sequence[Row]) -> Table:
    """Rows as a table; demands stand beside the figures, green where met and red where not."""
    shown = Table(title="Medians of one run", title_justify="left", pad_edge=False)
    shown.add_column("", min_width=30)
    for name in ("unit", "ours", "plain", "floor", "plain / ours", "ours / floor", "peak MiB"):
        shown.add_column(name, justify="left" if name == "unit" else "right", no_wrap=True)
    for row in rows:
        met = row.verdicts
        title = Text(row.name)
        if row.note:
            title.append(f"\n  {row.note}", style="dim")
        shown.add_row(
            title,
            row.unit,
            _asked(row.ours, "<=", row.at_most, met.get("at_most")),
            _figure(row.plain),
            _figure(row.floor),
            _asked(row.plain_ratio, ">=", row.faster_than_plain, met.get("faster_than_plain")),
            _asked(row.floor_ratio, "<=", row.of_floor, met.get("of_floor")),
            _figure(row.peak_mib),
        )
    return shown


def unmet(rows: Sequence[Row]) -> Iterator[str]:
    """Names of the rows of which more is asked than was measured."""
    return (row.name for row in rows if not all(row.verdicts.values()))


def _asked(value: float | None, sign: str, limit: float | None, met: bool | None) -> Text:
    text = Text(_figure(value))
    if limit is not None and met is not None:
        text.append(f" ({sign} {_figure(limit)})", style="green" if met else "bold red")
    return text


def _figure(value: float | None) -> str:
    if value is None:
        return "–"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def _rounded(value: str | float | None) -> str | float | None:
    return float(f"{value:.4g}") if isinstance(value, float) else value
