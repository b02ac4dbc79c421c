"""The log viewer's threads: what is slow runs in them, on descriptors of their own, and tells how far it has come."""

from __future__ import annotations

import os
import time
from abc import abstractmethod

from textual.message import Message
from textual.widget import Widget
from textual.worker import get_current_worker

from nanwatch.views.dashboard.log.desk import Desk, Job
from nanwatch.views.dashboard.log.file import LogFile

_STEP_S = 0.1
"""Seconds between two tellings of a thread's progress."""
_FREE_S = 0.04
_NAP_S = 0.004
_SLICE_S, _REST_S = 0.004, 0.0005
"""Seconds that a thread works at a time, and rests after: only then does the screen get the interpreter at once."""


class Working(Widget):
    """A widget with a `desk` whose jobs threads do."""

    class Advanced(Message):
        """A thread came a step further with *job*, or is done with it."""

        def __init__(self, job: Job, is_done: bool) -> None:
            super().__init__()
            self.job, self.is_done = job, is_done

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, classes=classes)
        self.desk: Desk | None = None
        self._jobs: dict[str, object] = {}
        self._busy_until = 0.0

    @abstractmethod
    def refresh_figures(self) -> None:
        """Paint what tells of progress."""

    @abstractmethod
    def fit(self) -> bool:
        """Make room for what there is to tell below; tell whether that changed how many rows are seen."""

    def keep_free(self) -> None:
        """Let the threads rest for a moment: they and the screen share one interpreter."""
        self._busy_until = time.monotonic() + _FREE_S

    def work(self) -> None:
        """Start what is left to be done."""
        if self.desk is None or not self.is_attached:
            return
        for job in self.desk.jobs():
            if self._jobs.get(job.name) is not job.subject:
                self._jobs[job.name] = job.subject
                self._start(job, self.desk.file)

    def _start(self, job: Job, file: LogFile) -> None:
        """Let a thread do *job* on a descriptor of *file*; it opens that itself: it may be cancelled before it runs."""

        def run() -> None:
            worker = get_current_worker()
            told = rested = 0.0

            def tell() -> None:
                nonlocal told
                if time.monotonic() - told > _STEP_S:
                    told = time.monotonic()
                    self.post_message(self.Advanced(job, is_done=False))

            def stop() -> bool:
                nonlocal rested
                while time.monotonic() < self._busy_until and not worker.is_cancelled:
                    time.sleep(_NAP_S)
                if time.monotonic() - rested > _SLICE_S:
                    time.sleep(_REST_S)
                    rested = time.monotonic()
                return worker.is_cancelled

            fd = file.duplicate()
            try:
                if fd >= 0:
                    job.run(fd, stop, tell)
            finally:
                if fd >= 0:
                    os.close(fd)
                self.post_message(self.Advanced(job, is_done=True))

        self.run_worker(run, thread=True, group=job.name, exclusive=True)

    def on_working_advanced(self, event: Advanced) -> None:
        """Show what a thread has found."""
        event.stop()
        self.keep_free()
        if event.is_done and self._jobs.get(event.job.name) is event.job.subject:
            del self._jobs[event.job.name]
        if self.desk is None:
            return
        is_changed = self.desk.advanced()
        if self.fit() or is_changed:
            self.refresh()
        else:
            self.refresh_figures()

    def _stop(self) -> None:
        """Let go of the file, and of what is being done with it."""
        self.workers.cancel_node(self)
        self._jobs.clear()
        if self.desk is not None:
            self.desk.close()
            self.desk = None
