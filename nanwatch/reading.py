"""Reads logs as they are now, once: for the summary and the replay, from the cache where it is still true."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from nanwatch.cache import Cache, Remembered, Writing
from nanwatch.config import Rules
from nanwatch.model.alert import Alert
from nanwatch.model.frame import Discontinuity, Progress
from nanwatch.model.run import Run
from nanwatch.tail.follower import Follower, Item
from nanwatch.tail.writers import writers_of

CHUNK = 1 << 21
_UNSEEN = 600.0
"""Seconds of silence after which a log is taken for ended whose writer cannot be seen."""
_PAUSE = 10.0
"""Seconds for which a log that nobody holds open may only be between two lines."""
_SAMPLE = 4096


@dataclass(slots=True)
class LogReading:
    """One log as it is now. `problem` is one short clear phrase, or None."""

    log: str
    runs: list[Run] = field(default_factory=list)
    alerts: dict[int, list[Alert]] = field(default_factory=dict)
    silence: float | None = None
    problem: str | None = None

    def alerts_of(self, run: Run) -> list[Alert]:
        """Return the alerts of *run*, oldest first."""
        return self.alerts.get(run.number, [])


def read_log(path: Path, rules: Rules, cache: Cache | None, now: float, progress: Progress | None = None) -> LogReading:
    """Read the log at *path* to its present end; what *cache* still knows is not read again."""
    reading = LogReading(str(path))
    reading.problem = problem_of(path)
    if reading.problem is not None:
        return reading
    key = path.absolute()
    known = cache.get(key) if cache is not None else None
    follower = Follower(path, known.position if known else None, chunk_size=CHUNK)
    try:
        _read(reading, follower, known, rules, cache, key, now, progress)
    finally:
        follower.close()
    if reading.problem is None and not any(_has_something(r) for r in reading.runs):
        reading.problem = "no training found in it (nanwatch explain shows what was read)"
    return reading


def problem_of(path: Path) -> str | None:
    """Return why *path* cannot be read as a log, in a few words, or None."""
    try:
        info = path.stat()
        if stat.S_ISDIR(info.st_mode):
            return "is a folder"
        if not stat.S_ISREG(info.st_mode):
            return "is no regular file"
        if info.st_size == 0:
            return "empty"
        with path.open("rb") as file:
            sample = file.read(_SAMPLE)
    except FileNotFoundError:
        return "file is missing"
    except PermissionError:
        return "permission denied"
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return "binary file" if is_binary(sample) else None


def is_binary(sample: bytes) -> bool:
    """Tell whether *sample*, the head of a file, is no text: many control bytes, and no sign of UTF-16."""
    if sample[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return False
    body = sample.lstrip(b"\x00")  # a log that was truncated under its writer begins with a hole
    if not body:
        return False
    control = sum(body.count(byte) for byte in _CONTROL)
    return control > len(body) // 20 or body[:4] in (b"\x7fELF", b"PK\x03\x04", b"\x1f\x8b\x08\x00")


_CONTROL = [bytes([b]) for b in range(32) if b not in b"\t\n\r\x08\x0b\x0c\x1b\x07\x0e\x0f"]


def _read(
    reading: LogReading, follower: Follower, known: Remembered | None, rules: Rules, cache: Cache | None,
    key: Path, now: float, progress: Progress | None,
) -> None:  # fmt: skip
    items = follower.poll()
    first = next(items, None)
    writing = _writing(reading, follower, known, now)
    if known is not None and first is None and follower.problem is None and known.writing is writing:
        reading.runs, reading.alerts = _named(known.runs, reading.log), known.alerts
        return
    # Only now is what reads frames needed: it costs more to load than all of the above.
    from nanwatch.pipeline import LogPipeline, dump_state, load_state

    fresh = known is None or isinstance(first, Discontinuity)
    state = load_state(known.state) if known is not None and not fresh else None
    if state is None and known is not None:
        follower.close()
        follower = Follower(follower.path, None, chunk_size=CHUNK)
        items, first = follower.poll(), None
    if state is not None:
        _named(state.runs, reading.log)
    pipeline = LogPipeline(reading.log, rules, state)
    for item in _chain(first, items):
        if isinstance(item, Discontinuity):
            pipeline = LogPipeline(reading.log, rules)
            continue
        for _ in pipeline.feed(item):
            pass
        if progress is not None:
            progress(reading.log, item.offset + len(item.data), follower.size)
    reading.problem = follower.problem
    follower.close()
    position, kept = follower.position, dump_state(pipeline.state) if cache is not None else ""
    for _ in pipeline.catch_up() if writing is Writing.GOES_ON else pipeline.finish(None, writing is Writing.PAUSED):
        pass
    reading.runs = pipeline.runs
    reading.alerts = {run.number: pipeline.alerts_of(run) for run in pipeline.runs}
    if cache is not None and position is not None:
        cache.put(key, Remembered(position, reading.runs, reading.alerts, writing, kept))


def _named(runs: list[Run], log: str) -> list[Run]:
    """Return *runs* under the name by which their log is asked for now; it may have been another one before."""
    for run in runs:
        run.id = log + run.id.removeprefix(run.log)
        run.log = log
    return runs


def _chain(first: Item | None, rest: Iterator[Item]) -> Iterator[Item]:
    if first is not None:
        yield first
    yield from rest


def _writing(reading: LogReading, follower: Follower, known: Remembered | None, now: float) -> Writing:
    """Tell whether the log will grow: does a process hold it for writing, or (unknown) how long has it been quiet?"""
    if follower.mtime is not None:
        reading.silence = max(0.0, now - follower.mtime)
    ended = known is not None and known.writing is Writing.ENDED
    if ended and known is not None and all(r.finished or r.failure or r.interrupted for r in known.runs):
        return Writing.ENDED
    writers = writers_of(follower.path)
    silence = reading.silence or 0.0
    if writers is None:
        return Writing.ENDED if silence > _UNSEEN else Writing.GOES_ON
    if writers:
        return Writing.GOES_ON
    return Writing.ENDED if silence > _PAUSE else Writing.PAUSED


def _has_something(run: Run) -> bool:
    return bool(run.epoch is not None or run.step is not None or run.failure or run.hyperparameters or run.table)
