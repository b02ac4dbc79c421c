"""A program in a terminal of its own: what it draws is cut into frames, each with the time at which it was whole."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.common import BenchmarkError

TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
REVERSED = "\x02"
"""Stands in a row before what is in reverse video."""

_ASKED, _YES = b"\x1b[?2026$p", b"\x1b[?2026;2$y"
"""A program asks whether it may say where a frame ends, as most terminals of today let it, and the answer."""
_END = b"\x1b[?2026l"
_REVERSE = re.compile(rb"\x1b\[(?:[1-6];)*7(?:;[0-9;]*)?m")
_PLACE = re.compile(r"\x1b\[(\d+);(\d+)H")
_CODES = re.compile(rb"\x1b(?:\[[0-9;?<>=$]*[A-GI-Za-z]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
_KEPT = 2000  # frames


@dataclass(frozen=True, slots=True)
class Frame:
    """The rows that one redraw wrote, without colours; `at` is when its last byte came."""

    at: float
    rows: Mapping[int, str]

    @property
    def text(self) -> str:
        """All that was written, a line for each row."""
        return "\n".join(self.rows.values()).replace(REVERSED, "")

    @property
    def chosen(self) -> str:
        """The first row that begins in reverse video, which is where the cursor is, or an empty text."""
        return next((row.replace(REVERSED, "") for row in self.rows.values() if row.startswith(REVERSED)), "")


Seen = Callable[[Frame], bool]


def shows(pattern: str) -> Seen:
    """Return what tells whether a frame shows *pattern*, a regular expression, within one row."""
    found = re.compile(pattern, re.MULTILINE)
    return lambda frame: found.search(frame.text) is not None


class Terminal:
    """Runs *command* in a pseudo-terminal of this size; a context manager that ends whatever was started."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], columns: int, lines: int) -> None:
        self.written = 0  # bytes that came
        self._frames: list[Frame] = []
        self._news = threading.Condition()
        self._is_over = False
        self._master, slave = os.openpty()
        termios.tcsetwinsize(slave, (lines, columns))
        self.begun = time.perf_counter()
        self._process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True,
            preexec_fn=_take_terminal,  # noqa: PLW1509 - it is the only thread yet that a fork could harm
        )  # fmt: skip
        os.close(slave)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._thread.join(5)
        os.close(self._master)

    # -- what is drawn

    def _read(self) -> None:
        rest = b""
        while True:
            try:
                data = os.read(self._master, 1 << 16)
            except OSError:  # what wrote to it is gone
                break
            at = time.perf_counter()
            if _ASKED in data:
                os.write(self._master, _YES)
            *whole, rest = (rest + data).split(_END)
            with self._news:
                self.written += len(data)
                self._frames += [Frame(at, _rows(part)) for part in whole]
                del self._frames[:-_KEPT]
                self._news.notify_all()
        with self._news:
            self._is_over = True
            self._frames.append(Frame(time.perf_counter(), _rows(rest)))
            self._news.notify_all()

    def wait(self, seen: Seen, since: float = 0.0, patience: float = 30.0, what: str = "") -> Frame:
        """Return the first frame after *since* that is as *seen* wants it; wait for it up to *patience* seconds."""
        end, looked_at = time.perf_counter() + patience, since
        with self._news:
            while True:
                for frame in [frame for frame in self._frames if frame.at > looked_at]:
                    if seen(frame):
                        return frame
                    looked_at = frame.at
                left = end - time.perf_counter()
                if left <= 0 or self._is_over:
                    raise BenchmarkError(f"never seen: {what or 'what was waited for'}; last of all {self._last()}")
                self._news.wait(left)

    def last(self, seen: Seen) -> Frame:
        """Return the last frame so far that is as *seen* wants it."""
        with self._news:
            found = next((frame for frame in reversed(self._frames) if seen(frame)), None)
        if found is None:
            raise BenchmarkError(f"never seen; last of all {self._last()}")
        return found

    def _last(self) -> str:
        return "\n".join(frame.text for frame in self._frames[-4:])[-2000:]

    # -- what is typed

    def press(self, keys: bytes, seen: Seen, patience: float = 10.0) -> float:
        """Type *keys*; return the milliseconds until the last byte of the first frame that is as *seen* wants it."""
        at = time.perf_counter()
        os.write(self._master, keys)
        return 1000 * (self.wait(seen, at, patience, f"the effect of {keys!r}").at - at)

    # -- what it costs

    @property
    def cpu(self) -> float:
        """Seconds of processor time used so far."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    @property
    def rss(self) -> float:
        """Resident memory, in MiB."""
        return int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * PAGE / 2**20


def _take_terminal() -> None:
    """Make it the controlling terminal: should the benchmark be killed, the program is hung up."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _rows(data: bytes) -> dict[int, str]:
    """Return what a redraw wrote, by row."""
    plain = _CODES.sub(b"", _REVERSE.sub(REVERSED.encode(), data)).decode("utf-8", "replace")
    _, *parts = _PLACE.split(plain)
    rows: dict[int, str] = {}
    for y, x, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        before = rows.get(int(y), "") if x != "1" or not text.strip("\r\n") else ""
        rows[int(y)] = before + text.rstrip("\r\n")
    return rows
