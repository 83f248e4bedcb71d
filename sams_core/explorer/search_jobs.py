"""Searches that run beside the pages: a few at once over the server, one for each session.

A search runs in a thread of its own, as a page's script cannot wait for it. The page looks at its
`Job` every second; a job that nobody looks at any longer ends by itself.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import streamlit as st

from sams_core.errors import SamsError

if TYPE_CHECKING:
    from sams_core.analysis.pair_search import PairSearch

_LOG = logging.getLogger(__name__)
KEPT = 8
"""Results that are kept for everybody."""
AT_ONCE = {"small": 2, "large": 1}
"""Searches that run at once, so that small ones need not wait for large ones."""
WAITING = 20
"""Searches that may run or wait; more are refused."""
PATIENCE = 30.0
"""Seconds without a look after which a job gives up: its user has left."""
Work = Callable[[Callable[[float], None], Callable[[], bool]], "PairSearch"]
"""What searches: it tells its progress to the first, and asks the second whether to stop."""


class BusyError(SamsError):
    """So many searches run or wait that another is refused."""


@dataclass
class Job:
    """A search that runs, waits or has ended.

    Attributes
    ----------
    key
        What is searched for.
    share
        Done so far, in [0, 1].
    started
        When it began to run, on the monotonic clock; None while it waits.
    result
        What was found; of a cancelled search, the finished part.
    problem
        Why it failed, as a sentence.
    """

    key: Hashable
    share: float = 0.0
    started: float | None = None
    result: PairSearch | None = None
    problem: str | None = None
    _stop: threading.Event = field(default_factory=threading.Event)
    _done: threading.Event = field(default_factory=threading.Event)
    _looked: float = field(default_factory=time.monotonic)

    @property
    def done(self) -> bool:
        """Whether it has ended, one way or another."""
        return self._done.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait until it has ended, but not longer than this; whether it has."""
        return self._done.wait(seconds)

    def look(self) -> None:
        """Say that somebody still wants it."""
        self._looked = time.monotonic()

    def cancel(self) -> None:
        """Ask it to stop; it keeps what it has found."""
        self._stop.set()

    def stopped(self) -> bool:
        """Whether it was cancelled or is given up."""
        return self._stop.is_set() or time.monotonic() - self._looked > PATIENCE

    def seconds_left(self) -> float | None:
        """Time to go at the speed so far; None while that is unknown."""
        if self.started is None or self.share < 0.02:
            return None
        return (time.monotonic() - self.started) * (1 - self.share) / self.share


class Searches:
    """All searches of the server, and the latest results."""

    def __init__(self) -> None:
        self._lanes = {name: threading.Semaphore(n) for name, n in AT_ONCE.items()}
        self._lock = threading.Lock()
        self._open = 0
        self._kept: OrderedDict[Hashable, PairSearch] = OrderedDict()

    def kept(self, key: Hashable) -> PairSearch | None:
        """A whole result that somebody has searched for before."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def start(self, key: Hashable, work: Work, *, large: bool, keep: bool) -> Job:
        """Begin a search, or have it wait for its turn.

        Parameters
        ----------
        key
            What is searched for.
        work
            The search.
        large
            Whether it takes long.
        keep
            Whether its result may be kept for others.

        Raises
        ------
        BusyError
            When `WAITING` searches run or wait already.
        """
        with self._lock:
            if self._open >= WAITING:
                raise BusyError(
                    f"{self._open} searches run or wait on this server: try again in a minute."
                )
            self._open += 1
        job = Job(key)
        lane = self._lanes["large" if large else "small"]
        arguments = (job, work, lane, keep)
        threading.Thread(target=self._run, args=arguments, name="search", daemon=True).start()
        return job

    def _run(self, job: Job, work: Work, lane: threading.Semaphore, keep: bool) -> None:
        try:
            if self._turn(job, lane):
                try:
                    self._work(job, work, keep)
                finally:
                    lane.release()
        finally:
            with self._lock:
                self._open -= 1
            job._done.set()

    def _turn(self, job: Job, lane: threading.Semaphore) -> bool:
        """Wait for the turn; False if the job is cancelled before it comes."""
        while not job.stopped():
            if lane.acquire(timeout=0.2):
                return True
        return False

    def _work(self, job: Job, work: Work, keep: bool) -> None:
        job.started = time.monotonic()

        def tell(share: float) -> None:
            job.share = share

        try:
            found = work(tell, job.stopped)
        except SamsError as error:
            job.problem = str(error)
            return
        except Exception:
            _LOG.exception("A search failed")
            job.problem = "The search failed: choose something else, or start the app again."
            return
        job.result = found
        if keep and found.complete:
            with self._lock:
                self._kept[job.key] = found
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)


@st.cache_resource(show_spinner=False)
def searches() -> Searches:
    """Those of this server."""
    return Searches()
