"""The last lines of a log, as the overview shows them where there is room."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from nanwatch.model.snapshot import Snapshot
from nanwatch.views.dashboard.log.file import LogFile
from nanwatch.views.dashboard.log.rows import SHOWN, Screen, trouble
from nanwatch.views.page import Line, Page, Role, Span
from nanwatch.views.words import ASCII, cut_end

LastLines = Callable[[Path], list[str]]
"""Returns the last lines of the log at a path, printable, oldest first; none where it cannot be read."""
LEAST = 3
"""Free lines from which on some of the log are shown."""
_READ = 8 * 1024
_EVERY_S = 0.5
_ROLES: dict[str, Role] = {"nan": "critical", "error": "critical", "warning": "warning"}


def last_lines(path: Path) -> list[str]:
    """Return the last lines of the log at *path* as a terminal shows them, blank ones left out, long ones cut."""
    file = LogFile(path)
    start = max(0, file.size - _READ)
    data = file.read(start, _READ)
    file.close()
    if file.encoding != "utf-8":
        data = data[start % 2 :].decode(file.encoding, "replace").encode("utf-8", "replace")
    if start:  # what the first bytes belong to began before
        end = b"\n" if b"\n" in data[:-1] else b"\r"
        data = data.partition(end)[2] or data
    texts = Screen(data.removesuffix(b"\n"), 0, start > 0).texts
    return [text[:SHOWN] for text in texts if text.strip()]


class Tail:
    """Reads a log's last lines when it has grown, but at most twice a second."""

    def __init__(self, read: LastLines = last_lines) -> None:
        self._read = read
        self._of: tuple[Path, int] | None = None
        self._at = 0.0
        self._lines: list[str] = []

    def lines(self, snapshot: Snapshot, now: float) -> list[str]:
        """Return the last lines at *now* (Unix seconds); of standard input there are none."""
        if str(snapshot.path) == "-":
            return []
        of = (snapshot.path, snapshot.size)
        is_same_log = self._of is not None and self._of[0] == snapshot.path
        if of != self._of and not (is_same_log and 0 <= now - self._at < _EVERY_S):
            self._of, self._at, self._lines = of, now, self._read(snapshot.path)
        return self._lines


def tail_lines(texts: Sequence[str], page: Page, room: int) -> list[Line]:
    """Return as many of the last *texts* as there is *room* for, below a rule; what they tell of stands before them."""
    if room < LEAST or not texts:
        return []
    is_ascii = page.glyphs == ASCII
    rule, head = "-" if is_ascii else "─", " last lines "
    is_roomy = room > 2 * LEAST
    lines = [Line([Span(rule), Span(head), Span(rule * max(0, page.width - len(head) - 1), "quiet")])]
    signs = {"nan": "x" if is_ascii else "×", "error": "X", "warning": "!"}
    for text in texts[-(room - 1 - is_roomy) :]:
        told = trouble(text)
        shown = cut_end(text, max(1, page.width - 3), page.glyphs.more)
        lines.append(Line([Span(f" {signs.get(told, ' ')} ", _ROLES.get(told, "")), Span(shown)]))
    return [*([Line([])] if is_roomy else []), *(page.bound(line) for line in lines)]
