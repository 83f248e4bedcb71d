"""Tasks on Dask: begun at once, given back in order, and failures in one sentence."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from distributed import Client, KilledWorker, LocalCluster
from distributed.client import FutureCancelledError

from sams_core.cluster import OnWorkers, sentence
from sams_core.errors import ClusterError, ConfigError, ScreenError


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """Workers that are threads of this process."""
    options = {"processes": False, "dashboard_address": ":0", "threads_per_worker": 1}
    with LocalCluster(n_workers=2, **options) as cluster, Client(cluster) as client:
        yield client


def scaled(value: float, *, by: float, wait: float = 0.0) -> float:
    time.sleep(wait * value)
    return value * by


def leave_a_mark(path: str) -> None:
    Path(path).touch()


def fail(kind: type[Exception]) -> None:
    raise kind("line one\nline two.")


def test_results_come_in_the_order_of_the_items(client: Client) -> None:
    assert list(OnWorkers(client).run(scaled, [0.3, 0.2, 0.0], by=10.0, wait=1.0)) == [
        3.0,
        2.0,
        0.0,
    ]
    assert list(OnWorkers(client).run(scaled, iter([]), by=2.0)) == []


def test_work_begins_before_results_are_asked_for(client: Client, tmp_path: Path) -> None:
    results = OnWorkers(client).run(leave_a_mark, [str(tmp_path / "mark")])
    deadline = time.monotonic() + 20
    while not (tmp_path / "mark").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert list(results) == [None]


def test_failures_are_sentences(client: Client) -> None:
    with pytest.raises(ScreenError, match="line one"):  # already one
        list(OnWorkers(client).run(fail, [ScreenError]))
    with pytest.raises(MemoryError):
        list(OnWorkers(client).run(fail, [MemoryError]))
    with pytest.raises(ClusterError) as caught:
        list(OnWorkers(client).run(fail, [KeyError]))
    assert str(caught.value).startswith("The worker could not run it: KeyError: ")
    assert "\n" not in str(caught.value)


def test_what_dask_says_is_translated() -> None:
    assert "want of memory" in sentence(KilledWorker("task", cast(Any, None), 3))
    assert "connection was lost" in sentence(FutureCancelledError("task", "scheduler-lost"))


def test_a_scheduler_without_workers_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sams_core.cluster.CONNECT_SECONDS", 0.3)
    options = {"processes": False, "dashboard_address": ":0"}
    with (
        LocalCluster(n_workers=0, **options) as cluster,
        Client(cluster, set_as_default=False) as client,
        pytest.raises(ConfigError, match="has no workers: start some with `dask worker"),
    ):
        OnWorkers(client)
