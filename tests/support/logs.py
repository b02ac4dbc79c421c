"""Logs as bytes for tests: small stories, captures, cuts, and what the pipeline makes of them."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path

from fixtures.stories import Facts, write_cod, write_yolo
from nanwatch.framing import Framer
from nanwatch.model.alert import Alert
from nanwatch.model.event import Event
from nanwatch.model.frame import Chunk, Frame
from nanwatch.pipeline import LogPipeline
from nanwatch.runs.fold import LogRuns

CAPTURES = Path(__file__).parents[2] / "fixtures" / "captures"


@cache
def yolo_story(batches: int = 100) -> tuple[bytes, Facts]:
    """Return the yolo story with small epochs, and its facts."""
    out = io.BytesIO()
    facts = write_yolo(out, batches=batches)
    return out.getvalue(), facts


@cache
def cod_story(batches: int = 10) -> tuple[bytes, Facts]:
    """Return the cod story with small epochs, and its facts."""
    out = io.BytesIO()
    facts = write_cod(out, batches=batches)
    return out.getvalue(), facts


@cache
def capture(name: str) -> bytes:
    """Return the genuine log `FAMILY/NAME`."""
    return (CAPTURES / f"{name}.log").read_bytes()


def pieces(data: bytes, cuts: Iterable[int]) -> Iterator[Chunk]:
    """Yield *data* cut at the positions *cuts* (each taken modulo its length)."""
    begin = 0
    for end in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        if end > begin:
            yield Chunk(begin, data[begin:end])
        begin = max(begin, end)


def frames_of(data: bytes, cuts: Iterable[int] = ()) -> list[Frame]:
    """Return every frame of *data*, the unfinished one included."""
    framer = Framer()
    found = [f for chunk in pieces(data, cuts) for f in framer.feed(*chunk) if isinstance(f, Frame)]
    return [*found, *framer.reset()]


def texts(data: bytes, cuts: Iterable[int] = ()) -> list[str]:
    """Return the text of every frame of *data*."""
    return [frame.text for frame in frames_of(data, cuts)]


def read(data: bytes, cuts: Iterable[int] = (), *, every_event: bool = False) -> LogPipeline:
    """Return a pipeline that has read *data* to its end."""
    pipeline = LogPipeline("x.log", every_event=every_event)
    for chunk in pieces(data, cuts):
        for _ in pipeline.feed(chunk):
            pass
    for _ in pipeline.finish():
        pass
    return pipeline


def outcome(pipeline: LogPipeline) -> list[str]:
    """Return all that the pipeline says of its log, in comparable form (a NaN is not equal to itself)."""
    return [text for run in pipeline.runs for text in (repr(run), *map(repr, pipeline.alerts_of(run)))]


def alerts(pipeline: LogPipeline) -> list[Alert]:
    """Return every alert of every run, oldest first."""
    return [alert for run in pipeline.runs for alert in pipeline.alerts_of(run)]


def told(data: bytes, rule: str | None = None) -> list[tuple[str, str, int | None, int | None]]:
    """Return each change of an alert in the order of the log: rule, severity or `resolved`, epoch, batch."""
    pipeline = LogPipeline("x.log")
    found = []
    for step in (pipeline.feed(Chunk(0, data)), pipeline.finish()):
        for _, notice in step:
            if isinstance(notice, Alert) and rule in (None, notice.rule):
                word = notice.severity if notice.state == "firing" else "resolved"
                found.append((notice.rule, word, notice.epoch, notice.batch))
    return found


def fold(*events: Event) -> LogRuns:
    """Return the runs that *events* make."""
    runs = LogRuns("x.log")
    for event in events:
        runs.apply(event)
    return runs


def lines(texts: Sequence[str]) -> bytes:
    """Return *texts* as lines of bytes."""
    return "".join(f"{text}\n" for text in texts).encode()
