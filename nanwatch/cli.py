"""Arguments -> one call for each command. The only place where an error becomes a line and an exit code."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NoReturn

from nanwatch import __version__
from nanwatch.errors import NanwatchError, UsageError

_EPILOG = """exit codes: 0 fine; 2 wrong usage or config; 3 nothing to read; 4 another daemon is running.
With check-rules: 1 a scenario came out otherwise.
With summary --check: 0 healthy, 1 a warning fires, 2 a critical alert fires, 3 unknown."""


LATER = {
    "report": ("nanwatch.reportcommand", "the status page of runs: what happened, why, what next; Markdown, HTML"),
    "compare": ("nanwatch.comparecommand", "runs, or epochs of one run, side by side"),
    "diagnose": ("nanwatch.diagnosecommand", "probable causes with evidence, what to change, how to resume"),
    "checkpoint": ("nanwatch.checkpointcommand", "NaN scan of weights; which checkpoint is the last clean one"),
}
"""Commands that are loaded when they are asked for: each module has `add_arguments` and `main`."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def build_parser(asked: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of the whole command line; only where the daemon is *asked* for, with all its parts."""
    parser = _Parser(
        prog="nanwatch", description="Watches training logs and says what went wrong, since when, and how bad.",
        epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"nanwatch {__version__}")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, parser_class=_Parser, prog="nanwatch"
    )

    summary = commands.add_parser("summary", help="one-shot summary, for watch -n 30")
    _add_logs(summary)
    summary.add_argument("--json", action="store_true", help="print one JSON object")
    summary.add_argument("--check", action="store_true", help="tell the health by the exit code")
    summary.add_argument("--no-cache", action="store_true", help="read the whole logs, remember nothing")
    summary.add_argument("--color", action="store_true", help="colours although it is no terminal (watch -c)")
    summary.add_argument("--ascii", action="store_true", help="no Unicode signs")

    tail = commands.add_parser("tail", help="follow logs: on a dashboard, or a line for each change")
    _add_logs(tail, "log files, globs, folders, or - for standard input")
    lines = tail.add_mutually_exclusive_group()
    lines.add_argument("--plain", action="store_true", help="lines of text, as where stdout is no terminal")
    lines.add_argument("--json", action="store_true", help="JSON lines: alerts as their state changes")
    tail.add_argument("--events", action="store_true", help="with --json: every event too")
    tail.add_argument("--poll", action="store_true", help="look every second instead of waiting for events")
    tail.add_argument(
        "--serve", metavar="HOST:PORT", nargs="?", const="", help="the dashboard in a browser (default: 127.0.0.1:8000)"
    )
    tail.add_argument("--theme", metavar="NAME", help="dark, light, contrast, ansi, or one of Textual's")
    tail.add_argument("--ascii", action="store_true", help="no Unicode signs on the dashboard")

    replay = commands.add_parser("replay", help="the alerts that the rules raise, in the order of the log")
    _add_logs(replay, "log files", "+")
    replay.add_argument("--json", action="store_true", help="JSON lines, as where stdout is no terminal")
    replay.add_argument("--events", action="store_true", help="every event too")

    check = commands.add_parser("check-rules", help="check a config, its own rules and its scenarios")
    check.add_argument("file", metavar="CONFIG", nargs="?", help="config (default: nanwatch.toml here or of the user)")
    check.add_argument("--config", metavar="FILE", help=argparse.SUPPRESS)
    check.add_argument(
        "--scenarios", metavar="FILE", nargs="+", default=[], help="scenario files, beside those that the config names"
    )

    init = commands.add_parser("init", help="write a config with every default in it")
    init.add_argument("file", metavar="FILE", nargs="?", default="nanwatch.toml", help="where to (-: standard output)")
    init.add_argument("--force", action="store_true", help="replace a file that is there")

    daemon = commands.add_parser("daemon", help="follow and alert, from the config; or speak to the daemon that does")
    if asked == "daemon":  # a summary starts every 30 seconds, and these take as long as all the rest
        _add_daemon_parts(daemon)
    _add_run(commands)

    for name, (module, text) in LATER.items():
        later = commands.add_parser(name, help=text)
        if asked == name:
            import_module(module).add_arguments(later)

    explain = commands.add_parser("explain", help="what was recognised as what, and what was not")
    explain.add_argument("log", metavar="LOG")
    explain.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _add_daemon_parts(daemon: argparse.ArgumentParser) -> None:
    parts = daemon.add_subparsers(dest="part", metavar="PART", parser_class=_Parser)
    run = parts.add_parser("run", help="follow and alert, until SIGTERM (the default)")
    status = parts.add_parser("status", help="what fires, what is silenced, how the daemon and its deliveries fare")
    ack = parts.add_parser("ack", help="keep alerts quiet until they end")
    ack.add_argument("alerts", metavar="ID", nargs="+", help="an alert's id, or how it begins")
    ack.add_argument("--undo", action="store_true", help="take it back")
    silence = parts.add_parser("silence", help="tell nobody of alerts that match, for a time")
    silence.add_argument("--rule", default="*", metavar="PATTERN", help="rules, such as 'nan_*'")
    silence.add_argument("--run", default="*", metavar="PATTERN", help="runs, such as '*/sweep-*'")
    silence.add_argument("--severity", choices=["info", "warning", "critical"], default="critical", help="up to which")
    end = silence.add_mutually_exclusive_group()
    end.add_argument("--for", dest="duration", default="4h", metavar="TIME", help="such as 30m or 2d (default: 4h)")
    end.add_argument("--until", metavar="TIME", help="such as 2026-12-24T08:00")
    end.add_argument("--forever", action="store_true", help="until it is ended")
    silence.add_argument("--comment", default="", help="why")
    silence.add_argument("--all", action="store_true", help="every alert of every run")
    unsilence = parts.add_parser("unsilence", help="end silences")
    unsilence.add_argument("numbers", metavar="NUMBER", type=int, nargs="+")
    test = parts.add_parser("test-notify", help="send a test message to receivers")
    test.add_argument("receivers", metavar="RECEIVER", nargs="*", help="default: all")
    for parser in (status, test):
        parser.add_argument("--json", action="store_true", help="print JSON")
    # The same options before or after the part's name: what is not given must not undo what was.
    _add_own_log(daemon, "info", None)
    _add_own_log(run, argparse.SUPPRESS, argparse.SUPPRESS)
    _add_store(daemon)
    for parser in (run, status, ack, silence, unsilence, test):
        _add_store(parser, default=argparse.SUPPRESS)


def _add_own_log(parser: argparse.ArgumentParser, level: str, file: str | None) -> None:
    levels, text = ["debug", "info", "warning", "error"], "the daemon's own log (default: stderr)"
    parser.add_argument("--log-level", choices=levels, default=level)
    parser.add_argument("--log-file", metavar="FILE", help=text, default=file)


def _add_store(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    config, state = "config (default: nanwatch.toml here or of the user)", "the store's folder (default: of the user)"
    parser.add_argument("--config", metavar="FILE", help=config, default=default)
    parser.add_argument("--state", metavar="DIR", help=state, default=default)


def _add_run(commands: argparse._SubParsersAction[_Parser]) -> None:
    run = commands.add_parser(
        "run", help="run a training, keep its log, know for certain how it ended",
        usage="nanwatch run [--log FILE] [--append] [--pipe | --pty] -- COMMAND...",
    )  # fmt: skip
    run.add_argument("--log", metavar="FILE", help="where to (default: logs/NAME-TIME.log)")
    run.add_argument("--append", action="store_true", help="to a log that is there")
    how = run.add_mutually_exclusive_group()
    how.add_argument("--pty", dest="use_pty", action="store_const", const=True, help="under a terminal in any case")
    how.add_argument("--pipe", dest="use_pty", action="store_const", const=False, help="with pipes in any case")
    run.add_argument("argv", metavar="COMMAND", nargs=argparse.REMAINDER)


def _add_logs(parser: argparse.ArgumentParser, text: str = "log files, globs or folders", count: str = "*") -> None:
    parser.add_argument(
        "logs", metavar="LOG", nargs=count, help=text if count == "+" else f"{text} (default: the config's logs)"
    )
    parser.add_argument("--config", metavar="FILE", help="config (default: nanwatch.toml here or of the user)")


def _main_of(command: str) -> Callable[[argparse.Namespace], int]:
    """Return what carries *command* out."""
    if command in LATER:
        module, name = import_module(LATER[command][0]), "main"
    else:
        module, name = import_module("nanwatch.commands"), "run_training" if command == "run" else command
    found: Callable[[argparse.Namespace], int] = getattr(module, name.replace("-", "_"))
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    # A log's name may hold what the locale cannot say.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        words = sys.argv[1:] if argv is None else argv
        arguments = build_parser(words[0] if words else None).parse_args(words)
        code = _main_of(arguments.command)(arguments)
        sys.stdout.flush()
    except NanwatchError as error:
        from nanwatch.views.terminal import printable

        print(f"nanwatch: {printable(str(error))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except RuntimeError as error:
        # Ctrl-C at the moment at which a wait takes its lock back: Python then stumbles over the lock.
        if isinstance(error.__context__, KeyboardInterrupt):
            return 130
        raise
    except BrokenPipeError:
        # The reader went away (head, less): nobody is left to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return code
