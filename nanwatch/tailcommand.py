"""`nanwatch tail`: on a dashboard, in a browser, or with a line for each change."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from nanwatch.config import Config
from nanwatch.console import config_of, folder_of, hint, print_notice, progress_line, say, store_folder
from nanwatch.errors import UsageError
from nanwatch.tail.discover import Discovery
from nanwatch.views.terminal import Progress, is_unicode

if TYPE_CHECKING:
    from collections.abc import Callable

    from nanwatch.following import Following
    from nanwatch.live import Live
    from nanwatch.model.update import Update
    from nanwatch.pipewatch import PipeWatch
    from nanwatch.tail.tailer import Tailer
    from nanwatch.views.plain import PlainLines
    from nanwatch.watch import Watch

_SAFETY_NET, _POLLED = 10.0, 2.0
"""Seconds after which every log is looked at anyway, where events wake us and where they cannot."""
_CHUNK = 1 << 20
"""Bytes that are read at a time: each piece costs the frames at its ends."""
_ESCAPE_MS = "40"
"""So long the rest of an escape sequence is waited for before it is the key Esc: a key is answered in less."""
_SWITCH_S = 0.001
"""A key waits no longer than this for the thread that reads."""
_TURN_S = 0.1
"""So long one look may take before what it showed is shown."""


def tail(arguments: argparse.Namespace) -> int:
    """Follow logs until somebody leaves, or standard input ends."""
    config = config_of(arguments)
    if arguments.events and not arguments.json:
        raise UsageError("--events goes with --json")
    if arguments.serve and _is_log(arguments.serve):  # `--serve LOG`: what follows the option need not be an address
        arguments.logs, arguments.serve = [arguments.serve, *arguments.logs], ""
    patterns = arguments.logs or list(config.logs)
    if "-" in patterns and len(patterns) > 1:
        raise UsageError("- (standard input) stands alone")
    if arguments.serve is not None:
        return _serve(arguments, patterns)
    if _is_for_screen(arguments):
        return _show(arguments, patterns, config)
    return _print(arguments, patterns, config)


def _is_log(text: str) -> bool:
    """Tell whether *text* names logs, and no address to serve at."""
    if any(sign in text for sign in "/*?") or os.path.exists(text):  # noqa: PTH110
        return True
    return not (":" in text or text.isdecimal() or text == "localhost")


def _is_for_screen(arguments: argparse.Namespace) -> bool:
    """Tell whether there is a screen to show a dashboard on, and nobody asked for lines."""
    if arguments.plain or arguments.json:
        return False
    if "TEXTUAL_DRIVER" in os.environ:
        return True  # a browser is at the other end
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


# -- lines


def _print(arguments: argparse.Namespace, patterns: list[str], config: Config) -> int:
    progress = progress_line()
    watch = _lines_watch(arguments, patterns, config, progress)
    lines = None
    if not arguments.json:
        from nanwatch.views.plain import PlainLines

        lines = PlainLines(config.alerts.repeat_interval)
    first, told = True, set[str]()
    try:
        while True:
            for run, notice in watch.look(0.0 if first else watch.longest_wait):
                if lines is None:
                    print_notice(run, notice, arguments.events)
                elif not first:
                    for line in lines.lines(run, notice, time.time()):
                        print(line)
            for line in _repeated(watch, lines) if lines is not None and not first else ():
                print(line)
            if first and progress is not None:
                progress.clear()
            if first and lines is not None:
                for pipeline in watch.pipelines.values():
                    for line in lines.where(pipeline.runs[-1], pipeline.alerts_of(pipeline.runs[-1]), time.time()):
                        print(line)
            first = False
            sys.stdout.flush()
            for problem in set(watch.problems) - told:
                say(problem)
            told = set(watch.problems)
            if getattr(watch, "at_end", False):
                return 0
    finally:
        watch.close()


def _repeated(watch: Watch | PipeWatch, lines: PlainLines) -> Iterator[str]:
    """Yield what is to be told although nothing changed: what goes on firing, or is no longer silenced."""
    now = time.time()
    for pipeline in watch.pipelines.values():
        for alert in pipeline.firing:
            yield from lines.again(pipeline.runs[-1], alert, now)


def _lines_watch(
    arguments: argparse.Namespace, patterns: list[str], config: Config, progress: Progress | None
) -> Watch | PipeWatch:
    from nanwatch.pipewatch import PipeWatch
    from nanwatch.watch import Watch

    if "-" in patterns:
        return PipeWatch(config, every_event=arguments.events)
    tailer, found = _tailer(patterns, arguments.poll)
    if not found:
        say(f"no log yet: {', '.join(patterns)}{hint(patterns)}; waiting for one")
    if tailer.note and not arguments.poll:
        say(tailer.note)
    return Watch(tailer, config, every_event=arguments.events, progress=progress)


def _tailer(patterns: list[str], is_polled: bool, chunk_size: int = 1 << 18) -> tuple[Tailer, int]:
    """Return what follows the logs that *patterns* name, and how many there are now."""
    from nanwatch.tail.tailer import Tailer
    from nanwatch.tail.wake import open_wake

    discovery = Discovery(patterns)
    found = len(discovery.scan())
    wake = open_wake(discovery.folders(), "polling" if is_polled else "auto")
    recheck_s = _SAFETY_NET if wake.kind == "native" else _POLLED
    return Tailer(patterns, wake, recheck_s=recheck_s, chunk_size=chunk_size), found


# -- the dashboard


def _show(arguments: argparse.Namespace, patterns: list[str], config: Config) -> int:
    os.environ.setdefault("ESCDELAY", _ESCAPE_MS)
    from nanwatch.clock import SystemClock
    from nanwatch.views.dashboard.app import Dashboard
    from nanwatch.views.dashboard.preferences import FILE, Preferences

    sys.setswitchinterval(_SWITCH_S)
    pipe = _take_pipe() if "-" in patterns else None
    if pipe is None:
        patterns = [os.path.abspath(pattern) for pattern in patterns]  # noqa: PTH100 - the daemon names its logs so
    clock, state = SystemClock(), folder_of("state")
    app = Dashboard(
        lambda added: _live([*patterns, *added], config, arguments.poll, pipe),
        clock, Preferences(state / FILE), config.rules, theme=arguments.theme,
        is_ascii=arguments.ascii or not is_unicode(sys.__stdout__ or sys.stdout),
        logs=[] if pipe is not None else Discovery(patterns).scan(),
    )  # fmt: skip
    app.run()
    if app.failure is not None:
        raise app.failure
    return app.return_code or 0


def _live(patterns: list[str], config: Config, is_polled: bool, pipe: int | None) -> Live:
    from nanwatch.live import Live

    def begin(hand_over: Callable[[Update], None]) -> Following:
        from nanwatch.clock import SystemClock
        from nanwatch.following import Following
        from nanwatch.pipewatch import PipeWatch
        from nanwatch.scanning import Scanning
        from nanwatch.sharing import Sharing
        from nanwatch.tail.wake import remote_file_system
        from nanwatch.weighing import Weighing

        clock = SystemClock()
        folder = store_folder(config)
        sharing = Sharing(folder, lambda path: remote_file_system(path) is not None)
        watch = _dashboard_watch(patterns, config, is_polled) if pipe is None else PipeWatch(config, fd=pipe)
        weighing = Weighing(Scanning(clock), config.checkpoints)
        return Following(watch, config, clock, hand_over, sharing, weighing)

    return Live(begin)


def _dashboard_watch(patterns: list[str], config: Config, is_polled: bool) -> Watch:
    from nanwatch.detail import detail_for
    from nanwatch.watch import Watch

    tailer, found = _tailer(patterns, is_polled, chunk_size=_CHUNK)
    return Watch(tailer, config, turn_s=_TURN_S, is_service=True, detail=detail_for(found))


def _take_pipe() -> int:
    """Keep standard input for reading the log, and put the terminal in its place: keys come from there."""
    pipe = os.dup(0)
    try:
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError:
        raise UsageError("no terminal to read keys from: use --plain") from None
    os.dup2(terminal, 0)
    os.close(terminal)
    return pipe


def _serve(arguments: argparse.Namespace, patterns: list[str]) -> int:
    from nanwatch.views.dashboard.web import serve

    if "-" in patterns:
        raise UsageError("standard input cannot be served: write it to a file")
    options = [f"--config={arguments.config}"] if arguments.config else []
    options += ["--poll"] if arguments.poll else []
    options += [f"--theme={arguments.theme}"] if arguments.theme else []
    options += ["--ascii"] if arguments.ascii else []
    return serve([*options, "--", *patterns], arguments.serve, say)
