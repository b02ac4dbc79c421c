"""2. bytes -> frames: cuts a stream into lines and redraws, and passes over superseded frames that are quiet.

A frame ends at a newline, or where a terminal would begin to overwrite it: carriage return, backspaces,
cursor-up, erase-line. Cutting is not reading: this module knows separators, escape sequences and encodings,
never what a frame means. The same bytes cut anywhere give the same frames.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

from nanwatch.model.frame import Frame, FrameEnd, Passed

MAX_FRAME = 64 * 1024
"""Bytes kept of one frame; what is longer is cut off and counted."""

SAMPLED = 512 * 1024
"""Of so many bytes of the log the first frame is read in any case."""

NewsPattern = re.Pattern[bytes]
"""Finds the `\\r` that begins the next frame which must be read; see `Framer.feed`."""

_SEPARATOR = re.compile(rb"\r\n|[\r\n]|\x08+|\x1b\[(?:\d{0,3}[AFHJ]|[12]K)")
_TORN_SEPARATOR = re.compile(rb"(?:\r|\x08|\x1b(?:\[\d{0,3})?)\Z")
_LONGEST_TORN = 8
_MARKS = (b"\r", b"\n", b"\x1b", b"\x08")
_LONG = 4096
_ESCAPE = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor
    rb"|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|\Z)"  # OSC, DCS ...: title, hyperlink, clipboard
    rb"|[ -/]*[0-~]?)"  # two- and three-byte sequences
)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")


def clean(raw: bytes) -> str:
    """Return the text of *raw* as a person would see it: no escape sequence, no control character but tab."""
    if b"\x1b" in raw:
        raw = _ESCAPE.sub(b"", raw)
    text = raw.decode("utf-8", "replace")
    return text if text.isprintable() else _CONTROL.sub("", text)


@dataclass(slots=True)
class FramerState:
    """What the framer carries from one chunk to the next.

    `pending` is the unfinished frame, whose first byte is at `offset` of the log; `lost` counts bytes of its
    text that were not kept, `gap` bytes of the log that are missing in it; `redrawn` tells that it overwrites
    an earlier frame; `line` is the number of its line, `sampled` counts the samples up to it. `encoding` is None
    until the stream's first bytes have told; `undecoded` holds half a character of UTF-16.
    """

    pending: bytes = b""
    offset: int = 0
    lost: int = 0
    gap: int = 0
    redrawn: bool = False
    line: int = 1
    sampled: int = -1
    encoding: str | None = None
    undecoded: bytes = b""


class Framer:
    """Cuts one stream into frames. `state` is all that it remembers.

    Of every `detail` bytes one frame is never passed over: curves are drawn with more points than rules need.
    """

    def __init__(self, state: FramerState | None = None, detail: int = SAMPLED) -> None:
        self.state = state or FramerState()
        self.detail = detail
        self._detailed = -1

    def feed(
        self, offset: int, data: bytes, news: Callable[[], NewsPattern | None] | None = None
    ) -> Iterator[Frame | Passed]:
        """Yield the frames that end within *data*, the bytes at *offset* of the log.

        *news* is asked before each frame for the pattern that finds the next frame which must be read.
        Frames before it that a `\\r` begins and ends are passed over together in one `Passed`, save for the
        last of them, which is always yielded. Without *news*, or where it returns None, every frame is.
        """
        if not data:
            return
        state = self.state
        begin = offset - len(state.undecoded)
        data = self._decode(offset, data)
        if not state.pending:
            state.offset = begin
        buffer = state.pending + data if state.pending else data
        scan = _seam(state.pending)
        start = 0
        locate = _Locator(buffer, state.offset, state.encoding)
        may_pass = news is not None and state.encoding == "utf-8"  # elsewhere a position tells no offset
        while _may_end(buffer, scan):
            pattern = news() if news is not None and may_pass and start and buffer[start - 1] == 13 else None
            if pattern is not None:
                end = yield from self._pass_over(buffer, start, pattern, locate)
                if end > start:
                    start = scan = end
                    state.redrawn = True
            found = _SEPARATOR.search(buffer, scan)
            if found is None or (found.end() == len(buffer) and buffer[-1] in b"\r\x08"):
                break  # what stands at the very end may be the first half of a longer separator
            newline = buffer[found.end() - 1] == 10
            frame = self._cut(buffer, start, found.start(), newline, locate)
            locate.skew += state.gap
            state.lost = state.gap = 0
            start = scan = found.end()
            state.redrawn = not newline
            if frame is not None:
                yield frame
        self._keep(buffer, start, locate)

    def tail(self) -> Frame | None:
        """Return the unfinished frame at the end of the stream if a redraw began it, else None.

        A redraw is written at once, so it may be read before what ends it comes; a line that is being
        put together piece by piece may not.
        """
        state = self.state
        raw = state.pending.rstrip(b"\r\x08")
        if state.lost or not raw or not (state.redrawn or len(raw) < len(state.pending)):
            return None
        if _TORN_SEPARATOR.search(raw, max(0, len(raw) - _LONGEST_TORN)) or _is_torn_utf8(raw):
            return None
        text = clean(raw)
        if not text.strip():
            return None
        return Frame(text, state.offset, FrameEnd.TAIL, 0, state.line, self._is_sample(state.offset))

    def take_tail(self) -> None:
        """Count the frame that `tail` returned as read: what follows it will be a frame of its own."""
        state = self.state
        state.sampled = state.offset // SAMPLED
        length = len(state.pending.rstrip(b"\r\x08"))
        state.offset = _Locator(state.pending, state.offset, state.encoding)(length)
        state.pending = state.pending[length:]
        state.redrawn = False

    def reset(self) -> Iterator[Frame]:
        """Yield the unfinished frame, if any, and begin anew: another stream follows."""
        state, self.state = self.state, FramerState()
        raw = state.pending.rstrip(b"\r\x08")
        text = clean(raw[:MAX_FRAME])
        if text.strip():
            yield Frame(text, state.offset, FrameEnd.TAIL, state.lost + max(0, len(raw) - MAX_FRAME), state.line)

    def _cut(self, buffer: bytes, start: int, end: int, newline: bool, locate: _Locator) -> Frame | None:
        state = self.state
        lost, line = state.lost + max(0, end - start - MAX_FRAME), state.line
        offset = locate(start)
        is_sample = self._is_sample(offset)
        state.sampled = offset // SAMPLED
        self._detailed = offset // self.detail
        state.line += newline
        text = clean(buffer[start : min(end, start + MAX_FRAME)])
        if not text or text.isspace():
            return None
        return Frame(text, offset, FrameEnd.NEWLINE if newline else FrameEnd.REDRAW, lost, line, is_sample)

    def _is_sample(self, offset: int) -> bool:
        return offset // SAMPLED != self.state.sampled

    def _pass_over(
        self, buffer: bytes, start: int, pattern: NewsPattern, locate: _Locator
    ) -> Generator[Frame | Passed, None, int]:
        """Yield what stands before the next news or sample in `buffer[start:]`; return where reading goes on."""
        offset = locate(start)
        if self._is_sample(offset) or offset // self.detail != self._detailed:
            return start
        begin = start - 1
        newline = buffer.find(b"\n", start)
        end = newline if newline >= 0 else len(buffer)
        limit = buffer.rfind(b"\r", begin, end)
        if limit + 1 == end:
            limit = buffer.rfind(b"\r", begin, limit)  # not the \r of a \r\n
        stride = min(SAMPLED - offset % SAMPLED, self.detail - offset % self.detail)
        sample = buffer.find(b"\r", start + stride - 1, limit)
        if sample >= 0:
            limit = sample
        if limit <= begin:
            return start
        found = pattern.search(buffer, begin, limit)
        stop = found.start() if found else limit
        if stop <= begin:
            return start
        last = buffer.rfind(b"\r", begin, stop)
        if last > begin:
            yield Passed(buffer, begin, last, locate(begin))
        text = clean(buffer[last + 1 : stop])
        if text and not text.isspace():
            yield Frame(text, locate(last + 1), FrameEnd.REDRAW, 0, self.state.line)
        return stop + 1

    def _keep(self, buffer: bytes, start: int, locate: _Locator) -> None:
        state = self.state
        whole = pending = buffer[start:]
        state.offset = locate(start)
        if len(pending) > MAX_FRAME + _LONGEST_TORN:
            body = pending.rstrip(b"\x08")
            pending = body + pending[len(body) :][:_LONGEST_TORN]
            excess = len(pending) - MAX_FRAME - _LONGEST_TORN
            if excess > 0:
                # The frame's head, and a few bytes at its end that may be half a separator.
                pending = pending[:MAX_FRAME] + pending[-_LONGEST_TORN:]
                state.lost += excess
            state.gap += _size_in_log(whole, state.encoding) - _size_in_log(pending, state.encoding)
        state.pending = pending

    def _decode(self, offset: int, data: bytes) -> bytes:
        """Return *data* as UTF-8, after looking for the byte order mark that PowerShell writes."""
        state = self.state
        if state.encoding is None:
            head = state.undecoded + data
            if offset - len(state.undecoded) == 0 and len(head) < 2 and head in (b"\xff", b"\xfe"):
                state.undecoded = head
                return b""
            marks = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}
            at_start = offset == len(state.undecoded)
            state.encoding = marks.get(head[:2], "utf-8") if at_start else "utf-8"
            state.undecoded = b""
            if state.encoding == "utf-8":
                return head
            data = head
        if state.encoding == "utf-8":
            return data
        data = state.undecoded + data
        decoder = codecs.getincrementaldecoder(state.encoding)("replace")
        text = decoder.decode(data)
        state.undecoded = decoder.getstate()[0]
        return text.encode("utf-8", "replace")


class _Locator:
    """Maps a position in a decoded buffer to the byte offset in the log; positions must not decrease."""

    def __init__(self, buffer: bytes, offset: int, encoding: str | None) -> None:
        self.skew = 0
        self._buffer = buffer
        self._encoding = encoding if encoding not in (None, "utf-8") else None
        self._position = 0
        self._offset = offset

    def __call__(self, position: int) -> int:
        if self._encoding is None:
            return self._offset + position + self.skew
        self._offset += _size_in_log(self._buffer[self._position : position], self._encoding)
        self._position = position
        return self._offset + self.skew


def _size_in_log(data: bytes, encoding: str | None) -> int:
    if encoding is None or encoding == "utf-8":
        return len(data)
    return len(data.decode("utf-8", "replace").encode(encoding, "replace"))


def _may_end(buffer: bytes, scan: int) -> bool:
    """Tell whether to look for a separator; in a very long frame that is decided a hundred times faster like this."""
    if len(buffer) - scan <= _LONG:
        return True
    head = scan + _LONG
    near = any(buffer.find(mark, scan, head) >= 0 for mark in _MARKS)
    return near or any(buffer.find(mark, head) >= 0 for mark in _MARKS)


def _seam(pending: bytes) -> int:
    """Return where to look for separators in *pending* and what follows it: one may have been cut in two."""
    torn = _TORN_SEPARATOR.search(pending, max(0, len(pending) - _LONGEST_TORN))
    if torn is None:
        return len(pending)
    if pending[-1] == 8:
        return len(pending.rstrip(b"\x08"))
    return torn.start()


def _is_torn_utf8(raw: bytes) -> bool:
    for back, byte in enumerate(reversed(raw[-3:]), start=1):
        if byte >= 0xC0:
            return back < (2 if byte < 0xE0 else 3 if byte < 0xF0 else 4)
        if byte < 0x80:
            return False
    return False
