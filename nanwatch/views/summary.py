"""The one-shot summary: the first line is the whole answer; then a block a run, or a line each of many."""

from __future__ import annotations

import time
from dataclasses import dataclass

from rich.cells import cell_len

from nanwatch.views.block import block_lines
from nanwatch.views.health import HEALTHS, RunView, health
from nanwatch.views.listing import list_lines, worst_first
from nanwatch.views.page import Line, Page, Role, Span, render, shorten
from nanwatch.views.words import ASCII, UNICODE, clean, plural

__all__ = ["LogProblem", "RunView", "health", "render_summary"]

_BLOCKS = 2
_FREE = 3
_NARROWEST = 20


@dataclass(frozen=True, slots=True)
class LogProblem:
    """A log that gave no run, and why: `permission denied`, `file is missing`, `empty` ..."""

    log: str
    problem: str


def render_summary(
    runs: list[RunView], problems: list[LogProblem], *,
    now: float | None, width: int, height: int | None, color: bool, ascii_only: bool = False,
) -> str:  # fmt: skip
    """Return the summary as text, no line wider than *width*.

    *height* is the screen's (LINES), of which three lines stay free; None sets no limit. *now*, in Unix
    seconds, gives the time of day and of the end. *ascii_only* draws signs that survive pipes, mail and old
    terminals; names stay as they are. Of a log's text and name only printable characters reach the output.
    """
    page = Page(max(_NARROWEST, width), ASCII if ascii_only else UNICODE)
    limit = None if height is None else max(1, height - _FREE)
    head = _head(runs, problems, now, page)
    tail = _problems(problems, page, limit)
    room = None if limit is None else max(1, limit - 1 - len(tail))
    return render([head, *_body(runs, page, now, room), *tail][:limit], page, color)


def _body(runs: list[RunView], page: Page, now: float | None, room: int | None) -> list[Line]:
    if not runs:
        return []
    if len(runs) <= _BLOCKS:
        lines: list[Line] = []
        for view in worst_first(runs):
            lines += [*([Line([], 9)] if lines else []), *block_lines(view, page, now)]
        short = shorten(lines, room, keep=2)
        if room is None or len(short) <= room or len(runs) == 1:
            return short
    return list_lines(runs, page, room)


# -- the first line


def _head(runs: list[RunView], problems: list[LogProblem], now: float | None, page: Page) -> Line:
    clock = "" if now is None else time.strftime(" %H:%M:%S", time.localtime(now))
    counts = {h: sum(health(v) == h for v in runs) for h in HEALTHS}
    words = {"critical": "CRITICAL"}
    roles: dict[str, Role] = {"critical": "critical", "warning": "warning", "unknown": "warning"}
    parts = [Span(f"{n:,} {words.get(h, h)}", roles.get(h, "")) for h, n in counts.items() if n]
    well = [v.status for v in runs if health(v) == "ok"]
    ended = [f"{n} {s}" if len(well) > 1 else s for s in ("finished", "interrupted") if (n := well.count(s))]
    lost = [Span(plural(len(problems), "log", "logs") + " without a run", "warning")] if problems else []
    name, total = f"nanwatch{clock}  ", plural(len(runs), "run") if runs else "no runs"
    told = [*parts[:-1], Span(f"{parts[-1].text} ({', '.join(ended)})", parts[-1].role)] if ended else parts
    start = f"{name}{total}" + (": " if parts else ", " if lost else "")
    forms = [
        (start, [*told, *lost]), (start, [*parts, *lost]), (name, [*parts, *lost]),
        (f"{total}: ", [*parts, *lost]), (name, parts), (f"{total}: ", parts), ("", parts or lost),
    ]  # fmt: skip
    for first, spans in forms:
        line = Line([Span(first, "title"), *_commas(spans)])
        if line.cells <= page.width:
            break
    return line


def _commas(spans: list[Span]) -> list[Span]:
    found: list[Span] = []
    for span in spans:
        found += [Span(", "), span] if found else [span]
    return found


# -- logs without a run


def _problems(problems: list[LogProblem], page: Page, limit: int | None) -> list[Line]:
    most = len(problems) if limit is None else max(1, limit // 3)
    shown = problems if len(problems) <= most else problems[: most - 1]
    lines = []
    for item in shown:
        why = clean(item.problem)
        name = page.name(clean(item.log), max(8, page.width - 4 - cell_len(why)))
        lines.append(Line([Span("?", "warning"), Span(f" {name}  "), Span(why, "warning")]))
    if len(problems) > len(shown):
        lines.append(Line([Span(f"? and {len(problems) - len(shown):,} more logs without a run", "warning")]))
    return lines
