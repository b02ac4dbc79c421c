"""How the daemon fares, what fires, what is silenced, and who was told, for a person."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from nanwatch.model.alert import SEVERITIES, Silence
from nanwatch.model.health import Health
from nanwatch.store import StoredSilence
from nanwatch.views.page import Line, Page, Span, render
from nanwatch.views.service_alerts import alert_lines
from nanwatch.views.service_destinations import destination_lines
from nanwatch.views.service_json import service_json
from nanwatch.views.service_standing import Standing, own_health, theirs, to_the_second
from nanwatch.views.words import ASCII, UNICODE, age, clean, duration, moment, plural, size_words

__all__ = ["Standing", "service_json", "service_text"]

_SILENT_S = 30.0
"""A daemon says how it fares every few seconds; one that was silent for longer hangs, or its disk does."""
_NARROWEST = 20
_MOST_PROBLEMS = 5
_WAKES = {"native": "woken by file events", "polling": "polling, for want of file events"}


def service_text(standing: Standing, now: float, width: int, *, color: bool, ascii_only: bool) -> str:
    """Return the page of `daemon status`, no line wider than *width*; *now* is in Unix seconds."""
    page = Page(max(_NARROWEST, width), ASCII if ascii_only else UNICODE)
    blocks = [
        _daemon(standing, page, now),
        alert_lines(standing, page, now),
        _silences(standing.silences, page, now),
        destination_lines(standing, page, now),
        _hint(standing, page),
    ]
    lines: list[Line] = []
    for block in filter(None, blocks):
        lines += [*([Line([])] if lines else []), *block]
    return render(lines, page, color)


# -- the daemon


def _daemon(standing: Standing, page: Page, now: float) -> list[Line]:
    health = own_health(standing)
    lines = [*_head(standing, health, page, now), *page.prose(_who(standing, health, now))]
    if health is not None and standing.holder is not None:
        lines += page.items("", _reading(health), column=0)
        lines += _problems([*filter(None, (health.degraded, *health.problems))], page)
    return lines


def _problems(problems: Sequence[str], page: Page) -> list[Line]:
    """Return the first few of *problems*, and how many more there are."""
    lines: list[Line] = []
    for problem in problems[:_MOST_PROBLEMS]:
        lines += page.prose(theirs(problem, page), "warning", Span("!", "warning"))
    more = len(problems) - _MOST_PROBLEMS
    return [*lines, *page.prose(f"and {more:,} more", "warning", indent=4)] if more > 0 else lines


def _head(standing: Standing, health: Health | None, page: Page, now: float) -> list[Line]:
    """Return the line that is the whole answer about the daemon; only a narrow page takes two for it."""
    verdict, mark = _verdict(standing, health, now)
    title = Span(time.strftime("nanwatch daemon %H:%M:%S  ", time.localtime(now)), "title")
    line = Line([*([mark, Span(" ")] if mark else []), title, verdict])
    return [line] if line.cells <= page.width else page.prose(f"daemon {verdict.text}", verdict.role, mark, indent=0)


def _verdict(standing: Standing, health: Health | None, now: float) -> tuple[Span, Span | None]:
    """Return in a few words whether the daemon does its work, and the mark if it does not."""
    if standing.holder is None:
        return Span("NOT running: nobody watches, nobody is told", "critical"), Span("X", "critical")
    if health is None:
        return Span("running, has not spoken yet", "warning"), Span("!", "warning")
    if now - health.seen_at > _SILENT_S:
        silent = f"running, but has not spoken for {age(now - health.seen_at)}"
        return Span(silent, "critical"), Span("X", "critical")
    if not health.followed:
        return Span("running, but follows no log", "warning"), Span("!", "warning")
    return Span("running"), None


def _who(standing: Standing, health: Health | None, now: float) -> str:
    """Return which process it is, or where there was one."""
    if standing.holder is not None:
        return clean(standing.holder) + ("" if health is None else f", version {clean(health.version)}")
    state = f"its state in {clean(standing.folder)}"
    if health is None:
        return f"none is known to have run with {state}"
    where = f"process {health.pid} on {clean(health.host)}, with {state}"
    return f"{_end(health, now)}: {where}"


def _end(health: Health, now: float) -> str:
    """Return how a daemon came to its end: stopped on purpose, or not."""
    if health.stopped_at is not None:
        return f"stopped at {to_the_second(health.stopped_at, now)} ({age(now - health.stopped_at)} ago)"
    return f"ended without a word, last seen {to_the_second(health.seen_at, now)} ({age(now - health.seen_at)} ago)"


def _reading(health: Health) -> Iterator[Span]:
    if health.followed:
        yield Span(f"follows {plural(health.followed, 'log')}")
    yield Span(f"{size_words(health.bytes_read)} in {plural(health.frames, 'frame')} read")
    if health.bytes_behind > 0:
        yield Span(f"{size_words(health.bytes_behind)} behind")
    if health.wake:
        yield Span(_WAKES.get(health.wake) or clean(health.wake))


# -- silences


def _silences(silences: Sequence[StoredSilence], page: Page, now: float) -> list[Line]:
    if not silences:
        return []
    lines = page.items("silences", [Span(f"{len(silences):,}")], indent=0, column=10)
    column = 2 + max(len(str(stored.number)) for stored in silences)
    for stored in silences:
        spans = [Span(text) for text in _silence_words(stored, page, now)]
        lines += page.items(str(stored.number), spans, column=column)
    return lines


def _silence_words(stored: StoredSilence, page: Page, now: float) -> Iterator[str]:
    silence = stored.silence
    yield _matched(silence)
    if silence.severity != SEVERITIES[-1]:
        yield f"up to {silence.severity}"
    if silence.starts_at is not None and silence.starts_at > now:
        yield f"from {moment(silence.starts_at, now)}"
    ends_at = silence.ends_at
    yield (
        "until it is ended" if ends_at is None
        else f"until {moment(ends_at, now)} ({duration(ends_at - now)} left)"
    )  # fmt: skip
    comment = theirs(silence.comment, page)
    yield f"by {theirs(stored.created_by, page) or 'nobody known'}" + (f": {comment}" if comment else "")


def _matched(silence: Silence) -> str:
    rule, run = clean(silence.rule), clean(silence.run)
    if (rule, run) == ("*", "*"):
        return "every alert"
    return " ".join([f"rule {rule}"] * (rule != "*") + [f"run {run}"] * (run != "*"))


# -- what to do


def _hint(standing: Standing, page: Page) -> list[Line]:
    """Return the commands that help here."""
    commands = []
    if standing.holder is None:
        commands.append("nanwatch daemon run")
    if standing.alerts:
        commands += ["nanwatch daemon ack ID", "nanwatch daemon silence --run PATTERN --for 4h"]
    if standing.silences:
        commands.append("nanwatch daemon unsilence NUMBER")
    return page.items("", [Span(command, "quiet") for command in commands], indent=0, column=0) if commands else []
