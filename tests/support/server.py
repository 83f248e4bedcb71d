"""A running Streamlit app on a free loopback port."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Served:
    """A running app: its address, its process, and what it wrote to its log."""

    url: str
    pid: int
    log: IO[bytes]

    def logged(self) -> str:
        """All that the process wrote."""
        self.log.seek(0)
        return self.log.read().decode()


def free_port() -> int:
    """A loopback port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_healthy(url: str) -> bool:
    """Whether the app at the address answers its health check."""
    try:
        with urllib.request.urlopen(f"{url}/_stcore/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


@contextmanager
def serve(
    script: Path = ROOT / "app.py", *, env: dict[str, str] | None = None, patience: float = 60
) -> Iterator[str]:
    """Serve a Streamlit script and yield its address; parameters as :func:`serve_process`."""
    with serve_process(script, env=env, patience=patience) as served:
        yield served.url


@contextmanager
def serve_process(
    script: Path = ROOT / "app.py", *, env: dict[str, str] | None = None, patience: float = 60
) -> Iterator[Served]:
    """Serve a Streamlit script.

    Parameters
    ----------
    script
        What to serve.
    env
        Environment variables on top of this process's own.
    patience
        Seconds to wait for the health check.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "streamlit", "run", str(script)]
    options = {
        "server.port": port,
        "server.address": "127.0.0.1",
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "browser.gatherUsageStats": "false",
    }
    command += [f"--{name}={value}" for name, value in options.items()]
    with TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
        )
        served = Served(url, process.pid, log)
        try:
            deadline = time.monotonic() + patience
            while not is_healthy(url):
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the app did not start:\n{served.logged()}")
                time.sleep(0.2)
            yield served
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
