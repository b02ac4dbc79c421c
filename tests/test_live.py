"""Following in a thread of its own: updates merge until they are taken, and nothing that fails is lost."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from nanwatch.clock import SystemClock
from nanwatch.config import Config
from nanwatch.following import Following
from nanwatch.live import Live
from nanwatch.model.alert import Silence
from nanwatch.model.update import Update
from nanwatch.tail.tailer import Tailer
from nanwatch.tail.wake import open_wake
from nanwatch.watch import Watch
from tests.support.logs import bars

PATIENCE_S = 20.0


def begin(folder: Path) -> Callable[[Callable[[Update], None]], Following]:
    """Return what opens the logs of *folder*."""

    def opened(hand_over: Callable[[Update], None]) -> Following:
        watch = Watch(Tailer([folder / "*.log"], open_wake({folder})), Config(), turn_s=0.1)
        return Following(watch, Config(), SystemClock(), hand_over)

    return opened


class Listener:
    """Takes updates as a face does, and waits for what it wants to see."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self.news = threading.Event()
        live.on_news = self.news.set
        self.seen: dict[Path, object] = {}

    def wait_for(self, what: Callable[[Update], bool]) -> Update:
        """Return the first update for which *what* holds."""
        while True:
            assert self.news.wait(PATIENCE_S), "nothing came"
            self.news.clear()
            update = self.live.take()
            if update is not None and what(update):
                return update


def test_what_is_written_arrives(tmp_path: Path) -> None:
    """A batch that is written while it follows reaches the face, and so does a log that is new."""
    path = tmp_path / "x.log"
    path.write_bytes(bars(1, "0.5"))
    live = Live(begin(tmp_path))
    listener = Listener(live)
    live.start()
    listener.wait_for(lambda u: u.is_live)
    with path.open("ab") as file:
        file.write(b"\n" + bars(2, "0.4"))

    def has_epoch(update: Update) -> bool:
        view = update.snapshots[path].view if path in update.snapshots else None
        return view is not None and view.run.epoch == 2

    assert has_epoch(listener.wait_for(has_epoch))
    (tmp_path / "y.log").write_bytes(bars(1, "0.5"))
    update = listener.wait_for(lambda u: tmp_path / "y.log" in u.snapshots)
    assert update.is_live
    live.stop()


def test_a_wish_is_fulfilled(tmp_path: Path) -> None:
    """What is asked for from another thread holds in what is handed over next."""
    path = tmp_path / "x.log"
    path.write_bytes(bars(1, "0.5", "nan", "nan", "nan"))
    live = Live(begin(tmp_path))
    listener = Listener(live)
    live.start()
    update = listener.wait_for(lambda u: u.is_live)
    view = update.snapshots[path].view
    assert view is not None
    live.acknowledge(path, [a.id for a in view.alerts])

    def is_acknowledged(update: Update) -> bool:
        view = update.snapshots[path].view if path in update.snapshots else None
        return view is not None and any("acknowledged" in a.suppressed for a in view.alerts)

    listener.wait_for(is_acknowledged)
    live.stop()


def test_what_is_asked_for_last_is_done(tmp_path: Path) -> None:
    """A wish that is followed by the end at once is fulfilled all the same."""
    (tmp_path / "x.log").write_bytes(bars(1, "0.5"))
    opened: list[Following] = []

    def noted(hand_over: Callable[[Update], None]) -> Following:
        opened.append(begin(tmp_path)(hand_over))
        return opened[0]

    live = Live(noted)
    listener = Listener(live)
    live.start()
    listener.wait_for(lambda u: u.is_live)
    live.silence(Silence("nan_*", "*"))
    live.stop()
    assert opened[0]._own_silences == [Silence("nan_*", "*")]


def test_a_defect_is_handed_over() -> None:
    """What breaks the following reaches the face, which can say so; the thread ends."""

    def broken(hand_over: Callable[[Update], None]) -> Following:  # noqa: ARG001 - the signature
        raise ZeroDivisionError("a defect")

    live = Live(broken)
    listener = Listener(live)
    live.start()
    update = listener.wait_for(lambda u: u.failure is not None)
    assert isinstance(update.failure, ZeroDivisionError)
    live.stop()
