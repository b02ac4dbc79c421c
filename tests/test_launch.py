"""`nanwatch run`: the command behaves as without it, its log is kept, and tells how it ended."""

from __future__ import annotations

import fcntl
import os
import pty
import resource
import select
import shlex
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from nanwatch.config import Config
from nanwatch.errors import UsageError
from nanwatch.formats.closing import closing_line, exit_code, read_closing
from nanwatch.launch import run_command
from nanwatch.launch.command import log_name
from nanwatch.launch.memory import oom_kills
from nanwatch.model.alert import Alert
from nanwatch.model.event import Event, Failure, ProcessExited
from nanwatch.model.frame import Chunk
from nanwatch.pipeline import LogPipeline
from nanwatch.reading import read_log
from nanwatch.runs.status import status_of
from tests.support.command import ROOT
from tests.support.logs import alerts, bars, pieces, read

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has it")
LIMIT_S = 30.0
RUN = """
import ast, sys
from pathlib import Path
from nanwatch.errors import NanwatchError
from nanwatch.launch import run_command
options = ast.literal_eval(sys.argv[1])
options = {k: Path(v) if k in ("log", "cgroups") and v else v for k, v in options.items()}
try:
    sys.exit(run_command(sys.argv[2:], options.pop("log"), **options))
except NanwatchError as error:
    print(f"nanwatch: {error}", file=sys.stderr)
    sys.exit(error.exit_code)
"""
"""Runs a command as the command line does, with the options of its first argument."""
BARS = b"".join(b"\rEpoch 1/5: %3d%%|%-10s| %d/100 [00:01<00:09, 9.00it/s, loss=0.5]" % (n, b"#", n) for n in range(99))
EVERY_BYTE = bytes(range(256)) * 40
HOLD = "import sys; print('ready', flush=True); sys.stdin.read()"
TOLD_WHEN_STOPPED = """
import os, signal
def stop(number, frame):
    os.write(1, b"got %s\\n" % signal.Signals(number).name.encode())
    os._exit(7)
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
    signal.signal(number, stop)
print("ready", flush=True)
while True:
    signal.pause()
"""


def arguments(command: Sequence[str], **options: object) -> list[str]:
    """Return what starts *command* under nanwatch in a process of its own."""
    return [sys.executable, "-c", RUN, repr({"log": "x.log", **options}), *command]


def environment(**more: str) -> dict[str, str]:
    """Return an environment in which nanwatch is found, and nothing says how Python is to write."""
    return {**{k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}, "PYTHONPATH": str(ROOT), **more}


def launch(
    home: Path, *command: str, stdin: bytes = b"", **options: object
) -> tuple[subprocess.CompletedProcess[bytes], bytes]:
    """Run *command* under nanwatch with pipes in the folder *home*; return what came of it, and its log."""
    result = subprocess.run(
        arguments(command, **options), input=stdin, capture_output=True, check=False, timeout=LIMIT_S, cwd=home,
        env=environment(),
    )  # fmt: skip
    log = home / str(options.get("log", "x.log"))
    return result, log.read_bytes() if log.is_file() else b""


def python(code: str) -> list[str]:
    """Return the command that runs *code*."""
    return [sys.executable, "-c", code]


def body(log: bytes) -> bytes:
    """Return what the command wrote into its log, without the last line."""
    kept, _, last = log.rpartition(b"[nanwatch] ended: ")
    assert last.endswith(b"\n")
    assert last.count(b"\n") == 1
    return kept


def ending(log: bytes) -> str:
    """Return what the log's last line says, without the time."""
    return log.splitlines()[-1].decode().removeprefix("[nanwatch] ended: ").rpartition(" after ")[0]


def read_until(fd: int, text: bytes, before: bytes = b"") -> bytes:
    """Read *fd* until *text* has come; return all of it."""
    end, found = time.monotonic() + LIMIT_S, before
    while text not in found:
        readable, _, _ = select.select([fd], [], [], max(0.0, end - time.monotonic()))
        assert readable, f"{text!r} did not come: {found!r}"
        data = os.read(fd, 1 << 16)
        assert data, f"it ended without {text!r}: {found!r}"
        found += data
    return found


def read_all(fd: int) -> bytes:
    """Read *fd* until the last writer has closed it."""
    end, found = time.monotonic() + LIMIT_S, b""
    with suppress(OSError):  # a terminal ends like this
        while time.monotonic() < end:
            readable, _, _ = select.select([fd], [], [], max(0.0, end - time.monotonic()))
            assert readable, f"it did not end: {found[-200:]!r}"
            data = os.read(fd, 1 << 16)
            if not data:
                break
            found += data
    return found


def wait_for(is_so: Callable[[], bool]) -> None:
    """Wait until *is_so*."""
    end = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < end
        os.sched_yield()


@contextmanager
def piped(home: Path, *command: str, stdin: int | None = None, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    """Run *command* under nanwatch with pipes until the end of the block."""
    with subprocess.Popen(
        arguments(command, **options), stdin=subprocess.PIPE if stdin is None else stdin, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, cwd=home, env=environment(),
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


class Screen:
    """A terminal in which nanwatch runs as a shell's foreground job would; it shows bytes as they come."""

    def __init__(self, home: Path, *command: str, is_raw: bool = True, **options: object) -> None:
        self.master, self.slave = pty.openpty()
        if is_raw:
            modes = termios.tcgetattr(self.slave)
            modes[1] &= ~termios.OPOST
            termios.tcsetattr(self.slave, termios.TCSANOW, modes)
        termios.tcsetwinsize(self.slave, (33, 77))
        self.modes = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            arguments(command, **options), stdin=self.slave, stdout=self.slave, stderr=subprocess.PIPE, cwd=home,
            env=environment(), start_new_session=True, preexec_fn=self._become_controlling,  # noqa: PLW1509
        )  # fmt: skip

    def _become_controlling(self) -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def type(self, data: bytes) -> None:
        """Press keys."""
        os.write(self.master, data)

    def end(self) -> bytes:
        """Return what is shown until nanwatch has ended."""
        os.close(self.slave)
        self.slave = -1
        shown = read_all(self.master)
        self.process.wait(LIMIT_S)
        return shown


@contextmanager
def screen(home: Path, *command: str, is_raw: bool = True, **options: object) -> Iterator[Screen]:
    """Run *command* under nanwatch in a terminal until the end of the block."""
    made = Screen(home, *command, is_raw=is_raw, **options)
    assert made.process.stderr is not None
    try:
        yield made
    finally:
        if made.process.poll() is None:
            made.process.kill()
        made.process.communicate()
        for fd in (made.master, made.slave):
            with suppress(OSError):
                os.close(fd)


# -- output


@pytest.mark.parametrize("data", [BARS, BARS + b"\n", EVERY_BYTE, b"", b"no newline", b"a\r\nb\n"], ids=range(6))
def test_output_through_pipes(tmp_path: Path, data: bytes) -> None:
    """What the command writes comes out byte for byte, each stream on its own, and is the log but for its last line."""
    (tmp_path / "data").write_bytes(data)
    result, log = launch(tmp_path, "sh", "-c", "cat data; cat data >&2")
    assert result.returncode == 0
    assert result.stdout == data
    assert result.stderr == b"nanwatch: log: x.log\n" + data
    kept = body(log)
    assert kept in (data * 2, data * 2 + b"\n")
    assert kept[-1:] in (b"", b"\n")


def test_much_output(tmp_path: Path) -> None:
    """Five megabytes come out whole, and in order, though the log and the reader are slower than the command."""
    data = os.urandom(5 << 20)
    (tmp_path / "data").write_bytes(data)
    result, log = launch(tmp_path, "cat", "data")
    assert result.stdout == data
    assert log.startswith(data)
    with screen(tmp_path, "sh", "-c", "stty raw -echo; cat data", log="y.log") as terminal:
        shown = terminal.end()
    assert shown == data
    assert (tmp_path / "y.log").read_bytes().startswith(data)


def test_order_of_the_streams(tmp_path: Path) -> None:
    """Where both streams go to one place, their order is the command's."""
    code = "import os\nfor n in range(3000): os.write(1 + n % 2, b'%d\\n' % n)"
    with (tmp_path / "out").open("wb") as out:
        subprocess.run(
            arguments(python(code)), stdout=out, stderr=out, check=True, timeout=LIMIT_S, cwd=tmp_path,
            env=environment(),
        )  # fmt: skip
    expected = b"".join(b"%d\n" % n for n in range(3000))
    assert (tmp_path / "out").read_bytes() == b"nanwatch: log: x.log\n" + expected
    assert body((tmp_path / "x.log").read_bytes()) == expected


@pytest.mark.parametrize("data", [BARS, EVERY_BYTE, b"one\ntwo\r\n"], ids=range(3))
def test_output_through_a_terminal(tmp_path: Path, data: bytes) -> None:
    """Under a terminal the same holds: no newline is turned into two bytes on its way into the log."""
    (tmp_path / "data").write_bytes(data)
    with screen(tmp_path, *python("import sys; assert sys.stdout.isatty(); sys.stdout.buffer.write(open('data', 'rb').read())")) as terminal:  # fmt: skip # noqa: E501
        shown = terminal.end()
    assert terminal.process.returncode == 0
    assert shown == data
    assert body((tmp_path / "x.log").read_bytes()).rstrip(b"\n") == data.rstrip(b"\n")


def test_output_at_once(tmp_path: Path) -> None:
    """Each line of a Python program is in the log as soon as it is printed, also through a pipe."""
    log = tmp_path / "x.log"
    code = "import sys; print('first'); sys.stderr.write('second'); sys.stdin.read()"
    with piped(tmp_path, *python(code)) as process:
        wait_for(lambda: log.exists() and log.read_bytes() in (b"first\nsecond", b"secondfirst\n"))
        process.communicate(timeout=LIMIT_S)


def test_buffering_that_was_chosen(tmp_path: Path) -> None:
    """Who says how Python is to write is heard."""
    result = subprocess.run(
        arguments(["sh", "-c", "echo =$PYTHONUNBUFFERED="]), capture_output=True, check=True, timeout=LIMIT_S,
        cwd=tmp_path, env=environment(PYTHONUNBUFFERED=""),
    )  # fmt: skip
    assert result.stdout == b"==\n"


def test_input(tmp_path: Path) -> None:
    """The command reads our standard input: a pipe as it is, a terminal key by key."""
    result, _ = launch(tmp_path, "cat", stdin=EVERY_BYTE)
    assert result.stdout == EVERY_BYTE
    with screen(tmp_path, *python("print('ready', flush=True); print('<' + input() + '>')"), log="y.log") as terminal:
        shown = read_until(terminal.master, b"ready\n")
        terminal.type(b"yes\r")
        assert shown + terminal.end() == b"ready\nyes\n<yes>\n"


def test_pipe_into_a_command_on_a_terminal(tmp_path: Path) -> None:
    """Where only the output is a terminal, the input is passed on as the pipe that it is."""
    result, log = launch(tmp_path, *python("import sys; print(len(sys.stdin.buffer.read()), sys.stdout.isatty())"),
                         stdin=EVERY_BYTE, use_pty=True)  # fmt: skip
    assert result.stdout == body(log) == f"{len(EVERY_BYTE)} True\n".encode()


# -- the end


@pytest.mark.parametrize("is_pty", [False, True])
@pytest.mark.parametrize(("script", "code", "told"), [
    ("exit 0", 0, "exit code 0"),
    ("exit 3", 3, "exit code 3"),
    ("exit 255", 255, "exit code 255"),
    ("kill -9 $$", 137, "killed by signal 9 (SIGKILL)"),
    ("kill -TERM $$", 143, "killed by signal 15 (SIGTERM)"),
    ("kill -SEGV $$", 139, "killed by signal 11 (SIGSEGV)"),
])  # fmt: skip
def test_exit_code(tmp_path: Path, is_pty: bool, script: str, code: int, told: str) -> None:
    """The exit code is the command's, or tells the signal as a shell does; the log says it, stderr if it is not 0."""
    result, log = launch(tmp_path, "sh", "-c", f"ulimit -c 0; echo out; {script}", use_pty=is_pty)
    assert result.returncode == code
    assert result.stdout == body(log) == b"out\n"
    assert ending(log) == told
    said = result.stderr.decode().splitlines()[1:]
    assert [line.rpartition(" after ")[0] for line in said] == ([f"nanwatch: ended: {told}"] if code else [])


@pytest.mark.parametrize("is_pty", [False, True])
def test_last_line_stands_alone(tmp_path: Path, is_pty: bool) -> None:
    """After output without a newline the last line of the log begins a new one."""
    _, log = launch(tmp_path, "printf", "half a bar", use_pty=is_pty)
    assert log.splitlines() == [b"half a bar", b"[nanwatch] ended: exit code 0 after 0 s"]


BAR = b"\rEpoch 1/5:  30%|###"


@pytest.mark.parametrize("is_pty", [False, True])
@pytest.mark.parametrize(
    ("output", "script", "joint"), [(BAR, "kill -9 $$", "\n"), (BAR, "exit 1", "\n"), (BAR + b"\n", "exit 1", "")]
)
def test_the_end_stands_below_a_bar(tmp_path: Path, is_pty: bool, output: bytes, script: str, joint: str) -> None:
    """Where stderr shows the output too, how it ended is told on a line of its own, and no line is left empty."""
    (tmp_path / "bar").write_bytes(output)
    result = subprocess.run(
        arguments(["sh", "-c", f"cat bar; {script}"], use_pty=is_pty), stdout=subprocess.PIPE, check=False,
        stderr=subprocess.STDOUT, timeout=LIMIT_S, cwd=tmp_path, env=environment(),
    )  # fmt: skip
    _, _, shown = result.stdout.partition(b"x.log\n")
    assert shown.startswith(output + f"{joint}nanwatch: ended: ".encode())


def test_the_end_stands_below_a_bar_in_a_terminal(tmp_path: Path) -> None:
    """In a terminal, where the bar is on stdout and the last word on stderr, they do not share a line."""
    (tmp_path / "bar").write_bytes(BAR)
    master, slave = pty.openpty()
    with subprocess.Popen(
        arguments(["sh", "-c", "cat bar; kill -9 $$"], use_pty=None), stdin=slave, stdout=slave, stderr=slave,
        cwd=tmp_path, env=environment(),
    ):  # fmt: skip
        os.close(slave)
        shown = read_all(master)
    os.close(master)
    assert BAR + b"\r\nnanwatch: ended: killed by signal 9 (SIGKILL)" in shown


@pytest.mark.parametrize("is_pty", [False, True])
def test_success_adds_nothing(tmp_path: Path, is_pty: bool) -> None:
    """A command that went well ends its output as it ended it."""
    (tmp_path / "bar").write_bytes(BAR)
    result = subprocess.run(
        arguments(["cat", "bar"], use_pty=is_pty), stdout=subprocess.PIPE, check=False, stderr=subprocess.STDOUT,
        timeout=LIMIT_S, cwd=tmp_path, env=environment(),
    )  # fmt: skip
    assert result.stdout.endswith(BAR)


def test_the_end_on_a_stderr_of_its_own(tmp_path: Path) -> None:
    """Where stderr is another place than the output, no empty line comes before the last word."""
    result, _ = launch(tmp_path, "sh", "-c", "printf bar; exit 1", use_pty=False)
    assert result.stderr.decode().splitlines() == ["nanwatch: log: x.log", "nanwatch: ended: exit code 1 after 0 s"]


@pytest.mark.parametrize("is_pty", [False, True])
def test_descendants_that_live_on(tmp_path: Path, is_pty: bool) -> None:
    """A process that the command leaves behind keeps nobody waiting, be it silent or talkative."""
    os.mkfifo(tmp_path / "hold")
    for number, left in enumerate(("cat hold", "yes")):
        script = f"trap '' HUP; {left} & echo done; exit 4"
        result, log = launch(tmp_path, "sh", "-c", script, log=f"{number}.log", use_pty=is_pty)
        assert result.returncode == 4
        assert b"done\n" in result.stdout
        assert ending(log) == "exit code 4"
        if left != "yes":
            assert body(log) == b"done\n"
    with suppress(OSError):
        os.close(os.open(tmp_path / "hold", os.O_WRONLY | os.O_NONBLOCK))


def test_output_that_was_closed(tmp_path: Path) -> None:
    """A command that closes its output is waited for."""
    result, log = launch(tmp_path, "sh", "-c", "exec >&- 2>&-; read line; exit 5", stdin=b"go\n")
    assert (result.returncode, ending(log)) == (5, "exit code 5")


@pytest.mark.parametrize("is_pty", [False, True])
def test_cannot_be_started(tmp_path: Path, is_pty: bool) -> None:
    """A command that is not found is 127, one that cannot be run 126, with a line on stderr and no log."""
    (tmp_path / "plain").write_text("text")
    (tmp_path / "broken").write_bytes(b"\x00\x01")
    (tmp_path / "broken").chmod(0o755)
    for command, code, told in (
        ("none\x1b", 127, "none?: not found"), ("plain/x", 127, "plain/x: not found"),
        ("./plain", 126, "./plain: permission denied"), ("./broken", 126, "./broken: exec format error"),
    ):  # fmt: skip
        result, log = launch(tmp_path, command, use_pty=is_pty)
        assert (result.returncode, result.stderr.decode(), log) == (code, f"nanwatch: {told}\n", b"")
    assert not (tmp_path / "x.log").exists()


# -- signals


@pytest.mark.parametrize("is_pty", [False, True])
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"])
def test_signals_are_passed_on(tmp_path: Path, is_pty: bool, name: str) -> None:
    """A signal that we get is the command's, once, and its answer is ours."""
    with piped(tmp_path, *python(TOLD_WHEN_STOPPED), use_pty=is_pty) as process:
        assert process.stdout is not None
        read_until(process.stdout.fileno(), b"ready\n")
        process.send_signal(signal.Signals[name])
        out, _ = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, out) == (7, f"got {name}\n".encode())
    assert ending((tmp_path / "x.log").read_bytes()) == "exit code 7"


def test_signals_reach_the_group(tmp_path: Path) -> None:
    """What the command has started gets the signal too."""
    script = f"trap 'wait; exit 9' TERM; {shlex.join(python(TOLD_WHEN_STOPPED))} & wait"
    with piped(tmp_path, "sh", "-c", script) as process:
        assert process.stdout is not None
        read_until(process.stdout.fileno(), b"ready\n")
        process.terminate()
        out, _ = process.communicate(timeout=LIMIT_S)
    assert (process.returncode, out) == (9, b"got SIGTERM\n")


def test_signals_reach_a_command_whose_output_nobody_reads(tmp_path: Path) -> None:
    """A reader that is stuck does not keep a signal from the command."""
    with piped(tmp_path, *python(f"import sys; sys.stdout.write('x' * 10_000_000)\n{TOLD_WHEN_STOPPED}")) as process:
        wait_for(lambda: (tmp_path / "x.log").exists() and (tmp_path / "x.log").stat().st_size >= 1 << 16)
        process.terminate()
        process.communicate(timeout=LIMIT_S)
    assert process.returncode == 143


def test_hang_up_that_is_ignored(tmp_path: Path) -> None:
    """Under nohup a hang-up ends neither nanwatch nor the command."""
    code = f"import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n{RUN}"
    command = [sys.executable, "-c", code, repr({"log": "x.log"}), *python(HOLD)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env=environment()
    ) as process:
        assert process.stdout is not None
        read_until(process.stdout.fileno(), b"ready\n")
        process.send_signal(signal.SIGHUP)
        process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0
    assert ending((tmp_path / "x.log").read_bytes()) == "exit code 0"


# -- the terminal


def test_ctrl_c(tmp_path: Path) -> None:
    """Ctrl-C reaches the command through its terminal, and only it."""
    with screen(tmp_path, *python(TOLD_WHEN_STOPPED)) as terminal:
        read_until(terminal.master, b"ready\n")
        terminal.type(b"\x03")
        assert terminal.end() == b"^Cgot SIGINT\n"
    assert terminal.process.returncode == 7


def test_ctrl_z(tmp_path: Path) -> None:
    """Ctrl-Z stops nothing, for nobody could continue it; the command goes on."""
    with screen(tmp_path, *python("print('ready', flush=True)\nwhile True: print('<', input(), '>')")) as terminal:
        read_until(terminal.master, b"ready\n")
        terminal.type(b"\x1a")
        read_until(terminal.master, b"^Z")
        terminal.type(b"on\r")
        read_until(terminal.master, b"< on >")
        terminal.type(b"\x04")
        terminal.end()
    assert terminal.process.returncode == 1  # EOFError


def test_window(tmp_path: Path) -> None:
    """The command's window has the size of ours, at its start and whenever that changes."""
    code = """
import os, signal
def show(*_): os.write(1, b"%d %d\\n" % os.get_terminal_size())
signal.signal(signal.SIGWINCH, show)
show()
input()
"""
    with screen(tmp_path, *python(code)) as terminal:
        read_until(terminal.master, b"77 33\n")
        termios.tcsetwinsize(terminal.master, (44, 99))
        read_until(terminal.master, b"99 44\n")
        terminal.type(b"\r")
        terminal.end()
    assert terminal.process.returncode == 0


@pytest.mark.parametrize("script", ["read line; exit 0", "read line; kill -9 $$", "read line; stty raw -echo; exit 3"])
def test_modes_are_restored(tmp_path: Path, script: str) -> None:
    """The terminal is ours while the command runs, and as it was when it has ended, however it did."""
    with screen(tmp_path, "sh", "-c", f"echo ready; {script}", is_raw=False) as terminal:
        read_until(terminal.master, b"ready\r\n")
        wait_for(lambda: not termios.tcgetattr(terminal.slave)[3] & (termios.ICANON | termios.ISIG | termios.ECHO))
        terminal.type(b"\r")
        terminal.process.wait(LIMIT_S)
        assert termios.tcgetattr(terminal.slave) == terminal.modes


def test_modes_are_restored_after_an_error(tmp_path: Path) -> None:
    """They are also restored where nanwatch itself fails."""
    code = RUN.replace("try:", "import nanwatch.launch.relay as r\nr.Relay.run = lambda self: 1 / 0\ntry:", 1)
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    result = subprocess.run(
        [sys.executable, "-c", code, repr({"log": "x.log"}), "true"], stdin=slave, stdout=slave,
        stderr=subprocess.PIPE, check=False, timeout=LIMIT_S, cwd=tmp_path, env=environment(),
    )  # fmt: skip
    assert b"ZeroDivisionError" in result.stderr
    assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)


def test_closed_terminal(tmp_path: Path) -> None:
    """When its terminal is closed, the training goes on and its log is kept."""
    os.mkfifo(tmp_path / "go")
    script = "echo ready; read line < go; echo trained; exit 6"
    with screen(tmp_path, "sh", "-c", script) as terminal:
        read_until(terminal.master, b"ready\n")
        os.close(terminal.slave)
        os.close(terminal.master)
        terminal.slave = terminal.master = -1
        (tmp_path / "go").write_text("go\n")
        terminal.process.wait(LIMIT_S)
    assert terminal.process.returncode == 6
    assert (tmp_path / "x.log").read_bytes() == b"ready\ntrained\n[nanwatch] ended: exit code 6 after 0 s\n"


def test_closed_terminal_ends_the_input(tmp_path: Path) -> None:
    """A command that waits for input when its terminal is closed is told that there will be none."""
    with screen(tmp_path, *python("print('ready', flush=True); input()")) as terminal:
        read_until(terminal.master, b"ready\n")
        os.close(terminal.slave)
        os.close(terminal.master)
        terminal.slave = terminal.master = -1
        terminal.process.wait(LIMIT_S)
    assert b"EOFError" in (tmp_path / "x.log").read_bytes()


def test_in_the_background(tmp_path: Path) -> None:
    """Started in the background of a terminal, it does not touch its modes, and is not stopped."""
    code = f"""
import os, pty, sys, signal
os.setsid()
import fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
child = os.fork()
if not child:
    os.setpgid(0, 0)
    os.execv(sys.executable, {arguments(["sh", "-c", "echo trained; exit 3"])!r})
_, status = os.waitpid(child, os.WUNTRACED)
sys.exit(99 if os.WIFSTOPPED(status) else os.waitstatus_to_exitcode(status))
"""
    master, slave = pty.openpty()
    result = subprocess.run(
        python(code), stdin=slave, stdout=slave, stderr=subprocess.PIPE, check=False, timeout=LIMIT_S, cwd=tmp_path,
        env=environment(),
    )  # fmt: skip
    assert (result.returncode, os.read(master, 100)) == (3, b"trained\r\n")
    os.close(master)
    os.close(slave)


def test_keyboard_and_pipe(tmp_path: Path) -> None:
    """Where only the input is a terminal, the command reads from it, and one Ctrl-C is one interrupt."""
    code = """
import os, signal
count = 0
def note(*_):
    global count
    count += 1
    os.write(1, b"interrupts: %d\\n" % count)
signal.signal(signal.SIGINT, note)
print("ready", flush=True)
print("<" + input() + ">", flush=True)
"""
    with screen(tmp_path, *python(code), use_pty=False) as terminal:
        read_until(terminal.master, b"ready\n")
        terminal.type(b"\x03")
        read_until(terminal.master, b"interrupts: 1\n")
        terminal.type(b"yes\n")
        shown = terminal.end()
    assert b"<yes>" in shown
    assert b"interrupts: 2" not in shown


# -- output that nobody takes


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_closed_reader(tmp_path: Path, stream: str) -> None:
    """When the reader of our output goes away, the command goes on and its log is kept."""
    number = {"stdout": 1, "stderr": 2}[stream]
    code = f"import os, sys\nos.write({number}, b'first\\n')\nsys.stdin.read()\nfor n in range(2000): os.write({number}, b'line %d\\n' % n)"  # noqa: E501
    with piped(tmp_path, *python(code)) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdin is not None
        pipe = getattr(process, stream)
        read_until(pipe.fileno(), b"first\n")
        pipe.close()
        process.stdin.close()
        process.wait(LIMIT_S)
    assert process.returncode == 0
    log = (tmp_path / "x.log").read_bytes()
    assert body(log) == b"first\n" + b"".join(b"line %d\n" % n for n in range(2000))


def test_closed_streams(tmp_path: Path) -> None:
    """Where our standard output is closed from the start, its output is in the log, once."""
    script = f"exec {shlex.join(arguments(['sh', '-c', 'echo out; echo err >&2']))} <&- >&- 2>&-"
    subprocess.run(["sh", "-c", script], check=True, timeout=LIMIT_S, cwd=tmp_path, env=environment())
    assert body((tmp_path / "x.log").read_bytes()) == b"out\nerr\n"


def test_full_disk_under_the_log(tmp_path: Path) -> None:
    """When the log cannot be written, that is said once, the output comes out whole, and the exit code is right."""
    code = "import os\nfor n in range(2000): os.write(1, b'line %4d\\n' % n)\nos._exit(3)"
    result = subprocess.run(
        arguments(python(code)), capture_output=True, check=False, timeout=LIMIT_S, cwd=tmp_path, env=environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)),
    )  # fmt: skip
    expected = b"".join(b"line %4d\n" % n for n in range(2000))
    assert (result.returncode, result.stdout) == (3, expected)
    assert (tmp_path / "x.log").read_bytes() == expected[:4096]
    told = result.stderr.decode().splitlines()
    assert told[1:] == [
        "nanwatch: x.log: File too large: output is missing there; the command goes on",
        f"nanwatch: x.log: {len(expected) - 4096:,} bytes could not be written",
        "nanwatch: ended: exit code 3 after 0 s",
    ]


@LINUX
def test_disk_that_has_room_again(tmp_path: Path) -> None:
    """Later output is tried again, and begins a new line: half a number is no number."""
    code = f"{RUN.replace('sys.exit(run', 'resource.setrlimit(resource.RLIMIT_FSIZE, (14, -1)); sys.exit(run')}"
    more = """
import os, resource, sys
os.write(1, b"loss: 0.1234567\\n")
sys.stdin.readline()
resource.prlimit(os.getppid(), resource.RLIMIT_FSIZE, (-1, -1))
os.write(1, b"9 epochs\\n")
"""
    with subprocess.Popen(
        [sys.executable, "-c", f"import resource\n{code}", repr({"log": "x.log"}), *python(more)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env=environment(),
    ) as process:  # fmt: skip
        assert process.stdout is not None
        read_until(process.stdout.fileno(), b"4567\n")
        process.communicate(b"\n", timeout=LIMIT_S)
    assert process.returncode == 0
    assert (tmp_path / "x.log").read_bytes() == b"loss: 0.123456\n9 epochs\n[nanwatch] ended: exit code 0 after 0 s\n"


# -- the log


def test_new_log(tmp_path: Path) -> None:
    """Without a name the log is made in `logs`, after the script and the time, and never over another one."""
    (tmp_path / "train me.sh").write_text("exit 0")
    for _ in range(3):
        result, _ = launch(tmp_path, "sh", "train me.sh", log=None)
        assert result.stderr.startswith(b"nanwatch: log: logs/train_me-2")
    names = [path.name for path in (tmp_path / "logs").iterdir()]
    assert len(names) == 3
    assert all(path.read_bytes().startswith(b"[nanwatch] ended") for path in (tmp_path / "logs").iterdir())


@pytest.mark.parametrize(("command", "name"), [
    ("python train.py --config conf.py", "train"), ("python -u -m pkg.train --epochs 3", "pkg.train"),
    ("torchrun --nproc_per_node 2 src/train_ddp.py", "train_ddp"), ("./run.sh", "run"), ("/opt/bin/yolo train", "yolo"),
    ("bash", "bash"), ("python -c print()", "python"), ("python -m", "python"), ("uv run python a/b/fit.py", "fit"),
    ("../..", "run"), ("./a\x1b[31m\nb", "a_31m_b"), ("x" * 300, "x" * 80), (".hidden.py", "hidden"),
])  # fmt: skip
def test_log_name(command: str, name: str) -> None:
    """A log is named after the script or module of the command, else after its program, in plain characters."""
    assert log_name(command.split(" ")) == name


def test_log_that_is_there(tmp_path: Path) -> None:
    """A log that is there is not touched; appended to, it goes on with a new line."""
    log = tmp_path / "x.log"
    log.write_bytes(b"Epoch 1: 50%|##")
    result, _ = launch(tmp_path, "echo", "more")
    assert result.returncode == UsageError.exit_code
    assert b"--append" in result.stderr
    assert log.read_bytes() == b"Epoch 1: 50%|##"
    launch(tmp_path, "echo", "more", append=True)
    assert body(log.read_bytes()) == b"Epoch 1: 50%|##\nmore\n"
    launch(tmp_path, "nonesuch", append=True)
    assert body(log.read_bytes()) == b"Epoch 1: 50%|##\nmore\n"


def test_log_that_cannot_be_made(tmp_path: Path) -> None:
    """Where the log cannot be made, nothing is run."""
    (tmp_path / "file").touch()
    for log in ("file/x.log", "."):
        result, _ = launch(tmp_path, "touch", "ran", log=log, append=True)
        assert result.returncode == UsageError.exit_code
    assert not (tmp_path / "ran").exists()
    with pytest.raises(UsageError, match="nothing to run"):
        run_command([], None)


# -- out of memory


@pytest.fixture
def cgroups(tmp_path: Path) -> Path:
    """Control groups as a container shows them, in which nothing was killed yet."""
    folder = tmp_path / "cgroup"
    (folder / "memory").mkdir(parents=True)
    (folder / "memory.events").write_text("low 0\nhigh 0\nmax 12\noom 3\noom_kill 3\n")
    (folder / "memory" / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n")
    return folder


@LINUX
@pytest.mark.parametrize(("script", "told"), [
    ("grow; kill -9 $$", "killed by signal 9 (SIGKILL), out of memory (the kernel's OOM killer)"),
    ("grow; exit 137", "exit code 137, out of memory (the kernel's OOM killer)"),
    ("kill -9 $$", "killed by signal 9 (SIGKILL)"),
    ("grow; kill -TERM $$", "killed by signal 15 (SIGTERM)"),
    ("grow; exit 1", "exit code 1"),
])  # fmt: skip
def test_out_of_memory(tmp_path: Path, cgroups: Path, script: str, told: str) -> None:
    """A command that was killed while the kernel's OOM killer struck is said to have run out of memory."""
    counters = "cgroup/memory.events cgroup/memory/memory.oom_control"
    grow = f"grow() {{ sed -i 's/oom_kill 3/oom_kill 4/' {counters}; }};"
    result, log = launch(tmp_path, "sh", "-c", f"{grow} {script}", cgroups=str(cgroups))
    assert ending(log) == told
    assert (b"out of memory" in result.stderr) == ("out of memory" in told)


@pytest.mark.parametrize(("text", "kills"), [
    ("0::/\n", 7), ("0::/a/b\n", 5), ("12:cpu:/x\n4:memory:/jobs/1\n0::/none\n", 3), ("4:cpu,memory:/gone\n", 2),
    ("1:cpu:/\n", None), (None, None),
])  # fmt: skip
def test_counter(tmp_path: Path, text: str | None, kills: int | None) -> None:
    """The counter is our own group's, of either version, else the one of the whole container."""
    for path, number in (("", 7), ("a/b", 5)):
        (tmp_path / path).mkdir(parents=True, exist_ok=True)
        (tmp_path / path / "memory.events").write_text(f"oom 9\noom_kill {number}\n")
    for path, number in (("memory/jobs/1", 3), ("memory", 2)):
        (tmp_path / path).mkdir(parents=True, exist_ok=True)
        (tmp_path / path / "memory.oom_control").write_text(f"under_oom 0\noom_kill {number}\n")
    if text == "12:cpu:/x\n4:memory:/jobs/1\n0::/none\n":
        (tmp_path / "memory.events").unlink()
    ours = tmp_path / "self"
    if text is not None:
        ours.write_text(text)
    assert oom_kills(tmp_path, ours) == kills


# -- the last line is read


@pytest.mark.parametrize(("status", "memory", "events"), [
    (0, False, [ProcessExited(7, 0, "exit code 0")]),
    (1, False, [ProcessExited(7, 1, "exit code 1")]),
    (143, False, [ProcessExited(7, 143, "exit code 143")]),
    (-9, False, [ProcessExited(7, 137, "killed by signal 9 (SIGKILL)")]),
    (-11, False, [ProcessExited(7, 139, "killed by signal 11 (SIGSEGV)")]),
    (-40, False, [ProcessExited(7, 168, "killed by signal 40 (?)")]),
    (-2, False, [ProcessExited(7, 130, "killed by signal 2 (SIGINT)")]),
    (-15, False, [ProcessExited(7, 143, "killed by signal 15 (SIGTERM)")]),
    (-9, True, [Failure(7, "oom", "killed by signal 9 (SIGKILL) by the kernel's OOM killer: the host's memory ran out, not the GPU's"), ProcessExited(7, 137, "killed by signal 9 (SIGKILL)")]),  # noqa: E501
    (137, True, [Failure(7, "oom", "exit code 137 by the kernel's OOM killer: the host's memory ran out, not the GPU's"), ProcessExited(7, 137, "exit code 137")]),  # noqa: E501
])  # fmt: skip
def test_closing_line(status: int, memory: bool, events: list[Event]) -> None:
    """What the last line says is what is read from it, whatever the time that it took."""
    for seconds in (0, 59, 3599, 3600 * 3 + 120, 86_400 * 40 + 3600 * 5):
        assert read_closing(closing_line(status, seconds, memory), 7) == events
    last = events[-1]
    assert isinstance(last, ProcessExited)
    assert exit_code(status) == last.code


def test_closing_line_in_words() -> None:
    """It reads as a sentence."""
    assert closing_line(0, 3 * 3600 + 125) == "[nanwatch] ended: exit code 0 after 3 h 02 min"
    assert closing_line(-9, 90_000, True) == (
        "[nanwatch] ended: killed by signal 9 (SIGKILL), out of memory (the kernel's OOM killer) after 1 d 01 h"
    )


@pytest.mark.parametrize("text", [
    "x [nanwatch] ended: exit code 0 after 3 s", "[nanwatch] ended: exit code 0 after 3 s!",
    "[nanwatch] ended: exit code 9999 after 3 s", "[nanwatch] ended: killed by signal 999 (SIGKILL) after 3 s",
    "[nanwatch] ended: exit code ٣ after 3 s", "[nanwatch] ended", "[nanwatch] ended: exit code 0 after 3 s\n",
    "[nanwatch] ended: exit code 0 after 3 h 02 min 4 s", "[nanwatch] ended: " + "9" * 60_000,
])  # fmt: skip
def test_look_alikes(text: str) -> None:
    """A line that only resembles it, or holds it, is not taken for it."""
    assert read_closing(text, 0) is None


EPOCHS = b"".join(bars(n, "0.5", "0.4") for n in (1, 2, 3))
ERROR = b'Traceback (most recent call last):\n  File "train.py", line 9, in <module>\n    main()\nValueError: bad\n'
MEMORY_ERROR = ERROR.replace(b"ValueError: bad", b"torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB")


@pytest.mark.parametrize(("data", "status", "memory", "told", "rules", "message"), [
    (EPOCHS, 0, False, "finished", ["finished"], "finished"),
    (EPOCHS + b"Training complete\n", 0, False, "finished", ["finished"], "finished"),
    (EPOCHS, 1, False, "failed", ["crash"], "crashed in epoch 3, batch 2: exit code 1"),
    (EPOCHS + ERROR, 1, False, "failed", ["crash"], "crashed in epoch 3, batch 2: ValueError: bad"),
    (EPOCHS + ERROR, -9, False, "failed", ["crash"], "crashed in epoch 3, batch 2: ValueError: bad"),
    (EPOCHS + MEMORY_ERROR, 1, False, "failed", ["oom"], "out of memory ended the run: torch.OutOfMemoryError"),
    (EPOCHS, -9, False, "crashed", ["crash"], "killed in epoch 3, batch 2: killed by signal 9 (SIGKILL)"),
    (EPOCHS, 255, False, "failed", ["crash"], "crashed in epoch 3, batch 2: exit code 255"),
    (EPOCHS + b"Killed\n", 137, False, "crashed", ["crash"], "killed in epoch 3, batch 2: Killed"),
    (EPOCHS, -9, True, "failed", ["oom"], "out of memory ended the run: killed by signal 9 (SIGKILL) by the kernel's"),
    (EPOCHS, -2, False, "interrupted", ["interrupted"], "interrupted at the end of epoch 3: killed by signal 2"),
    (EPOCHS, -15, False, "interrupted", ["interrupted"], "killed by signal 15 (SIGTERM)"),
    (EPOCHS, 143, False, "interrupted", ["interrupted"], "exit code 143"),
    (EPOCHS + ERROR.replace(b"ValueError: bad", b"KeyboardInterrupt"), -2, False, "interrupted", ["interrupted"],
     "KeyboardInterrupt"),
    (EPOCHS + ERROR[:60], -9, False, "crashed", ["crash"], "killed in epoch 3"),
])  # fmt: skip
def test_the_log_tells_the_end(
    data: bytes, status: int, memory: bool, told: str, rules: list[str], message: str
) -> None:
    """The last line gives the run's status and one alert; what the trainer said of its end is not overwritten."""
    separator = b"" if data.endswith(b"\n") else b"\n"
    log = data + separator + closing_line(status, 60, memory).encode() + b"\n"
    pipeline = LogPipeline("x.log")
    found = [n for chunk in pieces(log, [5, 999]) for _, n in pipeline.feed(chunk) if isinstance(n, Alert)]
    run = pipeline.runs[-1]
    assert status_of(run, pipeline.alerts_of(run)) == told
    assert [alert.rule for alert in found] == rules
    assert message in found[0].message
    assert run.exit_code == exit_code(status)
    assert pipeline.has_ended
    if memory:
        assert "not the GPU's" in found[0].message


def test_the_log_goes_on() -> None:
    """A run that is taken up in the same log is no longer ended, and one that begins anew is another one."""
    for status in (1, -9, -15):
        ended = EPOCHS + closing_line(status, 60).encode() + b"\n"
        (run,) = read(ended + bars(4, "0.4")).runs
        assert status_of(run) == "running"
    assert [status_of(run) for run in read(EPOCHS + closing_line(1, 60).encode() + b"\n" + EPOCHS).runs][-1] != "failed"


def test_every_family() -> None:
    """Whatever trainer wrote the log, the last line tells the end."""
    for log in sorted((ROOT / "fixtures" / "formats").glob("*.log")):
        data = log.read_bytes()
        pipeline = read(data + b"\n" + closing_line(-9, 60).encode() + b"\n")
        assert pipeline.runs[-1].exit_code == 137, log
        assert pipeline.decoder.matched == "nanwatch run", log


@pytest.mark.parametrize(("end", "told"), [
    ("", "finished"), ("sys.exit(1)", "failed"), ("os.kill(os.getpid(), 9)", "crashed"),
    ("os.kill(os.getpid(), 15)", "interrupted"), ("raise ValueError('bad')", "failed"),
])  # fmt: skip
@pytest.mark.parametrize("is_pty", [False, True])
def test_a_training_from_its_start_to_its_summary(tmp_path: Path, is_pty: bool, end: str, told: str) -> None:
    """A training that was run is summarised with the end that it had."""
    (tmp_path / "bars").write_bytes(EPOCHS)
    launch(tmp_path, *python(f"import os, sys; print(open('bars').read(), end='', flush=True); {end}"), use_pty=is_pty)
    reading = read_log(tmp_path / "x.log", Config(), None, time.time())
    (run,) = reading.runs
    assert status_of(run, reading.alerts_of(run)) == told


def test_nothing_is_told_twice_while_it_ends() -> None:
    """Between a traceback and the last line a clock ticks, and still only one alert comes."""
    pipeline = LogPipeline("x.log")
    closing = closing_line(1, 60).encode() + b"\n"
    found: list[Alert] = []
    for step in (
        pipeline.feed(Chunk(0, EPOCHS + ERROR), 100.0), pipeline.tick(101.0),
        pipeline.feed(Chunk(len(EPOCHS + ERROR), closing), 102.0), pipeline.tick(5000.0),
    ):  # fmt: skip
        found += [notice for _, notice in step if isinstance(notice, Alert)]
    assert [(alert.rule, alert.state) for alert in found] == [("crash", "firing")]
    assert len(alerts(pipeline)) == 1
