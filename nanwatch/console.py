"""What the commands share: the config that was asked for, the user's folders, and lines on stderr."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nanwatch.config import Config
from nanwatch.configfile import load_config
from nanwatch.model.alert import Alert
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
