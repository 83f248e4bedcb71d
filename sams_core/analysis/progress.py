"""How far a computation of several steps is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, float], None]
"""Called with the name of the step and the share of it that is done, in [0, 1]."""


def reporter(progress: Progress | None) -> Callable[[str], Callable[[float], None]]:
    """Return what begins a step by its name and returns what tells how much of it is done."""

    def begin(step: str) -> Callable[[float], None]:
        def at(share: float) -> None:
            if progress is not None:
                progress(step, share)

        at(0.0)
        return at

    return begin
