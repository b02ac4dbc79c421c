"""What fires, on the page of `daemon status`: the worst in full, what is only news or kept quiet in a line each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.cells import cell_len

from nanwatch.model.alert import SEVERITIES
from nanwatch.model.news import AlertFacts, RunFacts
from nanwatch.notify.render import short_name
from nanwatch.views.page import Line, Page, Role, Span
from nanwatch.views.plain import MARKS
from nanwatch.views.service_standing import Standing, theirs
from nanwatch.views.words import age, clean, cut_end, moment, pad, plural

_SHORT_ID = 6
_LONGEST_RULE = 24
_LEAST_NAME, _LONGEST_NAME = 16, 40
_MESSAGE_LINES = 3
_MOST_INFO, _MOST_QUIET = 5, 10
"""Lines of what asks for nothing; the others are counted."""
_LEAST, _LONGEST_WHY = 8, 20
"""Cells in which a name or a reason still tells something, and those that a narrow page has for a reason."""
_INHIBITED = "inhibited by "
"""How the reason begins where another alert of the run speaks for this one."""

_Firing = tuple[RunFacts, AlertFacts]


class _Row(NamedTuple):
    """An alert in words: its columns, its message, why nobody is told, and its role: quiet where nobody is told."""

    mark: str
    id: str
    rule: str
    name: str
    place: str
    since: str
    message: str = ""
    quiet: str = ""
    role: Role = "quiet"

    @property
    def plain(self) -> Role:
        """The role of the columns that need no colour."""
        return "quiet" if self.role == "quiet" else ""


class _Widths(NamedTuple):
    """How wide the columns are; the name has none (0), nor have the last two (`is_low`), where there is no room."""

    id: int
    rule: int
    name: int
    place: int
    is_low: bool


_HEAD = _Row("", "ID", "RULE", "RUN", "WHERE", "SINCE")


def alert_lines(standing: Standing, page: Page, now: float) -> list[Line]:
    """Return what fires, worst first; then what is only news, and what is silenced or acknowledged, a line each.

    What another alert speaks for is only counted.
    """
    if not standing.alerts:
        if standing.holder is None:
            return page.prose("no alert fired when it stopped", indent=0) if standing.health else []
        return page.prose("no alert fires", indent=0)
    names, length = _names(standing), _id_length(standing)
    told = sorted((item for item in standing.alerts if not item[1].suppressed), key=_weight)
    quiet = sorted((item for item in standing.alerts if _is_listed_quiet(item[1])), key=_weight)
    news = [item for item in reversed(told) if item[1].severity == "info"]
    groups = [
        [_row(alert, names[run.id], length, page, now) for run, alert in items]
        for items in ([item for item in told if item[1].severity != "info"], news[:_MOST_INFO], quiet[:_MOST_QUIET])
    ]
    rows = [row for group in groups for row in group]
    widths = _widths(rows, page)
    lines = _counted(standing, page)
    lines += [] if widths.is_low or not rows else [_short_line(_HEAD, widths, page)]
    for row in groups[0]:
        lines += _full_lines(row, widths, page)
    for group, count in ((groups[1], len(news)), (groups[2], len(quiet))):
        lines += [_short_line(row, widths, page) for row in group]
        if count > len(group):
            lines += page.prose(f"and {count - len(group):,} more", "quiet")
    return lines


def _is_inhibited(alert: AlertFacts) -> bool:
    return any(reason.startswith(_INHIBITED) for reason in alert.suppressed)


def _is_listed_quiet(alert: AlertFacts) -> bool:
    return bool(alert.suppressed) and not _is_inhibited(alert)


def _weight(item: _Firing) -> tuple[int, float]:
    alert = item[1]
    return -SEVERITIES.index(alert.severity), alert.noticed_at


def _counted(standing: Standing, page: Page) -> list[Line]:
    """Return the line that counts the alerts by their severity, and those that nobody is told of by why."""
    counts = Counter(_kind(alert) for _, alert in standing.alerts)
    words = (
        (counts["critical"], Span(f"{counts['critical']:,} CRITICAL", "critical")),
        (counts["warning"], Span(plural(counts["warning"], "warning"), "warning")),
        (counts["info"], Span(f"{counts['info']:,} info")),
        (counts["silenced"], Span(f"{counts['silenced']:,} silenced", "quiet")),
        (counts["acknowledged"], Span(f"{counts['acknowledged']:,} acknowledged", "quiet")),
        (counts["quiet"], Span(f"{counts['quiet']:,} kept quiet", "quiet")),
        (standing.holder is None, Span("as it stood when the daemon stopped", "quiet")),
    )
    return page.items("alerts", [span for count, span in words if count], indent=0, column=8)


def _kind(alert: AlertFacts) -> str:
    """Return what an alert is counted as: its severity, or why nobody is told of it."""
    if not alert.suppressed:
        return alert.severity
    if _is_inhibited(alert):
        return "quiet"
    return "silenced" if any(reason.startswith("silenced") for reason in alert.suppressed) else "acknowledged"


def _names(standing: Standing) -> dict[str, str]:
    """Return by a run's id what people call it, or the id itself where two that are ill are called alike."""
    names = {run.id: clean(short_name(run)) for run, _ in standing.alerts}
    counts = Counter(names.values())
    return {identity: name if counts[name] == 1 else clean(identity) for identity, name in names.items()}


def _id_length(standing: Standing) -> int:
    """Return how many characters tell the ids apart."""
    ids = {alert.id for _, alert in standing.alerts}
    longest = max(map(len, ids))
    lengths = range(_SHORT_ID, longest)
    return next((n for n in lengths if len({identity[:n] for identity in ids}) == len(ids)), longest)


def _row(alert: AlertFacts, name: str, id_length: int, page: Page, now: float) -> _Row:
    at = alert.noticed_at if alert.started_at is None else alert.started_at
    return _Row(
        mark=MARKS[alert.severity], id=clean(alert.id)[:id_length], rule=page.name(clean(alert.rule), _LONGEST_RULE),
        name=name, place=_place(alert), since=_since(at, now), message=clean(alert.message),
        quiet=theirs("; ".join(alert.suppressed), page),
        role="quiet" if alert.suppressed else "" if alert.severity == "info" else alert.severity,
    )  # fmt: skip


def _since(at: float, now: float) -> str:
    """Return `21:41 (22m)`; a date is enough by itself."""
    text = moment(at, now)
    return f"{text} ({age(now - at)})" if len(text) == len("21:41") else text


def _place(alert: AlertFacts) -> str:
    """Return `epoch 4 batch 32`, or `step 12,000`."""
    if alert.epoch is None:
        return "" if alert.batch is None else f"step {alert.batch:,}"
    return f"epoch {alert.epoch:,}" + (f" batch {alert.batch:,}" if alert.batch else "")


# -- columns


def _widths(rows: Sequence[_Row], page: Page) -> _Widths:
    """Return the columns that fit: the names give way first, then place and time go below, then the names do."""
    identity, rule, name = (_widest(rows, column) for column in ("id", "rule", "name"))
    place, since = (_widest([row for row in rows if not row.quiet], column) for column in ("place", "since"))
    name = min(name, _LONGEST_NAME)
    least = min(name, _LEAST_NAME)
    left = page.width - (2 + identity + 2 + rule + 2)
    beside = left - (2 + place + 2 + since)
    if beside >= least:
        return _Widths(identity, rule, min(name, beside), place, is_low=False)
    return _Widths(identity, rule, min(name, left) if left >= least else 0, place, is_low=True)


def _widest(rows: Iterable[_Row], column: str) -> int:
    return max(cell_len(getattr(row, column)) for row in (_HEAD, *rows))


def _columns(row: _Row, widths: _Widths, page: Page, name: int) -> list[Span]:
    """Return the columns that every line has; *name* is the room for that of the run."""
    return [
        Span(pad(row.mark, 2), row.role),
        Span(pad(row.id, widths.id + 2), row.plain),
        Span(pad(row.rule, widths.rule + 2), row.role),
        Span(pad(page.name(row.name, name), name), row.plain),
    ]


def _short_line(row: _Row, widths: _Widths, page: Page) -> Line:
    """Return an alert in one line: since when, or why nobody is told; on a narrow page the name gives way to it."""
    last = row.quiet or (f"since {row.since}" if widths.is_low else f"{pad(row.place, widths.place)}  {row.since}")
    room = max(0, page.width - (2 + widths.id + 2 + widths.rule + 2))
    name = widths.name
    if widths.is_low:
        beside = room - 2 - min(cell_len(last), _LONGEST_WHY)
        name = min(cell_len(row.name), beside if beside >= _LEAST else room)
    spans, left = _columns(row, widths, page, name), room - name - 2
    if left >= min(cell_len(last), _LEAST):
        spans.append(Span(f"  {cut_end(last, left, page.glyphs.more)}", row.plain))
    return Line(spans)


def _full_lines(row: _Row, widths: _Widths, page: Page) -> list[Line]:
    """Return an alert: its columns, and below them its message, and what found no room beside them."""
    head = _columns(row, widths, page, widths.name)
    low: list[str] = []
    if widths.is_low:
        low = [] if widths.name else [page.name(row.name, _LONGEST_NAME)]
        low += [part for part in (row.place, f"since {row.since}") if part]
    else:
        head.append(Span(f"  {pad(row.place, widths.place)}  {row.since}", row.plain))
    room = _MESSAGE_LINES * (page.width - 4) - page.width // 4  # words leave a gap at the end of a line
    text = cut_end(row.message, room, page.glyphs.more)
    text = ": ".join(part for part in (", ".join(low), text) if part)
    return [Line(head), *page.prose(text, row.plain, indent=4)]
