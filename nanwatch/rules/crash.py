"""crash: the log tells of an error that ended the run."""

from __future__ import annotations

from collections.abc import Iterator

from nanwatch.config import Switch
from nanwatch.model.alert import Finding
from nanwatch.model.run import Change, Run
from nanwatch.rules.words import quoted


class Rule:
    """Fires on a traceback, a kill or a collective time-out; resolves when training goes on after it."""

    name = "crash"
    wakes = Change.FAILURE | Change.END

    def __init__(self, settings: Switch) -> None:
        self.settings = settings

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield at most one finding; running out of memory is another rule's."""
        del now
        failure = run.failure
        if failure is None or failure.kind == "oom":
            return
        where = "" if run.epoch is None else f" in epoch {run.epoch}"
        if run.batch:
            where += f", batch {run.batch:,}"
        word = "killed" if failure.kind == "killed" else "crashed"
        yield Finding(
            self.name, "critical", f"{word}{where}: {quoted(failure.message)}", "", run.epoch, run.batch,
            failure.offset, {"kind": failure.kind, "exit_code": run.exit_code},
        )  # fmt: skip
