"""Prometheus and its Alertmanager as real programs, and facts for them to be told."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.error import URLError
from urllib.request import ProxyHandler, Request, build_opener

import pytest

from nanwatch.model.health import DestinationHealth, Health
from nanwatch.model.news import AlertFacts, RunFacts

SHIPPED = Path(__file__).parents[2] / "docs" / "prometheus"
TIMEOUT = 20.0
_T = TypeVar("_T")


# -- programs


def program(name: str) -> str:
    """Return where the program *name* is; without it the test is skipped, or fails where all tests are to run."""
    path = shutil.which(name)
    if path is None:
        reason = f"the program {name} is not installed"
        without = os.environ.get("NANWATCH_TEST_WITHOUT", "").split()  # what could not be installed here
        if os.environ.get("NANWATCH_TEST_ALL") == "1" and name not in without:
            pytest.fail(reason)
        pytest.skip(reason)
    return path


def check(*command: str, stdin: bytes = b"") -> str:
    """Run *command*, a program that checks something, and return what it says; it must be content."""
    done = subprocess.run(
        [program(command[0]), *command[1:]], input=stdin, capture_output=True, timeout=TIMEOUT, check=False
    )
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, said
    return said


@contextmanager
def alertmanager(folder: Path, config: str) -> Iterator[str]:
    """Run an Alertmanager with *config* and its data in *folder*; yield its address."""
    (folder / "alertmanager.yml").write_text(config)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        program("prometheus-alertmanager"),
        "--config.file=alertmanager.yml",
        "--storage.path=alertmanager",
        "--cluster.listen-address=",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with _running(command, folder, url):
        yield url


@contextmanager
def prometheus(folder: Path, config: str) -> Iterator[str]:
    """Run a Prometheus with *config* and its data in *folder*; yield its address."""
    (folder / "prometheus.yml").write_text(config)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        program("prometheus"),
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=prometheus",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with _running(command, folder, url):
        yield url


@contextmanager
def _running(command: Sequence[str], folder: Path, url: str) -> Iterator[None]:
    """Run *command* in *folder* until the end of the block, which begins when it says that it is ready."""
    with (folder / "output").open("wb") as said, subprocess.Popen(command, cwd=folder, stdout=said, stderr=said) as one:
        try:
            awaited(lambda: one.poll() is not None or _is_ready(url), f"{command[0]} to be ready")
            assert one.poll() is None, (folder / "output").read_text()
            yield
        finally:
            one.kill()


def free_port() -> int:
    """Return a port of this machine that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def ask(url: str, body: object = None, accept: str = "*/*") -> bytes:
    """Return what *url* answers; a *body* is posted as JSON."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Accept": accept}
    request = Request(url, data, headers)  # noqa: S310 - tests ask only this machine
    with build_opener(ProxyHandler({})).open(request, timeout=TIMEOUT) as reply:
        return bytes(reply.read())


def awaited(look: Callable[[], _T | None], what: str) -> _T:
    """Look again and again, for a bounded time, until there is something; return it."""
    end = time.monotonic() + TIMEOUT
    while not (found := look()):
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.02)
    return found


def _is_ready(url: str) -> bool:
    try:
        return bool(ask(f"{url}/-/ready"))
    except (URLError, ConnectionError):
        return False


# -- facts


@dataclass
class FixedSource:
    """A source of metrics that tells what it was given."""

    told_runs: Sequence[RunFacts] = ()
    told_alerts: Sequence[tuple[RunFacts, AlertFacts]] = ()
    told_health: Health | None = None
    told_destinations: Sequence[DestinationHealth] = ()

    def runs(self) -> Sequence[RunFacts]:
        """Return the runs."""
        return self.told_runs

    def alerts(self) -> Sequence[tuple[RunFacts, AlertFacts]]:
        """Return the alerts."""
        return self.told_alerts

    def health(self) -> Health | None:
        """Return the daemon's health."""
        return self.told_health

    def destinations(self) -> Sequence[DestinationHealth]:
        """Return the destinations."""
        return self.told_destinations
