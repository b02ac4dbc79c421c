"""The body of a message: what fires, what to do about it, its evidence, and where the runs stand."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, groupby
from operator import itemgetter

from nanwatch.model.news import News
from nanwatch.model.words import duration, printable
from nanwatch.notify.advice import common_to_do, to_do
from nanwatch.notify.amounts import moment
from nanwatch.notify.evidence import evidence_rows
from nanwatch.notify.inert import inert
from nanwatch.notify.layout import MOST_BYTES, bounded, field, join, size, wrap
from nanwatch.notify.names import short_name
from nanwatch.notify.phrases import began_and_ended, counts, how_bad, lasted
from nanwatch.notify.standing import run_lines

_ROOM = MOST_BYTES - 1200
"""Bytes of what is told in full; the others are for the host, and the count of what is not."""
_ABOUT_NAN = ("nan_loss", "nan_burst")
_FULL_ALERTS = 10
_NAMED_RUNS = 5
_EVIDENCE = 12


def body(news: Sequence[News], host: str, now: float) -> str:
    """Return all that is known at *now* (Unix seconds) of *news*, which are ordered, the most important first.

    As many alerts as fit are told in full, with where their runs stand; the others are counted.
    """
    runs = {run: rank for rank, run in enumerate(dict.fromkeys(item.run.id for item in news))}
    ordered = sorted(news, key=lambda item: runs[item.run.id])
    together = _together(ordered, host) if len(runs) > 1 else ""
    head = _overview(ordered, host, together) if len(runs) > 1 else []
    blocks = [
        _alert_lines(item, now, _lead(item, len(ordered), len(runs)), "" if together else to_do(item, host))
        for item in ordered[:_FULL_ALERTS]
    ]
    lines = [*head, *_with_runs(ordered, blocks, now)]
    while size(lines) > _ROOM and len(blocks) > 1:
        blocks.pop()
        lines = [*head, *_with_runs(ordered, blocks, now)]
    if size(lines) > _ROOM:
        fitting = size(blocks[0]) - (size(lines) - _ROOM)
        lines = [*head, *_with_runs(ordered, [bounded(blocks[0], fitting, last=3)], now)]
    if rest := ordered[len(blocks) :]:
        lines += [f"and {len(rest)} more: {counts(rest)}", ""]
    return join(bounded([*(lines or ["Nothing fires."]), f"Host   {host}"], MOST_BYTES, last=1))


def _with_runs(news: Sequence[News], blocks: Sequence[Sequence[str]], now: float) -> list[str]:
    """Return the *blocks* of the first of *news*, after those of each run where it stands."""
    lines: list[str] = []
    for _, group in groupby(zip(news, blocks, strict=False), key=lambda told: told[0].run.id):
        items, texts = zip(*group, strict=True)
        lines += chain.from_iterable([*text, ""] for text in texts)
        latest = max((item.run for item in items), key=lambda run: run.updated_at or 0.0)
        lines[-1:] = [*run_lines(latest, now, any(item.alert.rule in _ABOUT_NAN for item in items)), ""]
    return lines


def _together(news: Sequence[News], host: str) -> str:
    """Return what to do about all of *news* where it is the same alert of several runs."""
    return common_to_do(news, host) if len({item.alert.rule for item in news}) == 1 else ""


def _overview(news: Sequence[News], host: str, advice: str) -> list[str]:
    """Return which runs it is about: five names, and how many more; what to do about all, and when it began."""
    names = list({item.run.id: short_name(item.run) for item in news}.values())
    more = f", and {len(names) - _NAMED_RUNS} more" if len(names) > _NAMED_RUNS else ""
    lines = wrap(f"{len(names)} runs on {host}: {', '.join(names[:_NAMED_RUNS])}{more}; {counts(news)}.")
    lines += field("Do", advice)
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


def _alert_lines(item: News, now: float, lead: str, advice: str) -> list[str]:
    """Return one alert: what it says, what to do (nothing where that is told for all), its evidence, its place."""
    message = " ".join(inert(item.alert.message).split())
    first = lead + _life(item, now)
    lines = wrap(f"{first[:1].upper()}{first[1:]}{message}")
    lines += field("Do", advice)
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
        began = "began and ended, over" if began_and_ended(item) else "over"
        said.append(f"{began} after {long}" if long else began)
    else:
        if "repeated" in item.reasons:
            start = alert.noticed_at if alert.started_at is None else alert.started_at
            said.append(f"still firing, for {duration(now - start)}")
        if "escalated" in item.reasons:
            said.append(f"now {alert.severity}")
    return f"{', '.join(said)}: " if said else ""


def _evidence(item: News) -> list[str]:
    """Return in words what is known beyond the message."""
    rows = list(evidence_rows(item.alert))
    if not rows:
        return []
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
