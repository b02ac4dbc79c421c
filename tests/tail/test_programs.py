"""Real programs at work: logrotate, Python's rotating handlers, Slurm's and nohup's ways, full and vanishing disks."""

from __future__ import annotations

import errno
import logging
import logging.handlers
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from nanwatch.clock import ManualClock
from nanwatch.model.frame import Chunk
from nanwatch.tail.follower import Follower
from nanwatch.tail.identity import Position
from nanwatch.tail.tailer import Tailer
from nanwatch.tail.wake import ManualWake, NativeWake

LIMIT_S = 30.0


def needs(condition: object, what: str) -> None:
    """Skip where *what* is not there; fail instead where everything must be tested."""
    if not condition and os.environ.get("NANWATCH_TEST_ALL"):
        pytest.fail(f"needs {what}")
    if not condition:
        pytest.skip(f"needs {what}")


class Reader:
    """Follows one log, and collects its lines."""

    def __init__(self, log: Path) -> None:
        self.follower = Follower(log)
        self.data = b""

    def poll(self) -> None:
        """Look once."""
        self.data += b"".join(item.data for item in self.follower.poll() if isinstance(item, Chunk))

    def restart(self) -> None:
        """Stop and start again, with nothing but the position."""
        position = self.follower.position
        assert position is not None
        self.follower.close()
        self.follower = Follower(self.follower.path, Position.from_json(position.to_json()))

    @property
    def lines(self) -> list[int]:
        """The numbers that were read, in this order."""
        return [int(line.split()[1]) for line in self.data.decode().splitlines()]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log that does not exist yet, in a folder that only its owner can write to."""
    return tmp_path / "train.log"


@pytest.fixture
def reader(log: Path) -> Iterator[Reader]:
    """A reader of the log."""
    reader = Reader(log)
    yield reader
    reader.follower.close()


def write(log: Path, *numbers: int) -> None:
    """Append lines, opening the log for each as a shell does."""
    for number in numbers:
        with log.open("a") as file:
            file.write(f"epoch {number} \u258f\n")


# -- logrotate


def logrotate(log: Path, options: str) -> None:
    """Rotate the log now."""
    configuration = log.parent / "logrotate.conf"
    configuration.write_text(f"{log} {{\n  rotate 20\n  missingok\n  " + "\n  ".join(options.split(";")) + "\n}\n")
    configuration.chmod(0o600)
    state = log.parent / "logrotate.state"
    program = shutil.which("logrotate") or "/usr/sbin/logrotate"
    done = subprocess.run([program, "-f", "-s", state, configuration], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def has_logrotate() -> None:
    """Skip without the program."""
    needs(shutil.which("logrotate") or Path("/usr/sbin/logrotate").exists(), "logrotate")


@pytest.mark.usefixtures("has_logrotate")
@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        "create",
        "copytruncate",
        "nocreate",
        "create;delaycompress;compress",
        "copytruncate;delaycompress;compress",
        "create;start 5",
    ],
)
def test_logrotate(log: Path, reader: Reader, options: str, restarts: bool) -> None:
    """What is written before, between and after rotations is read once, with and without a look in between."""
    for number in range(0, 60, 10):
        write(log, *range(number, number + 4))
        if number % 20 == 0:
            reader.poll()
        write(log, *range(number + 4, number + 7))
        if restarts:
            reader.restart()
        # Two rotations between two looks: with delaycompress the first of them is compressed by the second.
        if number % 20 == 0 or "compress" not in options:
            logrotate(log, options)
        write(log, *range(number + 7, number + 10))
    reader.poll()
    assert reader.lines == list(range(60))


@pytest.mark.usefixtures("has_logrotate")
@pytest.mark.parametrize("options", ["create;compress", "copytruncate;compress", "create;dateext", "dateext;compress"])
def test_logrotate_that_compresses_or_dates(log: Path, reader: Reader, options: str) -> None:
    """A log that is compressed at once, or gets a date for a name, is read once with looks in between."""
    write(log, 0, 1)
    reader.poll()
    if "copytruncate" not in options:  # what a descriptor does not hold is in the compressed copy only
        write(log, 2, 3)
    logrotate(log, options)
    reader.poll()
    write(log, *range(10, 13))
    reader.poll()
    assert reader.lines == [0, 1, *([2, 3] if "copytruncate" not in options else []), 10, 11, 12]


@pytest.mark.usefixtures("has_logrotate")
def test_writer_that_was_not_told(log: Path, reader: Reader) -> None:
    """A trainer that keeps the renamed file open is followed there, and its end is read although it is compressed."""
    with log.open("a", buffering=1) as trainer:
        trainer.write("epoch 0\n")
        reader.poll()
        logrotate(log, "create")
        trainer.write("epoch 1\n")
        reader.poll()
        write(log, 10)
        trainer.write("epoch 2\n")
        reader.poll()
    logrotate(log, "create;compress")
    reader.poll()
    assert sorted(reader.lines) == [0, 1, 2, 10]
    assert reader.lines[:2] == [0, 1]


# -- Python's handlers

WRITES = """
import logging, logging.handlers, sys
handler = logging.handlers.RotatingFileHandler(sys.argv[1], maxBytes=400, backupCount=500)
log = logging.getLogger("train")
log.addHandler(handler)
log.setLevel("INFO")
for number in range(3000):
    log.info("epoch %d", number)
"""


def test_rotating_file_handler_at_full_speed(log: Path) -> None:
    """A hundred rotations by RotatingFileHandler, while it is followed: each line arrives once, in order."""
    tailer = Tailer([log], NativeWake(), recheck_s=0.2)
    data, end = b"", time.monotonic() + LIMIT_S
    log.touch()
    assert list(tailer.poll()) == []
    with subprocess.Popen([sys.executable, "-c", WRITES, str(log)]) as trainer:
        while not data.endswith(b" 2999\n"):
            assert time.monotonic() < end
            data += b"".join(item.data for _, item in tailer.poll(tailer.wait(0.5)) if isinstance(item, Chunk))
        assert trainer.wait() == 0
    assert list(tailer.poll()) == []
    tailer.close()
    numbers = [int(line.split()[1]) for line in data.decode().splitlines()]
    assert numbers == list(range(3000))


@pytest.mark.parametrize("when", ["S", "H", "D", "MIDNIGHT"])
def test_timed_rotating_file_handler(log: Path, reader: Reader, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rotation by time, in every unit that it knows: each line arrives once, looked at or not in between."""
    now = 1_790_000_000.0
    clock = SimpleNamespace(**{**vars(time), "time": lambda: now})
    monkeypatch.setattr(logging.handlers, "time", clock)
    write(log, -1)
    os.utime(log, (now, now))
    handler = logging.handlers.TimedRotatingFileHandler(log, when=when)
    for number in range(60):
        if number % 10 == 9:
            now += 86_400 * 1.5
        handler.emit(logging.LogRecord("train", logging.INFO, "", 0, f"epoch {number}", None, None))
        if number % 7 == 0 and number < 40:
            reader.poll()
    handler.close()
    reader.poll()
    assert len(list(log.parent.iterdir())) == 7
    assert reader.lines == list(range(-1, 60))


# -- Slurm and nohup


def test_slurm_output_that_appears_late(tmp_path: Path) -> None:
    """A pattern in a folder that does not exist yet is waited for, and the job's output is read from its first byte."""
    folder = tmp_path / "jobs" / "today"
    tailer = Tailer([folder / "slurm-*.out"], NativeWake(), recheck_s=1000)
    data, end = b"", time.monotonic() + LIMIT_S

    def look(wanted: bytes) -> None:
        nonlocal data
        while data != wanted:
            assert time.monotonic() < end, data
            data += b"".join(item.data for _, item in tailer.poll(tailer.wait(0.5)) if isinstance(item, Chunk))

    look(b"")
    assert list(tailer.poll()) == []
    folder.mkdir(parents=True)
    (folder / "slurm-4711_3.out").write_bytes(b"epoch 1\n")
    look(b"epoch 1\n")
    (folder / "slurm-4712.out").write_bytes(b"epoch 2\n")
    look(b"epoch 1\nepoch 2\n")
    assert [follower.path.name for follower in tailer.logs] == ["slurm-4711_3.out", "slurm-4712.out"]
    tailer.close()


def nohup(folder: Path, command: str) -> None:
    """Run a shell command with `nohup`, as a user without a terminal does."""
    subprocess.run(["sh", "-c", command], cwd=folder, check=True, stdin=subprocess.DEVNULL)


def test_nohup_out_that_is_used_again(tmp_path: Path) -> None:
    """A second training is appended to nohup.out, and a third one empties it: each byte is read once."""
    needs(shutil.which("nohup"), "nohup")
    reader = Reader(tmp_path / "nohup.out")
    first, second = "nohup echo epoch 1 >> nohup.out 2>/dev/null", "nohup echo epoch 2 >> nohup.out 2>/dev/null"
    third = "nohup sh -c 'echo epoch 3; echo epoch 4; echo epoch 5' > nohup.out 2>/dev/null"
    for command in (first, second, third):
        nohup(tmp_path, command)
        reader.poll()
    assert reader.lines == [1, 2, 3, 4, 5]
    nohup(tmp_path, third.replace("epoch", "step"))  # of the same size, at once
    reader.poll()
    assert reader.lines == [1, 2, 3, 4, 5, 3, 4, 5]
    reader.follower.close()


# -- disks


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """Mount something at *folder*, as root only."""
    subprocess.run(["mount", *options, folder], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def can_mount(folder: Path) -> bool:
    """Return whether file systems can be mounted here."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return False
    tried = subprocess.run(["mount", "-t", "tmpfs", "none", folder], check=False, capture_output=True)
    return tried.returncode == 0 and subprocess.run(["umount", folder], check=False).returncode == 0


def fill(log: Path, room: Callable[[], None], code: int) -> None:
    """Write until the disk is full, in the middle of a line; then make *room* and go on."""
    written = b""
    fd = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    reader = Reader(log)
    try:
        rest = b""
        while not rest:
            count, rest = write_all(fd, b"epoch 1 " + b"=" * 4001 + b"\n", code)
            written += (b"epoch 1 " + b"=" * 4001 + b"\n")[:count]
            if len(written) % 7 == 0:
                reader.poll()
        reader.poll()
        assert reader.data == written
        assert not written.endswith(b"\n")
        room()
        assert write_all(fd, rest + b"end\n", code)[1] == b""
        reader.poll()
    finally:
        os.close(fd)
        reader.follower.close()
    assert reader.data == written + rest + b"end\n"


def write_all(fd: int, data: bytes, code: int) -> tuple[int, bytes]:
    """Write until the error *code*; return how much was written, and what was not."""
    count = 0
    while count < len(data):
        try:
            count += os.write(fd, data[count:])
        except OSError as error:
            if error.errno != code:
                raise
            break
    return count, data[count:]


def test_disk_that_is_full(tmp_path: Path) -> None:
    """A writer that gets "no space left" in the middle of a line, and goes on later, is followed byte for byte."""
    needs(can_mount(tmp_path), "root, to mount a small disk")
    with mounted(tmp_path, "-t", "tmpfs", "-o", "size=1m", "none"):
        (tmp_path / "ballast").write_bytes(b"x" * 100_000)
        fill(tmp_path / "train.log", (tmp_path / "ballast").unlink, errno.ENOSPC)


def test_file_that_may_not_grow(tmp_path: Path) -> None:
    """The same with a limit of the file's size, for whoever may not mount."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))
        fill(tmp_path / "train.log", lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard)), errno.EFBIG)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


Away = Callable[[Path], AbstractContextManager[None]]


NOBODY = 65534


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that other users may enter, which pytest's own is not."""
    with tempfile.TemporaryDirectory(prefix="nanwatch-place-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@contextmanager
def renamed(folder: Path) -> Iterator[None]:
    """The folder is somewhere else for a while."""
    away = folder.rename(folder.with_name("away"))
    yield
    away.rename(folder)


@contextmanager
def unmounted(folder: Path) -> Iterator[None]:
    """The folder's disk is not mounted for a while: an empty folder is in its place."""
    subprocess.run(["umount", "-l", folder], check=True)
    yield
    subprocess.run(["mount", "--bind", folder.with_name("disk"), folder], check=True)


@contextmanager
def hidden(folder: Path) -> Iterator[None]:
    """Nobody but root may look into the folder for a while."""
    folder.chmod(0)
    yield
    folder.chmod(0o700)


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("how", [renamed, unmounted, hidden])
@pytest.mark.parametrize("pattern", ["train.log", "*.log"])
def test_folder_that_goes_and_comes_back(place: Path, how: Away, restarts: bool, pattern: str) -> None:
    """A folder that is away for an hour is told as a problem; then reading goes on, nothing lost, nothing twice."""
    folder = place / "logs"
    folder.mkdir()
    if how is unmounted:
        needs(can_mount(folder), "root, to mount a folder")
        (place / "disk").mkdir()
        subprocess.run(["mount", "--bind", place / "disk", folder], check=True)
    if how is hidden and os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    log, clock, data = folder / "train.log", ManualClock(), b""
    tailer = Tailer([folder / pattern], ManualWake(), clock=clock)

    def look() -> None:
        nonlocal data
        clock.advance(10)
        data += b"".join(item.data for _, item in tailer.poll() if isinstance(item, Chunk))

    try:
        with log.open("ab", buffering=0) as trainer:
            trainer.write(b"one\n")
            look()
            trainer.write(b"two\n")
            with how(folder):
                look()
                assert tailer.problems
                trainer.write(b"three\n")
                clock.advance(3600)
                look()
                if restarts:
                    positions = {p: found for p in [log] if (found := tailer.position(p))}
                    tailer.close()
                    tailer = Tailer([folder / pattern], ManualWake(), clock=clock, positions=positions)
                    look()
                trainer.write(b"four\n")
            look()
            trainer.write(b"five\n")
            look()
        assert tailer.problems == []
        assert data == b"one\ntwo\nthree\nfour\nfive\n"
    finally:
        tailer.close()
        os.seteuid(os.getuid())
        if how is unmounted:
            subprocess.run(["umount", "-l", folder], check=False)
