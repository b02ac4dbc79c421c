"""process_gone: the process that wrote the log has exited, and the log shows no end."""

from __future__ import annotations

from collections.abc import Iterator

from nanwatch.config import Switch
from nanwatch.model.alert import Finding
from nanwatch.model.run import Change, Run
from nanwatch.rules.words import where_it_stands

_HANDED_OVER_S = 60.0
"""Another process that holds the log may have taken over; silent for longer, it is but a worker left behind."""


class Rule:
    """Fires when a process that was seen to hold the log is gone; resolves when somebody goes on writing.

    Where no process was ever seen (another machine's, another user's) its absence says nothing: that is for
    `stall` to tell. Nor does that of one which wrote of no training.
    """

    name = "process_gone"
    wakes = Change.CLOCK | Change.PROGRESS | Change.END

    def __init__(self, settings: Switch) -> None:
        self.settings = settings

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield at most one finding."""
        del now
        process = run.process
        if process is None or process.alive or run.finished or run.failure or run.interrupted:
            return
        if run.epoch is None and run.step is None and not run.hyperparameters:
            return
        if run.is_held and _may_go_on(run):
            return
        yield Finding(
            self.name, "critical",
            f"gone without a word {where_it_stands(run)}: pid {process.pid} ({process.command}) has exited", "",
            run.epoch, run.batch, run.offset, {"pid": process.pid, "command": process.command},
        )  # fmt: skip


def _may_go_on(run: Run) -> bool:
    """Tell whether the process that holds the log now may have taken over from the one that was seen before."""
    is_starting = run.resuming or run.session_pending
    return is_starting or (run.silence or 0.0) <= max(_HANDED_OVER_S, run.longest_silence)
