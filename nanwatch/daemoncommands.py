"""What `nanwatch daemon` and its sub-commands do: run the service, or speak to its store."""

from __future__ import annotations

import argparse
import getpass
import json
import logging
import os
import stat
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from nanwatch.clock import SystemClock
from nanwatch.config import Config
from nanwatch.configfile import load_config
from nanwatch.configvalues import parse_duration
from nanwatch.database import hold, holder
from nanwatch.errors import NothingToRead, UsageError
from nanwatch.model.alert import Silence
from nanwatch.secret import RedactingFormatter, Redactor
from nanwatch.store import FILE, Store, open_store
from nanwatch.views.terminal import has_color, is_unicode, printable, size

log = logging.getLogger("nanwatch.daemon")

_NO_DAEMON = "no daemon is running"


def run(arguments: argparse.Namespace) -> int:
    """Follow and alert until SIGTERM."""
    from nanwatch.daemon import Service

    def load() -> Config:
        return _config(arguments)

    config = load()
    formatter = _log_to(arguments)
    _warn_of_open_secrets(config)
    folder = _folder(arguments, config)
    clock = SystemClock()
    with hold(folder):
        store = open_store(folder, clock.now(), network=_is_remote(folder), say=log.error)
        service = Service(load, store, clock, lambda redactor: setattr(formatter, "redactor", redactor))
        server = _serve_metrics(config, store)
        try:
            service.run()
        finally:
            if server is not None:
                server()
    return 0


def status(arguments: argparse.Namespace) -> int:
    """Print what fires, what is silenced, and how the daemon and its deliveries fare."""
    from nanwatch.views.service import Standing, service_json, service_text

    config = _config(arguments)
    folder, now = _folder(arguments, config), time.time()
    store = _store(folder, now)
    standing = Standing(
        folder=str(folder), holder=holder(folder), health=store.health(), alerts=store.alerts(), runs=store.runs(),
        silences=[s for s in store.silences() if s.silence.ends_at is None or s.silence.ends_at > now],
        destinations=store.destinations(),
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
    store = _store(folder, now)
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
    number = _store(folder, now).add_silence(wanted, getpass.getuser())
    until = "until it is ended" if ends_at is None else time.strftime("until %Y-%m-%d %H:%M", time.localtime(ends_at))
    print(f"silence {number} holds {until}; end it with: nanwatch daemon unsilence {number}")
    _say_if_idle(folder)
    return 0


def unsilence(arguments: argparse.Namespace) -> int:
    """End silences."""
    config = _config(arguments)
    folder, now = _folder(arguments, config), time.time()
    store = _store(folder, now)
    for number in arguments.numbers:
        if not store.end_silence(number, now):
            raise UsageError(f"no silence {number} holds (nanwatch daemon status lists them)")
        print(f"silence {number} ended")
    return 0


def test_notify(arguments: argparse.Namespace) -> int:
    """Send a test message to receivers, now and past the outbox."""
    from nanwatch.notify.receivers import open_destinations
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
    outcomes = [future.result() for future in sent]
    if arguments.json:
        told = [
            {"destination": d.name, "outcome": o.kind, "reason": o.reason}
            for d, o in zip(destinations, outcomes, strict=True)
        ]
        print(json.dumps(told))
    else:
        for destination, outcome in zip(destinations, outcomes, strict=True):
            print(printable(f"{destination.name}: {outcome.kind}" + (f": {outcome.reason}" if outcome.reason else "")))
    return 0 if all(o.kind == "sent" for o in outcomes) else 1


# -- what they share


def _config(arguments: argparse.Namespace) -> Config:
    from platformdirs import user_config_path

    return load_config(arguments.config, user_config_path("nanwatch")).absolute()


def _folder(arguments: argparse.Namespace, config: Config) -> Path:
    from platformdirs import user_state_path

    named = arguments.state or config.daemon.state
    return Path(named).expanduser().absolute() if named else user_state_path("nanwatch")


def _store(folder: Path, now: float) -> Store:
    if not (folder / FILE).exists():
        raise NothingToRead(f"{_NO_DAEMON}, and none has been: {folder / FILE} is not there")
    return open_store(folder, now, network=_is_remote(folder), say=_say)


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
        except ValueError:
            raise UsageError(f"--until: expected a time such as 2026-12-24T08:00, found {arguments.until!r}") from None
        if ends_at <= now:
            raise UsageError(f"--until: {arguments.until} is in the past")
        return ends_at
    try:
        return now + parse_duration(arguments.duration)
    except ValueError:
        raise UsageError(f"--for: expected a duration such as 2h or 30m, found {arguments.duration!r}") from None


def _host(config: Config) -> str:
    from nanwatch.daemon import host_of

    return host_of(config)


def _is_remote(folder: Path) -> bool:
    from nanwatch.tail.wake import remote_file_system

    return remote_file_system(folder) is not None


def _serve_metrics(config: Config, store: Store) -> Callable[[], None] | None:
    if not config.daemon.metrics:
        return None
    from nanwatch.metrics import serve

    server = serve(config.daemon.metrics, store)
    log.info("metrics on port %d", server.port)
    return server.close


def _log_to(arguments: argparse.Namespace) -> RedactingFormatter:
    """Set up the daemon's own log, on stderr or in a file that may be rotated; nothing secret reaches it."""
    from logging.handlers import WatchedFileHandler

    handler: logging.Handler = logging.StreamHandler()
    if arguments.log_file:
        try:
            handler = WatchedFileHandler(arguments.log_file, encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{arguments.log_file}: {(error.strerror or 'cannot be written').lower()}") from None
    has_times = "JOURNAL_STREAM" in os.environ and not arguments.log_file  # the journal adds its own
    layout = "%(levelname)s %(message)s" if has_times else "%(asctime)s %(levelname)s %(message)s"
    formatter = RedactingFormatter(layout, None, Redactor())
    handler.setFormatter(formatter)
    root = logging.getLogger("nanwatch")
    root.handlers, root.propagate = [handler], False
    root.setLevel(arguments.log_level.upper())
    return formatter


def _warn_of_open_secrets(config: Config) -> None:
    """Warn where the config holds secrets and everybody may read it."""
    if config.path is None or not any(s.is_literal for r in config.receivers for s in (*r.urls, *r.alertmanager)):
        return
    mode = Path(config.path).stat().st_mode
    if mode & (stat.S_IRGRP | stat.S_IROTH):
        log.warning("%s holds secrets and others may read it: chmod 600 it", config.path)


def _say_if_idle(folder: Path) -> None:
    if holder(folder) is None:
        _say(f"{_NO_DAEMON}: it will be taken up when one starts")


def _say(text: str) -> None:
    print(f"nanwatch: {printable(text)}", file=sys.stderr, flush=True)
