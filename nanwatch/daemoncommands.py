"""What `nanwatch daemon` and its sub-commands do: run the service, or speak to its store."""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sqlite3
import stat
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from logging.handlers import WatchedFileHandler
from pathlib import Path
from types import FrameType
from typing import NoReturn

from nanwatch.alerts.suppression import is_silenced
from nanwatch.clock import SystemClock
from nanwatch.config import Config, Duration
from nanwatch.configfile import load_config
from nanwatch.configvalues import parse_duration
from nanwatch.console import say, store_folder
from nanwatch.errors import NanwatchError, NothingToRead, UsageError
from nanwatch.holding import hold, holder, user_name
from nanwatch.model.alert import Silence
from nanwatch.redaction import RedactingFormatter, Redactor
from nanwatch.store import FILE, Store, open_store
from nanwatch.views.terminal import has_color, is_unicode, printable, size

log = logging.getLogger("nanwatch.daemon")

_NO_DAEMON = "no daemon is running"
_LONGEST_S = 100 * 365 * 86400.0
_LARGEST = 2**63 - 1
"""The largest number that the store can look for."""


def run(arguments: argparse.Namespace) -> int:
    """Follow and alert until SIGTERM."""
    from nanwatch.daemon import Service, set_up

    _take_early_signals()
    config = _config(arguments)
    setup = set_up(config)  # what is wrong with it is told before anything is made or opened
    _check_metrics(config)
    formatter = _log_to(arguments)
    formatter.redactor = setup.redactor
    folder, clock = _folder(arguments, config), SystemClock()
    with hold(folder), _opened(folder, say=log.error) as store, _metrics(config, store):
        load = _loader(arguments, config)
        Service(load, store, clock, lambda redactor: setattr(formatter, "redactor", redactor)).run()
    return 0


def status(arguments: argparse.Namespace) -> int:
    """Print what fires, what is silenced, and how the daemon and its deliveries fare."""
    from nanwatch.views.service import Standing, service_json, service_text

    config = _config(arguments)
    folder, now = _folder(arguments, config), time.time()
    with _store(folder) as store:
        standing = Standing(
            folder=str(folder), holder=holder(folder), health=store.health(), alerts=store.alerts(), runs=store.runs(),
            silences=[s for s in store.silences() if s.silence.ends_at is None or s.silence.ends_at > now],
            destinations=store.destinations(), receivers=tuple(r.name for r in config.receivers),
        )  # fmt: skip
    if arguments.json:
        print(json.dumps(service_json(standing, now)))
    else:
        plain = not sys.stdout.isatty() or not is_unicode(sys.stdout)
        sys.stdout.write(service_text(standing, now, size()[0], color=has_color(sys.stdout), ascii_only=plain))
    return 0 if standing.holder else NothingToRead.exit_code


def ack(arguments: argparse.Namespace) -> int:
    """Keep alerts quiet until they end, or take that back."""
    config = _config(arguments)
    folder, now = _folder(arguments, config), time.time()
    with _store(folder) as store:
        chosen = [_alert(store, wanted) for wanted in arguments.alerts]
        for alert_id, words in chosen:
            store.ask(alert_id, None if arguments.undo else now)
            print(printable(f"{'no longer acknowledged' if arguments.undo else 'acknowledged'}: {words}"))
    _say_if_idle(folder)
    return 0


def silence(arguments: argparse.Namespace) -> int:
    """Tell nobody of alerts that match, for a time."""
    config = _config(arguments)
    folder, now = _folder(arguments, config), time.time()
    ends_at = _end(arguments, now)
    if (arguments.rule, arguments.run) == ("*", "*") and not arguments.all:
        raise UsageError("name a --rule or a --run, or say --all")
    wanted = Silence(arguments.rule, arguments.run, arguments.severity, now, ends_at, arguments.comment)
    with _store(folder) as store:
        number = store.add_silence(wanted, user_name())
        found = sum(is_silenced(alert, run.id, wanted, now) for run, alert in store.alerts())
    until = "until it is ended" if ends_at is None else time.strftime("until %Y-%m-%d %H:%M", time.localtime(ends_at))
    matched = f"{found} of the alerts that fire now" if found else "nothing that fires now"
    print(f"silence {number} holds {until} and matches {matched}; end it with: nanwatch daemon unsilence {number}")
    _say_if_idle(folder)
    return 0


def unsilence(arguments: argparse.Namespace) -> int:
    """End silences."""
    config = _config(arguments)
    folder, now = _folder(arguments, config), time.time()
    with _store(folder) as store:
        for number in arguments.numbers:
            if number > _LARGEST or not store.end_silence(number, now):
                raise UsageError(f"no silence {number} holds (nanwatch daemon status lists them)")
            print(f"silence {number} ended")
    return 0


def test_notify(arguments: argparse.Namespace) -> int:
    """Send a test message to receivers, now and past the outbox."""
    from nanwatch.notify.base import KIND_WORDS
    from nanwatch.notify.receivers import open_destinations, secrets_of
    from nanwatch.notify.render import test_message

    config = _config(arguments)
    named = {r.name for r in config.receivers}
    if unknown := set(arguments.receivers) - named:
        raise UsageError(f"no receiver {', '.join(sorted(unknown))} (known: {', '.join(sorted(named)) or 'none'})")
    chosen = [r for r in config.receivers if not arguments.receivers or r.name in arguments.receivers]
    if not chosen:
        raise UsageError("the config names no receiver: see [receivers] in docs/daemon.md")
    host = _host(config)
    destinations = open_destinations(chosen, host)
    now = time.time()
    with ThreadPoolExecutor(len(destinations)) as pool:
        sent = [
            pool.submit(d.notifier.send, test_message(d.receiver.name, host, now, f"test-{now:.0f}-{d.name}"))
            for d in destinations
        ]
    redactor = Redactor(secrets_of(chosen))
    outcomes = [replace(o, reason=redactor(o.reason)) for o in (future.result() for future in sent)]
    if arguments.json:
        told = [
            {"destination": d.name, "outcome": o.kind, "reason": o.reason}
            for d, o in zip(destinations, outcomes, strict=True)
        ]
        print(json.dumps(told))
    else:
        for destination, outcome in zip(destinations, outcomes, strict=True):
            print(printable(": ".join(filter(None, (destination.name, KIND_WORDS[outcome.kind], outcome.reason)))))
    return 0 if all(o.kind == "sent" for o in outcomes) else 1


# -- what they share


def _config(arguments: argparse.Namespace) -> Config:
    from platformdirs import user_config_path

    try:
        return load_config(arguments.config, user_config_path("nanwatch")).absolute()
    except FileNotFoundError:
        raise UsageError("the folder in which this was started is gone") from None


def _loader(arguments: argparse.Namespace, first: Config) -> Callable[[], Config]:
    """Return what reads the config anew: the file that was *first* read, for without it all would be undone."""

    def load() -> Config:
        config = load_config(first.path).absolute() if first.path else _config(arguments)
        for name in ("state", "metrics"):
            if getattr(config.daemon, name) != getattr(first.daemon, name):
                log.warning("daemon.%s: what is new holds from the next start on", name)
        _warn_of_open_secrets(config)
        return config

    return load


def _folder(arguments: argparse.Namespace, config: Config) -> Path:
    return store_folder(config, arguments.state)


@contextmanager
def _store(folder: Path) -> Iterator[Store]:
    """Open the store that a daemon has made in *folder*, and close it."""
    if not (folder / FILE).exists():
        raise NothingToRead(f"{_NO_DAEMON}, and none has been: {folder / FILE} is not there")
    with _opened(folder, say) as store:
        try:
            yield store
            if store.database.degraded:  # what was asked would be gone with this process
                raise NanwatchError(store.database.degraded)
        finally:
            store.database.close()


@contextmanager
def _opened(folder: Path, say: Callable[[str], None]) -> Iterator[Store]:
    """Open the store in *folder*; what it cannot do is told in a line."""
    try:
        yield open_store(folder, network=_is_remote(folder), say=say)
    except sqlite3.Error as error:
        raise NanwatchError(f"{folder / FILE}: {error}") from None


def _alert(store: Store, wanted: str) -> tuple[str, str]:
    """Return the id of the firing alert that begins with *wanted*, and what it is."""
    found = [(a.id, f"{a.rule} of {run.id}") for run, a in store.alerts() if a.id.startswith(wanted)]
    if len(found) != 1:
        how_many = f"{len(found)} alerts have ids" if found else "no alert that fires has an id"
        raise UsageError(f"{how_many} that begin with {wanted} (nanwatch daemon status lists them)")
    return found[0]


def _end(arguments: argparse.Namespace, now: float) -> float | None:
    if arguments.forever:
        return None
    if arguments.until:
        try:
            ends_at = datetime.fromisoformat(arguments.until).timestamp()
        except (ValueError, OverflowError):
            raise UsageError(f"--until: expected a time such as 2026-12-24T08:00, found {arguments.until!r}") from None
        if ends_at <= now:
            raise UsageError(f"--until: {arguments.until} is in the past")
        return ends_at
    try:
        duration = parse_duration(arguments.duration)
    except ValueError:
        duration = Duration(0)
    if not 0 < duration <= _LONGEST_S:
        raise UsageError(f"--for: expected a duration such as 2h or 30m, found {arguments.duration!r}")
    return now + duration


def _host(config: Config) -> str:
    from nanwatch.daemon import host_of

    return host_of(config)


def _is_remote(folder: Path) -> bool:
    from nanwatch.tail.wake import remote_file_system

    return remote_file_system(folder) is not None


def _check_metrics(config: Config) -> None:
    if config.daemon.metrics:
        from nanwatch.metrics import parse_address

        with _told_of(config):
            parse_address(config.daemon.metrics)


@contextmanager
def _metrics(config: Config, store: Store) -> Iterator[None]:
    """Serve what *store* tells, where the config asks for that."""
    if not config.daemon.metrics:
        yield
        return
    from nanwatch.metrics import serve

    with _told_of(config):
        server = serve(config.daemon.metrics, store)
    log.info("metrics on port %d", server.port)
    try:
        yield
    finally:
        server.close()


@contextmanager
def _told_of(config: Config) -> Iterator[None]:
    """Say in which file the wrong setting stands."""
    try:
        yield
    except UsageError as error:
        raise UsageError(f"{config.path}: {error}") from None


def _take_early_signals() -> None:
    """End as at any other time where a signal comes before all is set up; a reload then has nothing to do."""

    def leave(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001 - the signature of a handler
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGHUP, lambda _number, _frame: None)  # a program that is started inherits none of them


class _LogFile(WatchedFileHandler):
    """The daemon's own log in a file; while that cannot be written, its lines go to stderr."""

    def __init__(self, name: str) -> None:
        super().__init__(name, encoding="utf-8")
        self._stderr = logging.StreamHandler()

    def emit(self, record: logging.LogRecord) -> None:
        """Write *record*."""
        try:
            super().emit(record)
        except OSError:  # it was rotated away, and cannot be made anew
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say it on stderr."""
        self._stderr.setFormatter(self.formatter)
        self._stderr.emit(record)


def _log_to(arguments: argparse.Namespace) -> RedactingFormatter:
    """Set up the daemon's own log, on stderr or in a file that may be rotated; nothing secret reaches it."""
    handler: logging.Handler = logging.StreamHandler()
    if arguments.log_file:
        try:
            handler = _LogFile(arguments.log_file)
        except OSError as error:
            raise UsageError(f"{arguments.log_file}: {(error.strerror or 'cannot be written').lower()}") from None
    has_times = _is_journal() and not arguments.log_file
    layout = "%(levelname)s %(message)s" if has_times else "%(asctime)s %(levelname)s %(message)s"
    formatter = RedactingFormatter(layout, None, Redactor())
    handler.setFormatter(formatter)
    logging.raiseExceptions = False  # or else what cannot be logged is printed with all its arguments
    root = logging.getLogger("nanwatch")
    root.handlers, root.propagate = [handler], False
    root.setLevel(arguments.log_level.upper())
    return formatter


def _is_journal() -> bool:
    """Tell whether stderr is the journal, which adds times of its own."""
    try:
        own = os.fstat(2)
    except OSError:
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{own.st_dev}:{own.st_ino}"


def _warn_of_open_secrets(config: Config) -> None:
    """Warn where the config holds secrets and everybody may read it."""
    written = [s.written for r in config.receivers for s in (*r.urls, *r.alertmanager)]
    if config.path is None or all(Redactor([text])(text) == text for text in written):
        return
    mode = Path(config.path).stat().st_mode
    if mode & (stat.S_IRGRP | stat.S_IROTH):
        log.warning("%s holds secrets and others may read it: chmod 600 it", config.path)


def _say_if_idle(folder: Path) -> None:
    if holder(folder) is None:
        say(f"{_NO_DAEMON}: it will be taken up when one starts")
