"""In which order the runs stand, and which of them: worst first unless a column is chosen, and never in a hurry."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nanwatch.views.dashboard.runs.entry import FIGURES, STANDINGS, Entry, Standing
from nanwatch.views.dashboard.runs.filters import Test, parse_filter
from nanwatch.views.health import firing

WORST = "worst"
REST_S = 5.0
"""Seconds for which an order holds at least, and after a key press."""

_PROBLEMS = ("critical", "warning", "unknown")
_ENDS = ("running", "reading", "empty", "stalled", "unknown", "failed", "crashed", "interrupted", "finished")
_RISING = ("run", "status", "loss", "eta", "updated", "val")
"""What one wants to see with the lowest first: names, losses, times."""
_DIGITS = re.compile(r"(\d+)")

_Key = tuple[Any, ...]
"""What is compared; all keys of one order have the same shape."""


class Counts(NamedTuple):
    """How many runs stand how; `finished` ended well, and `empty` are read: they count as neither ok nor unread."""

    total: int
    standings: Mapping[Standing, int]
    finished: int
    empty: int = 0


def count(entries: Iterable[Entry]) -> Counts:
    """Count all runs, shown or not."""
    known = list(entries)
    ended = sum(e.standing == "ok" and e.is_finished for e in known)
    standings = Counter(e.standing for e in known)
    empty = sum(e.standing == "unread" and e.status == "empty" for e in known)
    standings["ok"] -= ended
    standings["unread"] -= empty
    return Counts(len(known), standings, ended, empty)


def worst_key(entry: Entry) -> _Key:
    """Return what brings the worst to the front, of those what goes on and is new, then names as people count."""
    rank = STANDINGS.index(entry.standing)
    if entry.standing in _PROBLEMS:
        return (rank, *_urgency(entry), natural(entry.name))
    end = _ENDS.index(entry.status) if entry.status in _ENDS else 0
    return (rank, end, 0.0, natural(entry.name))


def _urgency(entry: Entry) -> tuple[int, float]:
    """Return what brings trouble that can still be helped to the front, and of it what began last."""
    view = entry.told
    if view is None or view.status == "unknown":
        return 2, 0.0
    grew_at = entry.snapshot.grew_at or 0.0
    if entry.status != "running":
        return 2, -grew_at
    alerts = [alert for alert in firing(view) if alert.severity == entry.standing]
    is_now = any(alert.epoch in (None, view.run.epoch) for alert in alerts)
    # Whose beginning is not known began before anybody looked; the log's last growth would let rows change places.
    return 0 if is_now else 1, -max((alert.started_at or 0.0 for alert in alerts), default=0.0)


def natural(name: str) -> tuple[tuple[str, int, str], ...]:
    """Return a key by which `run9` comes before `run10`."""
    parts = _DIGITS.split(name.casefold())
    # Only ASCII digits are sure to be a number; a thousand of them are rather a word.
    return tuple(
        ("", int(part), "") if part.isascii() and part.isdecimal() and len(part) < 19 else (part, 0, part)
        for part in parts
        if part
    )


class Order:
    """The runs in an order that holds still: it is renewed every five seconds at most, and never while keys are used.

    New runs, and those of which the first is heard, are put where they belong at once. The time is given from
    outside, in seconds.
    """

    def __init__(self) -> None:
        self.sort, self.is_reversed = WORST, False
        self.hides_finished, self.only_problems = False, False
        self.filter = ""
        self.shown: list[Path] = []
        self._test: Test | None = None
        self._known: dict[Path, bool] = {}
        self._sorted_at: float | None = None
        self._touched_at: float | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """What is worth remembering until the next start."""
        return {
            "sort": self.sort, "reverse": self.is_reversed,
            "hide_finished": self.hides_finished, "only_problems": self.only_problems,
        }  # fmt: skip

    def restore(self, settings: Mapping[str, Any], columns: Iterable[str]) -> None:
        """Take over *settings* from before, as far as they are understood; *columns* are those there are."""
        if settings.get("sort") in (WORST, *columns):
            self.sort = settings["sort"]
        self.is_reversed = settings.get("reverse") is True
        self.hides_finished = settings.get("hide_finished") is True
        self.only_problems = settings.get("only_problems") is True
        self.renew()

    def set_filter(self, text: str) -> None:
        """Show only the runs that *text* describes; raises WrongFilter, and then changes nothing."""
        self._test = parse_filter(text) if text.strip() else None
        self.filter = text.strip()
        self.renew()

    def sort_by(self, column: str) -> None:
        """Sort by this column; once more, the other way round."""
        self.is_reversed = column == self.sort and not self.is_reversed
        self.sort = column
        self.renew()

    def touch(self, now: float) -> None:
        """Note that somebody uses the list: nothing is to move under their hands."""
        self._touched_at = now

    def renew(self) -> None:
        """Sort anew at the next arranging, whatever the time."""
        self._sorted_at = None

    def arrange(self, entries: Mapping[Path, Entry], now: float) -> list[Path]:
        """Return the runs to show, in order, as they are at *now*."""
        if self._sorted_at is None or (_is_past(self._sorted_at, now) and _is_past(self._touched_at, now)):
            self._sort(entries, now)
            return self.shown
        if any(path not in entries for path in self._known):
            self._known = {path: is_read for path, is_read in self._known.items() if path in entries}
            self.shown = [path for path in self.shown if path in entries]
        rested = _is_past(self._touched_at, now)
        late = [e for e in entries.values() if self._is_news(e, rested)]
        if late:
            self._insert(late, entries, now)
        return self.shown

    def _is_news(self, entry: Entry, rested: bool) -> bool:
        was_read = self._known.get(entry.path)
        return was_read is None or (rested and not was_read and entry.standing != "unread")

    def _sort(self, entries: Mapping[Path, Entry], now: float) -> None:
        self._known = {path: entry.standing != "unread" for path, entry in entries.items()}
        kept = [entry for entry in entries.values() if self._shows(entry, now)]
        self.shown = [entry.path for entry in sorted(kept, key=self._key)]
        self._sorted_at = now

    def _insert(self, late: list[Entry], entries: Mapping[Path, Entry], now: float) -> None:
        self._known |= {entry.path: entry.standing != "unread" for entry in late}
        moved = {entry.path for entry in late}
        rows = [(self._key(entries[path]), path) for path in self.shown if path not in moved]
        for entry in late:
            if self._shows(entry, now):
                key = self._key(entry)
                rows.insert(bisect_left(rows, key, key=lambda row: row[0]), (key, entry.path))
        self.shown = [path for _, path in rows]

    def _shows(self, entry: Entry, now: float) -> bool:
        if self.hides_finished and entry.is_finished and entry.standing not in _PROBLEMS:
            return False
        if self.only_problems and entry.standing not in _PROBLEMS:
            return False
        return self._test is None or self._test(entry, now)

    def _key(self, entry: Entry) -> _Key:
        """Return what is compared: runs without the figure are last, whichever way it goes."""
        worst = worst_key(entry)
        if self.sort == WORST:
            return tuple(-part for part in worst[:-1]) + worst[-1:] if self.is_reversed else worst
        if self.sort == "run":
            return (_Turned(worst[-1]),) if self.is_reversed else worst[-1:]
        value = self._value(entry)
        if value is None:
            return (2, 0.0, *worst)
        if not math.isfinite(value):
            return (0 if not self.is_reversed else 1, math.inf, *worst)
        rises = (self.sort in _RISING) != self.is_reversed
        return (1, value if rises else -value, *worst)

    def _value(self, entry: Entry) -> float | None:
        if self.sort == "status":
            return _ENDS.index(entry.status) if entry.status in _ENDS else len(_ENDS)
        if self.sort == "updated":
            return None if entry.snapshot.grew_at is None else -entry.snapshot.grew_at
        return FIGURES[self.sort](entry) if self.sort in FIGURES else None


class _Turned(NamedTuple):
    """A name that is compared the other way round."""

    name: tuple[tuple[str, int, str], ...]

    def __lt__(self, other: object) -> bool:
        return isinstance(other, _Turned) and self.name > other.name


def _is_past(since: float | None, now: float) -> bool:
    """Tell whether the time of rest has passed; a clock that was put back does not make it longer."""
    return since is None or abs(now - since) >= REST_S
