"""The alerts of a log in its order, as lines for a person: where in the training, how bad, what, where in the log."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

from nanwatch.model.alert import Alert
from nanwatch.model.run import Run
from nanwatch.views.page import Line, Page, Role, Span, render
from nanwatch.views.plain import MARKS, position_words
from nanwatch.views.words import clean, pad, plural

_PLACE, _RULE = 22, 19
_NARROW = 100


class Timeline:
    """Words alerts as their state changes; tells at the end how many there were."""

    def __init__(self, page: Page, color: bool) -> None:
        self._page = page
        self._color = color
        self._run = ""
        self._worst: dict[tuple[str, str], str] = {}
        self._resolved = 0

    def head(self, run: Run) -> str:
        """Return the line that opens a log's time line."""
        return self._text([Line([Span(clean(run.log), "title")])])

    def change(self, run: Run, alert: Alert) -> str:
        """Return what happened to *alert* of *run*, in one line or, where room is short, in two or more."""
        lines: list[Line] = []
        if run.id != self._run and run.number > 1:
            lines.append(Line([Span(f"run {run.number}", "title")]))
        self._run = run.id
        known = (run.id, alert.id) in self._worst
        self._worst[run.id, alert.id] = alert.severity
        self._resolved += alert.state == "resolved"
        role, mark = _role(alert), "ok" if alert.state == "resolved" else MARKS[alert.severity]
        head = [
            Span(pad(_place(run, alert), _PLACE)),
            Span(pad(mark, 3), role),
            Span(pad(clean(alert.rule), _RULE), role),
        ]
        text = "; ".join(_words(alert, grew_worse=known and alert.state == "firing"))
        indent = 4 if self._page.width < _NARROW else _PLACE + 3 + _RULE
        body = self._page.prose(text, "quiet" if alert.suppressed or alert.state == "resolved" else "", indent=indent)
        if self._page.width < _NARROW:
            return self._text([*lines, Line(head), *body])
        first = body[0].spans[-1]
        return self._text([*lines, Line([*head, first]), *body[1:]])

    def tail(self, run: Run) -> str:
        """Return what closes a log's time line: where the run stands, and how many alerts there were."""
        severities = Counter(self._worst.values())
        counts = [f"{n:,} {word}" for word in ("critical", "warning", "info") if (n := severities[word])]
        told = f"{plural(len(self._worst), 'alert')}: {', '.join(counts)}" if counts else "no alert"
        told += f"; {self._resolved:,} of them over" if self._resolved else ""
        self._worst, self._resolved = {}, 0
        return self._text(self._page.prose(f"{told}; the log ends at {clean(position_words(run))}", "quiet", indent=0))

    def _text(self, lines: list[Line]) -> str:
        return render(lines, self._page, self._color)


def _place(run: Run, alert: Alert) -> str:
    """Return where it began, or where it ended."""
    epoch, batch = (run.epoch, run.batch) if alert.state == "resolved" else (alert.epoch, alert.batch)
    parts = [] if epoch is None else [f"epoch {epoch}"]
    parts += [f"batch {batch:,}"] if batch else []
    return " ".join(parts)


def _words(alert: Alert, grew_worse: bool) -> Iterator[str]:
    yield f"now {alert.severity}: {clean(alert.message)}" if grew_worse else clean(alert.message)
    if alert.state == "resolved":
        yield "over"
    yield from alert.suppressed
    at = alert.resolved_at if alert.state == "resolved" else alert.started_at
    if at is not None:
        yield time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
    if alert.offset is not None and alert.state == "firing":
        line = "" if alert.line is None else f"line {alert.line:,}, "
        yield f"{line}byte {alert.offset:,}"


def _role(alert: Alert) -> Role:
    if alert.state == "resolved" or alert.suppressed:
        return "quiet"
    return alert.severity if alert.severity != "info" else ""
