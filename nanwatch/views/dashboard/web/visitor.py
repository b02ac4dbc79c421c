"""The process in which a visitor's dashboard runs: how it starts, what passes through, and that it surely ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from textual_serve.app_service import AppService
from textual_serve.download_manager import DownloadManager

_GRACE_S = 3.0
"""Seconds that a dashboard has to end by itself, and then once more after SIGTERM."""
_MOST_CELLS = 1000
"""A window is never larger than this, either way."""
_LONGEST_LINE = 4096
_FIRST_LINES = 10
_BEGUN = b"__GANGLION__\n"
"""The line with which Textual's driver for browsers begins."""
_DRIVER = "nanwatch.views.dashboard.web.driver:ServedDriver"
_OF_ANOTHER_TERMINAL = ("LINES", "COLORFGBG", "COLORTERM", "TMUX", "STY")
"""Variables that tell of the terminal in which the server runs, not of the browser."""


class VisitorDashboard(AppService):
    """Runs *argv* for one visitor, and passes its screen and the visitor's keys on.

    What it writes to stderr goes to *say*, line by line; *cut* breaks the connection off.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        write_bytes: Callable[[bytes], Awaitable[None]],
        write_str: Callable[[str], Awaitable[None]],
        close: Callable[[], Awaitable[object]],
        cut: Callable[[], None],
        download_manager: DownloadManager,
        say: Callable[[str], None],
    ) -> None:
        async def close_it() -> None:
            await close()

        super().__init__(
            "", write_bytes=write_bytes, write_str=write_str, close=close_it, download_manager=download_manager
        )
        self._argv, self._say, self._cut = argv, say, cut
        self._said: deque[str] = deque(maxlen=20)
        self._is_left = False

    # -- start

    def _build_environment(self, width: int = 80, height: int = 24) -> dict[str, str]:
        environment = super()._build_environment(_cells(width), _cells(height))
        for name in _OF_ANOTHER_TERMINAL:
            environment.pop(name, None)
        for name in ("LC_ALL", "LC_CTYPE", "LANG"):
            if environment.get(name) in ("C", "POSIX"):
                del environment[name]  # a browser shows every character, whatever the server's terminal does
        return {**environment, "PYTHONIOENCODING": "utf-8", "TEXTUAL_DRIVER": _DRIVER}

    async def _open_app_process(self, width: int = 80, height: int = 24) -> Process:
        """Start the dashboard, in a session of its own: Ctrl-C is for the server, which then ends it."""
        self._process = await asyncio.create_subprocess_exec(
            *self._argv, stdin=PIPE, stdout=PIPE, stderr=PIPE, start_new_session=True,
            env=self._build_environment(width, height),
        )  # fmt: skip
        self._stdin = self._process.stdin
        return self._process

    async def set_terminal_size(self, width: int, height: int) -> None:
        """Tell the dashboard how many cells there are now."""
        await super().set_terminal_size(_cells(width), _cells(height))

    # -- run

    async def run(self) -> None:
        """Pass on what the dashboard shows until it has ended, and say what it said."""
        process = self._process
        if process is None or process.stdout is None or process.stderr is None:
            raise RuntimeError("start() comes first")
        listening = asyncio.create_task(self._listen(process.stderr, process.pid))
        try:
            if not await self._show(process.stdout):
                await listening
                await self._to_visitor(self.remote_write_bytes, self._farewell())
        finally:
            _signal(process, signal.SIGKILL)  # it has ended, unless what it wrote could not be understood
            await listening
            await self._to_visitor(self.remote_close)
            await process.wait()

    async def _show(self, stdout: asyncio.StreamReader) -> bool:
        """Pass on what the dashboard shows; return whether it ever began to."""
        if not await self._has_begun(stdout):
            return False
        with suppress(asyncio.IncompleteReadError):  # that is how it ends
            await self._forward(stdout)
        return True

    async def _has_begun(self, stdout: asyncio.StreamReader) -> bool:
        for _ in range(_FIRST_LINES):
            line = await stdout.readline()
            if line == _BEGUN or not line:
                return bool(line)
        return False

    async def _forward(self, stdout: asyncio.StreamReader) -> None:
        """Pass packets on; without a visitor they are still read, so that the dashboard never waits and can end."""
        while True:
            kind, size = await stdout.readexactly(1), int.from_bytes(await stdout.readexactly(4), "big")
            payload = await stdout.readexactly(size)
            take = {b"D": self.on_data, b"M": self.on_meta, b"P": self.on_packed}.get(kind)
            if take is not None:
                await self._to_visitor(take, payload)

    async def _to_visitor(self, send: Callable[..., Awaitable[None]], *payload: bytes) -> None:
        if self._is_left:
            return
        try:
            await send(*payload)
        except ConnectionError:
            self._is_left = True

    async def _listen(self, stderr: asyncio.StreamReader, pid: int) -> None:
        rest = b""
        while data := await stderr.read(_LONGEST_LINE):
            *lines, rest = (rest + data).split(b"\n")
            if len(rest) > _LONGEST_LINE:
                lines, rest = [*lines, rest], b""
            for line in lines:
                self._hear(line, pid)
        self._hear(rest, pid)

    def _hear(self, line: bytes, pid: int) -> None:
        text = line.decode("utf-8", "replace").rstrip()
        if text:
            self._said.append(text)
            self._say(f"dashboard {pid}: {text}")

    def _farewell(self) -> bytes:
        lines = ["The dashboard did not start.", *self._said]
        return "\r\n".join("".join(c for c in line if c.isprintable()) for line in lines).encode()

    # -- end

    async def stop(self) -> None:
        """End the dashboard: it is asked, then told, then killed; it is gone when this returns."""
        task, self._task = self._task, None
        process = self._process
        if task is None or process is None:
            return
        self._is_left = True
        await self._download_manager.cancel_app_downloads(app_service_id=self.app_service_id)
        if process.stdin is not None:
            process.stdin.write(self.encode_packet(b"M", b'{"type": "quit"}'))
        if not await _has_ended(task):
            self._cut()  # a visitor that takes nothing more would keep us from reading to the end
            _signal(process, signal.SIGTERM)
        if not await _has_ended(task):
            _signal(process, signal.SIGKILL)
        await asyncio.wait({task})
        if (error := task.exception()) is not None:
            self._say(f"dashboard failed: {error}")


async def _has_ended(task: asyncio.Task[None]) -> bool:
    done, _ = await asyncio.wait({task}, timeout=_GRACE_S)
    return bool(done)


def _signal(process: Process, number: int) -> None:
    # Not by process.send_signal: that may see the end of the process, and asyncio, which waits for it, never would.
    if process.returncode is None:
        with suppress(ProcessLookupError, PermissionError):  # it has ended just now
            os.killpg(process.pid, number)


def _cells(count: int) -> int:
    return max(1, min(int(count), _MOST_CELLS))


def command(options: Sequence[str]) -> list[str]:
    """Return the command that shows a dashboard with these options of `nanwatch tail`.

    Python looks for modules in the folder in which it is started only where it did so for this process.
    """
    safe = [] if sys.path[0] in ("", os.getcwd()) else ["-P"]  # noqa: PTH109 - as Python puts it there
    return [sys.executable, *safe, "-m", "nanwatch", "tail", *options]
