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
_MOST_NAME_COLUMN = 24


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
    health, clock = _own_health(standing), time.strftime("%H:%M:%S", time.localtime(now))
    mark, words = _verdict(standing, health, now)
    gap = "" if mark is None else f"{mark.text} "
    head = Span(f"nanwatch daemon {clock}  ", "title")
    role = mark.role if mark else ""
    if len(gap) + len(head.text) + len(words) <= page.width:
        lines = [Line([*([mark, Span(" ")] if mark else []), head, Span(words, role)])]
    else:
        lines = page.prose(words, role, mark, indent=0)
    lines += page.prose(_who(standing, now))
    if health is not None and standing.holder is not None:
        lines += page.items("", _reading(health), column=0)
        for problem in filter(None, (health.degraded, *health.problems)):
            lines += page.prose(_theirs(problem, page), "warning", Span("!", "warning"))
    return lines


def _own_health(standing: Standing) -> Health | None:
    """Return what the daemon that runs says of itself; what an earlier one said is no word about it."""
    health, holder = standing.health, standing.holder
    if health is None or holder is None or not holder.startswith("process "):
        return health
    return health if holder.startswith(f"process {health.pid} ") else None


def _verdict(standing: Standing, health: Health | None, now: float) -> tuple[Span | None, str]:
    """Return in a few words whether the daemon does its work, and the mark if it does not."""
    if standing.holder is None:
        return Span("X", "critical"), "NOT running: nobody watches, nobody is told"
    if health is None:
        return Span("?", "warning"), "running, has not spoken yet"
    if now - health.seen_at > _SILENT_S:
        return Span("X", "critical"), f"running, but has not spoken for {age(now - health.seen_at)}"
    return None, "running"


def _who(standing: Standing, now: float) -> str:
    if standing.holder is not None:
        version = "" if standing.health is None else f", version {clean(standing.health.version)}"
        return clean(standing.holder) + (version if _own_health(standing) else "")
    if standing.health is None:
        return f"none has run with its state in {clean(standing.folder)}"
    last = standing.health
    who = f"process {last.pid} on {clean(last.host)}"
    return f"last seen {_when(last.seen_at, now)}: {who}, with its state in {clean(standing.folder)}"


def _reading(health: Health) -> Iterator[Span]:
    yield Span(f"follows {plural(health.followed, 'log')}") if health.followed else Span("follows no log", "warning")
    yield Span(f"{_size(health.bytes_read)} in {plural(health.frames, 'frame')} read")
    if health.bytes_behind > 0:
        yield Span(f"{_size(health.bytes_behind)} behind")
    if health.wake == "polling":
        yield Span("polling, without file events")
    elif health.wake:
        yield Span(f"woken by {clean(health.wake)} file events", "quiet")


def _size(count: int) -> str:
    """Return `812 bytes` or `41.2 MB`: three telling digits."""
    if count < 1000:
        return plural(count, "byte")
    value, units = float(count), iter(("kB", "MB", "GB", "TB"))
    unit = ""
    while value >= 999.5 and unit != "TB":
        value, unit = value / 1000, next(units)
    return f"{value:,.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {unit}"


def _when(at: float, now: float) -> str:
    """Return `21:41 (22m ago)`."""
    return f"{moment(at, now)} ({age(now - at)} ago)"


# -- alerts


class _Row(NamedTuple):
    """An alert in words, a column each; `name` is cut to what is left."""

    mark: str
    role: Role
    id: str
    rule: str
    name: str
    place: str
    since: str
    message: str
    quiet: str

    @classmethod
    def head(cls) -> _Row:
        """Return what stands above the columns."""
        return cls("", "quiet", "ID", "RULE", "RUN", "WHERE", "SINCE", "", "")


class _Widths(NamedTuple):
    """How wide the columns are; `is_low` where the last two have no room and stand below."""

    id: int
    rule: int
    name: int
    place: int
    is_low: bool


def _alerts(standing: Standing, page: Page, now: float) -> list[Line]:
    """Return what fires, worst first, what is kept quiet last."""
    if not standing.alerts:
        return [Line([Span("no alert fires" if standing.holder else "no alert fired when it stopped")])]
    rows = [_row(run, alert, standing, page, now) for run, alert in sorted(standing.alerts, key=_weight)]
    widths = _widths(rows, page)
    lines = _counted(standing, page)
    if not widths.is_low:
        lines += _row_lines(_Row.head(), widths, page)
    for row in rows:
        lines += _row_lines(row, widths, page)
    return lines


def _weight(item: tuple[RunFacts, AlertFacts]) -> tuple[bool, int, float]:
    alert = item[1]
    return bool(alert.suppressed), -SEVERITIES.index(alert.severity), alert.noticed_at


def _counted(standing: Standing, page: Page) -> list[Line]:
    """Return the line that counts the alerts by their severity."""
    counts = Counter(a.severity for _, a in standing.alerts if not a.suppressed)
    quiet = len(standing.alerts) - counts.total()
    words: dict[str, tuple[str, Role]] = {
        "critical": (f"{counts['critical']:,} CRITICAL", "critical"),
        "warning": (plural(counts["warning"], "warning"), "warning"),
        "info": (f"{counts['info']:,} info", ""),
    }
    spans = [Span(*words[name]) for name in words if counts[name]]
    spans += [Span(f"{quiet:,} kept quiet", "quiet")] if quiet else []
    if standing.holder is None:
        spans.append(Span("as it stood when it stopped", "quiet"))
    return page.items("alerts", spans, indent=0, column=8)


def _row(run: RunFacts, alert: AlertFacts, standing: Standing, page: Page, now: float) -> _Row:
    role: Role = "quiet" if alert.suppressed else "" if alert.severity == "info" else alert.severity
    at = alert.noticed_at if alert.started_at is None else alert.started_at
    return _Row(
        mark=MARKS[alert.severity], role=role, id=clean(alert.id)[: _id_length(standing)],
        rule=page.name(clean(alert.rule), _LONGEST_RULE), name=_name(run, standing), place=_place(alert),
        since=f"{moment(at, now)} ({age(now - at)})", message=clean(alert.message),
        quiet=_theirs("; ".join(alert.suppressed), page),
    )  # fmt: skip


def _id_length(standing: Standing) -> int:
    """Return how many characters tell the ids apart."""
    ids = {alert.id for _, alert in standing.alerts}
    longest = max(map(len, ids))
    lengths = range(_SHORT_ID, longest)
    return next((n for n in lengths if len({identity[:n] for identity in ids}) == len(ids)), longest)


def _name(run: RunFacts, standing: Standing) -> str:
    """Return what people call the run, or its id where another run that is ill is called so too."""
    name = short_name(run)
    is_shared = any(other.id != run.id and short_name(other) == name for other, _ in standing.alerts)
    return clean(run.id if is_shared else name)


def _place(alert: AlertFacts) -> str:
    """Return `epoch 4 batch 32`, or `step 12,000`."""
    if alert.epoch is None:
        return "" if alert.batch is None else f"step {alert.batch:,}"
    return f"epoch {alert.epoch:,}" + (f" batch {alert.batch:,}" if alert.batch else "")


def _widths(rows: Sequence[_Row], page: Page) -> _Widths:
    def widest(column: str, least: int = 0) -> int:
        return max(least, *(cell_len(getattr(row, column)) for row in rows))

    identity, rule = widest("id"), widest("rule", len("RULE"))
    place, since = widest("place", len("WHERE")), widest("since", len("SINCE"))
    wanted = min(widest("name", len("RUN")), _LONGEST_NAME)
    left = page.width - (2 + identity + 2 + rule + 2)
    beside = left - (2 + place + 2 + since)
    is_low = beside < min(wanted, _LEAST_NAME)
    return _Widths(identity, rule, min(wanted, left if is_low else beside), place, is_low)


def _row_lines(row: _Row, widths: _Widths, page: Page) -> list[Line]:
    """Return an alert: its columns, and below them its message and why nobody is told."""
    head = [
        Span(pad(row.mark, 2), row.role),
        Span(pad(row.id, widths.id + 2), "quiet" if row.role == "quiet" else ""),
        Span(pad(row.rule, widths.rule), row.role),
    ]
    plain: Role = "quiet" if row.role == "quiet" else ""
    if widths.name >= 2:
        head.append(Span(f"  {pad(page.name(row.name, widths.name), widths.name)}", plain))
    lines = [Line(head)]
    if widths.is_low:
        low = [row.name] if widths.name < _LEAST_NAME and cell_len(row.name) > widths.name else []
        if low:
            lines = [Line(head[:3])]
        low += [text for text in (row.place, f"since {row.since}") if text]
        lines += page.items("", [Span(text, plain) for text in low], indent=4, column=0)
    else:
        lines = [Line([*head, Span(f"  {pad(row.place, widths.place)}  {row.since}", plain)])]
    if row.message:
        room = _MESSAGE_LINES * (page.width - 4) - page.width // 4  # lines are not filled to their ends
        lines += page.prose(cut_end(row.message, room, page.glyphs.more), plain, indent=4)
    return lines + (page.prose(f"quiet: {row.quiet}", "quiet", indent=4) if row.quiet else [])


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
        why = "no receiver is configured, or none was ever used: until now, nobody is told"
        todo = "name one under [receivers] in the config, then try: nanwatch daemon test-notify"
        return [*page.prose(why, "warning", Span("!", "warning"), indent=0), *page.prose(todo)]
    column = max(cell_len(clean(d.name)) for d in found)
    column = min(column, _MOST_NAME_COLUMN if page.width >= 60 else _LEAST_NAME)
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
        lines += page.prose(_failure(destination, page, now, is_held=is_held), "warning", indent=4)
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


def _failure(destination: DestinationHealth, page: Page, now: float, *, is_held: bool) -> str:
    """Return why the last delivery failed, and when the next one is tried."""
    reason = _theirs(destination.last_reason, page) or "no reason is known"
    if is_held:
        return f"{reason}; tried again once a daemon runs"
    if destination.next_at is None:
        return reason
    wait = destination.next_at - now
    return f"{reason}; next attempt {f'in {duration(wait)}' if wait >= 1 else 'is due'}"


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
