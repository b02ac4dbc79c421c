"""Walking over the rows of a log, group by group: all of them, or only those that a filter lets through."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nanwatch.views.dashboard.log.rows import Row
from nanwatch.views.dashboard.log.search import Scan

if TYPE_CHECKING:
    from nanwatch.views.dashboard.log.reader import Reader


@dataclass(frozen=True, slots=True)
class Group:
    """The bytes from `start` to `end`, and the rows they leave on a screen: at least one."""

    start: int
    end: int
    rows: tuple[Row, ...]

    def number_of(self, place: int) -> int:
        """Return the number of the row that is nearest to *place*."""
        return min(max(0, place - self.start), len(self.rows) - 1)


class Walk(ABC):
    """What needs only to know which group comes next."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Bytes of the log."""

    @abstractmethod
    def first(self, place: int) -> Group | None:
        """Return the group at *place*, or the nearest."""

    @abstractmethod
    def following(self, group: Group) -> Group | None:
        """Return the group behind *group*."""

    @abstractmethod
    def preceding(self, group: Group) -> Group | None:
        """Return the group before *group*."""

    def at(self, place: int) -> Row | None:
        """Return the row whose offset is *place*, or the nearest; None if there is none."""
        group = self.first(place)
        return group.rows[group.number_of(place)] if group else None

    def forward(self, place: int, count: int) -> list[Row]:
        """Return up to *count* rows from *place* on."""
        group = self.first(place)
        if group is None or count <= 0:
            return []
        rows = list(group.rows[group.number_of(place) :])
        while len(rows) < count and (group := self.following(group)):
            rows += group.rows
        return rows[:count]

    def backward(self, place: int, count: int) -> list[Row]:
        """Return up to *count* rows before *place*, in their order in the log."""
        group = self.first(place)
        if group is None or count <= 0:
            return []
        rows = [row for row in group.rows if row.offset < place]
        pieces = [rows]
        found = len(rows)
        while found < count and (group := self.preceding(group)):
            pieces.append(list(group.rows))
            found += len(group.rows)
        return [row for piece in reversed(pieces) for row in piece][-count:]


class Filtered(Walk):
    """Only the groups in which *scan* has a hit so far, and the one that holds the byte *pinned*."""

    def __init__(self, reader: Reader, scan: Scan, pinned: int) -> None:
        self.reader, self.scan = reader, scan
        self.pinned = pinned

    @property
    def size(self) -> int:
        """Bytes of the log."""
        return self.reader.size

    def first(self, place: int) -> Group | None:
        """Return the group at *place*, or else the nearest behind it, or before it."""
        group = self.reader.group_of(place)
        if group is None or self._lets_through(group):
            return group
        return self.following(group) or self.preceding(group)

    def following(self, group: Group) -> Group | None:
        """Return the next group with a hit."""
        hit = self.scan.after(group.end - 1)
        if self.pinned >= group.end and (hit is None or self.pinned < hit):
            hit = self.pinned
        return self.reader.group_of(hit) if hit is not None and hit < self.size else None

    def preceding(self, group: Group) -> Group | None:
        """Return the last group with a hit before *group*."""
        hit = self.scan.before(group.start)
        if self.pinned < group.start and (hit is None or self.pinned > hit):
            hit = self.pinned
        return self.reader.group_of(hit) if hit is not None and hit >= 0 else None

    def _lets_through(self, group: Group) -> bool:
        return group.start <= self.pinned < group.end or self.scan.has_hit(group.start, group.end)
