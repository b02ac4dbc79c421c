"""What the one-shot summary remembers of a log, so that `watch -n 30` reads only new bytes.

One file a log in the user's cache folder: the first line holds what was shown, with the position in the log
that it was true for; the second the whole state, which is read only when the log has grown.
"""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from nanwatch import __version__
from nanwatch.model.alert import Alert
from nanwatch.model.kept import KEPT_KINDS
from nanwatch.model.run import Run
from nanwatch.statecodec import BadState, dump, load
from nanwatch.tail.identity import Position, fingerprint

_LAYOUT = 4


class Writing(Enum):
    """Whether somebody still writes a log."""

    GOES_ON = "goes on"
    PAUSED = "paused"
    ENDED = "ended"


@dataclass(slots=True)
class Remembered:
    """What is known of a log without reading it: true up to *position*.

    `runs` and `alerts` (by the run's number) are as they were shown; `writing` tells whether somebody was
    writing then. `state` is the text of the pipeline's state.
    """

    position: Position
    runs: list[Run]
    alerts: dict[int, list[Alert]]
    writing: Writing
    state: str


class Cache:
    """The folder of remembered logs. A file that cannot be used counts as none."""

    def __init__(self, folder: Path, settings: object) -> None:
        self._folder = folder
        self._stamp = [_LAYOUT, __version__, repr(settings)]

    def get(self, log: Path) -> Remembered | None:
        """Return what is remembered of *log*, or None."""
        try:
            with self._file(log).open(encoding="ascii") as file:
                head = json.loads(file.readline())
                state = file.readline()
            if head["stamp"] != self._stamp or head["log"] != str(log):
                return None
            shown = load(head["shown"], KEPT_KINDS)
            position = Position.from_json(head["position"])
            return Remembered(position, shown["runs"], shown["alerts"], Writing(head["writing"]), state.rstrip("\n"))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, BadState):
            return None

    def put(self, log: Path, item: Remembered) -> None:
        """Remember *item* of *log*: written aside and renamed, readable by its owner only."""
        head = {
            "stamp": self._stamp, "log": str(log), "position": item.position.to_json(), "writing": item.writing.value,
            "shown": dump({"runs": item.runs, "alerts": item.alerts}),
        }  # fmt: skip
        import tempfile

        # Without a place to write, the next summary only reads more.
        with contextlib.suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, name = tempfile.mkstemp(dir=self._folder, prefix=".new-")
            try:
                with os.fdopen(handle, "w", encoding="ascii") as file:
                    file.write(json.dumps(head) + "\n" + item.state + "\n")
                Path(name).replace(self._file(log))
            except OSError:
                Path(name).unlink(missing_ok=True)
                raise

    def _file(self, log: Path) -> Path:
        return self._folder / (fingerprint(os.fsencode(log)) + ".json")
