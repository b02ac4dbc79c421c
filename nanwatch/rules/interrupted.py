"""interrupted: somebody or something stopped the run: Ctrl-C, SIGTERM, the scheduler's time limit."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nanwatch.config import Switch
from nanwatch.model.alert import Finding
from nanwatch.model.run import Change, Run
from nanwatch.rules.words import quoted, where_it_stands

_BY_HAND = re.compile(r"(?i)\^C|keyboard|sigint|signal 2\b|exit code 130|by (?:the )?user|^interrupted$")


class Rule:
    """News when it was done by hand, a warning otherwise; resolves when training goes on."""

    name = "interrupted"
    wakes = Change.END | Change.FAILURE

    def __init__(self, settings: Switch) -> None:
        self.settings = settings

    def evaluate(self, run: Run, now: float | None) -> Iterator[Finding]:
        """Yield at most one finding."""
        del now
        told = run.interrupted
        if told is None or run.failure is not None:
            return
        by_hand = bool(_BY_HAND.search(told))
        yield Finding(
            self.name, "info" if by_hand else "warning", f"interrupted {where_it_stands(run)}: {quoted(told)}", "",
            run.epoch, run.batch, run.interrupted_offset, {"exit_code": run.exit_code},
        )  # fmt: skip
