"""How runs end, and who is told."""

from __future__ import annotations

from typing import Any

Outcome = dict[str, Any]
"""``state`` ("done", "failed" or "pending"), ``error`` (a sentence or None), ``seconds``."""


class Listener:
    """Told how a sweep goes; does nothing with it."""

    def begins(self, outcomes: dict[str, Outcome], n_workers: int) -> None:
        """Hear of all runs, those that are done already included, and of the processes at hand."""

    def step(self, name: str, step: str) -> None:
        """Hear what a run is at, such as "training"; called in another thread."""

    def ends(self, name: str, outcome: Outcome) -> None:
        """Hear how a run ended."""

    def stops(self) -> None:
        """Hear that the sweep was interrupted; its processes take a moment to end."""
