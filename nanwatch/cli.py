"""Arguments -> one call for each command. The only place where an error becomes a line and an exit code."""

from __future__ import annotations

import argparse
import errno
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
With checkpoint: 0 all clean, 2 some are not finite, 3 some cannot be read.
With summary --check: 0 healthy, 1 a warning fires, 2 a critical alert fires, 3 unknown."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def build_parser(asked: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of the command line; of commands but the one that is *asked* for only the names (None: all)."""
    parser = _Parser(
        prog="nanwatch", description="Watches training logs and says what went wrong, since when, and how bad.",
        epilog=_EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"nanwatch {__version__}")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, parser_class=_Parser, prog="nanwatch"
    )
    for name, (text, add) in _COMMANDS.items():
        command = commands.add_parser(name, help=text)
        if asked in (None, name):  # a summary starts every 30 seconds
            (import_module(add).add_arguments if isinstance(add, str) else add)(command)
    return parser


def _add_summary(parser: argparse.ArgumentParser) -> None:
    _add_logs(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--check", action="store_true", help="tell the health by the exit code")
    parser.add_argument("--no-cache", action="store_true", help="read the whole logs, remember nothing")
    parser.add_argument("--color", action="store_true", help="colours although it is no terminal (watch -c)")
    parser.add_argument("--ascii", action="store_true", help="no Unicode signs")


def _add_tail(parser: argparse.ArgumentParser) -> None:
    _add_logs(parser, "log files, globs, folders, or - for standard input")
    lines = parser.add_mutually_exclusive_group()
    lines.add_argument("--plain", action="store_true", help="lines of text, as where stdout is no terminal")
    lines.add_argument("--json", action="store_true", help="JSON lines: alerts as their state changes")
    parser.add_argument("--events", action="store_true", help="with --json: every event too")
    parser.add_argument("--poll", action="store_true", help="look every second instead of waiting for events")
    parser.add_argument(
        "--serve", metavar="HOST:PORT", nargs="?", const="", help="the dashboard in a browser (default: 127.0.0.1:8000)"
    )
    parser.add_argument("--theme", metavar="NAME", help="dark, light, contrast, ansi, or one of Textual's")
    parser.add_argument("--ascii", action="store_true", help="no Unicode signs on the dashboard")


def _add_replay(parser: argparse.ArgumentParser) -> None:
    _add_logs(parser, "log files", "+")
    parser.add_argument("--json", action="store_true", help="JSON lines, as where stdout is no terminal")
    parser.add_argument("--events", action="store_true", help="every event too")


def _add_explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("log", metavar="LOG")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def _add_check_rules(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="CONFIG", nargs="?", help="config (default: nanwatch.toml here or of the user)")
    parser.add_argument("--config", metavar="FILE", help=argparse.SUPPRESS)
    parser.add_argument(
        "--scenarios", metavar="FILE", nargs="+", default=[], help="scenario files, beside those that the config names"
    )


def _add_init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", nargs="?", default="nanwatch.toml", help="where to (-: standard output)"
    )
    parser.add_argument("--force", action="store_true", help="replace a file that is there")


def _add_daemon(daemon: argparse.ArgumentParser) -> None:
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


def _add_run(run: argparse.ArgumentParser) -> None:
    run.usage = "nanwatch run [--log FILE] [--append] [--pipe | --pty] -- COMMAND..."
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
    add = _COMMANDS[command][1]
    if isinstance(add, str):
        module, name = import_module(add), "main"
    else:
        module, name = import_module("nanwatch.commands"), "run_training" if command == "run" else command
    found: Callable[[argparse.Namespace], int] = getattr(module, name.replace("-", "_"))
    return found


def _close_stdout() -> None:
    """Let what Python still holds for standard output go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_COMMANDS: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None] | str]] = {
    "summary": ("one-shot summary, for watch -n 30", _add_summary),
    "tail": ("follow logs: on a dashboard, or a line for each change", _add_tail),
    "daemon": ("follow and alert, from the config; or speak to the daemon that does", _add_daemon),
    "run": ("run a training, keep its log, know for certain how it ended", _add_run),
    "report": ("the status page of runs: what happened, why, what next; Markdown, HTML", "nanwatch.reportcommand"),
    "diagnose": ("probable causes with evidence, what to change, how to resume", "nanwatch.diagnosecommand"),
    "compare": ("runs, or epochs of one run, side by side", "nanwatch.comparecommand"),
    "checkpoint": ("NaN scan of weights; which checkpoint is the last clean one", "nanwatch.checkpointcommand"),
    "replay": ("the alerts that the rules raise, in the order of the log", _add_replay),
    "explain": ("what was recognised as what, and what was not", _add_explain),
    "check-rules": ("check a config, its own rules and its scenarios", _add_check_rules),
    "init": ("write a config with every default in it", _add_init),
}
"""What each command is for, and what adds its arguments: a function, or the module that has both those and `main`."""


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
        _close_stdout()
        return 141
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        print(f"nanwatch: cannot write its output: {(error.strerror or str(error)).lower()}", file=sys.stderr)
        _close_stdout()
        return 1
    return code
