"""Delivery to a program: what it is given, what its exit code means, and that nothing it does can hold nanwatch up."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nanwatch.model.news import Message
from nanwatch.notify.payload import environment, news_json
from nanwatch.notify.via_command import CommandNotifier
from tests.notify.making import NOON, news
from tests.support.prometheus import awaited

NEWS = news(evidence={"nans": 3, "loss": float("nan")})
FIRING = Message("k1", "firing", "critical", "CRIT", "body", "gpu-a3", NOON, (NEWS,))
TEST = Message("k2", "test", "info", "a test", "it works", "gpu-a3", NOON)


def python(code: str, *, timeout: float = 20.0) -> CommandNotifier:
    """Return a notifier that runs *code* as a program."""
    return CommandNotifier("me/command", (sys.executable, "-S", "-c", code), timeout)


def shell(script: str, *, timeout: float = 20.0) -> CommandNotifier:
    """Return a notifier that runs *script* in a shell."""
    return CommandNotifier("me/command", ("/bin/sh", "-c", script), timeout)


def is_alive(pid: int) -> bool:
    """Tell whether a process runs: a zombie does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, check=False).stdout.strip()
    return bool(state) and not state.startswith(b"Z")


def open_files() -> int:
    """Return how many files this process has open."""
    return len(list(Path("/dev/fd").iterdir()))


def dumped(folder: Path, message: Message, host: str = "") -> dict[str, Any]:
    """Return what a program sees when *message* is delivered to it."""
    code = (
        "import json, os, sys; "
        "json.dump({'stdin': sys.stdin.read(), 'env': dict(os.environ), 'argv': sys.argv[1:], 'cwd': os.getcwd(), "
        "'leads': os.getpid() == os.getpgid(0) == os.getsid(0)}, open(sys.argv[1], 'w'))"
    )
    out = folder / "seen.json"
    command = (sys.executable, "-S", "-c", code, str(out), "$HOME; *")
    assert CommandNotifier("me/command", command, 20.0, host).send(message).kind == "sent"
    seen: dict[str, Any] = json.loads(out.read_text())
    return seen


def test_a_program_reads_the_alert_as_one_line_of_json(tmp_path: Path) -> None:
    """Stdin is one line: the news as JSON, with the host that the notifier was given."""
    stdin = dumped(tmp_path, FIRING, "my-machine")["stdin"]
    assert stdin.endswith("\n")
    assert stdin.count("\n") == 1
    assert json.loads(stdin) == news_json(NEWS, "my-machine", "k1")


def test_a_program_finds_the_alert_in_its_environment_too(tmp_path: Path) -> None:
    """The variables are added to nanwatch's own; arguments, folder and session are as they should be."""
    seen = dumped(tmp_path, FIRING)
    assert environment(NEWS, "gpu-a3", "k1").items() <= seen["env"].items()
    assert seen["env"]["PATH"] == os.environ["PATH"]
    assert seen["argv"][1] == "$HOME; *"
    assert seen["cwd"] == str(Path.cwd())
    assert seen["leads"]


def test_a_test_message_says_that_it_is_one(tmp_path: Path) -> None:
    """Without an alert the JSON has the type `test`, and every variable is there, the state being `test`."""
    seen = dumped(tmp_path, TEST)
    told = json.loads(seen["stdin"])
    assert (told["type"], told["key"], told["host"], told["title"]) == ("test", "k2", "gpu-a3", "a test")
    variables = {name for name in seen["env"] if name.startswith("NANWATCH_")}
    assert set(environment(NEWS, "h", "k")) <= variables
    assert seen["env"]["NANWATCH_STATE"] == "test"
    assert seen["env"]["NANWATCH_RULE"] == ""


@pytest.mark.parametrize(
    ("code", "kind"),
    [(0, "sent"), (1, "later"), (3, "later"), (75, "later"), (64, "rejected"), (77, "rejected"), (78, "rejected"),
     (126, "rejected"), (127, "rejected")],
)  # fmt: skip
def test_the_exit_code_says_what_became_of_it(code: int, kind: str) -> None:
    """0 is sent; 64, 77, 78, 126 and 127 are for somebody to mend; all others are tried again."""
    outcome = shell(f"exit {code}").send(FIRING)
    assert outcome.kind == kind
    assert outcome.reason == ("" if code == 0 else f"exit code {code}")


def test_the_reason_ends_with_the_last_line_of_stderr() -> None:
    """It is the last line that holds something, without escape sequences, cut at 200 characters."""
    outcome = shell(r"echo out; printf 'first\n\033[31mno   route\033[0m\a to host\n\n' >&2; exit 3").send(FIRING)
    assert outcome.reason == "exit code 3: no route to host"
    long = python("import sys; sys.exit('x' * 5000)").send(FIRING)
    assert long.reason == "exit code 1: " + "x" * 200


def test_stdout_speaks_where_stderr_is_silent() -> None:
    """A program that complains on stdout is heard as well."""
    assert shell("echo sorry; exit 3").send(FIRING).reason == "exit code 3: sorry"


def test_a_signal_is_tried_again() -> None:
    """A program that was killed may live longer next time."""
    outcome = shell("kill -9 $$").send(FIRING)
    assert (outcome.kind, outcome.reason) == ("later", "ended by signal 9")


@pytest.mark.parametrize("make", ["missing", "folder", "not executable", "no format", "empty", "nul"])
def test_what_is_no_program_is_rejected(tmp_path: Path, make: str) -> None:
    """Nothing is raised, and it is not tried again and again."""
    path = tmp_path / "program"
    if make == "folder":
        path.mkdir()
    elif make != "missing":
        path.write_bytes(b"\x00\x01")
        path.chmod(0o755 if make == "no format" else 0o644)
    command = {"empty": (), "nul": ("a\0b",)}.get(make, (str(path),))
    notifier = CommandNotifier("me/command", command, 5.0)
    assert notifier.send(FIRING).kind == "rejected"
    assert notifier.send(FIRING).reason.isprintable()
    assert (notifier.problem() is None) is (make == "no format")


def test_a_program_may_come_later(tmp_path: Path) -> None:
    """The notifier says that it is missing, and runs it once it is there."""
    path = tmp_path / "program"
    notifier = CommandNotifier("me/command", (str(path),), 20.0)
    assert notifier.problem() == f"{path}: not found"
    path.write_text("#!/bin/sh\nexit 0\n")
    assert notifier.problem() == f"{path}: not executable"
    path.chmod(0o755)
    assert notifier.problem() is None
    assert notifier.send(FIRING).kind == "sent"


def test_a_program_that_never_reads_does_not_block() -> None:
    """Neither a full pipe nor a closed one is an error."""
    big = Message("k", "firing", "critical", "", "", "h", NOON, (news(message="x" * 1_000_000),))
    assert shell("exit 0").send(big).kind == "sent"
    assert shell("exec <&-; exit 0").send(big).kind == "sent"
    assert shell("cat >/dev/null").send(big).kind == "sent"


def test_endless_output_costs_no_memory() -> None:
    """Of what a program says only the end is kept, and it can say as much as it likes."""
    outcome = python("import sys\nfor _ in range(200): sys.stderr.write('y' * 99999 + '\\n')\nsys.exit('done')").send(
        FIRING
    )
    assert outcome.reason == "exit code 1: done"


def test_what_a_program_leaves_behind_does_not_block(tmp_path: Path) -> None:
    """A grandchild that keeps the pipes open is not waited for, and not ended."""
    started = time.monotonic()
    assert shell(f"sleep 30 & echo $! > {tmp_path / 'pid'}").send(FIRING).kind == "sent"
    assert time.monotonic() - started < 10
    pid = int((tmp_path / "pid").read_text())
    assert is_alive(pid)
    os.kill(pid, signal.SIGKILL)


def test_a_slow_program_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    """When the time is up the whole group is asked to end, and it is tried again later."""
    script = f"sleep 60 & echo $! > {tmp_path / 'pid'}; echo busy >&2; wait"
    outcome = shell(script, timeout=0.5).send(FIRING)
    assert (outcome.kind, outcome.reason) == ("later", "not done after 0.5 s: busy")
    awaited(lambda: not is_alive(int((tmp_path / "pid").read_text())), "the grandchild to end")


def test_a_stubborn_program_is_killed() -> None:
    """Who ignores the request to end is killed two seconds later."""
    started = time.monotonic()
    outcome = python("import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)", timeout=0.5).send(FIRING)
    assert outcome.kind == "later"
    assert 2.4 < time.monotonic() - started < 20


def test_many_deliveries_leave_no_file_open() -> None:
    """Pipes are closed whatever became of the program."""
    before = open_files()
    for _ in range(20):
        shell("exit 3").send(FIRING)
        CommandNotifier("me/command", ("/no/such/program",), 5.0).send(FIRING)
    assert open_files() <= before
