"""Secrets: texts of the config that nobody may see, and where they come from."""

from __future__ import annotations

import os
import re
from pathlib import Path

from nanwatch.errors import UsageError

_VARIABLE = r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}"
"""Compiled when it is first used: every command reads the config, and few reveal what it holds."""
_FILE = "file:"


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
        return re.sub(_VARIABLE, self._variable, self._text)

    @property
    def written(self) -> str:
        """What of the text the config itself holds: nothing of a file's, nothing of a variable's."""
        return "" if self._text.startswith(_FILE) else re.sub(_VARIABLE, "", self._text)

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
        path = Path(self._folder) / name
        try:
            path = Path(self._folder) / Path(name).expanduser()
            text = path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise UsageError(f"{self.place}: {path}: {(error.strerror or 'cannot be read').lower()}") from None
        except UnicodeDecodeError:
            raise UsageError(f"{self.place}: {path}: not a text file") from None
        except (RuntimeError, ValueError):  # a home that nobody has, or a name that no file can have
            raise UsageError(f"{self.place}: {path}: not the name of a file") from None
        if len(text.splitlines()) != 1:
            raise UsageError(f"{self.place}: {path}: {'more than one line' if text else 'empty'}")
        return text
