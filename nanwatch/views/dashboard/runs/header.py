"""What stands above the list, the counts of all runs; and what stands in place of an empty one."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rich.cells import cell_len

from nanwatch.model.snapshot import Snapshot
from nanwatch.views.dashboard.runs.entry import FIGURES, Entry, Standing
from nanwatch.views.dashboard.runs.order import Counts
from nanwatch.views.page import Line, Page, Role, Span
from nanwatch.views.words import clean, cut_end, plural, whole_percent

_WORDS: tuple[tuple[Standing, str, str, Role, int], ...] = (
    ("critical", "X", "critical", "critical", 90),
    ("warning", "!", "warning", "warning", 80),
    ("ok", "·", "ok", "", 70),
    ("silenced", "z", "silenced", "quiet", 40),
    ("unknown", "?", "unknown", "warning", 60),
    ("seen", "x", "seen", "quiet", 40),
)
"""Each standing with its letter, its word, its role, and how much its count is worth where room is short."""


class Segment(NamedTuple):
    """A part of the header; where room is short it is worded shorter, and then those of the least *worth* go."""

    text: str
    short: str
    role: Role
    worth: int


@dataclass(frozen=True, slots=True)
class Scene:
    """What the header tells of beside the counts: what is hidden and why, how runs are sorted, what is still read."""

    hidden: int = 0
    filter: str = ""
    options: Sequence[str] = ()
    sort: str = ""
    catching_up: Sequence[Snapshot] = ()


# -- above


def header_line(counts: Counts, scene: Scene, page: Page, now: float) -> Line:
    """Return the counts of all runs, what is going on, and the time, in as many words as there is room for."""
    clock = time.strftime("%H:%M:%S", time.localtime(now))
    segments = [*_counts(counts, page), *_going_on(scene, page)]
    room = page.width - len(clock) - 2
    texts = _chosen(segments, room if room > 20 else page.width)
    spans: list[Span] = []
    for text, role in texts:
        spans += [Span("  "), Span(text, role)] if spans else [Span(text, role)]
    used = sum(cell_len(span.text) for span in spans)
    if used + len(clock) + 2 <= page.width:
        spans += [Span(" " * (page.width - used - len(clock))), Span(clock, "quiet")]
    return Line(spans)


def tiny_line(counts: Counts, worst: Entry | None, page: Page) -> Line:
    """Return everything in one line: the counts that matter, and the worst run."""
    spans: list[Span] = []
    for standing, sign, _, role, _ in _WORDS:
        if standing in ("critical", "warning", "ok") and (n := counts.standings.get(standing, 0)):
            text = f"ok{n}" if standing == "ok" else f"{sign}{n}"
            spans += [Span(text, role), Span(" ")]
    if worst is not None:
        nan = FIGURES["nan"](worst)
        told = f" {nan:,.0f} NaN" if nan else ""
        room = page.width - sum(cell_len(span.text) for span in spans)
        if room - cell_len(told) < 4:
            told = ""
        spans += [Span(page.name(worst.name, max(0, room - cell_len(told)))), Span(told, "critical")]
    return page.bound(Line(spans))


def _counts(counts: Counts, page: Page) -> Iterable[Segment]:
    yield Segment("nanwatch", "nanwatch", "title", 20)
    yield Segment(plural(counts.total, "run"), plural(counts.total, "run"), "", 50)
    for standing, sign, word, role, worth in _WORDS:
        n = counts.standings.get(standing, 0)
        sign = "." if sign == "·" and page.glyphs.more.isascii() else sign
        if n:
            yield Segment(f"{sign} {n:,} {word}", f"{sign} {n:,}", role, worth)
    if counts.finished:
        sign = "+" if page.glyphs.more.isascii() else "✓"
        yield Segment(f"{sign} {counts.finished:,} finished", f"{sign} {counts.finished:,}", "finished", 45)
    if n := counts.standings.get("unread", 0):
        yield Segment(f"{n:,} being opened", "", "quiet", 30)
    if counts.empty:
        yield Segment(f"{counts.empty:,} empty", "", "quiet", 29)


def _going_on(scene: Scene, page: Page) -> Iterable[Segment]:
    size = sum(s.size for s in scene.catching_up)
    if size:
        read = sum(min(s.read, s.size) for s in scene.catching_up)
        share = f"history {whole_percent(min(0.99, read / size))}"  # it is told only as long as it lasts
        yield Segment(f"{share} ({_amounts(read, size)})", share, "running", 55)
    if scene.hidden:
        text = f"{scene.hidden:,} hidden"
        yield Segment(text, text, "warning", 65)
    if scene.filter:
        text = "/" + cut_end(clean(scene.filter), 30, page.glyphs.more)
        yield Segment(text, text, "title", 64)
    for option in scene.options:
        yield Segment(option, "", "quiet", 35)
    if scene.sort:
        yield Segment(f"by {scene.sort}", "", "quiet", 33)


def _amounts(read: int, size: int) -> str:
    """Return `1.2 of 3.2 G`."""
    for unit, sign in ((1 << 30, "G"), (1 << 20, "M"), (1 << 10, "k")):
        if size >= unit:
            return f"{read / unit:.1f} of {size / unit:.1f} {sign}"
    return f"{read} of {size} bytes"


def _chosen(segments: list[Segment], room: int) -> list[tuple[str, Role]]:
    """Return the texts of the segments that fit in *room*."""
    full = [(s.text, s.role) for s in segments]
    if _width(full) <= room:
        return full
    kept = [s for s in segments if s.short]
    while len(kept) > 1 and _width([(s.short, s.role) for s in kept]) > room:
        kept.remove(min(kept, key=lambda s: s.worth))
    # The most important ones get their words back as far as there is room.
    found = {id(s): s.short for s in kept}
    for segment in sorted(kept, key=lambda s: -s.worth):
        longer = found | {id(segment): segment.text}
        if _width([(longer[id(s)], s.role) for s in kept]) <= room:
            found = longer
    return [(found[id(s)], s.role) for s in kept]


def _width(texts: Sequence[tuple[str, Role]]) -> int:
    return sum(cell_len(text) + 2 for text, _ in texts) - 2


# -- instead


def empty_lines(waiting_for: Sequence[str], page: Page) -> list[Line]:
    """Return what is said as long as there is no log."""
    lines = [Line([]), *page.prose("Nothing to watch yet.", "title"), Line([])]
    if waiting_for:
        lines += page.prose("Waiting for a log that matches:")
        lines += [Line([Span("    " + page.name(clean(p), max(1, page.width - 4)))]) for p in waiting_for[:8]]
        if len(waiting_for) > 8:
            lines += page.prose(f"and {len(waiting_for) - 8} more", indent=4)
        lines.append(Line([]))
    lines += page.prose("Name logs, or patterns in quotes:")
    lines += [Line([Span("    nanwatch tail run.log")]), Line([Span("    nanwatch tail 'exp/**/*.log'")]), Line([])]
    return lines + page.prose("A new file appears here by itself.", "quiet")


def hidden_lines(total: int, scene: Scene, page: Page) -> list[Line]:
    """Return what is said where there are runs, and none of them is to be shown."""
    if scene.filter:
        text = f"None of {plural(total, 'run')} matches the filter. Esc clears it, / changes it."
    else:
        why = " and ".join(scene.options)
        text = f"None of {plural(total, 'run')} is shown: {why}. ! and H switch that."
    return [Line([]), *page.prose(text)]
