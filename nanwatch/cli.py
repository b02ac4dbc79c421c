"""Arguments -> one call for each command. The only place where an error becomes a line and an exit code."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from nanwatch import __version__
from nanwatch.errors import NanwatchError, UsageError

_EPILOG = """exit codes: 0 fine; 2 wrong usage or config; 3 nothing to read.
With check-rules: 1 a scenario came out otherwise.
With summary --check: 0 healthy, 1 a warning fires, 2 a critical alert fires, 3 unknown."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
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

    tail = commands.add_parser("tail", help="follow logs: a line for each change")
    _add_logs(tail, "log files, globs, folders, or - for standard input")
    lines = tail.add_mutually_exclusive_group()
    lines.add_argument("--plain", action="store_true", help="lines of text")
    lines.add_argument("--json", action="store_true", help="JSON lines: alerts as their state changes")
    tail.add_argument("--events", action="store_true", help="with --json: every event too")
    tail.add_argument("--poll", action="store_true", help="look every second instead of waiting for events")

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

    explain = commands.add_parser("explain", help="what was recognised as what, and what was not")
    explain.add_argument("log", metavar="LOG")
    explain.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _add_logs(parser: argparse.ArgumentParser, text: str = "log files, globs or folders", count: str = "*") -> None:
    parser.add_argument(
        "logs", metavar="LOG", nargs=count, help=text if count == "+" else f"{text} (default: the config's logs)"
    )
    parser.add_argument("--config", metavar="FILE", help="config (default: nanwatch.toml here or of the user)")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    # A log's name may hold what the locale cannot say.
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        arguments = build_parser().parse_args(argv)
        from nanwatch import commands

        run = getattr(commands, arguments.command.replace("-", "_"))
        code: int = run(arguments)
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
