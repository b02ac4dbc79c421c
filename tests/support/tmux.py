"""A real terminal: tmux with a server of its own, whose screen is read and to which keys are sent."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from tests.support.prometheus import program

TIMEOUT = 30.0
_PROMPT = "ready$ "
_PAUSE_S = 0.05


class Terminal:
    """A terminal in which a shell runs."""

    def __init__(self, command: list[str]) -> None:
        self._command = command

    def tmux(self, *arguments: str) -> str:
        """Run a command of tmux and return what it prints."""
        done = subprocess.run(
            [*self._command, *arguments], capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def screen(self, *, escapes: bool = False) -> str:
        """Return what the screen shows; with *escapes*, its colours too."""
        return self.tmux("capture-pane", "-p", *(["-e"] if escapes else []))

    def type(self, *keys: str) -> None:
        """Press keys: one character each, or names of tmux such as Enter and C-c."""
        self.tmux("send-keys", "--", *keys)

    def line(self, text: str) -> None:
        """Type a line to the shell."""
        self.tmux("send-keys", "-l", "--", text)
        self.type("Enter")

    def wait_for(self, *wanted: str) -> str:
        """Wait until the screen shows all that is *wanted*, and return it."""
        return self.wait_until(lambda shown: all(part in shown for part in wanted), " and ".join(wanted))

    def wait_until(self, is_so: Callable[[str], object], what: str) -> str:
        """Wait until something holds for the screen, and return the screen."""
        end = time.monotonic() + TIMEOUT
        while not is_so(shown := self.screen()):
            assert time.monotonic() < end, f"no {what} on the screen:\n{shown}"
            time.sleep(_PAUSE_S)
        return shown

    def wait_for_prompt(self) -> None:
        """Wait until the shell asks for a command."""
        self.wait_until(lambda shown: shown.rstrip().endswith(_PROMPT.strip()), "prompt")

    def run(self, command: str) -> str:
        """Run a command of the shell to its end; return what it printed."""
        mark = uuid4().hex[:8]
        self.line(f"clear; {command}; echo {mark}''{mark}")
        return self.wait_for(mark * 2).partition(mark * 2)[0]

    def code(self) -> int:
        """Wait for the shell, and return the exit code of the last command."""
        self.wait_for_prompt()
        mark = uuid4().hex[:8]
        self.line(f"echo {mark}''=$?")
        shown = self.wait_until(lambda text: re.search(f"{mark}=[0-9]+", text), "exit code")
        found = re.search(f"{mark}=([0-9]+)", shown)
        assert found is not None
        return int(found[1])

    def resize(self, width: int, height: int) -> None:
        """Give the terminal another size."""
        self.tmux("resize-window", "-x", str(width), "-y", str(height))

    def flag(self, name: str) -> str:
        """Return what tmux knows of the terminal, such as `alternate_on` or `cursor_flag`."""
        return self.tmux("display-message", "-p", f"#{{{name}}}").strip()

    @property
    def modes(self) -> dict[str, str]:
        """What a program may leave behind: the other screen, a hidden cursor, mouse reports, special keys."""
        names = ("alternate_on", "cursor_flag", "mouse_any_flag", "mouse_sgr_flag", "keypad_cursor_flag", "insert_flag")
        return {name: self.flag(name) for name in names}


@contextmanager
def terminal(
    folder: Path, env: Mapping[str, str], width: int = 80, height: int = 24, term: str = "tmux-256color"
) -> Iterator[Terminal]:
    """Open a terminal with a shell in *folder* that has only *env*; the test is skipped where tmux is missing."""
    base = [program("tmux"), "-L", f"nanwatch-{os.getpid()}-{uuid4().hex[:8]}", "-f", os.devnull]
    variables = {**env, "PS1": _PROMPT, "ENV": "", "HISTFILE": ""}
    shell = shlex.join(["env", "-i", *(f"{n}={v}" for n, v in variables.items()), f"TERM={term}", "sh", "-i"])
    size = ["-x", str(width), "-y", str(height)]
    shown = Terminal(base)
    shown.tmux("new-session", "-d", *size, "-c", str(folder), shell)
    try:
        shown.wait_for_prompt()
        yield shown
    finally:
        shown.tmux("kill-server")
