"""Dask's workers: processes on this machine, or a cluster by the address of its scheduler."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any

import dask
from distributed import Client, Future, KilledWorker, LocalCluster

from sams_core.errors import ClusterError, ConfigError, SamsError

CONNECT_SECONDS = 10

_TRIMMING = "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_"
"""What makes the C library give memory back at once, so that every large tensor is paged anew."""
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
"""Which Dask would leave at what they are in this process."""


@contextmanager
def connected(scheduler: str | None, n_workers: int) -> Iterator[Client]:
    """A client of workers that are there while the block lasts, or longer on a cluster.

    Local processes are started by spawning, so a script needs the usual
    ``if __name__ == "__main__":``; each computes on one thread.

    Parameters
    ----------
    scheduler
        Address of a Dask scheduler, such as ``tcp://host:8786``; by default local processes are
        started. Dask's connection is neither encrypted nor authenticated unless it was set up to
        be: use it on a trusted network.
    n_workers
        How many local processes.

    Raises
    ------
    ConfigError
        When no scheduler answers.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    if scheduler is not None:
        try:
            client = Client(scheduler, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"No Dask scheduler answers at {scheduler}: start one with `dask scheduler` and "
                "give the address that it prints."
            ) from error
        with client:
            yield client
        return
    with (
        dask.config.set({_TRIMMING: None}),
        LocalCluster(
            n_workers=n_workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            memory_limit=0,
            env=dict.fromkeys(_THREADS, "1"),
            silence_logs=logging.CRITICAL,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


class OnWorkers:
    """Runs tasks on a client's workers, from the moment they are given.

    Results stay on the workers until they are asked for. Then an error is what the task raised, if
    it is a :class:`SamsError`, or :class:`ClusterError` for whatever else kept it from its end.

    Parameters
    ----------
    client
        Connected to a scheduler.

    Raises
    ------
    ConfigError
        When no worker reports.
    """

    def __init__(self, client: Client) -> None:
        self.client, address = client, client.scheduler.address
        try:
            client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except TimeoutError as error:
            raise ConfigError(
                f"The Dask scheduler at {address} has no workers: start some with "
                f"`dask worker {address}`."
            ) from error
        self.n_elsewhere = sum(client.nthreads().values())

    def run(self, task: Callable[..., Any], items: Iterable[Any], **common: Any) -> Iterator[Any]:
        """Begin on ``task(item, **common)`` for every item; results come in order.

        Parameters
        ----------
        task
            A function of a module of this package.
        items, common
            Arrays, text, bytes and numbers; ``common`` is sent once.

        Raises
        ------
        ClusterError
            When they cannot be sent.
        """
        try:
            shared = {
                name: self.client.scatter([value], hash=False)[0] for name, value in common.items()
            }
            with warnings.catch_warnings():  # arrays are what there is to send
                warnings.filterwarnings("ignore", message="Sending large graph")
                futures = self.client.map(task, list(items), **shared, pure=False)
        except (OSError, TimeoutError, CancelledError) as failure:
            raise ClusterError(sentence(CancelledError())) from failure
        return (_result(future) for future in futures)


def sentence(failure: BaseException) -> str:
    """Say why a task has no result."""
    if isinstance(failure, KilledWorker):
        return "Every process that ran it died, as it does for want of memory: use fewer workers."
    if isinstance(failure, CancelledError):
        return "The Dask scheduler or its connection was lost: start it and run again."
    text = " ".join(str(failure).split()).rstrip(".")  # such as sams_core missing on the worker
    return f"The worker could not run it: {type(failure).__name__}: {text}."


def _result(future: Future) -> Any:
    try:
        return future.result()
    except (SamsError, MemoryError):
        raise
    except Exception as failure:
        raise ClusterError(sentence(failure)) from failure
