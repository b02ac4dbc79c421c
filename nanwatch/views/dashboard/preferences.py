"""What a person chose, remembered from one time to the next: a small file that may be lost without harm."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

FILE = "dashboard.json"
_LARGEST = 1 << 20


class Preferences:
    """Settings by the part of the dashboard that they belong to; `path` None: nothing is remembered.

    A file that cannot be read, or holds something else, counts as empty; `problem` says why it cannot be written.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.problem = ""
        self._parts: dict[str, dict[str, Any]] = {} if path is None else _read(path)

    def part(self, name: str) -> dict[str, Any]:
        """Return the settings of the part *name*."""
        return dict(self._parts.get(name, {}))

    def keep(self, name: str, settings: dict[str, Any]) -> None:
        """Remember *settings* of the part *name*."""
        if self._parts.get(name, {}) == settings:
            return
        self._parts[name] = dict(settings)
        if self.path is not None:
            self._write(self.path)

    def _write(self, path: Path) -> None:
        """Replace the file at once: two dashboards may end at the same time."""
        written = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, written = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(self._parts, file, indent=1)
            Path(written).replace(path)
        except OSError as error:
            self.problem = f"{path}: {(error.strerror or 'cannot be written').lower()}"
            if written is not None:
                with suppress(OSError):
                    Path(written).unlink()


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        with path.open(encoding="utf-8") as file:
            found = json.loads(file.read(_LARGEST))
    except (OSError, ValueError, RecursionError):
        return {}
    parts = found.items() if isinstance(found, dict) else ()
    return {name: part for name, part in parts if isinstance(part, dict)}
