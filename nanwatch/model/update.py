"""What a face is handed from time to time: the snapshots that changed, and how the following of the logs fares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nanwatch.model.alert import Alert
from nanwatch.model.snapshot import Snapshot


@dataclass(slots=True)
class Update:
    """What has changed: snapshots by path, the logs that are gone, and how the following fares.

    `critical` are alerts that began to fire under the user's eyes; `waiting_for` are patterns that match no log yet;
    `read` of `size` bytes were read of all logs. `is_live` holds once what stood in the logs at first was read;
    `at_end` where a pipe was closed. `daemon` says who runs the daemon, `problem` why wishes are not shared with it.
    `failure` is what ended the following, a defect.
    """

    snapshots: dict[Path, Snapshot] = field(default_factory=dict)
    gone: set[Path] = field(default_factory=set)
    critical: list[tuple[Path, Alert]] = field(default_factory=list)
    waiting_for: Sequence[str] = ()
    problems: Sequence[str] = ()
    read: int = 0
    size: int = 0
    is_live: bool = False
    at_end: bool = False
    daemon: str | None = None
    problem: str = ""
    failure: Exception | None = None

    def add_older(self, before: Update) -> None:
        """Take up what nobody took of the update *before* this one."""
        kept = {path: s for path, s in before.snapshots.items() if path not in self.gone}
        self.snapshots = kept | self.snapshots
        self.gone |= before.gone - self.snapshots.keys()
        self.critical = [*before.critical, *self.critical]
        self.failure = self.failure or before.failure
