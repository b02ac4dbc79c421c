"""Reading a log as it is now: what it tells, whether it has ended, and why it cannot be read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nanwatch import reading
from nanwatch.cache import Cache
from nanwatch.config import Config, Rules
from nanwatch.model.frame import Chunk, Discontinuity
from nanwatch.reading import LogReading, is_binary, problem_of, read_log
from nanwatch.tail.follower import Follower, Item
from nanwatch.tail.writers import Writer
from tests.support.logs import CAPTURES, bars, capture, outcome, read, yolo_story

NOW = 2_000_000_000.0
EPOCHS = bars(1, "0.5", "0.4", epochs=2) + bars(2, "0.4", "0.3", epochs=2)


def write(folder: Path, data: bytes, mtime: float = NOW - 5) -> Path:
    """Write a log that was last written at *mtime*."""
    path = folder / "x.log"
    path.write_bytes(data)
    os.utime(path, (mtime, mtime))
    return path


@pytest.fixture
def writers(monkeypatch: pytest.MonkeyPatch) -> list[Writer]:
    """Who writes the logs: nobody, until the test says otherwise."""
    found: list[Writer] = []
    monkeypatch.setattr(reading, "writers_of", lambda _: found)
    return found


@pytest.mark.parametrize(
    "name", ["ultralytics/v8n_8.3.200_redirect", "custom_cod/cod_pty_healthy", "nanogpt/nanogpt_tee_nan"]
)
def test_says_what_the_pipeline_says(tmp_path: Path, writers: list[Writer], name: str) -> None:
    """A reading is the whole log through the one pipeline."""
    assert writers == []
    found = read_log(write(tmp_path, capture(name)), Config(), None, NOW)
    pipeline = read(capture(name))
    assert [r.nan_batches for r in found.runs] == [r.nan_batches for r in pipeline.runs]
    assert len(outcome(pipeline)) == len(found.runs) + sum(len(found.alerts_of(r)) for r in found.runs)
    assert found.silence == 5.0
    assert found.problem is None


def test_a_log_without_a_writer_has_ended(tmp_path: Path, writers: list[Writer]) -> None:
    """A run whose last epoch is complete has finished when nobody writes any more, and not before."""
    path = write(tmp_path, EPOCHS)
    assert read_log(path, Config(), None, NOW).runs[0].finished == "its last epoch is complete"
    writers.append(Writer(1, "python train.py"))
    assert read_log(path, Config(), None, NOW).runs[0].finished is None


@pytest.mark.parametrize(("silence", "finished"), [(5.0, False), (3600.0, True)])
def test_where_writers_are_unknown_silence_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, silence: float, finished: bool
) -> None:
    """Where it cannot be known who writes, a log that has been quiet has ended."""
    monkeypatch.setattr(reading, "writers_of", lambda _: None)
    found = read_log(write(tmp_path, EPOCHS, NOW - silence), Config(), None, NOW)
    assert (found.runs[0].finished is not None) is finished
    assert found.silence == silence


def test_a_clock_that_is_behind(tmp_path: Path, writers: list[Writer]) -> None:
    """A log from the future has been silent for no time, not for less."""
    assert writers == []
    assert read_log(write(tmp_path, EPOCHS, NOW + 500), Config(), None, NOW).silence == 0.0


def test_the_unfinished_frame_is_read(tmp_path: Path, writers: list[Writer]) -> None:
    """The redraw at the end of the log counts, although nothing ends it."""
    writers.append(Writer(1, "python"))
    data = yolo_story()[0]
    path = write(tmp_path, data[: data.index(b"\r", data.index(b" nan "))])
    assert read_log(path, Config(), None, NOW).runs[0].nan_batches == 1


def test_thresholds_are_the_configs(tmp_path: Path, writers: list[Writer]) -> None:
    """A rule that is switched off says nothing."""
    assert writers == []
    off = Rules()._replace(nan_loss=Rules().nan_loss._replace(enabled=False))
    path = write(tmp_path, yolo_story()[0])
    found = read_log(path, Config(rules=off), None, NOW)
    assert {a.rule for a in found.alerts[1]} == {"nan_burst", "grad_skip", "vram_jump"}


def test_progress(tmp_path: Path, writers: list[Writer]) -> None:
    """Whoever asks is told how much has been read, up to the whole."""
    assert writers == []
    path, told = write(tmp_path, yolo_story()[0]), list[tuple[str, int, int]]()
    read_log(path, Config(), None, NOW, lambda *report: told.append(report))
    size = path.stat().st_size
    assert told[-1] == (str(path), size, size)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "empty"),
        (b"\x7fELF\x02\x01\x01\x00" + bytes(range(32)) * 20, "binary file"),
        (b"PK\x03\x04" + b"a" * 500, "binary file"),
        (b"\n<!DOCTYPE html>\n<p>epoch 1/2", "is a web page, no log"),
        (bytes(range(256)) * 16, "binary file"),
        (b"Hello, world.\nThis is a letter.\n" * 50, "no training found in it"),
        (b"\n\n\n", "no training found in it"),
        (b"\x00" * 5000, "no training found in it"),
    ],
)
def test_what_is_no_log(tmp_path: Path, writers: list[Writer], data: bytes, problem: str) -> None:
    """What cannot be a training log is told in one short phrase."""
    assert writers == []
    found = read_log(write(tmp_path, data), Config(), None, NOW)
    assert found.problem is not None
    assert found.problem.startswith(problem)
    assert "\n" not in found.problem


def test_what_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missing files, folders, devices and a lack of permission have their own words."""
    assert problem_of(tmp_path / "gone.log") == "file is missing"
    assert problem_of(tmp_path) == "is a folder"
    assert problem_of(Path(os.devnull)) == "is no regular file"
    path = write(tmp_path, EPOCHS)
    assert problem_of(path / "below.log") == "not a directory"
    (tmp_path / "loop.log").symlink_to("loop.log")
    assert "symbolic links" in (problem_of(tmp_path / "loop.log") or "")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert problem_of(path) == "permission denied"


@pytest.mark.parametrize(
    "data",
    [
        EPOCHS,
        b"\xff\xfe" + EPOCHS.decode().encode("utf-16-le"),
        b"\xfe\xff" + EPOCHS.decode().encode("utf-16-be"),
        b"\x00" * 4000 + EPOCHS,
        b"\x1b[34m\x1b[1mtrain: \x1b[0m\x08\x08\x07" * 30,
        "é█🚀".encode() * 100,
        b"\xe9\xe8" * 100,
    ],
    ids=range(7),
)
def test_text_is_not_binary(data: bytes) -> None:
    """Bars, colours, UTF-16, holes of zeros and Latin-1 are text."""
    assert not is_binary(data[:4096])


def test_every_capture_is_text() -> None:
    """No genuine log is taken for a binary file."""
    assert [log for log in CAPTURES.glob("*/*.log") if is_binary(log.read_bytes()[:4096])] == []


class Interrupted(Follower):
    """A follower to which something happens after its first chunk."""

    reason = "truncated"

    def poll(self) -> Iterator[Item]:
        """Yield half of the log, then the whole again from its start."""
        for item in super().poll():
            if isinstance(item, Chunk):
                yield Chunk(0, item.data[: len(item.data) // 2])
                yield Discontinuity(self.reason)
            yield item


def test_rewritten_while_it_is_read(tmp_path: Path, writers: list[Writer], monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that begins again under the reader is told from its new beginning, and nothing twice."""
    assert writers == []
    path = write(tmp_path, yolo_story()[0])
    truth = read_log(path, Config(), None, NOW)
    monkeypatch.setattr(reading, "Follower", Interrupted)
    found = read_log(path, Config(), None, NOW)
    assert repr((found.runs, found.alerts)) == repr((truth.runs, truth.alerts))


class Vanishing(Follower):
    """A follower whose file is deleted as soon as it has been looked at."""

    def poll(self) -> Iterator[Item]:
        """Delete the file, then yield what can still be read."""
        self.path.unlink(missing_ok=True)
        yield from super().poll()


def test_deleted_before_it_is_read(tmp_path: Path, writers: list[Writer], monkeypatch: pytest.MonkeyPatch) -> None:
    """A log that vanishes between the look and the reading is missing, no error."""
    assert writers == []
    monkeypatch.setattr(reading, "Follower", Vanishing)
    found = read_log(write(tmp_path, EPOCHS), Config(), None, NOW)
    assert found.problem == "file is missing"


# -- silence, and who writes


TORN = bars(1, "0.5", "0.4", epochs=2) + bars(2, "0.5", "0.4", epochs=2, total=9)[:-1]


def firing(found: LogReading) -> list[tuple[str, str]]:
    """Return what fires: rule and message."""
    return [(a.rule, a.message) for a in found.alerts_of(found.runs[-1]) if a.state == "firing" and not a.suppressed]


def test_a_silent_log_is_told(tmp_path: Path, writers: list[Writer]) -> None:
    """A log that shows no end and has been silent for long is stuck; who never saw its process cannot say more."""
    path = write(tmp_path, TORN, NOW - 590)
    assert firing(read_log(path, Config(), None, NOW)) == []
    path = write(tmp_path, TORN, NOW - 22 * 60)
    words = "silent for 22 minutes at 22 % of epoch 2"
    assert firing(read_log(path, Config(), None, NOW)) == [("stall", f"no process holds the log open, {words}")]
    writers.append(Writer(os.getpid(), "python", 1.0))
    ((rule, message),) = firing(read_log(path, Config(), None, NOW))
    assert rule == "stall"
    assert message.startswith(f"alive, pid {os.getpid()}")


def test_a_process_that_was_seen_is_missed(
    tmp_path: Path, writers: list[Writer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From one look to the next, a process that wrote the log and is gone is told at once, and only once."""
    living = {7}
    monkeypatch.setattr(reading, "is_alive", lambda writer: writer.pid in living)
    cache, path = Cache(tmp_path / "cache", Config()), write(tmp_path, TORN, NOW - 30)
    writers.append(Writer(7, "python", 1.0))
    assert firing(read_log(path, Config(), cache, NOW)) == []
    writers.clear()
    assert firing(read_log(path, Config(), cache, NOW + 30)) == []  # it lives: it opens the log for each line
    living.clear()
    gone = [("process_gone", "gone without a word at 22 % of epoch 2: pid 7 (python) has exited")]
    path.write_bytes(TORN + b"\r")  # a byte that tells nothing, so that the log is looked at again
    os.utime(path, (NOW + 40, NOW + 40))
    writers.append(Writer(7, "python", 1.0))
    assert firing(read_log(path, Config(), cache, NOW + 41)) == []
    writers.clear()
    for later in (60, 90, 3600):
        assert firing(read_log(path, Config(), cache, NOW + later)) == gone


def test_a_silence_is_worded_anew_as_it_grows(tmp_path: Path, writers: list[Writer]) -> None:
    """An unchanged log that is stuck is told with how long it has been, from the cache, too."""
    assert writers == []
    cache, path = Cache(tmp_path / "cache", Config()), write(tmp_path, TORN, NOW - 660)
    for minutes, words in ((0, "11 minutes"), (60, "71 minutes"), (600, "10 h 11 min")):
        ((_, message),) = firing(read_log(path, Config(), cache, NOW + 60 * minutes))
        assert f"silent for {words}" in message


def test_bytes_after_a_silence_end_it(tmp_path: Path, writers: list[Writer]) -> None:
    """When the log goes on, the stall is over, and its alert says so."""
    assert writers == []
    cache, path = Cache(tmp_path / "cache", Config()), write(tmp_path, TORN, NOW - 660)
    read_log(path, Config(), cache, NOW)
    path.write_bytes(TORN + bars(2, "0.4", "0.4", "0.4", epochs=2, total=9)[30:])
    os.utime(path, (NOW + 10, NOW + 10))
    found = read_log(path, Config(), cache, NOW + 20)
    assert [(a.rule, a.state) for a in found.alerts_of(found.runs[0])] == [("stall", "resolved")]
