"""What was recognised as what in a log, and what was not: for a person who wonders, or writes a format."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from nanwatch.formats.decode import Decoder
from nanwatch.framing import Framer
from nanwatch.model.frame import Chunk, Frame, Passed, Progress
from nanwatch.tail.follower import Follower

_SAMPLES = 20
_SAMPLE_LENGTH = 160


@dataclass(slots=True)
class Matched:
    """How often one pattern matched, and the first frame that it matched."""

    name: str
    frames: int
    offset: int
    sample: str
    events: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Explanation:
    """The whole of a log: frames by pattern, and samples of what no pattern knows, alike ones counted together."""

    log: str
    format: str = "unknown"
    frames: int = 0
    unmatched: int = 0
    truncated: int = 0
    matched: dict[str, Matched] = field(default_factory=dict)
    unknown: dict[str, Matched] = field(default_factory=dict)


def explain_log(path: Path, progress: Progress | None = None) -> Explanation:
    """Read the whole log at *path*, every frame of it."""
    found = Explanation(str(path))
    decoder = Decoder()
    decoder.ceilings = _NoCeiling()  # nothing is judged here, so that no loss is too high to be passed over
    decoder.mind_nan(False)
    passed = 0
    for frame in _frames(path, decoder, progress):
        if isinstance(frame, Passed):
            decoder.pass_over(frame)
            passed = frame.buffer.count(b"\r", frame.begin, frame.end)
            continue
        found.frames += 1 + passed
        found.truncated += bool(frame.lost)
        events = decoder.decode(frame)
        if decoder.matched:
            item = found.matched.get(decoder.matched)
            if item is None:
                item = found.matched[decoder.matched] = _first(decoder.matched, frame)
            for event in events:
                name = type(event).__name__
                item.events[name] = item.events.get(name, 0) + 1 + passed
        else:
            found.unmatched += 1
            shape = _shape(frame.text[:_SAMPLE_LENGTH])
            item = found.unknown.get(shape)
            if item is None and len(found.unknown) < _SAMPLES:
                item = found.unknown[shape] = _first("", frame)
        if item is not None:
            item.frames += 1 + passed  # what was passed over is alike
        passed = 0
    found.format = decoder.format
    return found


def _shape(text: str) -> str:
    """Return what frames that look alike have in common: numbers, blanks and what stands in brackets do not count."""
    text = re.sub(r"\d[\d.,]*", "0", text)
    return re.sub(r"\s+", " ", re.sub(r"\[[^\]]*\]|(?<= )[\w]+(?:\.[\w]+)+", "~", text)).strip()


class _NoCeiling(dict[str, float]):
    """Allows every loss any height."""

    def __contains__(self, name: object) -> bool:
        return True

    def __getitem__(self, name: str) -> float:
        return 1e15


def _first(name: str, frame: Frame) -> Matched:
    return Matched(name, 0, frame.offset, frame.text[:_SAMPLE_LENGTH])


def _frames(path: Path, decoder: Decoder, progress: Progress | None) -> Iterator[Frame | Passed]:
    follower, framer = Follower(path, chunk_size=1 << 20), Framer()
    try:
        for item in follower.poll():
            if isinstance(item, Chunk):
                yield from framer.feed(item.offset, item.data, lambda: decoder.news)
                if progress is not None:
                    progress(str(path), item.offset + len(item.data), follower.size)
            else:  # begun anew under the reader
                yield from framer.reset()
        yield from framer.reset()
    finally:
        follower.close()
