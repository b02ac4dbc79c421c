"""Runs a command from its start to its last line in the log."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from nanwatch.errors import UsageError
from nanwatch.formats.closing import closing_line, exit_code
from nanwatch.launch.child import Child
from nanwatch.launch.memory import CGROUPS, oom_kills
from nanwatch.launch.relay import Relay
from nanwatch.launch.signals import Signals
from nanwatch.launch.sink import LogExists, LogFile, end_line, say
from nanwatch.launch.terminal import Terminal

_NOT_FOUND, _NOT_EXECUTABLE, _KILLED = 127, 126, 137
_UNSAFE = re.compile(r"[^\w.+-]+")
_LONGEST_NAME = 80


def run_command(
    command: Sequence[str],
    log: Path | None,
    *,
    use_pty: bool | None = None,
    append: bool = False,
    cgroups: Path = CGROUPS,
) -> int:
    """Run *command*, pass its output through unchanged, keep it in *log*; return the command's exit code.

    The code is 128 + N where signal N killed it, 127 where it is not found, 126 where it cannot be run. With
    *log* None a new one is made in `logs/`. With *use_pty* None, the command runs under a pseudo-terminal where
    our standard output is a terminal, and with pipes where it is not; Python then gets PYTHONUNBUFFERED=1.
    *cgroups* is where control groups are mounted. Any other end than exit code 0 is told on stderr too.

    If our terminal or the reader of our output goes away, the command goes on and its log is kept, also at the
    hang-up that a closed terminal sends. Under a pseudo-terminal Ctrl-C and Ctrl-\\ reach the command as ever;
    Ctrl-Z does nothing, for no shell is there that could continue it. Children that live on after the command
    lose their terminal or pipe half a second later.

    Raises:
        UsageError: no command, or a log that cannot be written or is there already and not to be appended to.
    """
    if not command:
        raise UsageError("nothing to run (nanwatch run -- COMMAND...)")
    _bear_our_name()
    _open_standard_streams()
    is_pty = os.isatty(1) if use_pty is None else use_pty
    file = _new_log(command) if log is None else LogFile(log, append)
    killed_before = oom_kills(cgroups)
    begun = time.monotonic()
    with Signals() as signals:
        try:
            status, is_mid_line = _run(command, file, signals, is_pty)
        except UsageError:
            file.discard()
            raise
        except _CannotStart as error:
            file.discard()
            say(f"{command[0]}: {error}")
            return error.exit_code
        code = exit_code(status)
        line = closing_line(status, time.monotonic() - begun, code == _KILLED and oom_kills(cgroups) != killed_before)
        if is_mid_line and (status or file.lost):
            end_line()
        file.close(line)
    if status:
        say(line.removeprefix("[nanwatch] "))
    return code


def log_name(command: Sequence[str]) -> str:
    """Return what to name the log of *command* after: its script or module, else its program."""
    program, *rest = command
    script = next((a for a in command if a.endswith((".py", ".sh")) and not a.startswith("-")), None)
    module = rest[rest.index("-m") + 1] if script is None and "-m" in rest[:-1] else None
    name = module or Path(script or program).name.removesuffix(".py").removesuffix(".sh")
    return _UNSAFE.sub("_", name).strip("._-")[:_LONGEST_NAME] or "run"


class _CannotStart(Exception):
    """The command is not found, or is no program."""

    def __init__(self, why: str, exit_code: int) -> None:
        super().__init__(why)
        self.exit_code = exit_code


def _run(command: Sequence[str], log: LogFile, signals: Signals, is_pty: bool) -> tuple[int, bool]:
    """Run *command*; return how it ended, and whether it left a line without its end where stderr stands."""
    with _terminal(is_pty) as terminal:
        child = _start(command, terminal)
        signals.forward_to(child.send)
        say(f"log: {log.path}")
        relay = Relay(child, log, signals, terminal)
        return relay.run(), relay.is_mid_line


@contextmanager
def _terminal(is_pty: bool) -> Iterator[Terminal | None]:
    if not is_pty:
        yield None
        return
    try:
        terminal = Terminal()
    except OSError as error:
        raise UsageError(f"no terminal can be made: {error.strerror} (--pipe needs none)") from error
    try:
        yield terminal
    finally:
        terminal.close()


def _start(command: Sequence[str], terminal: Terminal | None) -> Child:
    try:
        return Child(command, terminal)
    except (FileNotFoundError, NotADirectoryError):
        raise _CannotStart("not found", _NOT_FOUND) from None
    except OSError as error:
        raise _CannotStart((error.strerror or str(error)).lower(), _NOT_EXECUTABLE) from error


def _new_log(command: Sequence[str]) -> LogFile:
    """Return a log of a name that none has yet: a second run within the second gets a number."""
    name = f"{log_name(command)}-{time.strftime('%Y%m%d-%H%M%S')}"
    for number in count(1):
        more = "" if number == 1 else f"-{number}"
        with suppress(LogExists):
            return LogFile(Path("logs") / f"{name}{more}.log")
    raise AssertionError


def _open_standard_streams() -> None:
    """Lead to nowhere what was closed of our standard streams: no file of ours may take its place."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)


def _bear_our_name() -> None:
    """Be called `nanwatch` among the processes, not `python`: who looks for the trainer looks past us."""
    with suppress(OSError):  # only Linux has it
        Path("/proc/self/comm").write_text("nanwatch")
