"""What each command does: reads through the one pipeline, shows through one view."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from nanwatch.config import Config
from nanwatch.configfile import load_config
from nanwatch.console import config_of, find_logs, folder_of, print_notice, progress_line, say
from nanwatch.errors import NothingToRead, UsageError
from nanwatch.model.alert import Alert
from nanwatch.reading import LogReading, problem_of, read_log
from nanwatch.views.terminal import Progress, has_color, is_unicode, size

if TYPE_CHECKING:
    from nanwatch.pipeline import Notice
    from nanwatch.views.timeline import Timeline


def summary(arguments: argparse.Namespace) -> int:
    """Print the one-shot summary."""
    config = config_of(arguments)
    now = time.time()
    paths = _paths(arguments, config)
    progress = progress_line()
    cache = None
    if not arguments.no_cache:
        from nanwatch.cache import Cache

        cache = Cache(folder_of("cache") / "summary", (config.rules, config.alerts))
    readings = [read_log(path, config, cache, now, progress) for path in paths]
    if progress is not None:
        progress.clear()
    for complaint in dict.fromkeys(c for r in readings for c in r.complaints):
        say(complaint)
    nothing = all(r.problem for r in readings)
    if nothing:
        for reading in readings:
            say(f"{reading.log}: {reading.problem}")
    if arguments.json:
        _print_json(readings, now)
    elif not nothing:
        _print_summary(arguments, readings, now)
    if arguments.check:
        return _check(readings)
    return NothingToRead.exit_code if nothing else 0


def tail(arguments: argparse.Namespace) -> int:
    """Follow logs: on a dashboard, or with a line for each change."""
    from nanwatch import tailcommand

    return tailcommand.tail(arguments)


def replay(arguments: argparse.Namespace) -> int:
    """Print the alerts of logs in the order of their bytes."""
    config = config_of(arguments)
    timeline = None
    if not arguments.json and not arguments.events and sys.stdout.isatty():
        from nanwatch.views.page import Page
        from nanwatch.views.timeline import Timeline
        from nanwatch.views.words import ASCII, UNICODE

        page = Page(size()[0], UNICODE if is_unicode(sys.stdout) else ASCII)
        timeline = Timeline(page, has_color(sys.stdout))
    read = False
    for path in _paths(arguments, config):
        problem = problem_of(path)
        if problem is not None:
            say(f"{path}: {problem}")
            continue
        read = True
        _replay_log(path, config, timeline, arguments.events)
    return 0 if read else NothingToRead.exit_code


def _replay_log(path: Path, config: Config, timeline: Timeline | None, events: bool) -> None:
    """Print the alerts of one log: what its bytes tell, then what its silence since tells."""
    from nanwatch.model.frame import Discontinuity
    from nanwatch.pipeline import LogPipeline
    from nanwatch.reading import note_time
    from nanwatch.tail.follower import Follower

    pipeline, progress = LogPipeline(str(path), config, every_event=events), progress_line()
    follower = Follower(path, chunk_size=1 << 20)
    if timeline is not None:
        sys.stdout.write(timeline.head(pipeline.runs[0]))
    for item in follower.poll():
        if isinstance(item, Discontinuity):
            say(f"{path}: {item.reason} while it was being read")
            break
        _print_replay(pipeline.feed(item), timeline, events, progress)
        if progress is not None:
            progress(str(path), item.offset + len(item.data), follower.size)
    grew_at = follower.mtime
    follower.close()
    _print_replay(pipeline.finish(), timeline, events, progress)
    _print_replay(note_time(pipeline, path, time.time(), grew_at), timeline, events, progress)
    if progress is not None:
        progress.clear()
    if timeline is not None:
        sys.stdout.write(timeline.tail(pipeline.runs[-1]))
    for problem in [f"{path}: {follower.problem}"] * bool(follower.problem) + pipeline.problems:
        say(problem)


def explain(arguments: argparse.Namespace) -> int:
    """Print what was recognised as what in a log."""
    from nanwatch.explaining import explain_log
    from nanwatch.views.explanation import explanation_json, explanation_lines

    path = Path(arguments.log)
    problem = problem_of(path)
    if problem is not None:
        raise NothingToRead(f"{path}: {problem}")
    progress = progress_line()
    found = explain_log(path, progress)
    if progress is not None:
        progress.clear()
    if arguments.json:
        print(json.dumps(explanation_json(found), ensure_ascii=False))
    else:
        for line in explanation_lines(found, size()[0]):
            print(line)
    return 0


def check_rules(arguments: argparse.Namespace) -> int:
    """Check a config, its own rules and its scenarios."""
    from nanwatch.checking import check_built_in, check_config, check_scenarios
    from nanwatch.views.checks import config_words, scenario_words

    config = load_config(arguments.file or arguments.config, folder_of("config"))
    print(config_words(config, check_config(config)))
    if config.receivers or config.alerts.silences:
        from nanwatch.doubts import doubts
        from nanwatch.notify.receivers import open_destinations

        for doubt in doubts(config, open_destinations(config.receivers, "")):
            say(doubt)
    wrong = False
    for checked in (check_built_in(config), *check_scenarios([*config.scenarios, *arguments.scenarios], config)):
        wrong = wrong or bool(checked.differences)
        for line in scenario_words(checked):
            print(line)
    return 1 if wrong else 0


def init(arguments: argparse.Namespace) -> int:
    """Write a config with every default in it, commented."""
    from importlib.resources import files

    text = (files("nanwatch") / "template.toml").read_text(encoding="utf-8")
    if arguments.file == "-":
        sys.stdout.write(text)
        return 0
    path = Path(arguments.file)
    try:
        with path.open("w" if arguments.force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path}: is there already (--force replaces it)") from None
    except OSError as error:
        raise UsageError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    print(f"wrote {path}; check what you change with: nanwatch check-rules {path}")
    return 0


def daemon(arguments: argparse.Namespace) -> int:
    """Run the daemon, or speak to its store."""
    from nanwatch import daemoncommands

    part = (arguments.part or "run").replace("-", "_")
    return {
        "run": daemoncommands.run, "status": daemoncommands.status, "ack": daemoncommands.ack,
        "silence": daemoncommands.silence, "unsilence": daemoncommands.unsilence,
        "test_notify": daemoncommands.test_notify,
    }[part](arguments)  # fmt: skip


def run_training(arguments: argparse.Namespace) -> int:
    """Run a training and keep its log; return its own exit code."""
    from nanwatch.launch import run_command

    argv = arguments.argv[1:] if arguments.argv[:1] == ["--"] else arguments.argv
    log = Path(arguments.log) if arguments.log else None
    return run_command(argv, log, use_pty=arguments.use_pty, append=arguments.append)


# -- what the commands share


def _paths(arguments: argparse.Namespace, config: Config) -> list[Path]:
    """Return the logs that the arguments or the config name.

    Raises:
        NothingToRead: there are none.
    """
    patterns = arguments.logs or list(config.logs)
    if "-" in patterns:
        raise UsageError("standard input can only be followed: nanwatch tail -")
    return find_logs(patterns)


def _print_json(readings: list[LogReading], now: float) -> None:
    from nanwatch.runs.status import status_of
    from nanwatch.views.contract import iso, run_json

    found = []
    for reading in readings:
        for run in reading.runs if reading.problem is None else ():
            item = run_json(run, reading.alerts_of(run), status_of(run, reading.alerts_of(run)))
            if item["updated_at"] is None and reading.silence is not None:
                item["updated_at"] = iso(now - reading.silence)
            found.append(item)
    problems = [{"log": r.log, "problem": r.problem} for r in readings if r.problem]
    print(json.dumps({"schema": 1, "generated_at": iso(now), "runs": found, "problems": problems}))


def _print_summary(arguments: argparse.Namespace, readings: list[LogReading], now: float) -> None:
    from nanwatch.runs.status import status_of
    from nanwatch.views.summary import LogProblem, RunView, render_summary

    views = [
        RunView(run, reading.alerts_of(run), status_of(run, reading.alerts_of(run)), reading.silence)
        for reading in readings
        for run in reading.runs[-1:]  # what came before it in the same log is history
        if reading.problem is None
    ]
    problems = [LogProblem(r.log, r.problem) for r in readings if r.problem]
    width, height = size()
    plain = arguments.ascii or not sys.stdout.isatty() or not is_unicode(sys.stdout)
    text = render_summary(
        views, problems, now=now, width=width, height=height,
        color=has_color(sys.stdout, arguments.color), ascii_only=plain,
    )  # fmt: skip
    sys.stdout.write(text if text.endswith("\n") else text + "\n")


def _check(readings: list[LogReading]) -> int:
    from nanwatch.runs.status import status_of
    from nanwatch.views.contract import health_of

    told = [(run, r.alerts_of(run)) for r in readings for run in r.runs[-1:] if not r.problem]
    healths = [health_of(alerts, status_of(run, alerts)) for run, alerts in told]
    if "critical" in healths:
        return 2
    if "warning" in healths:
        return 1
    return 3 if not healths or any(r.problem for r in readings) else 0


def _print_replay(
    notices: Iterable[Notice], timeline: Timeline | None, events: bool, progress: Progress | None
) -> None:
    for run, notice in notices:
        if progress is not None:
            progress.clear()
        if timeline is None:
            print_notice(run, notice, events)
        elif isinstance(notice, Alert):
            sys.stdout.write(timeline.change(run, notice))
