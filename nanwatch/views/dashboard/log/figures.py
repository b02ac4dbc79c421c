"""The log viewer's figures: its top line, its bottom line, and the numbers of lines."""

from __future__ import annotations

from collections.abc import Sequence

from nanwatch.views.dashboard.log.desk import Desk
from nanwatch.views.dashboard.log.paint import Sheet, Signs
from nanwatch.views.dashboard.log.pattern import Trouble
from nanwatch.views.dashboard.log.rows import Row, inert
from nanwatch.views.dashboard.log.search import MOST_HITS, Scan
from nanwatch.views.words import plural, whole_percent

Pieces = list[tuple[str, str]]
"""Texts and their roles."""

_PATTERN = 30
"""Characters of what is searched that are repeated below."""

_UNITS = (("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20), ("k", 1 << 10))


def size_text(size: int) -> str:
    """Return `3.2 G`, `81 k`, `12 B`: bytes in two or three digits."""
    for unit, factor in _UNITS:
        if size >= factor:
            amount = size / factor
            return f"{amount:.1f} {unit}" if amount < 10 else f"{amount:.0f} {unit}"
    return f"{size} B"


def top_line(desk: Desk, sheet: Sheet | None, width: int) -> Pieces:
    """Return mode, size and place; what does not fit in *width* is dropped whole, from the end."""
    if sheet is not None:
        return [(f" {sheet.what}", ""), ("  Esc back", "muted")]
    view = desk.view
    pieces: Pieces = [(" FOLLOW" if view.is_following else " PAUSED", "hit")]
    trouble = desk.file.problem or desk.event
    if trouble:
        pieces.append((f"  {inert(trouble)}", "warning"))
    if view.every_redraw:
        pieces.append(("  every redraw", "warning"))
    pieces += [(f"  {text}", "") for text in _standing(desk)]
    kept: Pieces = []
    for text, role in pieces:
        if sum(len(t) for t, _ in kept) + len(text) <= width:
            kept.append((text, role))
    return kept


def _standing(desk: Desk) -> list[str]:
    row, size = desk.view.row, desk.file.size
    seen = desk.view.rows[-1].end if desk.view.rows else 0
    texts = [size_text(size), whole_percent(seen / size) if size else "-"]
    number = desk.number_of(row) if row else None
    if number is not None:
        is_counted = desk.index.counted_to >= size
        texts.append(f"line {number:,}" + (f" of {desk.index.total:,}" if is_counted else ""))
    else:
        texts.append("line ~")
    if desk.view.column:
        texts.append(f"column {desk.view.column}")
    if desk.file.encoding != "utf-8":
        texts.append(desk.file.encoding.upper())
    return texts


def _filter(desk: Desk) -> str:
    scan = desk.hidden_by
    if scan is None:
        return ""
    what = "warnings and NaN" if isinstance(scan.pattern, Trouble) else f"& {_short(scan)}"
    return f" only {what}: {plural(len(scan), 'hit')}{_extent(scan)}"


def bottom_line(desk: Desk, signs: Signs) -> Pieces:
    """Return how many lines came meanwhile, what there is to say, the search and the filter; often there is none."""
    pieces: Pieces = []
    if not desk.view.is_following and (unseen := desk.unseen):
        pieces.append((f" {unseen:,} new {signs.down}", "warning"))
    if desk.note:
        pieces.append((f" {inert(desk.note)} ", "hit"))
    if desk.search is not None:
        pieces.append((_search(desk), ""))
    if desk.hidden_by is not None:
        pieces.append((_filter(desk), ""))
    if desk.is_waiting:
        pieces.append((" searching", "warning"))
    return pieces


def _search(desk: Desk) -> str:
    scan = desk.search
    if scan is None:
        return ""
    row = desk.view.row
    text = f" /{_short(scan)}"
    if row is not None and scan.has_hit(row.start, row.end) and scan.is_complete:
        text += f"  hit {scan.count_before(row.start) + 1:,} of {len(scan):,}"
    else:
        text += f"  {plural(len(scan), 'hit')}"
    return text + _extent(scan)


def _extent(scan: Scan) -> str:
    """Return how much of the log was looked at where that is not all."""
    if scan.is_full:
        return f" (no more than {MOST_HITS:,} are kept)"
    return "" if scan.is_complete else f" (searched {whole_percent(scan.share)})"


def _short(scan: Scan) -> str:
    text = inert(scan.pattern.text)
    return text if len(text) <= _PATTERN else f"{text[: _PATTERN - 2]}.."


def number_width(desk: Desk) -> int:
    """Return the cells that line numbers need, as far as can be told before the lines are counted."""
    counted, size = desk.index.counted_to, desk.file.size
    lines = desk.index.lines + 1
    if 0 < counted < size:
        lines = lines * size // counted
    elif not counted and desk.view.rows:
        seen = desk.view.rows[-1].end - desk.view.rows[0].start
        lines = size * len(desk.view.rows) // max(1, seen)
    return max(4, len(f"{lines:,}")) + 1


def number_text(desk: Desk, rows: Sequence[Row], y: int, width: int) -> str:
    """Return the number of the line of the row *y*, `~` while it is not known, nothing for rows of the same line."""
    if width == 0:
        return ""
    number = desk.number_of(rows[y])
    if number is None:
        return "~ ".rjust(width)
    is_same = y > 0 and (rows[y].start == rows[y - 1].start or desk.number_of(rows[y - 1]) == number)
    return ("" if is_same else f"{number:,} ").rjust(width)
