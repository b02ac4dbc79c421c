"""The service and the checkpoints: they are looked through when a run is lost, and the message says what was found."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from nanwatch import daemon
from nanwatch.clock import Clock
from nanwatch.config import CheckpointSettings, Config, Duration, QuietHours
from nanwatch.model.alert import Alert, Silence
from nanwatch.model.checkpoint import Checkpoint, Part, Weights
from nanwatch.model.run import Run
from tests.test_daemon import ALL, AT_ONCE, BOTH, FIRED, HEALTHY, HOUR, NAN, RECOVERED, Scene

CLEAN = Checkpoint("/w/epoch1.pt", "clean", epoch=1, parts=(Part("model", 3, 100),), modified_at=1.0)
BAD = Checkpoint("/w/last.pt", "nonfinite", parts=(Part("model", 3, 100, nan=7),))
FOUND = Weights("/w", (BAD, CLEAN), CLEAN, scanned_at=2.0)


class Looks:
    """Looks through checkpoints when a test says so."""

    def __init__(self, clock: Clock) -> None:
        del clock
        self.seconds = 0.0
        self.asked: list[tuple[str, list[Path]]] = []
        self.answers: list[tuple[str, Weights | None]] = []
        self.is_closed = False

    def ask(self, key: str, places: Sequence[Path], since: float | None = None) -> bool:
        """Note what is asked."""
        self.since = since
        if places and (key, list(places)) not in self.asked:
            self.asked.append((key, list(places)))
        return bool(places)

    def poll(self) -> Iterator[tuple[str, Weights | None]]:
        """Yield the answers that the test has given."""
        while self.answers:
            yield self.answers.pop(0)

    def close(self) -> None:
        """Note that nothing is to be done any more."""
        self.is_closed = True


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """A service on a healthy log whose trainer does not say where it saves; the config does."""
    monkeypatch.setattr(daemon, "Scanning", Looks)
    made = Scene(tmp_path, monkeypatch)
    made.config = made.config._replace(checkpoints=CheckpointSettings(folders=(("*.log", "/w"),)))
    made.start()
    made.write(HEALTHY)
    made.step()
    yield made
    if made._service is not None:
        made.stop()


def looks(scene: Scene) -> Looks:
    """Return what the service looks through checkpoints with."""
    found = scene.service._weighing._scanning
    assert isinstance(found, Looks)
    return found


def answer(scene: Scene, weights: Weights | None) -> None:
    """Let a look end."""
    looks(scene).answers.append((looks(scene).asked[0][0], weights))
    scene.step(times=1)


def body(scene: Scene) -> str:
    """Deliver what is due; return the text of the one message."""
    deliveries = scene.service._deliveries
    deliveries.work()  # type: ignore[attr-defined]
    (message,) = scene.recorders["all"].messages
    scene.recorders["all"].messages = []
    return message.body


def test_the_message_of_a_nan_names_the_last_clean_checkpoint(scene: Scene) -> None:
    """It waits for what the checkpoints hold, and tells that at once when it is known."""
    scene.write(NAN)
    scene.step()
    assert [places for _, places in looks(scene).asked] == [[Path("/w")]]
    assert scene.told() == []
    answer(scene, FOUND)
    text = body(scene)
    assert "Resume from epoch1.pt, the last clean checkpoint." in text
    assert "Resume /w/epoch1.pt" in text
    assert "last.pt: 7 NaN" in text


def test_a_look_that_takes_too_long_holds_no_message_back(scene: Scene) -> None:
    """After the time that the config gives it, the message goes out without."""
    scene.write(NAN)
    scene.step(times=2)
    assert scene.told() == []
    scene.step(seconds=5.0, times=3)
    assert scene.told() == FIRED


def test_a_run_without_checkpoints_is_told_without_delay(scene: Scene) -> None:
    """Where none are found, there is nothing to wait for."""
    scene.write(NAN)
    scene.step()
    answer(scene, None)
    text = body(scene)
    assert "Resume" not in text.replace("Resume each", "")


def test_what_was_found_survives_a_restart(scene: Scene) -> None:
    """The end of the alert still says from where to start again."""
    scene.write(NAN)
    scene.step()
    answer(scene, FOUND)
    assert scene.told() == FIRED
    scene.stop()
    scene.start()
    scene.write(RECOVERED)
    scene.step()
    assert "Resume /w/epoch1.pt" in body(scene)


def test_a_message_that_waits_survives_a_kill(scene: Scene) -> None:
    """What was held back for a look that a kill ended is told after the restart."""
    scene.write(NAN)
    scene.step()
    scene.kill()
    scene.start()
    scene.step(seconds=10.0, times=3)
    assert scene.told() == FIRED


@pytest.mark.parametrize("settings", [CheckpointSettings(scan=False, folders=(("*", "/w"),)), CheckpointSettings()])
def test_nothing_is_looked_through_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: CheckpointSettings
) -> None:
    """Neither where the config says so, nor where nobody knows of a folder."""
    monkeypatch.setattr(daemon, "Scanning", Looks)
    scene = Scene(tmp_path, monkeypatch)
    scene.config = scene.config._replace(checkpoints=settings)
    scene.start()
    scene.write(HEALTHY)
    scene.step()
    scene.write(NAN)
    scene.step()
    assert looks(scene).asked == []
    assert scene.told() == FIRED
    scene.stop()


def test_a_log_that_is_history_asks_for_no_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was lost weeks ago costs nothing at the start."""
    monkeypatch.setattr(daemon, "Scanning", Looks)
    scene = Scene(tmp_path, monkeypatch)
    scene.config = scene.config._replace(checkpoints=CheckpointSettings(folders=(("*", "/w"),)))
    scene.write(HEALTHY + NAN, ago=9 * 86400.0)
    scene.start()
    scene.step(times=3)
    assert looks(scene).asked == []
    scene.stop()


def test_it_ends_with_the_service(scene: Scene) -> None:
    """Nothing is left running."""
    found = looks(scene)
    scene.stop()
    assert found.is_closed


def test_a_reload_takes_the_new_time(scene: Scene) -> None:
    """The next look takes as long as the new config says."""
    scene.config = scene.config._replace(checkpoints=CheckpointSettings(timeout=Config().daemon.history))
    assert scene.service.reload()
    assert looks(scene).seconds == 86400.0


def test_what_is_grouped_for_longer_is_not_told_sooner(scene: Scene) -> None:
    """An answer ends the wait for it, and not the wait for others that belong into the same message."""
    scene.config = scene.config._replace(notify=AT_ONCE._replace(group_wait_critical=Duration(60)))
    assert scene.service.reload()
    scene.write(NAN)
    scene.step(times=1)
    answer(scene, FOUND)
    scene.step(seconds=10.0, times=5)
    assert scene.told() == []
    scene.step(seconds=10.0, times=1)
    assert "Resume /w/epoch1.pt" in body(scene)


def test_a_reminder_in_the_quiet_hours_still_waits_for_their_end(scene: Scene) -> None:
    """Only what begins or grows worse is told at night, however soon its checkpoints were looked through."""
    scene.write(NAN)
    scene.step(times=1)
    answer(scene, None)
    assert scene.told() == FIRED
    now = time.localtime(scene.clock.now())
    start = (now.tm_hour * 60 + now.tm_min + 60) % 1440
    quiet = ALL._replace(quiet_hours=QuietHours(start, (start + 600) % 1440))
    alerts = scene.config.alerts._replace(repeat_interval=Duration(4 * HOUR))
    rules = scene.config.rules._replace(stall=scene.config.rules.stall._replace(enabled=False))
    scene.config = scene.config._replace(receivers=(quiet,), alerts=alerts, rules=rules)
    assert scene.service.reload()
    scene.step(seconds=HOUR, times=5)
    answer(scene, FOUND)
    assert scene.told() == []
    scene.step(seconds=HOUR, times=7)
    assert scene.told() == ["nan_burst repeated"]


def test_a_run_that_began_anew_meanwhile_takes_nothing_from_the_message(scene: Scene) -> None:
    """The message is about the run that was lost, and names its checkpoint, although another writes to its log."""
    scene.write(NAN)
    scene.step(times=1)
    (first,) = {key for key, _ in looks(scene).asked}
    scene.write(b"\nTraceback (most recent call last):\nRuntimeError: no\n" + HEALTHY)
    scene.step(times=1)
    pipeline = scene.service._watch.pipeline(scene.logs / "x.log")
    assert pipeline is not None
    assert pipeline.runs[-1].id != first
    answer(scene, FOUND)
    scene.service._deliveries.work()  # type: ignore[attr-defined]
    messages = scene.recorders["all"].messages
    (burst,) = [m for m in messages if any(news.alert.rule == "nan_burst" for news in m.news)]
    assert "Resume /w/epoch1.pt" in burst.body


def test_a_reload_while_a_look_is_under_way_tells_once(scene: Scene) -> None:
    """The message goes out with the answer, and never again."""
    scene.write(NAN)
    scene.step(times=1)
    assert scene.service.reload()
    assert scene.told() == []
    answer(scene, FOUND)
    assert "Resume /w/epoch1.pt" in body(scene)
    scene.step(seconds=10.0, times=4)
    assert scene.told() == []


def test_an_alert_that_ends_while_its_message_waits_is_told_once(scene: Scene) -> None:
    """That it was and that it is over is one message."""
    scene.write(NAN)
    scene.step(times=1)
    scene.write(RECOVERED)
    scene.step(times=1)
    assert scene.told() in ([], BOTH)
    answer(scene, FOUND)
    scene.step(seconds=10.0, times=4)
    scene.told()
    query = "SELECT reason, count(*) FROM news WHERE outcome = 'sent' GROUP BY reason"
    found = scene.service._store.database.read(lambda db: db.execute(query).fetchall())
    assert found == [("first", 1), ("resolved", 1)]


@pytest.mark.parametrize("what", ["silenced", "acknowledged"])
def test_what_is_made_quiet_while_it_waits_is_not_told(scene: Scene, what: str) -> None:
    """Silences and acknowledgements hold for a message that waits, and its release changes nothing about them."""
    scene.write(NAN)
    scene.step(times=1)
    store = scene.open()
    ((_, alert),) = [(run, alert) for run, alert in store.alerts() if alert.rule == "nan_burst"]
    if what == "silenced":
        store.add_silence(Silence("*", "*", "critical", scene.clock.now(), None), "ana")
    else:
        store.ask(alert.id, scene.clock.now())
    scene.step(times=1)
    answer(scene, FOUND)
    scene.step(seconds=10.0, times=4)
    assert scene.told() == []
    store.database.close()


def test_what_was_lost_before_counts_for_a_later_alert(scene: Scene) -> None:
    """A run that went silent after its metric had collapsed is not to start again from what it wrote in between."""
    run = Run(str(scene.logs / "x.log"), str(scene.logs / "x.log"))
    lost = Alert("m", "metric_collapse", "", "critical", "firing", "", 3, None, 0, 1, {}, 1000.0)
    silent = Alert("s", "stall", "", "critical", "firing", "", 4, None, 0, 1, {}, 2000.0)
    weighing = scene.service._weighing
    assert weighing.ask(run, silent, [lost, silent])
    assert looks(scene).since == 1000.0
