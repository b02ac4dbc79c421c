"""How the daemon fares, what fires, what is silenced, and who was told: for a person, and as JSON."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

from rich.cells import cell_len

from nanwatch.model.alert import SEVERITIES, Silence
from nanwatch.model.health import DestinationHealth, Health
from nanwatch.model.news import AlertFacts, News, RunFacts
from nanwatch.notify.payload import news_json
from nanwatch.notify.render import short_name
from nanwatch.store import StoredSilence
from nanwatch.views.contract import Json, finite, iso
from nanwatch.views.page import Line, Page, Role, Span, render
from nanwatch.views.plain import MARKS
from nanwatch.views.words import ASCII, UNICODE, age, clean, cut_end, cut_middle, duration, moment, pad, plural

_SILENT_S = 30.0
"""A daemon says how it fares every few seconds; one that was silent for longer hangs, or its disk does."""
_NARROWEST = 20
_SHORT_ID = 6
_LONGEST_RULE = 24
_LEAST_NAME, _LONGEST_NAME = 16, 40
_MESSAGE_LINES = 3
_LONGEST_WORDS = 200
"""Cells of a text that somebody else wrote: a comment, a reason, a problem."""
_DESTINATION = 24
_WAKES = {"native": "woken by file events", "polling": "polling, for want of file events"}


@dataclass(frozen=True, slots=True)
class Standing:
    """What a store tells of its daemon; `holder` is None where no daemon runs, `alerts` are those that fire.

    `health` is what a daemon last said of itself: the one that runs, or an earlier one.
    """

    folder: str
    holder: str | None
    health: Health | None
    alerts: list[tuple[RunFacts, AlertFacts]]
    runs: list[RunFacts]
    silences: list[StoredSilence]
    destinations: list[DestinationHealth]


# -- JSON


def service_json(standing: Standing, now: float) -> Json:
    """Return the stable machine form; times are ISO 8601 in UTC, what is not known is null."""
    return {
        "schema": 1,
        "generated_at": _iso(now),
        "daemon": {
            "running": standing.holder is not None,
            "holder": standing.holder,
            "state_folder": standing.folder,
            **_health_json(standing.health),
        },
        "alerts": [_alert_json(run, alert) for run, alert in standing.alerts],
        "runs": [_run_json(run) for run in standing.runs],
        "silences": [_silence_json(silence) for silence in standing.silences],
        "destinations": [_destination_json(destination) for destination in standing.destinations],
    }


def _health_json(health: Health | None) -> Json:
    """Return every field of *health*; the same names with null where no daemon ever said how it fares."""
    found: Json = {item.name: None if health is None else getattr(health, item.name) for item in fields(Health)}
    if health is not None:
        found["problems"] = list(health.problems)
    return found | {name: _iso(found[name]) for name in ("started_at", "seen_at")}


def _alert_json(run: RunFacts, alert: AlertFacts) -> Json:
    told: Json = news_json(News(alert, run, ()), "", "")["alert"]
    return told | {"run": run.id, "log": run.log}


def _run_json(run: RunFacts) -> Json:
    return {
        "id": run.id,
        "log": run.log,
        "status": run.status,
        "epoch": run.epoch,
        "epochs": run.epochs,
        "progress": finite(run.progress),
        "nan_batches": run.nan_batches,
        "updated_at": _iso(run.updated_at),
    }


def _silence_json(stored: StoredSilence) -> Json:
    silence = stored.silence
    return {
        "number": stored.number,
        "rule": silence.rule,
        "run": silence.run,
        "severity": silence.severity,
        "starts_at": _iso(silence.starts_at),
        "ends_at": _iso(silence.ends_at),
        "comment": silence.comment,
        "created_by": stored.created_by,
    }


def _destination_json(destination: DestinationHealth) -> Json:
    found: Json = {item.name: getattr(destination, item.name) for item in fields(DestinationHealth)}
    return found | {name: _iso(at) for name, at in found.items() if name.endswith("_at")}


def _iso(at: float | None) -> str | None:
    """Return a Unix time as ISO 8601; None too for one that no calendar holds, such as the end of a long silence."""
    try:
        return iso(at)
    except (OverflowError, OSError, ValueError):
        return None


# -- text


def service_text(standing: Standing, now: float, width: int, *, color: bool, ascii_only: bool) -> str:
    """Return the page of `daemon status`, no line wider than *width*; *now* is in Unix seconds."""
    page = Page(max(_NARROWEST, width), ASCII if ascii_only else UNICODE)
    blocks = [
        _daemon(standing, page, now),
        _alerts(standing, page, now),
        _silences(standing.silences, page, now),
        _destinations(standing, page, now),
        _hint(standing, page),
    ]
    lines: list[Line] = []
    for block in filter(None, blocks):
        lines += [*([Line([])] if lines else []), *block]
    return render(lines, page, color)


def _theirs(text: str, page: Page, most: int = _LONGEST_WORDS) -> str:
    """Return what somebody else wrote, harmless and not too long."""
    return cut_end(clean(text), most, page.glyphs.more)


# -- the daemon


def _daemon(standing: Standing, page: Page, now: float) -> list[Line]:
    health = _own_health(standing)
    lines = [*_head(standing, health, page, now), *page.prose(_who(standing, health, now))]
    if health is not None and standing.holder is not None:
        lines += page.items("", _reading(health), column=0)
        for problem in filter(None, (health.degraded, *health.problems)):
            lines += page.prose(_theirs(problem, page), "warning", Span("!", "warning"))
    return lines


def _head(standing: Standing, health: Health | None, page: Page, now: float) -> list[Line]:
    """Return the line that is the whole answer about the daemon; only a narrow page takes two for it."""
    verdict, mark = _verdict(standing, health, now)
    title = Span(time.strftime("nanwatch daemon %H:%M:%S  ", time.localtime(now)), "title")
    line = Line([*([mark, Span(" ")] if mark else []), title, verdict])
    return [line] if line.cells <= page.width else page.prose(f"daemon {verdict.text}", verdict.role, mark, indent=0)


def _own_health(standing: Standing) -> Health | None:
    """Return what the daemon that runs says of itself; what an earlier one said is no word about it."""
    health, holder = standing.health, standing.holder
    if health is None or holder is None or not holder.startswith("process "):
        return health
    return health if holder.startswith(f"process {health.pid} ") else None


def _verdict(standing: Standing, health: Health | None, now: float) -> tuple[Span, Span | None]:
    """Return in a few words whether the daemon does its work, and the mark if it does not."""
    if standing.holder is None:
        return Span("NOT running: nobody watches, nobody is told", "critical"), Span("X", "critical")
    if health is None:
        return Span("running, has not spoken yet", "warning"), Span("!", "warning")
    if now - health.seen_at > _SILENT_S:
        silent = f"running, but has not spoken for {age(now - health.seen_at)}"
        return Span(silent, "critical"), Span("X", "critical")
    return Span("running"), None


def _who(standing: Standing, health: Health | None, now: float) -> str:
    """Return which process it is, or where there was one."""
    if standing.holder is not None:
        return clean(standing.holder) + ("" if health is None else f", version {clean(health.version)}")
    state = f"its state in {clean(standing.folder)}"
    if health is None:
        return f"none is known to have run with {state}"
    seen = f"last seen {moment(health.seen_at, now)} ({age(now - health.seen_at)} ago)"
    return f"{seen}: process {health.pid} on {clean(health.host)}, with {state}"


def _reading(health: Health) -> Iterator[Span]:
    yield Span(f"follows {plural(health.followed, 'log')}") if health.followed else Span("follows no log", "warning")
    yield Span(f"{_size(health.bytes_read)} in {plural(health.frames, 'frame')} read")
    if health.bytes_behind > 0:
        yield Span(f"{_size(health.bytes_behind)} behind")
    if health.wake:
        yield Span(_WAKES.get(health.wake) or clean(health.wake))


def _size(count: int) -> str:
    """Return `812 bytes` or `41.2 MB`: three telling digits."""
    if count < 1000:
        return plural(count, "byte")
    value, units = float(count), iter(("kB", "MB", "GB", "TB"))
    unit = ""
    while value >= 999.5 and unit != "TB":
        value, unit = value / 1000, next(units)
    return f"{value:,.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {unit}"


# -- alerts


class _Row(NamedTuple):
    """An alert in words: its columns, what stands below them, and its role: quiet where nobody is told of it."""

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


def _alerts(standing: Standing, page: Page, now: float) -> list[Line]:
    """Return what fires, worst first, what is kept quiet last."""
    if not standing.alerts:
        if standing.holder is None:
            return page.prose("no alert fired when it stopped", indent=0) if standing.health else []
        return page.prose("no alert fires", indent=0)
    names, length = _names(standing), _id_length(standing)
    ordered = sorted(standing.alerts, key=_weight)
    rows = [_row(alert, names[run.id], length, page, now) for run, alert in ordered]
    widths = _widths(rows, page)
    lines = _counted(standing, page)
    for row in rows if widths.is_low else [_HEAD, *rows]:
        lines += _row_lines(row, widths, page)
    return lines


def _weight(item: tuple[RunFacts, AlertFacts]) -> tuple[bool, int, float]:
    alert = item[1]
    return bool(alert.suppressed), -SEVERITIES.index(alert.severity), alert.noticed_at


def _counted(standing: Standing, page: Page) -> list[Line]:
    """Return the line that counts the alerts by their severity."""
    counts = Counter(a.severity for _, a in standing.alerts if not a.suppressed)
    quiet = len(standing.alerts) - counts.total()
    words = (
        (counts["critical"], Span(f"{counts['critical']:,} CRITICAL", "critical")),
        (counts["warning"], Span(plural(counts["warning"], "warning"), "warning")),
        (counts["info"], Span(f"{counts['info']:,} info")),
        (quiet, Span(f"{quiet:,} kept quiet", "quiet")),
        (standing.holder is None, Span("as it stood when the daemon stopped", "quiet")),
    )
    return page.items("alerts", [span for count, span in words if count], indent=0, column=8)


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
        quiet=_theirs("; ".join(alert.suppressed), page),
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


def _widths(rows: Sequence[_Row], page: Page) -> _Widths:
    """Return the columns that fit: the names give way first, then place and time go below, then the names do."""
    identity, rule, name, place, since = (
        max(cell_len(getattr(row, column)) for row in (_HEAD, *rows))
        for column in ("id", "rule", "name", "place", "since")
    )
    name = min(name, _LONGEST_NAME)
    least = min(name, _LEAST_NAME)
    left = page.width - (2 + identity + 2 + rule + 2)
    beside = left - (2 + place + 2 + since)
    if beside >= least:
        return _Widths(identity, rule, min(name, beside), place, is_low=False)
    return _Widths(identity, rule, min(name, left) if left >= least else 0, place, is_low=True)


def _row_lines(row: _Row, widths: _Widths, page: Page) -> list[Line]:
    """Return an alert: its columns, and below them its message, why nobody is told, and what found no room."""
    head = [
        Span(pad(row.mark, 2), row.role),
        Span(pad(row.id, widths.id + 2), row.plain),
        Span(pad(row.rule, widths.rule + 2), row.role),
        Span(pad(page.name(row.name, widths.name), widths.name), row.plain),
    ]
    low: list[str] = []
    if widths.is_low:
        low = [] if widths.name else [page.name(row.name, _LONGEST_NAME)]
        low += [part for part in (row.place, f"since {row.since}") if part]
    else:
        head.append(Span(f"  {pad(row.place, widths.place)}  {row.since}", row.plain))
    room = _MESSAGE_LINES * (page.width - 4) - page.width // 4  # words leave a gap at the end of a line
    text = cut_end(row.message, room, page.glyphs.more)
    text = ": ".join(part for part in (", ".join(low), text) if part)
    text += f" (quiet: {row.quiet})" if row.quiet else ""
    return [Line(head), *page.prose(text, row.plain, indent=4)]


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
    comment = _theirs(silence.comment, page)
    yield f"by {_theirs(stored.created_by, page) or 'nobody known'}" + (f": {comment}" if comment else "")


def _matched(silence: Silence) -> str:
    rule, run = clean(silence.rule), clean(silence.run)
    if (rule, run) == ("*", "*"):
        return "every alert"
    return " ".join([f"rule {rule}"] * (rule != "*") + [f"run {run}"] * (run != "*"))


# -- destinations


def _destinations(standing: Standing, page: Page, now: float) -> list[Line]:
    found = standing.destinations
    if not found:
        why = "no receiver is configured, or none was ever used: so far, nobody is told"
        todo = "add one under [receivers] in the config, then: nanwatch daemon test-notify"
        return [*page.prose(why, "warning", Span("!", "warning"), indent=0), *page.prose(todo)]
    column = min(_DESTINATION, page.width // 3, max(cell_len(clean(d.name)) for d in found))
    lines = page.items("destinations", [Span(f"{len(found):,}")], indent=0, column=14)
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
    yield _theirs(destination.last_reason, page) or "no reason is known"
    if is_held:
        yield "tried again once a daemon runs"
    elif destination.next_at is not None:
        wait = destination.next_at - now
        yield f"next attempt in {duration(wait)}" if wait >= 1 else "next attempt is due"


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
