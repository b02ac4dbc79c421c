"""What the commands share: the config that was asked for, the user's folders, and lines on stderr."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nanwatch.config import Config
from nanwatch.configfile import load_config
from nanwatch.errors import NothingToRead, UsageError
from nanwatch.model.alert import Alert
from nanwatch.tail.discover import Discovery
from nanwatch.views.terminal import Progress, printable

if TYPE_CHECKING:
    from nanwatch.model.event import Event
    from nanwatch.model.run import Run


def config_of(arguments: argparse.Namespace) -> Config:
    """Return the config that *arguments* name, or that stands where one is looked for."""
    return load_config(arguments.config, folder_of("config"))


def folder_of(kind: Literal["cache", "config", "state"]) -> Path:
    """Return nanwatch's folder of this kind among the user's own."""
    import platformdirs

    look = {
        "cache": platformdirs.user_cache_path, "config": platformdirs.user_config_path,
        "state": platformdirs.user_state_path,
    }  # fmt: skip
    return look[kind]("nanwatch")


def store_folder(config: Config, asked: str | None = None) -> Path:
    """Return where the daemon of *config* keeps its store, unless another folder is *asked* for."""
    from nanwatch.configvalues import read_path

    named = asked or config.daemon.state
    return read_path(named, "--state" if asked else "daemon.state").absolute() if named else folder_of("state")


def hint(patterns: list[str]) -> str:
    """Return how the logs deeper in a folder are named, where a folder was."""
    folder = next((p for p in patterns if Path(p).is_dir()), None)
    return "" if folder is None else f" (deeper ones are named so: '{folder.rstrip('/')}/**/*.log')"


def find_logs(patterns: list[str]) -> list[Path]:
    """Return the logs that *patterns* (files, globs, folders) name, and say what is wrong with these.

    Raises:
        NothingToRead: there are none.
    """
    discovery = Discovery(patterns)
    paths = list(discovery.scan())
    for problem in discovery.problems:
        say(problem)
    if not paths:
        raise NothingToRead(f"no log found: {', '.join(patterns)}{hint(patterns)}")
    return paths


def progress_line() -> Progress | None:
    """Return what shows how far reading has come, where somebody sees stderr."""
    return Progress() if sys.stderr.isatty() else None


def say(text: str) -> None:
    """Print a line of diagnostics."""
    print(f"nanwatch: {printable(text)}", file=sys.stderr, flush=True)


def print_notice(run: Run, notice: Event | Alert, events: bool) -> None:
    """Print an alert, or (with *events*) an event, as a line of JSON."""
    from nanwatch.views.contract import alert_line, event_json

    if isinstance(notice, Alert):
        print(json.dumps(alert_line(notice, run)), flush=True)
    elif events:
        print(json.dumps(event_json(notice, run)), flush=True)


def write_whole(path: Path, text: str) -> None:
    """Write *text* to *path* at once or not at all: beside it first, with the mode that it has or any new file gets.

    Raises:
        UsageError: it cannot be written there.
    """
    import tempfile

    name = None
    try:
        target = path.resolve()  # what a link leads to is replaced, not the link
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[:40]}-")
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
        Path(name).chmod(_mode_of(target))
        Path(name).replace(target)
    except OSError as error:
        if name is not None:
            Path(name).unlink(missing_ok=True)
        raise UsageError(f"{path}: cannot be written: {(error.strerror or str(error)).lower()}") from None


def _mode_of(path: Path) -> int:
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
