"""Follows logs in a thread of its own: what it learns merges until a face takes it, what people ask for goes back."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from nanwatch.model.alert import Silence
from nanwatch.model.update import Update

if TYPE_CHECKING:  # loading it takes a while, which is the thread's
    from nanwatch.following import Following

_WAIT_S, _LONG_WAIT_S = 0.1, 1.0
"""Seconds that a step waits for something new: a pipe wakes nobody who wants something else."""
_STORE_S = 12.0
"""The daemon's store may be held for so long by somebody who writes it."""
_REST_S = 0.05
"""What comes within this time is read together: each write of fifty trainers need not wake us."""

Wish = Callable[["Following"], None]


class Live:
    """Follows what *begin* opens (in the thread; it is given where updates go to) until it is stopped.

    *on_news* is called from the thread when there is an update to be taken. A face that is slow gets fewer updates,
    and never older ones.
    """

    def __init__(
        self, begin: Callable[[Callable[[Update], None]], Following], on_news: Callable[[], None] = lambda: None
    ) -> None:
        self._begin = begin
        self.on_news = on_news
        self._lock = threading.Lock()
        self._update: Update | None = None
        self._wishes: queue.SimpleQueue[Wish] = queue.SimpleQueue()
        self._asked = self._answered = 0
        self._following: Following | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to follow."""
        self._thread = threading.Thread(target=self._run, name="nanwatch-live", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 2.0) -> None:
        """Stop following; wait up to *timeout* seconds for that, and longer for what people have asked for."""
        self._stopping.set()
        self._nudge()
        if self._thread is not None:
            self._thread.join(timeout)
            if timeout and self._asked != self._answered:
                self._thread.join(_STORE_S)

    def take(self) -> Update | None:
        """Return what has changed since this was last asked, or None."""
        with self._lock:
            update, self._update = self._update, None
        return update

    def acknowledge(self, path: Path, alerts: Iterable[str], undo: bool = False) -> None:
        """Keep the alerts with these ids (those of their run) quiet until they end, or take that back."""
        ids = list(alerts)
        self._ask(lambda following: following.acknowledge(path, ids, undo))

    def silence(self, silence: Silence) -> None:
        """Set *silence*."""
        self._ask(lambda following: following.silence(silence))

    def end_silences(self, ends: Callable[[Silence], bool]) -> None:
        """End the silences that people have set for which *ends* holds; those of the config stay."""
        self._ask(lambda following: following.end_silences(ends))

    def _nudge(self) -> None:
        if self._following is not None:
            self._following.nudge()

    def _ask(self, wish: Wish) -> None:
        self._asked += 1
        self._wishes.put(wish)
        self._nudge()

    def _run(self) -> None:
        following = None
        try:
            following = self._following = self._begin(self._hand_over)
            following.look_at_ends()
            while not (self._stopping.is_set() or following.is_over):
                following.step(_LONG_WAIT_S if following.waits_long else _WAIT_S, self._take_wishes())
                if following.is_live:
                    self._stopping.wait(_REST_S)
            while not self._stopping.wait(_WAIT_S):  # nothing comes any more, but people still ask
                following.step(0.0, self._take_wishes())
            for wish in self._take_wishes():  # what somebody asked for just before leaving
                wish(following)
        except Exception as error:  # noqa: BLE001 - the face tells it, and ends with it
            self._hand_over(Update(failure=error))
        finally:
            if following is not None:
                following.close()

    def _take_wishes(self) -> list[Wish]:
        wishes = []
        while not self._wishes.empty():
            wishes.append(self._wishes.get_nowait())
        return [self._counted(wish) for wish in wishes]

    def _counted(self, wish: Wish) -> Wish:
        def fulfil(following: Following) -> None:
            wish(following)
            self._answered += 1

        return fulfil

    def _hand_over(self, update: Update) -> None:
        with self._lock:
            before, self._update = self._update, update
            if before is not None:
                update.add_older(before)
        if before is None:
            self.on_news()
