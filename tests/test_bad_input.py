"""Hostile and broken input: one clear line or a shown state, the documented exit code, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from nanwatch import console, reading
from nanwatch.cli import main
from nanwatch.config import Config
from nanwatch.model.frame import Chunk, Discontinuity
from nanwatch.pipeline import LogPipeline
from nanwatch.reading import read_log
from nanwatch.tail.follower import Follower, Item
from tests.support.command import TIMEOUT, environment, following, run
from tests.support.logs import bars, capture, cod_story, yolo_story

HOSTILE = (
    b"\x1b]52;c;ZXZpbA==\x07"  # would write to the clipboard
    b"\x1b]0;owned\x07\x1b[2J\x1b[31m"
    b"\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\"
    b"\x9b31m\xc2\x9b32m\x07\x08\x00"
    + "\u202eevil\u2066\u200f".encode()
    + b"[bold red]markup[/bold red] [link=file:///etc/passwd]x[/link] @everyone <!channel>"
)
UNSAFE = [bytes([b]) for b in range(32) if b not in b"\n"] + [
    b"\x7f",
    b"\xc2\x9b",
    "\u202e".encode(),
    "\u2066".encode(),
]
LINE = b"Epoch %d: Loss: %s | IoU: 0.5 | LR: 0.1\n"


def safe(*outputs: bytes) -> bool:
    """Tell whether nothing in *outputs* is acted on by a terminal."""
    return not [mark for mark in UNSAFE for output in outputs if mark in output]


def hostile_log() -> bytes:
    """Return a log whose every text that may be shown is hostile."""
    name = HOSTILE.replace(b"\n", b"")
    return b"".join(
        [
            b"Training " + name + b"\n",
            b"engine/trainer: task=detect, mode=train, model=" + name + b", epochs=3\n",
            bars(1, "0.5", "0.4"),
            LINE % (1, b"0.5"),
            b"Epoch 2: Loss: nan | IoU: 0.4 | " + name + b": 0.5 | " + name + b"\n",
            name + b" Non-finite gradient detected, skipping optimizer step " + name + b"\n",
            b"\r" + name + b" loss=nan\r" + name,
            b"\nTraceback (most recent call last):\n  File \"" + name + b"\", line 1, in <module>\n",
            b"RuntimeError: " + name + b" CUDA out of memory " + name + b"\n",
            b"ValueError: " + name + b"\n",
        ]
    )  # fmt: skip


def quiet_end(result: subprocess.CompletedProcess[bytes], code: int) -> None:
    """Check the exit code, and that what was said is no traceback."""
    assert result.returncode == code, result
    assert b"Traceback" not in result.stderr
    assert all(line.startswith(b"nanwatch: ") for line in result.stderr.splitlines())


# -- text that would act on a terminal


@pytest.mark.parametrize(
    "arguments",
    [
        ("summary",),
        ("summary", "--color"),
        ("summary", "--json"),
        ("summary", "--check"),
        ("replay",),
        ("replay", "--events"),
        ("explain",),
        ("explain", "--json"),
    ],
    ids=" ".join,
)
def test_log_text_never_acts(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Escapes, clipboard writes, direction marks and markup in a log reach neither stdout nor stderr raw."""
    (tmp_path / "x.log").write_bytes(hostile_log())
    result = run(tmp_path, *arguments, "x.log", COLUMNS="500")
    assert b'Traceback (most recent call last):\n  File "/' not in result.stderr
    out = result.stdout
    if "--color" in arguments:
        assert b"\x1b]" not in out
        assert b"\x1b[2J" not in out
        out = out.replace(b"\x1b", b"")
    assert safe(out, result.stderr)
    assert result.returncode in (0, 2)


def test_log_text_never_acts_on_who_follows(tmp_path: Path) -> None:
    """`tail` prints nothing raw either, from a file's text or through a pipe."""
    for option in ("--plain", "--json"):
        result = run(tmp_path, "tail", option, "-", stdin=hostile_log())
        assert safe(result.stdout, result.stderr)
        assert result.returncode == 0
        assert b"crash" in result.stdout or b"oom" in result.stdout


def test_markup_stays_text(tmp_path: Path) -> None:
    """Rich markup in a log is shown as it stands, and does not colour or link."""
    log = (
        bars(1, "0.5", "0.4")
        + b'Traceback (most recent call last):\n  File "x", line 1\nValueError: [red]boom[/red] [/]\n'
    )
    (tmp_path / "x.log").write_bytes(log)
    result = run(tmp_path, "summary", "--color", "x.log", COLUMNS="200", TERM="xterm-256color")
    quiet_end(result, 0)
    assert b"[red]boom[/red]" in result.stdout


NAMES = [
    "\x1b]0;x\x07.log",
    "\x1b[2Ja.log",
    "a\nb.log",
    "\u202egol.log",
    "[bold]x.log",
    "-x.log",
    "a\rb.log",
    "\udcff.log",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
@pytest.mark.parametrize("command", ["summary", "replay", "explain"])
def test_file_names_never_act(tmp_path: Path, name: str, command: str) -> None:
    """A file's name may hold anything: it is shown without what a terminal would act on."""
    for data in (bars(1, "0.5", "nan", "nan", "nan"), b""):
        (tmp_path / name).write_bytes(data)
        result = run(tmp_path, command, f"./{name}")
        quiet_end(result, 0 if data else 3)
        assert safe(result.stdout, result.stderr)
    config = run(tmp_path, "summary", "--config", f"./no{name}", "x.log")
    quiet_end(config, 2)
    assert safe(config.stderr)
    assert config.stderr.count(b"\n") == 1


def test_file_names_that_match_a_glob(tmp_path: Path) -> None:
    """Hostile names found by a glob are shown side by side, each on its own line, and none of them acts."""
    for name in NAMES:
        (tmp_path / name).write_bytes(bars(1, "0.5", "0.4"))
    for arguments in (("summary", "*.log"), ("summary", "--json", "*.log"), ("replay", "./*.log"), ("summary", ".")):
        result = run(tmp_path, *arguments)
        quiet_end(result, 0)
        assert safe(result.stdout, result.stderr)


@pytest.mark.parametrize("option", ["--plain", "--json"])
def test_file_names_never_act_on_who_follows(tmp_path: Path, option: str) -> None:
    """`tail` shows such names harmlessly too, also of a log that vanishes."""
    for name in NAMES:
        (tmp_path / name).write_bytes(bars(1, "0.5", "nan"))
    with following(tmp_path, option, "--poll", ".", *(f"./{name}" for name in NAMES)) as tail:
        out = [tail.line(b"nan_loss") for _ in NAMES]
        for name in NAMES:
            (tmp_path / name).unlink()
        assert tail.process.stderr is not None
        said = [tail.process.stderr.readline() for _ in NAMES]
        code, rest, more = tail.interrupt()
    assert (code, more) == (130, b"")
    assert safe(*out, rest, *said)
    assert all(line.startswith(b"nanwatch: ") and b"file is missing" in line for line in said)


# -- what is no log


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", b"empty"),
        (b"\x7fELF" + bytes(range(256)) * 30, b"binary file"),
        (b"Dear all,\nthis is a letter.\n" * 99, b"no training found"),
        (b"\x00" * 9999, b"no training found"),
        (bytes(range(128, 256)) * 50, b"no training found"),
        (b"\xff\xfe", b"no training found"),
    ],
    ids=range(6),
)
def test_what_is_no_log(tmp_path: Path, data: bytes, words: bytes) -> None:
    """Empty, binary and unrelated files are told in one line, and the exit code is 3."""
    (tmp_path / "x.log").write_bytes(data)
    result = run(tmp_path, "summary", "x.log")
    quiet_end(result, 3)
    assert result.stdout == b""
    assert words in result.stderr
    assert result.stderr.count(b"\n") == 1
    quiet_end(run(tmp_path, "summary", "--check", "x.log"), 3)


def test_missing_and_empty_places(tmp_path: Path) -> None:
    """A missing file, a folder without logs, a glob that matches nothing: one line, exit code 3."""
    (tmp_path / "empty").mkdir()
    for place in ("gone.log", "empty", "*.log", "empty/*.log"):
        result = run(tmp_path, "summary", place)
        quiet_end(result, 3)
        assert result.stderr.count(b"\n") == 1
        assert place.encode() in result.stderr


@pytest.mark.parametrize("command", ["summary", "replay", "explain"])
def test_permission_denied(
    tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A log that may not be read is told in one line, and the exit code is 3."""
    log = tmp_path / "x.log"
    log.write_bytes(bars(1, "0.5"))
    real = Path.open

    def refuse(path: Path, *arguments: object, **options: object) -> object:
        if path.name == "x.log":
            raise PermissionError(13, "Permission denied")
        return real(path, *arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", refuse)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    assert main([command, str(log)]) == 3
    out, said = capsys.readouterr()
    assert (out, said) == ("", f"nanwatch: {log}: permission denied\n")


@pytest.mark.parametrize(
    "config", [b"\xff\xfe\x00\x01", b"[rules\n", b"logs = 5\n", b"\x1b]0;x\x07 = 1\n", b'[rules."\x1b[2J"]\n']
)
@pytest.mark.parametrize("command", ["summary", "tail", "replay"])
def test_broken_config(tmp_path: Path, config: bytes, command: str) -> None:
    """A broken config is one line on stderr, without what a terminal would act on, and exit code 2."""
    (tmp_path / "nanwatch.toml").write_bytes(config)
    (tmp_path / "x.log").write_bytes(bars(1, "0.5"))
    result = run(tmp_path, command, "x.log")
    quiet_end(result, 2)
    assert result.stdout == b""
    assert result.stderr.count(b"\n") == 1
    assert b"nanwatch.toml: " in result.stderr
    assert safe(result.stderr)


def test_the_cache_folder_is_a_file(tmp_path: Path) -> None:
    """A home in which nothing can be written does not stop the summary."""
    (tmp_path / "cache").write_text("")
    (tmp_path / "x.log").write_bytes(bars(1, "0.5"))
    quiet_end(run(tmp_path, "summary", "x.log"), 0)


# -- size


def peak_of_summary(log: Path, home: Path) -> int:
    """Return the most memory, in bytes, that `nanwatch summary` of *log* took."""
    code = (
        "import resource, sys; from nanwatch.cli import main; code = main(sys.argv[1:]);"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr); sys.exit(code)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, "summary", "--no-cache", str(log)],
        capture_output=True, check=False, timeout=TIMEOUT, cwd=home, env=environment(home),
    )  # fmt: skip
    assert result.returncode in (0, 3)
    return int(result.stderr.split()[-1]) * (1 if sys.platform == "darwin" else 1024)


def test_a_line_without_end_costs_no_memory(tmp_path: Path) -> None:
    """A line of 64 MB is read in little memory, and what comes after it is understood."""
    small, big = tmp_path / "small.log", tmp_path / "big.log"
    small.write_bytes(LINE % (1, b"0.5"))
    with big.open("wb") as file:
        for _ in range(64):
            file.write(b"loss=0.5 epoch 1 " * 61_680)
        file.write(b"\n" + LINE % (2, b"nan"))
    assert peak_of_summary(big, tmp_path) - peak_of_summary(small, tmp_path) < 40_000_000
    found = read_log(big, Config(), None, 0.0)
    assert (found.runs[0].epoch, found.runs[0].nan_batches) == (2, 1)


@pytest.mark.parametrize("piece", [b"x", b"\x08", b"\x1b[", b"\x1b]0;", b"\xe2\x96", b"\x00", b"| 1/2 [", b"{'loss': "])
def test_any_line_without_end_is_bounded(piece: bytes) -> None:
    """Whatever an endless line repeats, the state of the reader stays small."""
    pipeline = LogPipeline("x.log")
    block = piece * (200_000 // len(piece))
    tracemalloc.start()
    for n in range(12):
        for _ in pipeline.feed(Chunk(n * len(block), block)):
            pass
        for _ in pipeline.catch_up():
            pass
        if n == 1:
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
    after, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 100_000
    assert peak - before < 4_000_000


def test_endless_novelty_is_bounded() -> None:
    """A log that never repeats itself, metric names included, does not fill the memory."""
    pipeline = LogPipeline("x.log")
    offset = 0
    for n in range(3000):
        data = b"Epoch %d: loss: 0.5 | metric_%d: 0.5 | val_%d_acc: 0.4\n" % (n, n, n)
        for _ in pipeline.feed(Chunk(offset, data)):
            pass
        offset += len(data)
    run = pipeline.runs[0]
    assert run.epoch == 2999
    assert sum(len(row.metrics) for row in run.table.values()) <= 3 * 3000


@pytest.mark.parametrize(
    "data", [b"\xff" * 300, b"\xe2\x96" * 300, b"loss: \xff\xfe nan\n" * 9, "loss\u00a0nan".encode("latin-1")]
)
def test_broken_utf_8(tmp_path: Path, data: bytes) -> None:
    """Bytes that are no UTF-8 are shown as such, and hide nothing."""
    (tmp_path / "x.log").write_bytes(LINE % (1, b"0.5") + data + b"\n" + LINE % (2, b"nan"))
    for arguments in (("summary", "--json"), ("summary",), ("replay",), ("explain",)):
        quiet_end(run(tmp_path, *arguments, "x.log"), 0)
    assert read_log(tmp_path / "x.log", Config(), None, 0.0).runs[0].nan_batches == 1


# -- a log that changes while it is read


def half_then(what: str) -> type[Follower]:
    """Return a follower to whose file *what* happens after half of it was handed out."""

    class Disturbed(Follower):
        """A follower whose log does not hold still."""

        def poll(self) -> Iterator[Item]:
            """Yield half, then let it happen."""
            data = self.path.read_bytes()
            yield Chunk(0, data[: len(data) // 2])
            if what == "deleted":
                self.path.unlink()
                self.problem = "file is missing"
            else:
                self.path.write_bytes(LINE % (7, b"nan"))
                yield Discontinuity("truncated")
                yield from super().poll()

    return Disturbed


@pytest.mark.parametrize("what", ["deleted", "truncated"])
@pytest.mark.parametrize("command", ["summary", "replay", "explain"])
def test_changed_while_it_is_read(
    tmp_path: Path, what: str, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A log that is deleted or truncated under the reader is told as far as it goes, or as a problem."""
    log = tmp_path / "x.log"
    log.write_bytes(cod_story()[0][:60_000])
    disturbed = half_then(what)
    monkeypatch.setattr(reading, "Follower", disturbed)
    monkeypatch.setattr("nanwatch.tail.follower.Follower", disturbed)
    monkeypatch.setattr("nanwatch.explaining.Follower", disturbed)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    code = main([command, str(log)])
    _, said = capsys.readouterr()
    assert code in (0, 3)
    assert "Traceback" not in said
    assert all(line.startswith("nanwatch: ") for line in said.splitlines())
    if command == "summary":
        assert (code == 3) is (what == "deleted")
    if command == "replay":
        assert ("truncated while it was being read" if what == "truncated" else "file is missing") in said


def test_one_bad_log_does_not_hide_the_others(tmp_path: Path) -> None:
    """Many logs of which some are broken are told, each with its own state."""
    (tmp_path / "good.log").write_bytes(yolo_story(40)[0])
    (tmp_path / "empty.log").write_bytes(b"")
    (tmp_path / "binary.log").write_bytes(bytes(range(256)) * 20)
    (tmp_path / "loop.log").symlink_to("loop.log")
    result = run(tmp_path, "summary", "good.log", "empty.log", "binary.log", "loop.log", "gone.log", COLUMNS="120")
    quiet_end(result, 0)
    for words in (b"good.log", b"empty", b"binary file", b"file is missing"):
        assert words in result.stdout


def test_few_descriptors(tmp_path: Path) -> None:
    """More logs than a process may open at once are read one after another."""
    for n in range(60):
        (tmp_path / f"{n}.log").write_bytes(bars(1, "0.5"))
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32));"
        "from nanwatch.cli import main; sys.exit(main())"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, "summary", "--json", "*.log"],
        capture_output=True, check=False, timeout=TIMEOUT, cwd=tmp_path, env=environment(tmp_path),
    )  # fmt: skip
    quiet_end(result, 0)
    assert result.stdout.count(b'"epochs_table"') == 60


def test_a_device_is_not_read(tmp_path: Path) -> None:
    """A pipe or a device under a log's name is told, and waited for by nobody."""
    os.mkfifo(tmp_path / "fifo.log")
    for place in ("fifo.log", os.devnull):
        result = run(tmp_path, "summary", place)
        quiet_end(result, 3)
        assert b"is no regular file" in result.stderr


def test_the_commands_share_one_way_to_say(capsys: pytest.CaptureFixture[str]) -> None:
    """What is said on stderr is one line, whatever the text."""
    console.say("a\x1b[2J\nb\x07")
    assert capsys.readouterr().err == "nanwatch: a?[2J?b?\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has it")
@pytest.mark.parametrize("command", ["summary", "report", "diagnose", "replay"])
def test_a_disk_that_is_full(tmp_path: Path, command: str) -> None:
    """What cannot be written is one line on stderr, and an exit code that says so."""
    (tmp_path / "x.log").write_bytes(capture("ultralytics/v8n_8.3.100_redirect_gradguard"))
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "nanwatch", command, "x.log"], cwd=tmp_path, env=environment(tmp_path), stdout=full,
            stderr=subprocess.PIPE, timeout=TIMEOUT, check=False,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, b"nanwatch: cannot write its output: no space left on device\n")
