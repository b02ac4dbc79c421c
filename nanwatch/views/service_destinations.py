"""Who is told, on the page of `daemon status`: what became of the messages to each destination."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len

from nanwatch.model.health import DestinationHealth
from nanwatch.views.page import Line, Page, Span
from nanwatch.views.service_standing import Standing, theirs
from nanwatch.views.words import age, clean, cut_middle, duration, pad

_LONGEST_NAME = 24


def destination_lines(standing: Standing, page: Page, now: float) -> list[Line]:
    """Return the destinations and how they fare; where nobody is ever told, that."""
    lines: list[Line] = []
    if not (standing.receivers or standing.destinations):  # another config may name those that are known
        why = "no receiver is configured: nobody is told"
        todo = "add one under [receivers] in the config, then: nanwatch daemon test-notify"
        lines = [*page.prose(why, "warning", Span("!", "warning"), indent=0), *page.prose(todo)]
    found = standing.destinations or [DestinationHealth(name) for name in standing.receivers]
    if not found:
        return lines
    column = min(_LONGEST_NAME, page.width // 3, max(cell_len(clean(d.name)) for d in found))
    lines += page.items("destinations", [Span(f"{len(found):,}")], indent=0, column=14)
    for destination in found:
        lines += _destination(destination, page, now, column, is_held=standing.holder is None)
    return lines


def _destination(destination: DestinationHealth, page: Page, now: float, column: int, *, is_held: bool) -> list[Line]:
    """Return what became of the messages to one destination; *is_held* where no daemon is there to send."""
    is_failing = bool(destination.last_reason) or destination.next_at is not None
    name = cut_middle(clean(destination.name), column, page.glyphs.more)
    first, *rest = page.items(" " * column, list(_deliveries(destination, now)), column=column + 2)
    mark, role = ("!", "warning") if is_failing else (" ", "")
    lines = [Line([Span(f"{mark} {pad(name, column)}  ", "warning" if role else ""), *first.spans[1:]]), *rest]
    if is_failing:
        failure = [Span(text, "warning") for text in _failure(destination, page, now, is_held=is_held)]
        lines += page.items("", failure, indent=4, column=0)
    return lines


def _deliveries(destination: DestinationHealth, now: float) -> Iterator[Span]:
    sent, failed = destination.last_sent_at, destination.last_failed_at
    last = "" if sent is None else f", the last {age(now - sent)} ago"
    yield Span(f"{destination.sent:,} sent{last}" if destination.sent or last else "nothing sent yet")
    if destination.waiting:
        yield Span(f"{destination.waiting:,} waiting")
    if destination.failed:
        when = "" if failed is None else f", the last {age(now - failed)} ago"
        yield Span(f"{destination.failed:,} failed{when}")
    if destination.given_up:
        yield Span(f"{destination.given_up:,} given up", "warning")


def _failure(destination: DestinationHealth, page: Page, now: float, *, is_held: bool) -> Iterator[str]:
    """Yield why the last delivery failed, and when the next one is tried."""
    yield theirs(destination.last_reason, page) or "no reason is known"
    if is_held:
        yield "tried again once a daemon runs"
    elif destination.next_at is not None:
        wait = destination.next_at - now
        yield f"next attempt in {duration(wait)}" if wait >= 1 else "next attempt is due"
