"""Several ways to do one thing, timed side by side, each in a process of its own.

Sides take turns, so that what else the machine does falls on all of them, and each has its own peak
of memory.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

Run = Callable[[], Any]

PRELOADED = ["benchmarks.training", "benchmarks.effects"]
"""Imported once, in the process that the sides' processes are forked from."""

_STATUS = Path("/proc/self/status")
_FORGET = Path("/proc/self/clear_refs")
_FORGET_PEAK = "5"  # proc_pid_clear_refs(5): resets VmHWM to what is resident


@dataclass(frozen=True)
class Side:
    """One way to do it.

    Attributes
    ----------
    make
        Makes what is timed: called once in the side's own process with ``arguments``, not timed.
        A function of a module, as a new process must find it.
    arguments
        What ``make`` is called with.
    fresh
        Whether its process starts with nothing imported but the module of ``make``.
    at_work
        Whether each timed call follows one that is not timed, so that it is that of a process at
        work: one that has just been woken has cold caches and sleeping threads.
    """

    make: Callable[..., Run]
    arguments: tuple[Any, ...] = ()
    fresh: bool = False
    at_work: bool = False


@dataclass(frozen=True)
class Measured:
    """What came of one side.

    Attributes
    ----------
    seconds
        Of each timed call.
    peak_mib
        Largest resident memory while it ran, with all that the process holds, in MiB; None where
        the system does not tell.
    result
        What the last call returned.
    """

    seconds: list[float]
    peak_mib: float | None
    result: Any

    @property
    def median(self) -> float:
        """Median seconds of a call."""
        return median(self.seconds)


def race(sides: Mapping[str, Side], *, repeats: int, warm_ups: int = 1) -> dict[str, Measured]:
    """Time sides in turns, each in a process of its own.

    Parameters
    ----------
    sides
        By name; all processes live at the same time, one runs at a time.
    repeats
        Timed calls of each side.
    warm_ups
        Calls of each side before, not timed.

    Raises
    ------
    RuntimeError
        If a side fails; its traceback is on stderr.
    """
    workers: dict[str, _Worker] = {}
    try:
        for name, side in sides.items():
            workers[name] = _Worker(name, side)
        for worker in workers.values():
            worker.ready()
        seconds = interleaved(
            {name: worker.call for name, worker in workers.items()}, repeats, warm_ups
        )
        return {
            name: Measured(seconds[name], worker.finish(), worker.result)
            for name, worker in workers.items()
        }
    finally:
        for worker in workers.values():
            worker.stop()


def interleaved(
    calls: Mapping[str, Callable[[], float]], repeats: int, warm_ups: int = 1
) -> dict[str, list[float]]:
    """Let calls take turns, the first of a round last in the next.

    Parameters
    ----------
    calls
        By name; each returns how long it took.
    repeats, warm_ups
        Rounds that count, and rounds before that do not.

    Returns
    -------
    What the counted calls returned, by name.
    """
    taken: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for round_ in range(-warm_ups, repeats):
        for name in names:
            value = calls[name]()
            if round_ >= 0:
                taken[name].append(value)
        names = names[1:] + names[:1]
    return taken


def timed(run: Run, clock: Callable[[], float] = time.perf_counter) -> Callable[[], float]:
    """Return a function that runs ``run`` and returns the seconds it took."""

    def call() -> float:
        started = clock()
        run()
        return clock() - started

    return call


def peak_mib() -> float | None:
    """Largest resident memory of this process since it started or forgot it; None if untold."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    found = next((line for line in lines if line.startswith("VmHWM:")), None)
    return None if found is None else int(found.split()[1]) / 1024


def forget_peak() -> None:
    """Start the peak again from what is resident, where the system can."""
    try:
        _FORGET.write_text(_FORGET_PEAK)
    except OSError:
        return


@dataclass
class _Worker:
    """A side's process, from this process's point of view."""

    name: str
    side: Side
    result: Any = None
    process: Any = field(init=False)
    connection: Connection = field(init=False)

    def __post_init__(self) -> None:
        context: Any = multiprocessing.get_context("spawn" if self.side.fresh else "forkserver")
        if not self.side.fresh:
            context.set_forkserver_preload(PRELOADED)
        self.connection, theirs = context.Pipe()
        self.process = context.Process(
            target=_serve,
            args=(theirs, self.side.make, self.side.arguments, 1 + self.side.at_work),
        )
        self.process.start()
        theirs.close()

    def ready(self) -> None:
        """Wait until the side is made."""
        self._receive()

    def call(self) -> float:
        """Run once; returns the seconds it took."""
        self.connection.send(True)
        seconds, self.result = self._receive()
        return float(seconds)

    def finish(self) -> float | None:
        """End the process; returns its peak."""
        self.connection.send(False)
        peak: float | None = self._receive()
        return peak

    def stop(self) -> None:
        self.connection.close()
        self.process.join(timeout=10)
        if self.process.is_alive():
            self.process.terminate()
            self.process.join()

    def _receive(self) -> Any:
        try:
            return self.connection.recv()
        except EOFError:
            raise RuntimeError(f"The side {self.name!r} of a benchmark has failed.") from None


def _serve(
    connection: Connection, make: Callable[..., Run], arguments: tuple[Any, ...], calls: int
) -> None:
    """Call a side whenever told to, and time the last call, until told otherwise or left alone."""
    run = make(*arguments)
    forget_peak()
    with suppress(EOFError, BrokenPipeError):
        connection.send(None)
        while connection.recv():
            for _ in range(calls):
                started = time.perf_counter()
                result = run()
                seconds = time.perf_counter() - started
            connection.send((seconds, result))
        connection.send(peak_mib())
