"""Who writes a log."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from nanwatch.tail import writers
from nanwatch.tail.writers import Writer, cpu_percent, find_writers, is_alive, writers_of

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's")

WAIT = "import os, sys; print(os.getpid(), flush=True); sys.stdin.read()"
SPIN = "import os; print(os.getpid(), flush=True)\nwhile True: pass"
OPEN = "import sys; f = open(sys.argv[1], sys.argv[2]);" + WAIT
WITH_CHILD = """
import subprocess, sys
log = open(sys.argv[1], "a")
child = subprocess.Popen([sys.executable, "-c", sys.argv[2]], stdout=subprocess.PIPE, stderr=log)
print(child.stdout.readline().decode(), flush=True)
sys.stdin.read()
child.kill()
child.communicate()
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """An empty log."""
    path = tmp_path / "x.log"
    path.touch()
    return path


@contextmanager
def running(*command: str | Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run *command* until the end of the block, once it has printed a number; it ends with its standard input."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        number = int(process.stdout.readline())
        try:
            yield process, number
        finally:
            process.communicate()


@contextmanager
def holding(path: Path, mode: str = "a") -> Iterator[int]:
    """Run another process that holds *path* open."""
    with running(sys.executable, "-c", OPEN, path, mode) as (process, _):
        yield process.pid


def found(path: Path) -> list[Writer]:
    """Return who writes *path*, which must be known."""
    writing = writers_of(path)
    assert writing is not None
    return writing


# -- who holds the file


@pytest.mark.parametrize("mode", ["a", "w", "r+"])
def test_writer(tmp_path: Path, log: Path, mode: str) -> None:
    """A process that holds the log open for writing is found, also through a link, until it ends."""
    link = tmp_path / "link"
    link.symlink_to(log)
    with holding(log, mode) as pid:
        for path in (log, link):
            assert [writer.pid for writer in found(path)] == [pid]
            assert found(path)[0].command.startswith("python")
    assert found(log) == []


def test_start(log: Path) -> None:
    """A writer's start is a time of day, to a second, and the same at every look."""
    earliest = time.time()
    with holding(log):
        latest = time.time()
        assert earliest - 1.1 <= found(log)[0].started <= latest + 0.1
        assert found(log)[0].started == found(log)[0].started


def test_reader(log: Path) -> None:
    """A process that only reads the log is no writer, and neither are we."""
    with log.open("w"), holding(log, "r"):
        assert found(log) == []


def test_child_that_inherits(log: Path) -> None:
    """Children that inherit the log are writers too, after the process that started them."""
    with running(sys.executable, "-c", WITH_CHILD, log, WAIT) as (parent, child):
        assert [writer.pid for writer in found(log)] == [parent.pid, child]


def test_several_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many logs are looked for in one pass, each with its own writers."""
    logs = [tmp_path / f"{number}.log" for number in range(200)]
    for path in logs:
        path.touch()
    passes: list[list[int]] = []
    pids = writers._pids

    def one_pass() -> list[int]:
        passes.append(pids())
        return passes[-1]

    monkeypatch.setattr(writers, "_pids", one_pass)
    with holding(logs[3]) as one, holding(logs[70]) as other:
        writing = find_writers([*logs, tmp_path / "missing"])
    assert {path: [w.pid for w in who] for path, who in writing.items() if who} == {logs[3]: [one], logs[70]: [other]}
    assert writing[logs[0]] == []
    assert writing[tmp_path / "missing"] is None
    assert len(passes) == 1


def test_missing_file(tmp_path: Path) -> None:
    """Who writes a file that is missing cannot be known."""
    assert writers_of(tmp_path / "missing") is None


def test_other_system(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Off Linux it cannot be known."""
    monkeypatch.setattr(sys, "platform", "darwin")
    assert writers_of(log) is None


def test_no_proc(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without /proc it cannot be known, and nothing is alive."""
    monkeypatch.setattr(writers, "_PROC", str(log.parent / "proc"))
    assert writers_of(log) is None
    assert not is_alive(Writer(1, "init"))


def test_hidden_processes(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody found for another user's log means unknown; for our own log it means nobody."""
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 12345)
    assert writers_of(log) is None
    monkeypatch.setattr(os, "geteuid", lambda: log.stat().st_uid)
    assert writers_of(log) == []


# -- who writes through a recorder


def pipeline(log: Path, *filters: str) -> list[str]:
    """Return the command of a trainer that prints its number and writes *log* through *filters*."""
    trainer, tee = shlex.join([sys.executable, "-c", WAIT]), shlex.join(["tee", str(log)])
    return ["sh", "-c", " | ".join([trainer, *filters, tee])]


@pytest.mark.parametrize("filters", [[], ["cat"]])
def test_tee(log: Path, filters: list[str]) -> None:
    """Who writes through a pipe to tee is the trainer; tee, and what stands between, come after it."""
    with running(*pipeline(log, *filters)) as (_, trainer):
        writing = found(log)
    assert writing[0].pid == trainer
    assert sorted(writer.command for writer in writing[1:]) == sorted([*filters, "tee"])


@pytest.mark.skipif(shutil.which("script") is None, reason="script is not installed")
def test_script(log: Path) -> None:
    """Who prints to the terminal that script made is the trainer; script comes after it."""
    command = ["script", "-q", "-c", shlex.join([sys.executable, "-c", WAIT]), str(log)]
    with running(*command) as (script, trainer):
        writing = found(log)
        os.kill(trainer, signal.SIGKILL)  # the end of script's input need not be that of the terminal
    assert [writing[0].pid, writing[-1].pid] == [trainer, script.pid]


# -- life and load


def test_finished_process(log: Path) -> None:
    """A process is alive until it ends."""
    with holding(log):
        writer = found(log)[0]
        assert is_alive(writer)
    assert not is_alive(writer)
    assert cpu_percent(writer) is None


def test_zombie(log: Path) -> None:
    """A process that has ended is not alive while its parent has yet to notice."""
    with running(sys.executable, "-c", OPEN, log, "a") as (process, _):
        writer = found(log)[0]
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert Path(f"/proc/{process.pid}").exists()
        assert not is_alive(writer)


def test_number_used_again(log: Path) -> None:
    """Another process that was given the same number is not the writer."""
    with holding(log):
        writer = found(log)[0]
        assert not is_alive(replace(writer, started=writer.started - 60))
        assert not is_alive(replace(writer, started=writer.started + 60))


def test_load(log: Path, tmp_path: Path) -> None:
    """A writer whose children compute uses the processor, one that waits does not."""
    other = tmp_path / "other.log"
    with running(sys.executable, "-c", WITH_CHILD, log, SPIN), holding(other):
        busy, idle = cpu_percent(found(log)[0], 0.3), cpu_percent(found(other)[0], 0.3)
    assert busy is not None
    assert idle is not None
    assert busy > idle + 5


def test_time_used(log: Path) -> None:
    """The time used grows while a child that writes the same log computes."""
    with running(sys.executable, "-c", WITH_CHILD, log, SPIN):
        before = found(log)[0]
        while (now := found(log)[0]).cpu_seconds < before.cpu_seconds + 0.05:
            assert is_alive(before)
    assert now.pid == before.pid


RUN_BY_US = """
import sys
from pathlib import Path
from nanwatch.launch import run_command
sys.exit(run_command(sys.argv[2:], Path(sys.argv[1]), use_pty=sys.argv[1].endswith("pty.log")))
"""


@pytest.mark.parametrize("name", ["pipes.log", "pty.log"])
def test_trainer_that_we_run(tmp_path: Path, name: str) -> None:
    """What `nanwatch run` runs is the trainer of its log, nanwatch, whatever Python runs it, but the recorder."""
    log = tmp_path / name
    with running(sys.executable, "-c", RUN_BY_US, log, sys.executable, "-c", WAIT) as (recorder, trainer):
        writing = found(log)
        assert [writer.pid for writer in writing] == [trainer, recorder.pid]
        assert writing[1].command == "nanwatch"
        assert writing[0].command.startswith("python")
    assert found(log) == []


# -- processes that are made up


@dataclass
class Processes:
    """A /proc of processes that the test describes; all of them started in the order of their numbers."""

    folder: Path

    def add(
        self,
        pid: int,
        command: str,
        *open_files: str | Path,
        parent: int = 1,
        group: int | None = None,
        program: str = "python3",
        ticks: tuple[int, int, int, int] = (0, 0, 0, 0),
        state: str = "S",
    ) -> None:
        """Add a process; the first of *open_files* it reads (its standard input), the others it writes.

        *ticks* are its user and system time, and those of its children that ended.
        """
        process = self.folder / str(pid)
        (process / "fd").mkdir(parents=True)
        (process / "fdinfo").mkdir()
        for number, file in enumerate(open_files):
            (process / "fd" / str(number)).symlink_to(file)
            (process / "fdinfo" / str(number)).write_text(f"pos:\t0\nflags:\t010000{min(number, 1)}\n")
        (process / "exe").symlink_to(f"/usr/bin/{program}")
        used = " ".join(map(str, ticks))
        numbers = f"{parent} {group or pid} 1 0 -1 0 0 0 0 0 {used} 20 0 1 0 {pid} 0 0"
        (process / "stat").write_text(f"{pid} ({command}) {state} {numbers}\n")


@pytest.fixture
def processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Processes:
    """No process at all."""
    folder = tmp_path / "proc"
    folder.mkdir()
    (folder / "stat").write_text("cpu 1 2 3\nbtime 1000000\n")
    monkeypatch.setattr(writers, "_PROC", str(folder))
    return Processes(folder)


def test_wrappers_come_last(processes: Processes, log: Path) -> None:
    """The first is the earliest that is no mere wrapper: a launcher that trains, not the shell that started it."""
    processes.add(10, "slurm_script", "/dev/null", log, program="bash")
    processes.add(11, "timeout", "/dev/null", log, program="timeout", parent=10)
    processes.add(12, "torchrun", "/dev/null", log, parent=11)
    processes.add(13, "python", "/dev/null", log, parent=12)
    processes.add(14, "pt_data_worker", "/dev/null", log, parent=13)
    assert [writer.pid for writer in found(log)] == [12, 13, 14, 10, 11]


def test_only_a_shell(processes: Processes, log: Path) -> None:
    """Where only a shell and a recorder write, both are found, the shell first."""
    processes.add(10, "tee", "pipe:[7]", "/dev/pts/0", "/dev/null", log, program="coreutils")
    processes.add(11, "bash", "/dev/pts/0", "pipe:[7]", program="bash")
    assert [writer.command for writer in found(log)] == ["bash", "tee"]


def test_other_pipes(processes: Processes, log: Path) -> None:
    """What reads the recorder's pipe, writes another one, or feeds a trainer is no writer."""
    processes.add(10, "tee", "pipe:[7]", log)
    processes.add(11, "python", "pipe:[9]", "pipe:[7]")
    processes.add(12, "less", "pipe:[7]", "/dev/pts/0")
    processes.add(13, "python", "/dev/null", "pipe:[8]")
    processes.add(14, "python", "/dev/null", "pipe:[9]")
    assert [writer.pid for writer in found(log)] == [11, 10]


def test_pipes_in_a_circle(processes: Processes, log: Path) -> None:
    """Recorders that feed each other are followed once."""
    processes.add(10, "tee", "pipe:[7]", log, "pipe:[8]")
    processes.add(11, "cat", "pipe:[8]", "pipe:[7]")
    assert [writer.pid for writer in found(log)] == [10, 11]


@pytest.mark.parametrize("recorder", ["script", "screen", "mpirun", "nanwatch"])
def test_descendants(processes: Processes, log: Path, recorder: str) -> None:
    """What a terminal's recorder started comes first, the trainer before its shell; the dead do not count."""
    processes.add(10, recorder, "/dev/pts/0", log, program=recorder)
    processes.add(11, "bash", "/dev/pts/1", "/dev/pts/1", parent=10, program="bash")
    processes.add(12, "nvidia-smi", "/dev/null", parent=11, state="Z")
    processes.add(13, "python", "/dev/pts/1", "/dev/pts/1", parent=11)
    processes.add(14, "python", "/dev/pts/0", "/dev/pts/0")
    assert [writer.pid for writer in found(log)] == [13, 11, 10]


def test_time_used_by_the_job(processes: Processes, log: Path) -> None:
    """The time used is the job's: of children in other groups too, with what ended below a trainer, not a shell."""
    processes.add(10, "bash", "/dev/null", log, program="bash", ticks=(1, 2, 1000, 1000))
    processes.add(11, "torchrun", "/dev/null", log, parent=10, ticks=(10, 20, 0, 0))
    processes.add(12, "python", "/dev/null", log, parent=11, ticks=(100, 200, 30, 40))
    processes.add(13, "python", "/dev/null", log, group=10, ticks=(0, 1, 0, 0))
    processes.add(20, "python", "/dev/null", log, ticks=(5, 0, 0, 0))
    tick = 1 / os.sysconf("SC_CLK_TCK")
    assert {w.pid: round(w.cpu_seconds / tick) for w in found(log)} == {10: 404, 11: 404, 12: 404, 13: 404, 20: 5}
    assert found(log)[0].started == pytest.approx(1_000_000 + 11 * tick)


@pytest.mark.parametrize(
    ("command", "shown"), [("a) S 1 (b", "a) S 1 (b"), ("\x1b[31m\nx\u202e", "[31mx"), ("\n", "?"), ("", "?")]
)
def test_hostile_names(processes: Processes, log: Path, command: str, shown: str) -> None:
    """A process may bear any name: what a terminal obeys is taken out of it."""
    processes.add(10, command, "/dev/null", log)
    assert [(writer.pid, writer.command) for writer in found(log)] == [(10, shown)]


def test_process_that_ends_meanwhile(processes: Processes, log: Path) -> None:
    """A process that is gone before its files, its flags or its times can be read is passed over."""
    for pid, lost in ((10, "fd"), (11, "fdinfo"), (12, "stat"), (13, "exe")):
        processes.add(pid, "python", "/dev/null", log)
        (processes.folder / str(pid) / lost).rename(processes.folder / str(pid) / "gone")
    processes.add(14, "python", "/dev/null", log)
    (processes.folder / "14" / "fdinfo" / "1").write_text("pos:\t0\n")
    assert [writer.pid for writer in found(log)] == [13]
