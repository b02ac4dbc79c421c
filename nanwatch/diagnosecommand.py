"""`nanwatch diagnose`: why a run went wrong as far as its log shows it, what to change, how to resume."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from nanwatch.console import config_of, progress_line, say
from nanwatch.errors import NothingToRead, UsageError
from nanwatch.reading import LogReading, read_log
from nanwatch.views.terminal import has_color, is_unicode, size

if TYPE_CHECKING:
    from nanwatch.config import Config
    from nanwatch.model.checkpoint import Weights
    from nanwatch.model.snapshot import RunView

_ABOUT = """Says what happened in a run, which causes are probable and why, what to change from which value to which,
what the log does not show, and how to resume from the last clean checkpoint."""
_MOST = 50
_PATIENCE = 120.0
"""Seconds after which no further checkpoint is begun."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `nanwatch diagnose` takes."""
    parser.description = _ABOUT
    parser.add_argument("log", metavar="LOG", help="a log file")
    parser.add_argument("--run", metavar="N", type=int, help="the N-th run of the log (default: its last)")
    parser.add_argument("--checkpoints", metavar="DIR", help="where the run's checkpoints are (default: as it says)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--config", metavar="FILE", help="config (default: nanwatch.toml here or of the user)")


def main(arguments: argparse.Namespace) -> int:
    """Print the diagnosis of one run."""
    if arguments.log == "-":
        raise UsageError("a diagnosis needs a file: standard input can only be followed (nanwatch tail -)")
    if arguments.checkpoints == "":
        raise UsageError("--checkpoints: the name of the folder is empty")
    config, now = config_of(arguments), time.time()
    view = _view(_reading(Path(arguments.log), config, now), arguments.run)
    weights = _weights(view, arguments.checkpoints, config)
    from nanwatch.diagnose import diagnose
    from nanwatch.views.diagnosis import diagnosis_json, render_diagnosis

    found = diagnose(view, weights, now)
    if arguments.json:
        print(json.dumps(diagnosis_json(view, found, weights), allow_nan=False))
    else:
        color, ascii_only = has_color(sys.stdout), not is_unicode(sys.stdout)
        sys.stdout.write(
            render_diagnosis(view, found, weights, width=size()[0], color=color, ascii_only=ascii_only)
        )  # fmt: skip
    return 0


def _reading(path: Path, config: Config, now: float) -> LogReading:
    """Return what the log at *path* tells.

    Raises:
        NothingToRead: it cannot be read, or no training is in it.
    """
    progress = progress_line()
    reading = read_log(path, config, None, now, progress)
    if progress is not None:
        progress.clear()
    if reading.problem is not None:
        raise NothingToRead(f"{path}: {reading.problem}")
    for complaint in dict.fromkeys(reading.complaints):
        say(complaint)
    return reading


def _view(reading: LogReading, number: int | None) -> RunView:
    """Return the run of this number, the last one without.

    Raises:
        NothingToRead: the log has no such run.
    """
    views = [view for view in reading.views() if number is None or view.run.number == number]
    if not views:
        raise NothingToRead(f"{reading.log}: has no run {number}")
    return views[-1]


def _weights(view: RunView, folder: str | None, config: Config) -> Weights | None:
    """Return what the checkpoints in *folder* hold, or of a run that is not well those that it names itself."""
    from nanwatch.clock import SystemClock
    from nanwatch.views.health import health
    from nanwatch.weights import weights_of

    clock = SystemClock()
    if folder is not None:
        from nanwatch.checkpoints.folder import scan_folder
        from nanwatch.checkpoints.scan import scan_file  # numpy comes with it

        found = scan_folder(
            Path(folder), scan_file, limit=_MOST, seconds=_PATIENCE, steady=clock.steady, now=clock.now()
        )  # fmt: skip
        if found.problem and not found.checkpoints:
            raise NothingToRead(f"{folder}: {found.problem}")
        return found
    if config.checkpoints.scan and health(view) in ("critical", "warning"):
        return weights_of(view.run, view.alerts, config.checkpoints, clock)
    return None
