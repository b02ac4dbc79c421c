"""Bytes as they were read, and the frames that are cut from them."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple


class Chunk(NamedTuple):
    """Bytes read from a log at one time.

    `offset` is the position of `data[0]` in the file.
    """

    offset: int
    data: bytes


class Discontinuity(NamedTuple):
    """The next chunk does not continue the last one: the file was rotated, truncated or replaced.

    `reason` is one short phrase for a person ("rotated", "truncated", "replaced").
    """

    reason: str


class FrameEnd(Enum):
    """What ended a frame."""

    NEWLINE = "line"
    REDRAW = "redraw"
    TAIL = "tail"


class Frame(NamedTuple):
    """A unit of text cut from the stream: a line, or what a terminal showed before it was redrawn.

    `text` holds no escape sequence and no control character but tab. `offset` is the byte position of the
    frame's first byte in the log, `line` the number of its line, counted from 1; `lost` counts bytes beyond the
    longest frame that is kept. `is_sample` marks frames that are never passed over, so that what is learned from
    them does not depend on what was: each first one after so many bytes.
    """

    text: str
    offset: int
    end: FrameEnd = FrameEnd.NEWLINE
    lost: int = 0
    line: int = 1
    is_sample: bool = False


class Passed(NamedTuple):
    """Superseded frames that the format declared quiet and that nobody read: `buffer[begin:end]`, `\\r`-begun each.

    The buffer is not copied: it is large, and hardly anybody looks into it.
    """

    buffer: bytes
    begin: int
    end: int
    offset: int

    @property
    def data(self) -> bytes:
        """The frames' bytes."""
        return self.buffer[self.begin : self.end]


Progress = Callable[[str, int, int], None]
"""Told after each chunk which log is being read, how many bytes of it have been, and how many there are."""
