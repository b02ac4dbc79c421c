"""Delivery to a program of the user's: an alert as JSON on its stdin, within a time limit, whatever it does."""

from __future__ import annotations

import errno
import json
import os
import selectors
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from typing import IO, Literal, cast

from nanwatch.model.news import Message
from nanwatch.notify.answers import one_line
from nanwatch.notify.base import Outcome
from nanwatch.notify.payload import environment, news_json

_KEPT = 2048
"""Bytes of what a program says that are kept: the last ones."""
_GRACE = 2.0
_TICK = 0.05
_BLOCK = 1 << 16
_TEMPORARY = os.EX_TEMPFAIL
_HOPELESS = frozenset({os.EX_USAGE, os.EX_NOPERM, os.EX_CONFIG, 126, 127})
"""Exit codes that stay the same until somebody mends the program; 126 and 127 are a shell's: not run, not found."""
_NOT_A_PROGRAM = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ENOEXEC, errno.EISDIR})
_TEST_ENVIRONMENT = (
    "RULE", "SEVERITY", "STATE", "RUN", "LOG", "EPOCH", "BATCH", "MESSAGE", "ALERT_ID", "KEY", "HOST", "REASON",
    "CHECKPOINT",
)  # fmt: skip


class CommandNotifier:
    """Runs a program for each alert: arguments as given and no shell, a line of JSON on stdin, `NANWATCH_` variables.

    `command` is the program and its arguments, `timeout` in seconds. The program gets a process group of its own,
    which is ended as a whole when the time is up.
    """

    style: Literal["grouped", "single", "state"] = "single"
    refresh_s = 0.0

    def __init__(self, name: str, command: tuple[str, ...], timeout: float, host: str = "") -> None:
        self.name, self._command, self._timeout, self._host = name, command, timeout, host

    def problem(self) -> str | None:
        """Return why the program cannot be run as things are, in a line for a person, or None."""
        if not self._command:
            return "no program is named"
        program = self._command[0]
        if shutil.which(program):
            return None
        found = os.sep in program and os.path.exists(program)  # noqa: PTH110 - a Path would refuse a NUL byte
        return f"{one_line(program)}: {'not executable' if found else 'not found'}"

    def send(self, message: Message) -> Outcome:
        """Run the program once; return what its exit code means."""
        try:
            process = self._start(message)
        except (OSError, ValueError, IndexError) as error:
            return self._not_started(error)
        with _Conversation(process, _stdin(message, self._host)) as conversation:
            in_time = conversation.run(self._timeout)
        return _outcome(process.returncode, conversation.last_line(), None if in_time else self._timeout)

    def _start(self, message: Message) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            env=os.environ | _variables(message, self._host),
        )

    def _not_started(self, error: Exception) -> Outcome:
        """Tell a program that cannot be run from a system that cannot run one now."""
        if not isinstance(error, OSError):
            return Outcome("rejected", self.problem() or "its arguments hold a NUL byte")
        reason = (error.strerror or type(error).__name__).lower()
        if error.errno in _NOT_A_PROGRAM:
            return Outcome("rejected", self.problem() or f"{one_line(self._command[0])}: {reason}")
        return Outcome("refused" if error.errno == errno.E2BIG else "later", f"cannot be started: {reason}")


class _Conversation:
    """What is said to a program and by it, without ever waiting for it to read, to write, or to close anything."""

    def __init__(self, process: subprocess.Popen[bytes], stdin: bytes) -> None:
        self._process, self._rest = process, memoryview(stdin)
        self._said: dict[IO[bytes], bytearray] = {}
        self._selector = selectors.DefaultSelector()
        self._stdin = cast(IO[bytes], process.stdin)
        self._register(self._stdin, selectors.EVENT_WRITE)
        for stream in (cast(IO[bytes], process.stderr), cast(IO[bytes], process.stdout)):
            self._said[stream] = bytearray()
            self._register(stream, selectors.EVENT_READ)

    def __enter__(self) -> _Conversation:
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the pipes: what the program left running may keep its ends."""
        self._selector.close()
        for stream in (self._stdin, *self._said):
            stream.close()

    def run(self, timeout: float) -> bool:
        """Return once the program has exited; False where it had to be ended after *timeout* seconds."""
        in_time = self._until_exit(timeout)
        if not in_time:
            self._end()
        self._exchange(0)
        return in_time

    def last_line(self) -> str:
        """Return the last line of what the program said on stderr, else on stdout, as inert text."""
        for said in self._said.values():
            lines = (one_line(line) for line in reversed(said.decode("utf-8", "replace").splitlines()))
            if line := next(filter(None, lines), ""):
                return line
        return ""

    def _until_exit(self, timeout: float) -> bool:
        end = time.monotonic() + timeout
        while self._process.poll() is None:
            if (left := end - time.monotonic()) <= 0:
                return False
            self._exchange(min(left, _TICK))
        return True

    def _end(self) -> None:
        """Ask the whole group to end, and kill what of it is left after a short while."""
        if not self._signal(signal.SIGTERM):
            return
        end = time.monotonic() + _GRACE
        while time.monotonic() < end:
            self._exchange(_TICK)
            if self._process.poll() is not None and not self._signal(0):
                return
        self._signal(signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):  # a process that hangs in the kernel cannot be waited for
            self._process.wait(_GRACE)

    def _signal(self, number: int) -> bool:
        """Send *number* to the group; tell whether there was somebody to send it to."""
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):  # a group of zombies is not permitted on some systems
            return False
        return True

    def _exchange(self, seconds: float) -> None:
        """Write and read what is possible now, after waiting for at most *seconds* until something is."""
        if not self._selector.get_map():
            self._pause(seconds)
            return
        for key, _ in self._selector.select(seconds):
            stream = cast(IO[bytes], key.fileobj)
            done = self._write() if stream is self._stdin else self._read(stream)
            if done:
                self._selector.unregister(stream)
                stream.close()

    def _pause(self, seconds: float) -> None:
        """Wait for the program to exit, or once it has, for what it started."""
        if self._process.returncode is not None:
            time.sleep(seconds)
            return
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def _write(self) -> bool:
        try:
            self._rest = self._rest[os.write(self._stdin.fileno(), self._rest[:_BLOCK]) :]
        except BlockingIOError:
            return False
        except BrokenPipeError:  # it does not want to read: its exit code tells the rest
            return True
        return not self._rest

    def _read(self, stream: IO[bytes]) -> bool:
        try:
            data = os.read(stream.fileno(), _BLOCK)
        except BlockingIOError:
            return False
        said = self._said[stream]
        said += data
        del said[:-_KEPT]
        return not data

    def _register(self, stream: IO[bytes], event: int) -> None:
        os.set_blocking(stream.fileno(), False)
        self._selector.register(stream, event)


def _stdin(message: Message, host: str) -> bytes:
    """Return the line of JSON that the program reads."""
    host = host or message.host
    told = news_json(message.news[0], host, message.key) if message.news else _test_json(message, host)
    return json.dumps(told, allow_nan=False).encode() + b"\n"


def _variables(message: Message, host: str) -> dict[str, str]:
    """Return what is added to the environment; without an alert, most of it is empty and the state is `test`."""
    host = host or message.host
    if message.news:
        return environment(message.news[0], host, message.key)
    said = {"STATE": "test", "SEVERITY": message.severity, "MESSAGE": message.title, "KEY": message.key, "HOST": host}
    return {f"NANWATCH_{name}": said.get(name, "").replace("\0", "") for name in _TEST_ENVIRONMENT}


def _test_json(message: Message, host: str) -> dict[str, str]:
    return {"type": "test", "key": message.key, "host": host, "title": message.title, "body": message.body}


def _outcome(code: int, said: str, timeout: float | None) -> Outcome:
    """Return what an exit *code* means: below zero it is the signal that ended the program."""
    if code == 0 and timeout is None:
        return Outcome("sent")
    if timeout is not None:
        what = f"not done after {timeout:g} s"
    elif code < 0:
        what = f"ended by signal {-code}"
    else:
        what = f"exit code {code}"
    reason = f"{what}: {said}" if said else what
    return Outcome("rejected" if timeout is None and code in _HOPELESS else "later", reason)
