"""Secrets: texts of the config that nobody may see, where they come from, and how they are kept out of sight."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from nanwatch.errors import UsageError

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_FILE = "file:"
_SEPARATORS = re.compile(r"[/:@?&=,;\s]+")
_SHORTEST = 6
"""Parts of a URL shorter than this (ports, names of options) are no secrets that can be told from other words."""
_HARMLESS = re.compile(r"(?i)localhost|(?:[a-z0-9-]+\.)+[a-z0-9-]+\.?|\d+|\[[0-9a-f:]+\]?")


class Secret:
    """A text that is never shown: the config's own words, `${VARIABLE}` in them, or `file:PATH` for a file's content.

    `place` says where in the config it stands. What it stands for is asked for only when it is needed.
    """

    __slots__ = ("_folder", "_text", "place")

    def __init__(self, text: str, place: str = "", folder: str = ".") -> None:
        self._text, self.place, self._folder = text, place, folder

    def reveal(self) -> str:
        """Return the text itself.

        Raises:
            UsageError: the environment variable is not set, or the file cannot be read.
        """
        if self._text.startswith(_FILE):
            return self._read(self._text[len(_FILE) :])
        return _VARIABLE.sub(self._variable, self._text)

    @property
    def is_literal(self) -> bool:
        """Whether the config itself holds the secret."""
        return not self._text.startswith(_FILE) and not _VARIABLE.search(self._text)

    def __repr__(self) -> str:
        return f"Secret({self.place})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and (self._text, self._folder) == (other._text, other._folder)

    def __hash__(self) -> int:
        return hash((self._text, self._folder))

    def _variable(self, match: re.Match[str]) -> str:
        value = os.environ.get(match[1])
        if not value:
            raise UsageError(f"{self.place}: the environment variable {match[1]} is not set")
        return value

    def _read(self, name: str) -> str:
        path = Path(self._folder) / Path(name).expanduser()
        try:
            text = path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise UsageError(f"{self.place}: {path}: {(error.strerror or 'cannot be read').lower()}") from None
        except UnicodeDecodeError:
            raise UsageError(f"{self.place}: {path}: not a text file") from None
        if not text:
            raise UsageError(f"{self.place}: {path}: empty")
        return text


class Redactor:
    """Replaces known secrets, whole and in parts, in any text that somebody may see."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        parts: set[str] = set()
        for secret in secrets:
            parts |= _parts(secret)
        ordered = sorted(parts, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def __call__(self, text: str) -> str:
        """Return *text* with `***` in place of every secret."""
        return text if self._pattern is None else self._pattern.sub("***", text)


def _parts(secret: str) -> set[str]:
    """Return what of *secret*, a URL or a bare token, must not be seen: services put its parts into other URLs."""
    from urllib.parse import unquote  # only where messages are sent: every command reads the config

    rest = secret.split("://", 1)[-1]
    found = {secret, rest}
    for part in _SEPARATORS.split(rest):
        if len(part) >= _SHORTEST and not _HARMLESS.fullmatch(part):
            found |= {part, unquote(part)}
    return found
