"""What the reader of a log types -> a pattern that finds it in bytes, and can never run without end."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from re import _constants as _codes  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

_WORDS = (
    b"nan", b"inf", b"warn", b"error", b"critical", b"fatal", b"exception", b"traceback", b"out of memory",
    b"non-finite",
)  # fmt: skip
_NUMBER = re.compile(rb"(?<![a-ln-z_])(?:nan|inf(?:inity)?)(?![a-z_])")
"""A NaN or Inf in lower case; the `m` that ends a colour may stand before it."""

_LONGEST_LINE = (64 * 1024, 4096, 512, 160)
"""Bytes of a line that are matched, by how many open-ended repeats the pattern holds: time grows by their powers."""

_FEW = 16
_LINE = re.compile(rb"[^\r\n]+")


class Pattern:
    """Finds *text*: a regular expression, or literally where it is none; with case only if it holds a capital.

    `note` says what a reader should know: that the text was taken literally, or that long lines are cut.
    """

    def __init__(self, text: str, encoding: str = "utf-8") -> None:
        self.text = text
        self.note = ""
        self._has_case = text != text.lower()
        self._regex: re.Pattern[bytes] | None = None
        self._literal = text.encode(encoding, "replace")
        self._limit = 0
        self._shown: re.Pattern[str] = re.compile(re.escape(text), re.NOFLAG if self._has_case else re.IGNORECASE)
        if encoding != "utf-8":
            self._has_case = True
            self.note = "UTF-16: taken literally, with case"
        elif not _is_literal(text):
            self._compile(text)

    def _compile(self, text: str) -> None:
        flags = re.MULTILINE | (re.NOFLAG if self._has_case else re.IGNORECASE)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                degree = _degree(_parser.parse(text, flags))
                regex, shown = re.compile(text.encode("utf-8", "replace"), flags), re.compile(text, flags)
        except (re.error, OverflowError, RecursionError) as error:
            self.note = (
                f"no valid pattern ({error.msg if isinstance(error, re.error) else 'too deep'}): taken literally"
            )
            return
        except _EndlessError as error:
            self.note = f"{error}: taken literally"
            return
        self._regex, self._shown = regex, shown
        self._limit = _LONGEST_LINE[degree]
        if degree > 1:
            self.note = f"looks at the first {self._limit} bytes of a line"

    def find(self, data: bytes) -> Iterator[int]:
        """Yield where *data*, whole lines, holds the pattern: the first place in each line or redraw.

        What is yielded lies in the line; a line of text is told apart by newlines alone.
        """
        if self._regex is None:
            yield from self._find_literal(data)
        elif self._limit == _LONGEST_LINE[0]:
            yield from self._find_fast(data, self._regex)
        else:
            for line in _LINE.finditer(data):
                found = self._regex.search(line[0][: self._limit])
                if found is not None:
                    yield line.start() + found.start()

    def _find_literal(self, data: bytes) -> Iterator[int]:
        literal = self._literal
        if not self._has_case:
            data, literal = data.lower(), literal.lower()
        at = data.find(literal)
        while at >= 0:
            yield at
            at = _line_end(data, at)
            at = data.find(literal, at) if at >= 0 else -1

    def _find_fast(self, data: bytes, regex: re.Pattern[bytes]) -> Iterator[int]:
        found = regex.search(data)
        while found is not None:
            yield found.start()
            at = _line_end(data, found.start())
            found = regex.search(data, at) if at >= 0 else None

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return where the pattern is in the *text* of a row, as a screen shows it."""
        head = text[: self._limit] if self._limit else text
        return [found.span() for found in self._shown.finditer(head) if found.end() > found.start()]


class Trouble(Pattern):
    """Finds NaN, warnings and errors: ten times as fast as a regular expression would."""

    def __init__(self, encoding: str = "utf-8") -> None:
        super().__init__("warnings and NaN")
        self._encoding = encoding

    def find(self, data: bytes) -> Iterator[int]:
        """Yield the first place of trouble in each line or redraw of *data*, whole lines."""
        data = data.lower()
        end = -1
        for at in sorted(at for word in _WORDS for at in self._places(data, word)):
            if at > end:
                yield at
                end = _line_end(data, at)
                if end < 0:
                    return

    def _places(self, data: bytes, word: bytes) -> Iterator[int]:
        spread = word if self._encoding == "utf-8" else word.decode().encode(self._encoding)
        is_number = len(word) == 3 and spread is word
        at = data.find(spread)
        while at >= 0:
            following = at + len(spread)
            if not is_number or _NUMBER.match(data, at):
                yield at
                following = _line_end(data, at)
                if following < 0:
                    return
            at = data.find(spread, following)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return nothing: the row's sign tells."""
        del text
        return []


class _EndlessError(Exception):
    """The pattern could run without end."""


def _is_literal(text: str) -> bool:
    return not set(text) & set(r"\.^$*+?{}[]|()")


def _line_end(data: bytes, at: int) -> int:
    """Return where the line or redraw that holds *at* ends, -1 where it is the last."""
    newline = data.find(b"\n", at)
    redraw = data.find(b"\r", at, newline if newline >= 0 else len(data))
    return redraw if redraw >= 0 else newline


def _degree(parsed: Any) -> int:
    """Return how many open-ended repeats *parsed* holds one after the other.

    Raises:
        _EndlessError: one holds another, or more ways to match the same, so that time could double with each byte.
    """
    degree = _count(parsed, inside=False)
    if degree >= len(_LONGEST_LINE):
        raise _EndlessError("too many repeats")
    return degree


def _count(parsed: Any, inside: bool) -> int:
    total = 0
    for code, value in parsed:
        if code in (_codes.MAX_REPEAT, _codes.MIN_REPEAT):
            least, most, body = value
            if inside and most != least:
                raise _EndlessError("repeats within repeats")
            is_open = most > _FEW and most != least
            if most > 1000 and most != _codes.MAXREPEAT:
                raise _EndlessError("too many repeats")
            total += is_open + _count(body, inside or most > 1)
        elif code is _codes.BRANCH:
            if inside:
                raise _EndlessError("choices within repeats")
            total += max(_count(branch, inside) for branch in value[1])
        elif code is _codes.SUBPATTERN:
            total += _count(value[3], inside)
        elif code in (_codes.ASSERT, _codes.ASSERT_NOT):
            total += _count(value[1], inside)
        elif code in (_codes.GROUPREF, _codes.GROUPREF_EXISTS):
            raise _EndlessError("back-references")
        elif hasattr(_codes, "POSSESSIVE_REPEAT") and code in (_codes.POSSESSIVE_REPEAT, _codes.ATOMIC_GROUP):
            raise _EndlessError("possessive repeats")
    return total
