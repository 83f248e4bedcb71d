"""Searches beside the pages: turns, cancelling, what is kept, and those that nobody looks at."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias

import pandas as pd
import pytest

from sams_core.analysis.pair_search import PairSearch
from sams_core.errors import ConfigError, SamsError
from sams_core.explorer import search_jobs
from sams_core.explorer.search_jobs import Job, Searches

Tell: TypeAlias = Callable[[float], None]
Ask: TypeAlias = Callable[[], bool]


def result(complete: bool = True) -> PairSearch:
    return PairSearch(pd.DataFrame({"first": ["a"]}), 3, complete)


def at_once(tell: Tell, stopped: Ask) -> PairSearch:
    tell(1.0)
    return result()


def until_stopped(tell: Tell, stopped: Ask) -> PairSearch:
    tell(0.5)
    while not stopped():
        time.sleep(0.005)
    return result(complete=False)


def eventually(condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + 20
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


def ended(job: Job) -> Job:
    assert job.wait(20)
    return job


def test_a_whole_result_is_kept_for_others_unless_it_is_a_users_own() -> None:
    all_searches = Searches()
    job = ended(all_searches.start("a", at_once, large=False, keep=True))
    assert job.share == 1.0
    assert all_searches.kept("a") is job.result is not None
    own = ended(all_searches.start("b", at_once, large=False, keep=False))
    assert own.result is not None
    assert all_searches.kept("b") is None


def test_only_the_latest_results_are_kept() -> None:
    all_searches = Searches()
    for number in range(search_jobs.KEPT):
        ended(all_searches.start(number, at_once, large=False, keep=True))
    assert all_searches.kept(0) is not None  # used: the next to go is 1
    ended(all_searches.start("new", at_once, large=False, keep=True))
    assert all_searches.kept(1) is None
    assert all_searches.kept(0) is not None


def test_a_cancelled_search_has_its_part_and_is_not_kept() -> None:
    all_searches = Searches()
    job = all_searches.start("a", until_stopped, large=True, keep=True)
    assert eventually(lambda: job.share == 0.5)
    left = job.seconds_left()
    assert left is not None
    assert left >= 0
    job.cancel()
    assert ended(job).result is not None
    assert not job.result.complete  # type: ignore[union-attr]
    assert all_searches.kept("a") is None


def test_a_search_that_nobody_looks_at_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_jobs, "PATIENCE", 0.3)
    all_searches = Searches()
    watched = all_searches.start("a", until_stopped, large=False, keep=True)
    left = all_searches.start("b", until_stopped, large=False, keep=True)

    def look() -> bool:
        watched.look()
        return left.done

    assert eventually(look)
    assert not watched.done
    watched.cancel()
    ended(watched)


def test_large_searches_take_turns_and_small_ones_pass_them() -> None:
    all_searches = Searches()
    first = all_searches.start("a", until_stopped, large=True, keep=True)
    assert eventually(lambda: first.started is not None)
    second = all_searches.start("b", until_stopped, large=True, keep=True)
    ended(all_searches.start("small", at_once, large=False, keep=True))
    assert second.started is None
    first.cancel()
    assert eventually(lambda: second.started is not None)
    second.cancel()
    ended(second)


def test_a_search_can_be_cancelled_while_it_waits() -> None:
    all_searches = Searches()
    first = all_searches.start("a", until_stopped, large=True, keep=True)
    assert eventually(lambda: first.started is not None)
    second = all_searches.start("b", at_once, large=True, keep=True)
    second.cancel()
    assert ended(second).result is None
    assert not first.done
    first.cancel()
    ended(first)


def test_too_many_searches_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_jobs, "WAITING", 2)
    all_searches = Searches()
    jobs = [all_searches.start(n, until_stopped, large=True, keep=True) for n in range(2)]
    with pytest.raises(SamsError, match="2 searches run or wait"):
        all_searches.start("c", at_once, large=False, keep=True)
    for job in jobs:
        job.cancel()
        ended(job)
    assert eventually(lambda: all_searches._open == 0)
    ended(all_searches.start("c", at_once, large=False, keep=True))


def test_a_failed_search_says_why_and_gives_its_turn_back() -> None:
    def refused(tell: Tell, stopped: Ask) -> PairSearch:
        raise ConfigError("None of the genes is in the model.")

    def broken(tell: Tell, stopped: Ask) -> PairSearch:
        raise ZeroDivisionError

    all_searches = Searches()
    job = ended(all_searches.start("a", refused, large=True, keep=True))
    assert job.problem == "None of the genes is in the model."
    problem = ended(all_searches.start("b", broken, large=True, keep=True)).problem
    assert problem is not None
    assert problem.startswith("The search failed")
    ended(all_searches.start("c", at_once, large=True, keep=True))
