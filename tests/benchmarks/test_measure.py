"""Turns, medians and peaks, with clocks and callables whose answers are known."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks import measure
from benchmarks.measure import Measured, Side, interleaved, race, timed

MIB = 2**20


def test_sides_take_turns_and_the_first_is_last_in_the_next_round() -> None:
    order: list[str] = []

    def call(name: str) -> Callable[[], float]:
        def run() -> float:
            order.append(name)
            return float(len(order))

        return run

    taken = interleaved({name: call(name) for name in "abc"}, repeats=2, warm_ups=1)
    assert "".join(order) == "abcbcacab"
    assert taken == {"a": [6, 8], "b": [4, 9], "c": [5, 7]}


def test_a_call_takes_what_the_clock_says() -> None:
    times = iter([1.0, 3.5, 10.0, 10.5])
    ran: list[int] = []
    call = timed(lambda: ran.append(1), clock=lambda: next(times))
    assert [call(), call()] == [2.5, 0.5]
    assert len(ran) == 2


def test_median() -> None:
    assert Measured([5.0, 1.0, 2.0], None, None).median == 2.0


def adding(start: int) -> Callable[[], int]:
    total = start

    def run() -> int:
        nonlocal total
        total += 1
        return total

    return run


def holding(mib: int) -> Callable[[], int]:
    return lambda: len(b"x" * (mib * MIB))


def failing() -> Callable[[], None]:
    def run() -> None:
        raise ValueError("as it should")

    return run


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "PRELOADED", [])


@pytest.mark.usefixtures("light")
def test_each_side_runs_in_a_process_of_its_own() -> None:
    done = race(
        {"ten": Side(adding, (10,)), "twenty": Side(adding, (20,), fresh=True)},
        repeats=3,
        warm_ups=2,
    )
    assert {name: side.result for name, side in done.items()} == {"ten": 15, "twenty": 25}
    assert all(len(side.seconds) == 3 for side in done.values())


@pytest.mark.usefixtures("light")
def test_a_side_at_work_is_called_once_more_in_each_turn() -> None:
    done = race({"ten": Side(adding, (10,), at_work=True)}, repeats=3, warm_ups=1)
    assert done["ten"].result == 10 + 2 * 4
    assert len(done["ten"].seconds) == 3


@pytest.mark.usefixtures("light")
def test_peaks_are_of_each_side_alone() -> None:
    if measure.peak_mib() is None:
        pytest.skip("this system does not tell a process's peak")
    done = race({"much": Side(holding, (200,)), "little": Side(holding, (1,))}, repeats=1)
    much, little = done["much"].peak_mib, done["little"].peak_mib
    assert much is not None
    assert little is not None
    assert 150 < much - little < 250


@pytest.mark.usefixtures("light")
def test_a_side_that_fails_is_named() -> None:
    with pytest.raises(RuntimeError, match="'bad'"):
        race({"bad": Side(failing)}, repeats=1)
