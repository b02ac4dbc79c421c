"""The service: what is told and what is history, through restarts, reloads, silences, whatever befalls its files."""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from nanwatch import daemon
from nanwatch.clock import Clock, ManualClock
from nanwatch.config import Config, Duration, NotifySettings, Receiver, Tag
from nanwatch.daemon import Service, tell_manager
from nanwatch.delivery import Courier, Terms
from nanwatch.errors import UsageError
from nanwatch.model.alert import Silence
from nanwatch.model.news import Message
from nanwatch.notify.base import Outcome
from nanwatch.notify.receivers import Destination
from nanwatch.pipeline import LogPipeline, Notice
from nanwatch.sqlitefile import connect
from nanwatch.store import FILE, Store, open_store
from nanwatch.tail.wake import ManualWake
from tests.support.logs import bars, capture

START = 1_000_000.0
HOUR = 3600.0
AT_ONCE = NotifySettings(group_wait=Duration(0), group_wait_critical=Duration(0), host="here")
ALL = Receiver("all", command=("true",))
HEALTHY = bars(1, *["0.5"] * 9, total=10)
NAN = bars(2, "0.5", *["nan"] * 5, total=10)[:-1]
"""Unfinished: the loss is still non-finite."""
FIRED = ["nan_burst first"]
"""The burst speaks for its first NaN."""
RECOVERED = b"\n" + bars(3, *["0.5"] * 9, total=10)
OVER = ["nan_burst resolved"]
BOTH = ["nan_burst first+resolved"]


@dataclass
class Recorder:
    """A notifier that keeps what it is given."""

    name: str
    style: Literal["grouped", "single", "state"] = "single"
    refresh_s: float = 0.0
    messages: list[Message] = field(default_factory=list)

    def send(self, message: Message) -> Outcome:
        """Keep *message*."""
        self.messages.append(message)
        return Outcome("sent")


class Inline:
    """Deliveries that are made when a test asks for them, by the couriers themselves."""

    def __init__(
        self, destinations: Sequence[Destination], store: Store, terms: Terms, after: Inline | None = None
    ) -> None:
        del after
        self.couriers = [Courier(destination, store, terms) for destination in destinations]

    def start(self) -> None:
        """Do nothing."""

    wake = stop = start

    def join(self, timeout: float, clock: Clock) -> bool:
        """Return that all have ended."""
        del timeout, clock
        return True

    def work(self) -> None:
        """Deliver all that is due."""
        for courier in self.couriers:
            while courier.work() <= 0:
                pass


class Scene:
    """A folder of logs, a config, and a service that is started, stopped and killed."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.clock, self.wake = folder, ManualClock(START), ManualWake()
        self.logs = folder / "logs"
        self.logs.mkdir()
        self.config = Config(logs=(str(self.logs / "*.log"),), receivers=(ALL,), notify=AT_ONCE)
        self.problem: str | None = None
        self.recorders: dict[str, Recorder] = {}
        self.said: list[str] = []
        self._service: Service | None = None
        self.patch(monkeypatch)

    def patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put the wake, the destinations and the deliveries into the test's hands."""
        monkeypatch.setattr(daemon, "open_wake", self._open_wake)
        monkeypatch.setattr(daemon, "open_destinations", self._open_destinations)
        monkeypatch.setattr(daemon, "Deliveries", Inline)

    def _open_wake(self, folders: set[Path]) -> ManualWake:
        del folders
        self.wake = ManualWake()
        return self.wake

    def _open_destinations(self, receivers: tuple[Receiver, ...], host: str) -> list[Destination]:
        assert host == "here"
        return [Destination(r, self.recorders.setdefault(r.name, Recorder(r.name))) for r in receivers]

    def _load(self) -> Config:
        if self.problem:
            raise UsageError(self.problem)
        return self.config

    @property
    def service(self) -> Service:
        """The service that runs."""
        assert self._service is not None
        return self._service

    def open(self) -> Store:
        """Open the store as another process does."""
        return open_store(self.folder / "state")

    def start(self) -> None:
        """Start the service, and let it read what is there."""
        store = open_store(self.folder / "state", say=self.said.append)
        self._service = Service(self._load, store, self.clock)
        self.step()

    def step(self, seconds: float = 1.0, times: int = 2) -> None:
        """Let the service work, *seconds* later each time."""
        for _ in range(times):
            self.clock.advance(seconds)
            self.wake.touch_everything()
            self.service.step()

    def kill(self) -> None:
        """End the service as SIGKILL does: nothing is saved any more."""
        self.service._watch.close()
        self.service._store.database._db.close()
        self._service = None

    def stop(self) -> None:
        """End the service as SIGTERM does."""
        self.service.close()
        self._service = None

    def write(self, data: bytes, name: str = "x.log", ago: float = 0.0) -> Path:
        """Append to a log, as if so many seconds *ago*; report it."""
        path = self.logs / name
        with path.open("ab") as file:
            file.write(data)
        os.utime(path, (self.clock.now() - ago,) * 2)
        self.wake.touch(path, path.parent)
        return path

    def told(self, name: str = "all") -> list[str]:
        """Deliver what is due; return what the receiver was told since this was last asked."""
        deliveries = self.service._deliveries
        assert isinstance(deliveries, Inline)
        deliveries.work()
        messages, self.recorders[name].messages = self.recorders[name].messages, []
        return [f"{n.alert.rule} {'+'.join(n.reasons)}" for m in messages for n in m.news]


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """A service that has not been started yet."""
    made = Scene(tmp_path, monkeypatch)
    yield made
    if made._service is not None:
        made.stop()


@pytest.fixture
def running(scene: Scene) -> Scene:
    """A service that follows a healthy log."""
    scene.start()
    scene.write(HEALTHY)
    scene.step()
    assert scene.told() == []
    return scene


# -- what is told


def test_what_happens_is_told_once(running: Scene) -> None:
    """An alert is told when it fires and when it is over, and neither again."""
    running.write(NAN)
    running.step()
    assert running.told() == FIRED
    running.step(times=5)
    assert running.told() == []
    running.write(RECOVERED)
    running.step()
    assert running.told() == OVER
    running.step(times=5)
    assert running.told() == []


def test_what_goes_on_is_told_again_after_the_repeat_interval(running: Scene) -> None:
    """After four hours, and after each four hours more."""
    running.write(NAN)
    running.step()
    assert running.told() == FIRED
    for _ in range(2):
        running.write(b"\r" + NAN.rsplit(b"\r", 1)[-1])  # it is alive, or else it would be silent too
        running.clock.advance(4 * HOUR)
        running.write(b" ")
        running.step()
        assert "nan_burst repeated" in running.told()
        assert "nan_burst repeated" not in running.told()


def test_what_is_over_anyway_is_not_told_again(running: Scene) -> None:
    """A warning of a run that has ended is told once; what ended it, until a day has passed."""
    running.write(NAN[:-150] + b'\nTraceback (most recent call last):\n  File "a.py", line 1\nValueError: no\n')
    running.step()
    assert running.told() == ["crash first", "nan_loss first"]
    told = []
    for _ in range(12):
        running.step(seconds=4 * HOUR, times=1)
        told += running.told()
    assert told == ["crash repeated"] * 5


def test_a_log_that_appears_is_told_from_its_first_byte(running: Scene) -> None:
    """Also what is over by the time at which it is first read."""
    running.write(HEALTHY + NAN + RECOVERED, "new.log")
    running.step()
    assert running.told() == BOTH


def test_what_is_over_at_the_very_first_start_is_no_news(scene: Scene) -> None:
    """What fires is told, though."""
    scene.write(HEALTHY + NAN + RECOVERED, "over.log")
    scene.write(HEALTHY + NAN, "firing.log")
    scene.start()
    scene.step()
    assert scene.told() == FIRED


def test_a_log_that_is_silent_since_long_is_history(scene: Scene) -> None:
    """Nobody is told of what was there before, nor of its silence, also after a restart; until it grows again."""
    scene.write(HEALTHY + NAN, ago=30 * HOUR)
    scene.start()
    scene.step(times=5)
    assert scene.told() == []
    scene.stop()
    scene.clock.advance(5 * HOUR)
    scene.start()
    scene.step(times=5)
    assert scene.told() == []
    scene.write(RECOVERED + bars(4, "0.5", *["nan"] * 5, total=10)[:-1])
    scene.step()
    assert "nan_burst first" in scene.told()


def test_receivers_hear_what_concerns_them(scene: Scene) -> None:
    """By severity, run, rule and tag; a receiver that does not ask for ends is told of none."""
    choices = {
        "all": {}, "mild": {"min_severity": "info", "resolved": False}, "other": {"runs": ("*/other*",)},
        "tagged": {"tags": ("mine",)}, "untagged": {"tags": ("yours",)}, "oom": {"rules": ("oom*",)},
    }  # fmt: skip
    receivers = tuple(Receiver(name, command=("true",))._replace(**fields) for name, fields in choices.items())  # type: ignore[arg-type]
    scene.config = scene.config._replace(receivers=receivers, tags=(Tag("mine", runs=("x.log",)),))
    scene.start()
    scene.write(HEALTHY + NAN + RECOVERED)
    scene.step()
    assert {name: scene.told(name) for name in choices} == {
        "all": BOTH, "mild": ["nan_burst first"], "other": [], "tagged": BOTH, "untagged": [], "oom": [],
    }  # fmt: skip


def test_a_look_that_is_cut_short_reads_the_unfinished_end_in_the_next(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An alert that only a log's last, unfinished redraw tells is not overlooked when a turn ends before it."""
    monkeypatch.setattr(daemon, "_TURN_S", 0.0)
    scene.start()
    for name in "abc":
        scene.write(HEALTHY + NAN, f"{name}.log")
    scene.step(seconds=3, times=5)
    assert scene.told() == FIRED * 3


def test_news_of_a_former_run_fires_no_more(running: Scene) -> None:
    """When the next training begins in the same log, what was said of the last one is over."""
    training = capture("ultralytics/v8n_8.4.190_redirect")
    running.write(training, "other.log")
    running.step(seconds=3)
    store = running.open()
    assert [a.rule for _, a in store.alerts()] == ["finished"]
    running.write(training[: len(training) // 2], "other.log")
    running.step(seconds=12)
    assert store.alerts() == []
    assert [run.id.rpartition("/")[2] for run in store.runs()] == ["x.log", "other.log#2"]


# -- through restarts


@pytest.mark.parametrize("end", [Scene.stop, Scene.kill])
def test_a_restart_tells_nothing_again_and_skips_nothing(running: Scene, end: Callable[[Scene], None]) -> None:
    """What was told is not told again; what came meanwhile is, with its end."""
    running.write(NAN)
    running.step()
    assert running.told() == FIRED
    end(running)
    running.start()
    running.step(times=3)
    assert running.told() == []
    end(running)
    running.write(RECOVERED + bars(4, "0.5", *["nan"] * 5, total=10) + bars(5, *["0.5"] * 9, total=10))
    running.start()
    running.step(times=3)
    assert running.told() == [*OVER, *BOTH]


def test_what_was_not_delivered_before_a_kill_is_delivered_after_it(running: Scene) -> None:
    """The outbox outlives the process."""
    running.write(NAN)
    running.step()
    running.kill()
    running.start()
    assert running.told() == FIRED


def test_a_kill_between_two_saves_is_read_again_with_the_same_result(running: Scene) -> None:
    """What was read since the last save is not lost."""
    running.write(NAN[:-3])
    running.step()
    running.told()
    running.write(NAN[-3:])
    running.step(seconds=0.1)
    running.kill()
    running.start()
    running.write(RECOVERED)
    running.step()
    assert running.told() == OVER


@pytest.mark.parametrize("looks", [0, 1])
def test_a_first_start_that_is_killed_is_still_the_first(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, looks: int
) -> None:
    """Until all that stood in the logs has been read once, what is over in them is no news."""
    for name in "abc":
        scene.write(HEALTHY + NAN + RECOVERED, f"{name}.log")
    monkeypatch.setattr(daemon, "_TURN_S", 0.0)
    scene._service = Service(scene._load, scene.open(), scene.clock)
    for _ in range(looks):
        scene.service.step()
    scene.kill()
    monkeypatch.undo()
    scene.patch(monkeypatch)
    scene.start()
    scene.step()
    assert scene.told() == []


def test_a_log_that_was_seen_once_is_known_to_the_end(running: Scene) -> None:
    """A kill right after its first bytes, an incident and a rotation: the rotated file is read all the same."""
    running.step(seconds=12.0)
    running.write(HEALTHY, "new.log")
    running.step(seconds=1.5)
    running.kill()
    running.write(NAN + RECOVERED, "new.log").rename(running.logs / "new.log.1")
    running.write(HEALTHY, "new.log")
    running.start()
    running.step(times=3)
    assert running.told() == BOTH


# -- people


def test_an_acknowledged_alert_is_quiet_until_it_ends(running: Scene) -> None:
    """Its repetitions are not told, its end is; also where the daemon was not running when it was acknowledged."""
    running.write(NAN)
    running.step()
    assert running.told() == FIRED
    ((_, alert), *_) = [(r, a) for r, a in running.open().alerts() if a.rule == "nan_burst"]
    running.stop()
    running.open().ask(alert.id, running.clock.now())
    running.start()
    running.clock.advance(5 * HOUR)
    running.write(b" ")
    running.step()
    assert not [told for told in running.told() if told.startswith("nan_burst")]
    assert any("acknowledged" in a.suppressed for _, a in running.open().alerts())
    running.write(RECOVERED)
    running.step()
    assert "nan_burst resolved" in running.told()


def test_what_is_silenced_is_told_when_the_silence_ends(running: Scene) -> None:
    """A silence that is set while the daemon runs holds at once, also for new logs."""
    store = running.open()
    number = store.add_silence(Silence("nan_*", "*", "critical", running.clock.now(), None, "known"), "ana")
    running.step()
    running.write(NAN)
    running.write(HEALTHY + NAN, "new.log")
    running.step()
    assert running.told() == []
    assert {a.suppressed[0] for _, a in store.alerts() if a.rule == "nan_burst"} == {"silenced: known"}
    assert store.end_silence(number, running.clock.now())
    running.step(times=3)
    assert running.told() == FIRED * 2


def test_a_silence_that_comes_in_time_holds_back_what_waits(running: Scene) -> None:
    """A message that has not gone out yet waits for the end of the silence, and goes then; or never, if it is over."""
    store = running.open()
    running.config = running.config._replace(notify=AT_ONCE._replace(group_wait_critical=Duration(5)))
    assert running.service.reload()
    running.write(NAN)
    running.write(HEALTHY + NAN, "other.log")
    running.step(seconds=0.1)
    number = store.add_silence(Silence("nan_*", "*", "critical", running.clock.now(), None), "ana")
    running.step(seconds=10)
    assert running.told() == []
    running.write(RECOVERED, "other.log")
    running.step()
    assert running.told() == []
    assert store.end_silence(number, running.clock.now())
    running.step()
    assert running.told() == FIRED


def test_a_silence_that_ends_by_itself_is_over(running: Scene) -> None:
    """Nothing else needs to happen for what it held back to be told."""
    until = running.clock.now() + 60.0
    running.open().add_silence(Silence("nan_*", "*", "critical", running.clock.now(), until), "ana")
    running.step()
    running.write(NAN)
    running.step()
    assert running.told() == []
    running.step(seconds=30, times=3)
    assert running.told() == FIRED


# -- reload


def test_a_broken_config_is_not_taken(running: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """All or nothing: the old one stays in force, and the reason is said."""
    running.problem = "nanwatch.toml: rules.nan_burst.batches: expected a whole number"
    assert not running.service.reload()
    assert "expected a whole number" in caplog.text
    running.write(NAN)
    running.step()
    assert running.told() == FIRED


def test_a_new_config_is_taken(running: Scene) -> None:
    """Other logs, other receivers; what fires is told to those who are new, and not again to those who know."""
    running.write(NAN)
    running.step()
    assert running.told() == FIRED
    (running.folder / "more").mkdir()
    (running.folder / "more" / "y.log").write_bytes(HEALTHY + NAN)
    receivers = (ALL, Receiver("new", command=("true",)))
    logs = (*running.config.logs, str(running.folder / "more/*.log"))
    running.config = running.config._replace(receivers=receivers, logs=logs)
    assert running.service.reload()
    running.step(times=3)
    assert (running.told(), running.told("new")) == (FIRED, FIRED * 2)
    running.write(RECOVERED)
    running.step()
    assert running.told() == OVER


def test_what_waits_for_a_receiver_that_is_gone_is_given_up(running: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """And that is said."""
    running.write(NAN)
    running.step()
    running.config = running.config._replace(receivers=(Receiver("new", command=("true",)),))
    assert running.service.reload()
    assert "all: no longer in the config; what waited for it is given up" in caplog.text
    assert running.open().waiting("all") == []


def test_standard_input_cannot_be_followed(scene: Scene) -> None:
    """A service has none."""
    scene.config = scene.config._replace(logs=("-",))
    with pytest.raises(UsageError, match="standard input"):
        scene.start()


@pytest.mark.parametrize("begin_again", [Service.reload, None])
def test_a_rule_that_is_switched_off_fires_no_more(
    running: Scene, begin_again: Callable[[Service], bool] | None
) -> None:
    """Its alerts end, and that is told; also where it was switched off while nothing ran."""
    running.write(NAN)
    running.step()
    assert running.told() == FIRED
    rules = running.config.rules
    off = rules._replace(nan_burst=rules.nan_burst._replace(enabled=False))
    running.config = running.config._replace(rules=off)
    if begin_again is not None:
        assert begin_again(running.service)
    else:
        running.stop()
        running.start()
    running.step(times=3)
    assert "nan_burst resolved" in running.told()
    assert "nan_burst" not in {a.rule for _, a in running.open().alerts()}


@pytest.mark.parametrize("begin_again", [Service.reload, None])
def test_a_log_that_is_taken_out_of_the_config_is_done_with(
    running: Scene, begin_again: Callable[[Service], bool] | None
) -> None:
    """Nothing of it is told or shown any more, although the file is still there."""
    running.write(NAN)
    running.step()
    assert running.told() == FIRED
    running.config = running.config._replace(logs=(str(running.folder / "other/*.log"),))
    if begin_again is not None:
        assert begin_again(running.service)
    else:
        running.stop()
        running.start()
    running.step(seconds=5 * HOUR, times=3)
    assert running.told() == []
    assert (running.open().alerts(), running.open().logs()) == ([], [])


def test_a_store_that_is_locked_delays_a_reload(running: Scene, caplog: pytest.LogCaptureFixture) -> None:
    """It is refused, with a line that says why, and the following goes on."""
    database = running.service._store.database
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(database, "write", _locked)
        assert not running.service.reload()
        running.step()
    assert "database is locked" in caplog.text
    running.write(NAN)
    running.step()
    assert running.told() == FIRED


def _locked(*_: object, **__: object) -> None:
    raise sqlite3.OperationalError("database is locked")


# -- time


@pytest.mark.parametrize("hours", [1, -1, 24])
def test_a_clock_that_is_set_is_no_silence(running: Scene, caplog: pytest.LogCaptureFixture, hours: int) -> None:
    """Nothing stalls because the clock was set or the machine was suspended; what is told later still arrives."""
    running.clock.step(hours * HOUR)
    running.step(times=5)
    assert running.told() == []
    assert f"the clock was set by {hours * HOUR:+.0f} s" in caplog.text
    running.write(NAN)
    running.step()
    assert running.told() == FIRED
    running.clock.step(-hours * HOUR)
    running.step()
    running.write(RECOVERED)
    running.step()
    assert running.told() == OVER


def test_real_silence_is_a_stall(running: Scene) -> None:
    """Hours that really pass without a byte are told."""
    for _ in range(30):
        running.step(seconds=60, times=1)
    assert running.told() == ["stall first"]


# -- files


def test_a_folder_that_is_away_for_long_is_read_on_when_it_is_back(running: Scene) -> None:
    """An unmounted folder costs nothing: nothing is told again, nothing is skipped; also with a restart meanwhile."""
    running.write(NAN)
    running.step()
    assert running.told() == FIRED
    for restarts in (False, True):
        running.logs.rename(running.folder / "away")
        running.step(seconds=1000, times=3)
        if restarts:
            running.stop()
            running.start()
        (running.folder / "away").rename(running.logs)
        running.write(b" ")  # the training went on meanwhile
        running.step(times=3)
        assert running.told() == []
    running.write(RECOVERED)
    running.step()
    assert running.told() == OVER


def test_a_log_that_is_gone_for_good_is_forgotten(running: Scene) -> None:
    """After a week; its alerts fire no more."""
    running.write(NAN).unlink()
    running.step()
    for _ in range(9):
        running.step(seconds=24 * HOUR, times=1)
    store = running.open()
    assert (store.logs(), store.alerts()) == ([], [])


def test_a_store_of_which_nothing_is_left_is_written_anew(running: Scene) -> None:
    """The following goes on; what fires is told again, since nobody knows who was told."""
    running.write(NAN)
    running.step()
    assert running.told() == FIRED
    database, path = running.service._store.database, running.folder / "state" / FILE
    database._db.close()
    path.write_bytes(b"no database here" * 1000)
    database._db = connect(path)
    running.step(times=3)
    assert "set aside" in running.said[0]
    assert running.told() == FIRED
    running.write(RECOVERED)
    running.step()
    assert running.told() == OVER
    assert len(running.open().logs()) == 1


def test_a_defect_that_one_log_lays_open_does_not_end_the_others(
    running: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """That log is no longer read, and that is said; the others go on."""
    real = LogPipeline.feed

    def feed(self: LogPipeline, *args: object) -> Iterator[Notice]:
        if "bad" in self.log_runs.current.log:
            raise ZeroDivisionError("boom")
        yield from real(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(LogPipeline, "feed", feed)
    running.write(HEALTHY, "bad.log")
    running.write(NAN)
    running.step(seconds=6)
    assert running.told() == FIRED
    assert "bad.log: no longer read: ZeroDivisionError: boom" in caplog.text


# -- how it fares


def test_it_tells_how_it_fares(running: Scene) -> None:
    """What it follows, how much it read, what it cannot read."""
    (running.logs / "gone.log").symlink_to(running.folder / "nowhere.log")
    running.step(seconds=6)
    health = running.open().health()
    assert health is not None
    assert (health.pid, health.host, health.followed, health.bytes_behind) == (os.getpid(), "here", 1, 0)
    assert health.bytes_read == len(HEALTHY)
    assert health.frames > 0
    assert health.degraded == ""


def test_the_service_manager_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd hears when it is ready, where it asked for that."""
    address = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(address))
        manager.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(address))
        tell_manager("READY=1")
        assert manager.recv(100) == b"READY=1"
    tell_manager("STOPPING=1")  # nobody listens any more: that is no reason to fail
    monkeypatch.delenv("NOTIFY_SOCKET")
    tell_manager("READY=1")
