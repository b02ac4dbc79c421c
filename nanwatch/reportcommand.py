"""`nanwatch report`: the status page of runs, on the terminal, as Markdown, or as one HTML file with plots."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nanwatch.config import Config
from nanwatch.configvalues import parse_duration
from nanwatch.console import config_of, find_logs, folder_of, progress_line, say, write_whole
from nanwatch.errors import NothingToRead, UsageError
from nanwatch.reading import LogReading, read_log
from nanwatch.views.summary import LogProblem
from nanwatch.views.terminal import has_color, is_unicode, size

if TYPE_CHECKING:
    from nanwatch.model.checkpoint import Weights
    from nanwatch.model.diagnosis import Diagnosis
    from nanwatch.model.snapshot import Snapshot
    from nanwatch.views.report.page import Report

Form = Literal["terminal", "md", "html"]
_FORMS: dict[str, Form] = {".md": "md", ".markdown": "md", ".html": "html", ".htm": "html"}
_CLOCK = re.compile(r"([01]?\d|2[0-3]):[0-5]\d")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take the logs, the form and the time since when."""
    parser.add_argument("logs", metavar="LOG", nargs="*", help="log files, globs or folders (default: the config's)")
    parser.add_argument("-o", "--output", metavar="FILE", help="write FILE.md or FILE.html (-: standard output)")
    parser.add_argument("--format", choices=["md", "html"], help="the form, where no file's name tells it")
    parser.add_argument("--run", metavar="N", type=int, help="the N-th run of each log (default: its last)")
    parser.add_argument("--since", metavar="TIME", help="what happened since then: 22:00, 8h, 2026-11-20T22:00")
    parser.add_argument("--config", metavar="FILE", help="config (default: nanwatch.toml here or of the user)")


def main(arguments: argparse.Namespace) -> int:
    """Write the report; tell in one line what could not be read."""
    form, target = _form(arguments), _target(arguments)
    if arguments.run is not None and arguments.run < 1:
        raise UsageError(f"--run: runs are counted from 1, found {arguments.run}")
    config, now = config_of(arguments), time.time()
    since = None if arguments.since is None else since_of(arguments.since, now)
    readings = _read(arguments, config, now, with_curves=form == "html" and since is None)
    if target is not None and any(_is_same(target, reading.log) for reading in readings):
        raise UsageError(f"-o {target}: that is the log itself")
    if all(reading.problem for reading in readings):
        for reading in readings:
            say(f"{reading.log}: {reading.problem}")
        return NothingToRead.exit_code
    if since is None:
        report = _report(readings, config, now, arguments.run)
    else:
        from nanwatch.views.report.overnight import overnight

        problems = [LogProblem(r.log, r.problem) for r in readings if r.problem is not None]
        report = overnight([r.views() for r in readings if r.problem is None], problems, since, now)
    text = _rendered(report, form)
    if target is None:
        sys.stdout.write(text)
    else:
        write_whole(target, text)
    return 0


def _form(arguments: argparse.Namespace) -> Form:
    output: str | None = arguments.output
    if output is None or output == "-":
        form: Form | None = arguments.format
        return form or ("terminal" if output is None else "md")
    suffix = Path(output).suffix.lower()
    if suffix not in _FORMS:
        raise UsageError(f"-o {output}: the name must end in .md or .html")
    if arguments.format not in (None, _FORMS[suffix]):
        raise UsageError(f"-o {output}: its name says other than --format {arguments.format}")
    return _FORMS[suffix]


def _target(arguments: argparse.Namespace) -> Path | None:
    return None if arguments.output in (None, "-") else Path(arguments.output)


def _is_same(target: Path, log: str) -> bool:
    return os.path.realpath(target) == os.path.realpath(log)


def _read(arguments: argparse.Namespace, config: Config, now: float, with_curves: bool) -> list[LogReading]:
    from nanwatch.cache import Cache

    patterns = arguments.logs or list(config.logs)
    if "-" in patterns:
        raise UsageError("a report needs a file: standard input can only be followed (nanwatch tail -)")
    paths = find_logs(patterns)
    progress = progress_line()
    cache = None if with_curves else Cache(folder_of("cache") / "summary", (config.rules, config.alerts))
    readings = [read_log(path, config, cache, now, progress, with_curves=with_curves) for path in paths]
    if progress is not None:
        progress.clear()
    for complaint in dict.fromkeys(c for reading in readings for c in reading.complaints):
        say(complaint)
    return readings


def _report(readings: list[LogReading], config: Config, now: float, number: int | None) -> Report:
    from nanwatch.views.report.content import page_of, report_of

    pages, problems = [], []
    for reading in readings:
        if reading.problem is not None:
            problems.append(LogProblem(reading.log, reading.problem))
            continue
        snapshot = _asked(reading, number)
        if snapshot is None or snapshot.view is None:
            problems.append(LogProblem(reading.log, f"has no run {number}"))
            continue
        weights, diagnosis = _looked_at(snapshot, config, now)
        pages.append((snapshot.view, page_of(snapshot, diagnosis, weights, config, now)))
    if not pages:
        raise NothingToRead("; ".join(f"{item.log}: {item.problem}" for item in problems))
    return report_of(pages, problems, now)


def _asked(reading: LogReading, number: int | None) -> Snapshot | None:
    """Return the run of this number, the last one without; None where the log has no such run."""
    *earlier, last = reading.snapshots()
    if number is None or number == last.number:
        return last
    found = next((snapshot for snapshot in earlier if snapshot.number == number), None)
    if found is None or found.view is None:
        return found
    return replace(found, view=replace(found.view, silence=None))  # the log's last byte is another run's


def _looked_at(snapshot: Snapshot, config: Config, now: float) -> tuple[Weights | None, Diagnosis]:
    """Return what the run's checkpoints hold, which are scanned if it is not well, and the diagnosis."""
    from nanwatch.clock import SystemClock
    from nanwatch.diagnose import diagnose
    from nanwatch.views.health import health
    from nanwatch.weights import weights_of

    view, weights = snapshot.view, None
    if view is None:
        raise ValueError("a snapshot without a run cannot be diagnosed")
    if config.checkpoints.scan and health(view) in ("critical", "warning"):
        weights = weights_of(view.run, view.alerts, config.checkpoints, SystemClock())
    return weights, diagnose(view, weights, now)


def _rendered(report: Report, form: Form) -> str:
    if form == "md":
        from nanwatch.views.report.markdown import render_markdown

        return render_markdown(report)
    if form == "html":
        from nanwatch.views.report.html import render_html
        from nanwatch.views.report.plots import has_plots

        if report.has_charts and not has_plots():
            say("the report is written without plots; with them: pip install plotly")
        return render_html(report)
    from nanwatch.views.report.terminal import render_terminal

    return render_terminal(report, size()[0], has_color(sys.stdout), not is_unicode(sys.stdout))


def since_of(text: str, now: float) -> float:
    """Return the time (Unix seconds) that `22:00`, `8h` or `2026-11-20T22:00` stands for.

    Raises:
        UsageError: it is none of them, or has not come yet.
    """
    try:
        at = _moment(text, now)
        datetime.fromtimestamp(at)  # what no calendar holds is a slip of the keyboard
    except (ValueError, OverflowError, OSError):
        raise UsageError(
            f"--since: expected a time such as 22:00, 8h or 2026-11-20T22:00, found {text[:60]!r}"
        ) from None
    if at > now:
        raise UsageError(f"--since: {text[:60]} has not come yet")
    return at


def _moment(text: str, now: float) -> float:
    """Return a time of the day as its last coming, a duration as so long ago, else a date and time."""
    if _CLOCK.fullmatch(text):
        hour, minute = map(int, text.split(":"))
        today = datetime.fromtimestamp(now).replace(hour=hour, minute=minute, second=0, microsecond=0)
        return (today if today.timestamp() <= now else today - timedelta(days=1)).timestamp()
    if text[-1:] in "smhd":
        return now - parse_duration(text)
    return datetime.fromisoformat(text).timestamp()
