"""The body of a message: what fires, what to do about it, its evidence, and where the runs stand."""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter

from nanwatch.model.news import News
from nanwatch.notify.amounts import duration, moment, number
from nanwatch.notify.inert import inert, printable
from nanwatch.notify.layout import MOST_BYTES, bounded, field, size, wrap
from nanwatch.notify.names import short_name
from nanwatch.notify.phrases import counts, filled, how_bad, lasted, terms
from nanwatch.notify.standing import run_lines
from nanwatch.notify.wording import wording_of

_RESERVED = 1200
"""Bytes for what stands before and after the alerts."""
_FULL_ALERTS = 10
_NAMED_RUNS = 5
_EVIDENCE = 12
_LONGEST_NAME = 40


def body(news: Sequence[News], host: str, now: float) -> str:
    """Return all that is known at *now* (Unix seconds) of *news*, which are ordered, the most important first.

    As many alerts as fit are told in full, the others are counted.
    """
    runs = {run: rank for rank, run in enumerate(dict.fromkeys(item.run.id for item in news))}
    ordered = sorted(news, key=lambda item: runs[item.run.id])
    lines = _overview(ordered, host) if len(runs) > 1 else []
    last_of_run = {item.run.id: item for item in ordered[:_FULL_ALERTS]}
    shown = 0
    for item in ordered[:_FULL_ALERTS]:
        block = _alert_lines(item, host, now, _lead(item, len(ordered), len(runs)))
        if item is last_of_run[item.run.id]:
            block += run_lines(item.run, now, item.alert.rule in ("nan_loss", "nan_burst"))
        if shown and size([*lines, *block]) > MOST_BYTES - _RESERVED:
            break
        lines += [*block, ""]
        shown += 1
    if shown < len(ordered):
        lines += [f"and {len(ordered) - shown} more: {counts(ordered[shown:])}", ""]
    return bounded([*(lines or ["Nothing fires."]), f"Host   {host}"])


def _overview(news: Sequence[News], host: str) -> list[str]:
    """Return which runs it is about: five names, and how many more; and when it began."""
    names = list({item.run.id: short_name(item.run) for item in news}.values())
    more = f", and {len(names) - _NAMED_RUNS} more" if len(names) > _NAMED_RUNS else ""
    lines = wrap(f"{len(names)} runs on {host}: {', '.join(names[:_NAMED_RUNS])}{more}; {counts(news)}.")
    began = [(item.alert.started_at, item.run) for item in news if item.alert.started_at is not None]
    if began:
        at, run = min(began, key=itemgetter(0))
        lines += field("First", f"{short_name(run)}, {moment(at)}")
    return [*lines, ""]


def _lead(item: News, alerts: int, runs: int) -> str:
    """Return what tells the alert from the others of the message: how bad, and of which run."""
    if alerts == 1:
        return ""
    return f"{how_bad(item)} {short_name(item.run)}: " if runs > 1 else f"{how_bad(item)}: "


def _alert_lines(item: News, host: str, now: float, lead: str) -> list[str]:
    """Return one alert: what it says, what to do, its evidence, where it began."""
    message = " ".join(inert(item.alert.message).split())
    lines = wrap(f"{lead}{_life(item, now)}{message}")
    lines += field("Do", _to_do(item, host))
    lines += _evidence(item)
    lines += field("At", _onset(item)) + field("Since", _since(item))
    if not item.is_over and item.alert.severity != "info":
        lines.append(f"Quiet  nanwatch daemon ack {printable(item.alert.id)}")
    return lines


def _life(item: News, now: float) -> str:
    """Return whether it is over, and what else the reader must know of it first."""
    alert = item.alert
    said = []
    if item.is_over:
        long = lasted(item)
        began = "began and ended, over" if "first" in item.reasons else "over"
        said.append(f"{began} after {long}" if long else began)
    else:
        if "repeated" in item.reasons:
            start = alert.noticed_at if alert.started_at is None else alert.started_at
            said.append(f"still firing, for {duration(now - start)}")
        if "escalated" in item.reasons:
            said.append(f"now {alert.severity}")
    return f"{', '.join(said).capitalize()}: " if said else ""


def _to_do(item: News, host: str) -> str:
    if item.is_over or item.alert.severity == "info":
        return "Nothing to do."
    return filled(wording_of(item.alert.rule).to_do, terms(item, host)) or "Look at the log."


def _evidence(item: News) -> list[str]:
    known = [(name, value) for name, value in item.alert.evidence.items() if value is not None]
    if not known:
        return []
    # A process id is a name, not an amount: it is copied as it stands.
    rows = [(printable(name)[:_LONGEST_NAME], number(value, "" if name == "pid" else ",")) for name, value in known]
    rows, more = rows[:_EVIDENCE], len(rows) - _EVIDENCE
    width = max(len(name) for name, _ in rows)
    lines = [f"  {name:<{width}}  {value}" for name, value in rows]
    return ["Evidence", *lines, *([f"  and {more} more"] if more > 0 else [])]


def _onset(item: News) -> str:
    """Return `epoch 4, batch 32, log line 1,203, byte 8,812,345`."""
    alert = item.alert
    places = (
        ("epoch", alert.epoch),
        ("step" if alert.epoch is None else "batch", alert.batch),
        ("log line", alert.line),
        ("byte", alert.offset),
    )
    return ", ".join(f"{name} {value:,}" for name, value in places if value is not None)


def _since(item: News) -> str:
    alert = item.alert
    if alert.started_at is None:
        return f"while nanwatch was not watching; seen {moment(alert.noticed_at)}"
    until = "" if alert.resolved_at is None else f", until {moment(alert.resolved_at)}"
    return f"{moment(alert.started_at)}{until}"
