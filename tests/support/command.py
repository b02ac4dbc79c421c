"""Running the command line as a user does: in this process, or as a program of its own."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
TIMEOUT = 30.0


def environment(home: Path, **more: str) -> dict[str, str]:
    """Return an environment in which *home* is the user's own, without anything of the test's terminal."""
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES", "PYTHONPATH")}
    own = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "XDG_CONFIG_HOME": str(home / "config")}
    return {**kept, **own, "PYTHONPATH": str(ROOT), "PYTHONUTF8": "1", "TERM": "dumb", **more}


def run(home: Path, *arguments: str, stdin: bytes = b"", **more: str) -> subprocess.CompletedProcess[bytes]:
    """Run `nanwatch` with *arguments* to its end, in the folder *home*."""
    command = [sys.executable, "-m", "nanwatch", *arguments]
    return subprocess.run(
        command, input=stdin, capture_output=True, check=False, timeout=TIMEOUT, cwd=home, env=environment(home, **more)
    )


class Following:
    """A `nanwatch tail` that is running."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._out = b""

    def line(self, holding: bytes) -> bytes:
        """Wait for the next line of output that holds *holding*, and return it."""
        assert self.process.stdout is not None
        end = time.monotonic() + TIMEOUT
        while True:
            while b"\n" in self._out:
                found, _, self._out = self._out.partition(b"\n")
                if holding in found:
                    return found
            readable, _, _ = select.select([self.process.stdout], [], [], max(0.0, end - time.monotonic()))
            assert readable, f"no line with {holding!r} came"
            data = os.read(self.process.stdout.fileno(), 1 << 16)
            assert data, f"it ended without a line with {holding!r}"
            self._out += data

    def interrupt(self) -> tuple[int, bytes, bytes]:
        """Press Ctrl-C; return the exit code, what was still printed, and what was said."""
        self.process.send_signal(signal.SIGINT)
        out, said = self.process.communicate(timeout=TIMEOUT)
        return self.process.returncode, self._out + out, said


@contextmanager
def following(home: Path, *arguments: str, stdin: int = subprocess.DEVNULL) -> Iterator[Following]:
    """Run `nanwatch tail` with *arguments* in the background."""
    with subprocess.Popen(
        [sys.executable, "-m", "nanwatch", "tail", *arguments],
        stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=home, env=environment(home),
    ) as process:  # fmt: skip
        try:
            yield Following(process)
        finally:
            if process.poll() is None:
                process.kill()


class Lines:
    """Lines that come through a file descriptor; `text` is all that came so far."""

    def __init__(self, fd: int) -> None:
        self.text = ""
        self._fd, self._seen = fd, 0

    def line(self, holding: str) -> str:
        """Wait for the next line that holds *holding*, and return it."""
        end = time.monotonic() + TIMEOUT
        while True:
            while "\n" in self.text[self._seen :]:
                found, _, _ = self.text[self._seen :].partition("\n")
                self._seen += len(found) + 1
                if holding in found:
                    return found
            readable, _, _ = select.select([self._fd], [], [], max(0.0, end - time.monotonic()))
            assert readable, f"no line with {holding!r} came, but {self.text!r}"
            assert self.read(), f"it ended without a line with {holding!r}: {self.text!r}"

    def read(self) -> bool:
        """Take what is there; return whether there may be more."""
        data = os.read(self._fd, 1 << 16)
        self.text += data.decode()
        return bool(data)


class Serving(Lines):
    """A `nanwatch daemon` that is running, and what it says on stderr."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        super().__init__(process.stderr.fileno())
        self.process = process

    def tell(self, number: int) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Ask it to end; return its exit code once it has. `text` is then all that it said."""
        self.tell(number)
        code = self.process.wait(TIMEOUT)
        while self.read():
            pass
        return code


@contextmanager
def serving(home: Path, *arguments: str, **more: str) -> Iterator[Serving]:
    """Run `nanwatch daemon` with *arguments*, in the folder *home*; it is ready, as a service manager is told.

    *more* is its environment.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("")  # Linux chooses an address, which is in no folder
        manager.settimeout(TIMEOUT)
        address = "@" + manager.getsockname()[1:].decode()
        with subprocess.Popen(
            [sys.executable, "-m", "nanwatch", "daemon", *arguments], stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE, cwd=home, env=environment(home, NOTIFY_SOCKET=address, **more),
        ) as process:  # fmt: skip
            try:
                assert manager.recv(100) == b"READY=1"
                yield Serving(process)
            finally:
                if process.poll() is None:
                    process.kill()


@contextmanager
def ear(path: Path) -> Iterator[Lines]:
    """Make a named pipe at *path*; hear what programs write into it, which nobody ever waits for."""
    os.mkfifo(path)
    fd = os.open(path, os.O_RDWR)
    try:
        yield Lines(fd)
    finally:
        os.close(fd)
