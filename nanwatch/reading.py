"""Reads logs as they are now, once: for the summary and the replay, from the cache where it is still true."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nanwatch.cache import Cache, Remembered, Writing
from nanwatch.config import Config
from nanwatch.model.alert import Alert
from nanwatch.model.frame import Discontinuity, Progress
from nanwatch.model.run import Process, Run
from nanwatch.model.snapshot import RunView, Snapshot
from nanwatch.tail.follower import Follower, Item
from nanwatch.tail.writers import Writer, cpu_percent, is_alive, writers_of

if TYPE_CHECKING:
    from nanwatch.model.curve import Curve
    from nanwatch.pipeline import LogPipeline, Notice
    from nanwatch.runs.curves import RunCurves

CHUNK = 1 << 21
_UNSEEN = 600.0
"""Seconds of silence after which a log is taken for ended whose writer cannot be seen."""
_PAUSE = 10.0
"""Seconds for which a log that nobody holds open may only be between two lines."""
_WHOLE = 60.0
"""Seconds after which an unfinished frame at the end of a log is all that there will be of it."""
_DOUBTFUL = 300.0
"""Seconds of silence after which it is measured whether the process does anything."""
_RETOLD = 1.1
"""Times as long as it was told, after which a silence is worded anew."""
_SAMPLE = 4096


@dataclass(slots=True)
class LogReading:
    """One log as it is now.

    `problem` is one short clear phrase why it cannot be read, or None; `complaints` are what the user's own rules
    ask that it cannot answer, a line each. `curves` are each run's figures by batch, if they were asked for.
    """

    log: str
    runs: list[Run] = field(default_factory=list)
    alerts: dict[int, list[Alert]] = field(default_factory=dict)
    silence: float | None = None
    problem: str | None = None
    complaints: list[str] = field(default_factory=list)
    curves: dict[int, dict[str, Curve]] = field(default_factory=dict)

    def alerts_of(self, run: Run) -> list[Alert]:
        """Return the alerts of *run*, oldest first."""
        return self.alerts.get(run.number, [])

    def views(self) -> list[RunView]:
        """Return the runs as a face is given them, in the order of the log."""
        from nanwatch.runs.status import status_of

        views = []
        for run in self.runs:
            alerts = self.alerts_of(run)
            # The log's last byte is the last run's: how long the others were silent before it, nobody asks.
            silence = self.silence if run is self.runs[-1] else None
            views.append(RunView(run, alerts, status_of(run, alerts), silence))
        return views

    def snapshots(self) -> list[Snapshot]:
        """Return the runs with their curves, in the order of the log; one without a run where it gave none."""
        path = Path(self.log).absolute()
        found = [
            Snapshot(path, view, self.curves.get(view.run.number, {}), number=view.run.number) for view in self.views()
        ]
        return found or [Snapshot(path, problem=self.problem)]


def read_log(
    path: Path, config: Config, cache: Cache | None, now: float, progress: Progress | None = None, *,
    with_curves: bool = False,
) -> LogReading:  # fmt: skip
    """Read the log at *path* to its present end; what *cache* still knows is not read again, and has no curves."""
    reading = LogReading(str(path))
    reading.problem = problem_of(path)
    if reading.problem is not None:
        return reading
    key = path.absolute()
    known = cache.get(key) if cache is not None else None
    follower = Follower(path, known.position if known else None, chunk_size=CHUNK)
    try:
        _read(reading, follower, known, config, cache, key, now, progress, _Curves(path) if with_curves else None)
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
    if is_binary(sample):
        return "binary file"
    return "is a web page, no log" if sample.lstrip().lower().startswith((b"<!doctype html", b"<html")) else None


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
    reading: LogReading, follower: Follower, known: Remembered | None, config: Config, cache: Cache | None,
    key: Path, now: float, progress: Progress | None, curves: _Curves | None,
) -> None:  # fmt: skip
    items = follower.poll()
    first = next(items, None)
    writing, writers = _writing(reading, follower, known, now)
    unchanged = first is None and follower.problem is None and known is not None and known.writing is writing
    if known is not None and unchanged and not _may_change(known, config, reading.silence):
        reading.runs, reading.alerts = _named(known.runs, reading.log), known.alerts
        return
    # Only now is what reads frames needed: it costs more to load than all of the above.
    from nanwatch.framing import SAMPLED
    from nanwatch.pipeline import LogPipeline, dump_state, load_state

    fresh = known is None or isinstance(first, Discontinuity)
    state = load_state(known.state) if known is not None and not fresh else None
    if state is None and known is not None:
        follower.close()
        follower = Follower(follower.path, None, chunk_size=CHUNK)
        items, first = follower.poll(), None
    if state is not None:
        _named(state.runs, reading.log)
    detail = SAMPLED if curves is None else curves.detail
    pipeline = LogPipeline(reading.log, config, state, detail=detail)
    for item in _chain(first, items):
        if isinstance(item, Discontinuity):
            pipeline = LogPipeline(reading.log, config, detail=detail)
            continue
        (_drain if curves is None else curves.note)(pipeline.feed(item))
        if progress is not None:
            progress(reading.log, item.offset + len(item.data), follower.size)
    reading.problem, grew_at = follower.problem, follower.mtime
    follower.close()
    position = follower.position
    if (reading.silence or 0.0) > _WHOLE:
        _drain(pipeline.catch_up())
    if writing is not Writing.ENDED or not pipeline.may_be_finished:
        _drain(_tick(pipeline, now, grew_at, writers))
    kept = dump_state(pipeline.state) if cache is not None else ""
    _drain(pipeline.catch_up() if writing is Writing.GOES_ON else pipeline.finish(None, writing is Writing.PAUSED))
    _drain(_tick(pipeline, now, grew_at, writers))
    reading.runs = pipeline.runs
    reading.alerts = {run.number: pipeline.alerts_of(run) for run in pipeline.runs}
    reading.complaints = pipeline.problems
    if curves is not None:
        reading.curves = curves.taken()
    if cache is not None and position is not None:
        cache.put(key, Remembered(position, reading.runs, reading.alerts, writing, kept))


def _may_change(known: Remembered, config: Config, silence: float | None) -> bool:
    """Tell whether a log that did not grow may have something new to say all the same: its silence."""
    run = known.runs[-1]
    if run.finished or run.failure or run.interrupted:
        return False
    if config.rules.custom or config.rules.deadline.at:
        return True
    if silence is None:
        return False
    firing = (a for a in known.alerts.get(run.number, []) if a.rule == "stall" and a.state == "firing")
    told = next((a.evidence.get("silence_seconds") for a in firing), None)
    return silence > (_RETOLD * told if isinstance(told, int | float) else config.rules.stall.silence)


def note_time(pipeline: LogPipeline, path: Path, now: float, grew_at: float | None) -> Iterator[Notice]:
    """Tell *pipeline* what time it is and who writes the log at *path*, which last grew at *grew_at*."""
    if not pipeline.has_ended:
        yield from _tick(pipeline, now, grew_at, writers_of(path))


def _tick(pipeline: LogPipeline, now: float, grew_at: float | None, writers: list[Writer] | None) -> Iterator[Notice]:
    """Tell the pipeline the time, who writes the log, and (if that is in doubt) whether its process works."""
    if pipeline.has_ended:
        return
    holders = None if writers is None else [Process(w.pid, w.command, w.started) for w in writers]
    known = pipeline.runs[-1].process
    if holders == [] and known is not None and is_alive(Writer(known.pid, known.command, known.started)):
        holders = [known]  # it opens the log anew for each line
    if writers and holders and grew_at is not None and now - grew_at > _DOUBTFUL:
        holders[0].cpu = cpu_percent(writers[0])
    yield from pipeline.tick(now, grew_at, holders, has_looked=True)


def _drain(notices: Iterable[object]) -> None:
    for _ in notices:
        pass


class _Curves:
    """Takes the curves of a log's runs while it is read."""

    def __init__(self, path: Path) -> None:
        from nanwatch.detail import detail_for

        self.detail = detail_for(1)(path)
        self._runs: dict[int, RunCurves] = {}

    def note(self, notices: Iterable[Notice]) -> None:
        """Take the figures of the events among *notices*."""
        from nanwatch.runs.curves import RunCurves

        for run, notice in notices:
            if not isinstance(notice, Alert):
                self._runs.setdefault(run.number, RunCurves()).note(run, notice)

    def taken(self) -> dict[int, dict[str, Curve]]:
        """Return the curves by the number of their run."""
        return {number: taken.curves for number, taken in self._runs.items()}


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


def _writing(
    reading: LogReading, follower: Follower, known: Remembered | None, now: float
) -> tuple[Writing, list[Writer] | None]:
    """Tell whether the log will grow: does a process hold it for writing, or (unknown) how long has it been quiet?"""
    if follower.mtime is not None:
        reading.silence = max(0.0, now - follower.mtime)
    ended = known is not None and known.writing is Writing.ENDED
    if ended and known is not None and all(r.finished or r.failure or r.interrupted for r in known.runs):
        return Writing.ENDED, None
    writers = writers_of(follower.path)
    silence = reading.silence or 0.0
    if writers is None:
        return (Writing.ENDED if silence > _UNSEEN else Writing.GOES_ON), None
    if writers:
        return Writing.GOES_ON, writers
    return (Writing.ENDED if silence > _PAUSE else Writing.PAUSED), writers


def _has_something(run: Run) -> bool:
    return bool(run.epoch is not None or run.step is not None or run.failure or run.hyperparameters or run.table)
