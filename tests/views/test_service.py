"""What `daemon status` shows: whole pages for a person, and the object for a machine."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from nanwatch.model.alert import Silence
from nanwatch.model.health import DestinationHealth, Health
from nanwatch.model.news import AlertFacts, RunFacts
from nanwatch.store import StoredSilence
from nanwatch.views.service import Standing, service_json, service_text
from tests.notify.making import NOON, alert_facts, run_facts
from tests.support.repeatable import repeatable

NOW = NOON + 1500
FOLDER = "/home/anna/.local/state/nanwatch"
HOLDER = "process 4711 on gpu-a3 since 2026-11-23 10:03:20"
HEALTH = Health(
    pid=4711, host="gpu-a3", version="0.3.0", started_at=NOON - 7000, seen_at=NOW - 2, config="/etc/nanwatch.toml",
    followed=12, bytes_read=41_234_567_890, frames=1_203_331, wake="native",
)  # fmt: skip
NOTHING = Standing(FOLDER, None, None, [], [], [], [])
WELL = Standing(
    FOLDER, HOLDER, HEALTH, [], [run_facts()], [],
    [
        DestinationHealth("phone/ntfy", sent=12, last_sent_at=NOW - 240),
        DestinationHealth("team/slack", sent=1, failed=2, last_sent_at=NOW - 259_200, last_failed_at=NOW - 259_260),
    ],
    ("phone", "team"),
)  # fmt: skip
TROUBLE = Standing(
    FOLDER,
    HOLDER,
    replace(
        HEALTH, bytes_behind=3_141_592, wake="polling", problems=("/data/locked.log: permission denied",),
        degraded="the store is kept in memory only: no space left on device",
    ),
    [
        (
            run_facts("/data/dino-base-lr3e-4.log"),
            alert_facts(
                "stall", id="b2c3d4e5f6", severity="warning", message="silent for 22 minutes at 30 % of epoch 17",
                epoch=17, batch=9801, started_at=NOON - 86_400, suppressed=("inhibited by crash",),
            ),
        ),
        (
            run_facts("/data/sweep/seg-hrnet-aug2-with-a-long-name-lr3e-4.log"),
            alert_facts(
                "vram_jump", id="c0ffee1234", severity="warning", message="VRAM 4.20 -> 4.71 G since epoch 3",
                epoch=101, batch=1234,
            ),
        ),
        (
            run_facts(),
            alert_facts(message="73 NaN in 1,420 batches (5.1 %) since batch 32, about 2,100 by the epoch's end"),
        ),
        (
            run_facts("/data/probe.log"),
            alert_facts(
                "plateau", id="d0ffee1234", message="val_loss flat for 6 epochs", epoch=None, batch=12_000,
                started_at=None, suppressed=("silenced: maintenance", "acknowledged"),
            ),
        ),
    ],
    [run_facts()],
    [
        StoredSilence(3, Silence("*", "*sweep-17*", "critical", NOON, NOON + 7200, "the rack is moved"), "anna"),
        StoredSilence(12, Silence("nan_*", "*", "warning", NOON, None), "root"),
    ],
    [
        DestinationHealth("phone/ntfy", sent=12, last_sent_at=NOW - 240),
        DestinationHealth(
            "mail/mailto", sent=3, failed=7, given_up=1, waiting=2, last_sent_at=NOW - 180_000,
            last_failed_at=NOW - 40, last_reason="535 5.7.8 authentication failed", next_at=NOW + 300,
        ),
    ],
    ("phone", "mail"),
)  # fmt: skip


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Tell times as in UTC, wherever the tests run."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def shown(standing: Standing, width: int = 80, *, color: bool = False) -> str:
    """Return the page in ASCII."""
    return service_text(standing, NOW, width, color=color, ascii_only=True)


# -- whole pages


def test_nothing_runs() -> None:
    """Where no daemon ever ran, the first line says so, and the page says how to begin."""
    assert (
        shown(NOTHING)
        == """\
X nanwatch daemon 12:25:00  NOT running: nobody watches, nobody is told
  none is known to have run with its state in /home/anna/.local/state/nanwatch

! no receiver is configured: nobody is told
  add one under [receivers] in the config, then: nanwatch daemon test-notify

nanwatch daemon run
"""
    )


def test_all_is_well() -> None:
    """A daemon without trouble takes few lines; failures that are over are counted and not marked."""
    assert (
        shown(WELL)
        == """\
nanwatch daemon 12:25:00  running
  process 4711 on gpu-a3 since 2026-11-23 10:03:20, version 0.3.0
  follows 12 logs  41.2 GB in 1,203,331 frames read  woken by file events

no alert fires

destinations  2
  phone/ntfy  12 sent, the last 4m ago
  team/slack  1 sent, the last 3d ago  2 failed, the last 3d ago
"""
    )


def test_trouble() -> None:
    """Alerts stand worst first, those that are silenced last, in a line; what is inhibited is only counted."""
    assert (
        shown(TROUBLE)
        == """\
nanwatch daemon 12:25:00  running
  process 4711 on gpu-a3 since 2026-11-23 10:03:20, version 0.3.0
  follows 12 logs  41.2 GB in 1,203,331 frames read  3.14 MB behind
  polling, for want of file events
  ! the store is kept in memory only: no space left on device
  ! /data/locked.log: permission denied

alerts  1 CRITICAL  1 warning  1 silenced  1 kept quiet
  ID      RULE       RUN                      WHERE                  SINCE
X 0a1b2c  nan_burst  unet-iou-v3              epoch 4 batch 32       12:00 (25m)
    73 NaN in 1,420 batches (5.1 %) since batch 32, about 2,100 by the epoch's
    end
! c0ffee  vram_jump  seg-hrnet-...ame-lr3e-4  epoch 101 batch 1,234  12:00 (25m)
    VRAM 4.20 -> 4.71 G since epoch 3
X d0ffee  plateau    probe                    silenced: maintenance...

silences  2
  3   run *sweep-17*  until 14:00 (1h35 left)  by anna: the rack is moved
  12  rule nan_*  up to warning  until it is ended  by root

destinations  2
  phone/ntfy   12 sent, the last 4m ago
! mail/mailto  3 sent, the last 2d ago  2 waiting  7 failed, the last 40s ago
               1 given up
    535 5.7.8 authentication failed  next attempt in 5m

nanwatch daemon ack ID  nanwatch daemon silence --run PATTERN --for 4h
nanwatch daemon unsilence NUMBER
"""
    )


def test_trouble_on_a_narrow_page() -> None:
    """Where the columns have no room, place and time go below, whole."""
    lines = shown(TROUBLE, 52).splitlines()
    start = lines.index("        1 kept quiet")
    assert lines[start + 1 : start + 9] == [
        "X 0a1b2c  nan_burst  unet-iou-v3",
        "    epoch 4 batch 32, since 12:00 (25m): 73 NaN in",
        "    1,420 batches (5.1 %) since batch 32, about",
        "    2,100 by the epoch's end",
        "! c0ffee  vram_jump  seg-hrnet-aug2...ng-name-lr3e-4",
        "    epoch 101 batch 1,234, since 12:00 (25m): VRAM",
        "    4.20 -> 4.71 G since epoch 3",
        "X d0ffee  plateau    probe  silenced...",
    ]
    assert max(map(len, lines)) <= 52


# -- the daemon


def first_lines(standing: Standing, count: int = 2) -> list[str]:
    """Return how the page begins."""
    return shown(standing).splitlines()[:count]


@pytest.mark.parametrize(
    ("changes", "end"),
    [
        ({"seen_at": NOW - 60, "stopped_at": NOW - 59}, "stopped at 12:24:01 (59s ago)"),
        ({"stopped_at": NOW - 259_200}, "stopped at 20 Nov 12:25 (3d ago)"),
        ({"seen_at": NOW - 10_805}, "ended without a word, last seen 09:24:55 (3h ago)"),
    ],
)
def test_a_daemon_that_ended(changes: dict[str, Any], end: str) -> None:
    """Of one that runs no more it is told whether it was stopped or died, when, and that its alerts are of then."""
    page = shown(replace(TROUBLE, holder=None, health=replace(HEALTH, **changes)), 130)
    assert page.splitlines()[:3] == [
        "X nanwatch daemon 12:25:00  NOT running: nobody watches, nobody is told",
        f"  {end}: process 4711 on gpu-a3, with its state in {FOLDER}",
        "",
    ]
    assert "  1 silenced  1 kept quiet  as it stood when the daemon stopped\n" in page
    assert "    535 5.7.8 authentication failed  tried again once a daemon runs\n" in page


@pytest.mark.parametrize(
    ("silent", "words"), [(29.0, "running"), (150.0, "running, but has not spoken for 2m"), (-60.0, "running")]
)
def test_a_daemon_that_hangs(silent: float, words: str) -> None:
    """One that holds its store and has said nothing for half a minute is as bad as none."""
    line = first_lines(replace(WELL, health=replace(HEALTH, seen_at=NOW - silent)))[0]
    mark = "X " if "but" in words else ""
    assert line == f"{mark}nanwatch daemon 12:25:00  {words}"


@pytest.mark.parametrize(
    "health", [None, replace(HEALTH, pid=47, seen_at=NOW - 86_400), replace(HEALTH, stopped_at=NOW - 1)]
)
def test_a_daemon_that_has_just_begun(health: Health | None) -> None:
    """What an earlier daemon said is no word about the one that runs now."""
    assert first_lines(replace(WELL, health=health), 3) == [
        "! nanwatch daemon 12:25:00  running, has not spoken yet",
        f"  {HOLDER}",
        "",
    ]


def test_a_daemon_that_follows_nothing() -> None:
    """One that follows no log is of no use: its first line is marked, and the patterns are among the problems."""
    health = replace(HEALTH, followed=0, bytes_read=812, frames=1, problems=("/data/*.log: no log yet",))
    assert first_lines(replace(WELL, health=health), 4) == [
        "! nanwatch daemon 12:25:00  running, but follows no log",
        f"  {HOLDER}, version 0.3.0",
        "  812 bytes in 1 frame read  woken by file events",
        "  ! /data/*.log: no log yet",
    ]


def test_many_problems() -> None:
    """Five problems are told, and the others are counted."""
    health = replace(HEALTH, problems=tuple(f"/data/{n}.log: permission denied" for n in range(12)))
    lines = first_lines(replace(WELL, health=health), 9)
    assert lines[-2:] == ["  ! /data/4.log: permission denied", "    and 7 more"]


# -- alerts and destinations


def firing(count: int, rule: str = "finished", **changes: Any) -> list[tuple[RunFacts, AlertFacts]]:
    """Return that many alerts, of as many runs, a minute after each other."""
    found = []
    for n in range(count):
        at = NOON + 60 * n
        facts = {"id": f"{n:x}0a1b2c3d", "noticed_at": at, "started_at": at, **changes}
        found.append((run_facts(f"/data/vit-s{n}.log"), alert_facts(rule, **facts)))
    return found


def alerts_of(page: str) -> list[str]:
    """Return the lines of the page's alerts."""
    lines = page.splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith("alerts"))
    return lines[start : lines.index("", start)]


def test_news_takes_a_line_each() -> None:
    """Of what asks for nothing the five latest are told, each in one line, and the others are counted."""
    alerts = firing(12, severity="info") + firing(1, "oom", id="ff0a1b2c3d", message="out of memory")
    assert alerts_of(shown(replace(WELL, alerts=alerts))) == [
        "alerts  1 CRITICAL  12 info",
        "  ID      RULE      RUN      WHERE             SINCE",
        "X ff0a1b  oom       vit-s0   epoch 4 batch 32  12:00 (25m)",
        "    out of memory",
        *(f"i {n:x}0a1b2  finished  vit-s{n:<3} epoch 4 batch 32  12:{n:02} ({25 - n}m)" for n in range(11, 6, -1)),
        "  and 7 more",
    ]


def test_news_on_a_narrow_page() -> None:
    """In one line too stand the rule, the run, and since when: its name gives way."""
    alerts = [(run_facts("/d/seg-hrnet-aug2-lr3e-4.log"), alert_facts("finished", severity="info"))]
    assert alerts_of(shown(replace(WELL, alerts=alerts), 52)) == [
        "alerts  1 info",
        "i 0a1b2c  finished  seg-h...r3e-4  since 12:00 (25m)",
    ]


def test_what_another_alert_speaks_for_is_only_counted() -> None:
    """Of what is inhibited there is only the number, though it be acknowledged too."""
    alerts = firing(2, suppressed=("inhibited by crash",)) + firing(3, suppressed=("acknowledged", "inhibited by oom"))
    assert alerts_of(shown(replace(WELL, alerts=alerts))) == ["alerts  5 kept quiet"]


def test_what_is_silenced_or_acknowledged_takes_a_line_each() -> None:
    """The first ten are told, each with the reason in one line, and the others are counted."""
    silenced = firing(11, suppressed=(f"silenced: {'long ' * 30}",))
    alerts = firing(2, id="f", suppressed=("acknowledged",), noticed_at=NOON - 1) + silenced
    lines = alerts_of(shown(replace(WELL, alerts=alerts)))
    assert lines[0] == "alerts  11 silenced  2 acknowledged"
    assert lines[-1] == "  and 3 more"
    assert len(lines) == 13
    assert sum(line.endswith("acknowledged") for line in lines) == 2 + 1
    assert all(len(line) <= 80 for line in lines)


def test_a_usual_terminal_shows_what_matters() -> None:
    """With a critical alert, much news and much that is kept quiet, the page fits 80x24."""
    alerts = firing(1, "nan_burst", id="aa0a1b2c3d") + firing(40, severity="info")
    alerts += firing(50, "stall", suppressed=("inhibited by crash",))
    assert len(shown(replace(WELL, alerts=alerts)).splitlines()) <= 24


def test_ids_are_as_long_as_they_must_be() -> None:
    """Six characters of an id are shown, more where two begin alike."""
    alerts = [(run_facts(), alert_facts(id=identity)) for identity in ("0a1b2c3d4e", "0a1b2c3f00")]
    page = shown(replace(WELL, alerts=alerts))
    assert re.findall(r"^X (\S+)", page, re.MULTILINE) == ["0a1b2c3d", "0a1b2c3f"]


def test_runs_that_are_called_alike() -> None:
    """Where two runs have one name, their ids are shown."""
    alerts = [
        (run_facts(log), alert_facts(id=identity)) for log, identity in (("/a/x1.log", "aaaaaa1"), ("/b/x1.log", "b"))
    ]
    page = shown(replace(WELL, alerts=alerts))
    assert re.findall(r"^X \S+ +nan_burst  (\S+)", page, re.MULTILINE) == ["/a/x1.log", "/b/x1.log"]


def test_a_long_message_is_cut_between_words() -> None:
    """No alert takes more than a few lines, whatever its message; no number loses digits."""
    message = " ".join(f"value {n},000" for n in range(200))
    lines = shown(replace(WELL, alerts=[(run_facts(), alert_facts(message=message))])).splitlines()
    told = [line for line in lines if line.startswith("    ")]
    assert len(told) <= 3
    assert told[-1].endswith("...")
    assert all(re.fullmatch(r"value|\d+,000", word) for word in " ".join(told).removesuffix("...").split())


@pytest.mark.parametrize(
    ("changes", "last"),
    [
        ({"next_at": NOW + 90}, "    no route to host  next attempt in 1m"),
        ({"next_at": NOW - 5}, "    no route to host  next attempt is due"),
        ({"next_at": None}, "    no route to host"),
    ],
)
def test_a_destination_that_fails(changes: dict[str, Any], last: str) -> None:
    """The reason of the last failure is told, and when the next attempt comes."""
    destination = DestinationHealth("a/b", failed=1, last_failed_at=NOW - 5, last_reason="no route to host", **changes)
    lines = shown(replace(WELL, destinations=[destination])).splitlines()
    assert lines[-2:] == ["! a/b  nothing sent yet  1 failed, the last 5s ago", last]


@pytest.mark.parametrize(("found", "name"), [([DestinationHealth("a/b")], "a/b"), ([], "a")])
def test_a_destination_that_was_not_used_yet(found: list[DestinationHealth], name: str) -> None:
    """A receiver to whom nothing was to be told is no mistake; before the first start it is known by its own name."""
    page = shown(replace(WELL, destinations=found, receivers=("a",)))
    assert page.endswith(f"destinations  1\n  {name}  nothing sent yet\n")


def test_no_receiver() -> None:
    """That nobody is ever told is said; not where the daemon has destinations, whose config may be another one."""
    page = shown(replace(WELL, receivers=(), destinations=[]))
    assert "\n! no receiver is configured: nobody is told\n  add one under [receivers]" in page
    assert "nobody is told" not in shown(replace(WELL, receivers=()))


def test_colours() -> None:
    """Colours repeat what the signs say: without them, the page is the same."""
    page = shown(TROUBLE, color=True)
    assert re.sub(r"\x1b\[[\d;]*m", "", page) == shown(TROUBLE)
    assert "\x1b[1;31mX \x1b[0m0a1b2c" in page
    assert "\x1b[2mX \x1b[0m\x1b[2md0ffee" in page
    assert "\x1b[" not in shown(TROUBLE)


# -- hostile text

TEXT = st.text(max_size=60) | st.sampled_from(
    ["\x1b]0;pwned\x07", "\x1b[2J" * 9, "a\nX nanwatch", "\u202egol", "\udcff/x.log", "界" * 90, "x" * 300, "", " "]
)


def hostile(text: str) -> Standing:
    """Return a standing in which every text that others choose is *text*."""
    destination = replace(TROUBLE.destinations[1], name=text, last_reason=text)
    return Standing(
        text, f"process 4711 on {text}", replace(HEALTH, host=text, version=text, problems=(text,), degraded=text),
        [
            (run_facts(text), alert_facts(text, id=text, message=text, severity=severity, suppressed=suppressed))
            for severity, suppressed in (("critical", (text,)), ("critical", ()), ("info", ()))
        ], [run_facts(text)],
        [StoredSilence(1, Silence(text, text, "info", None, math.inf, text), text)], [destination], (text,),
    )  # fmt: skip


@repeatable
@given(TEXT, st.integers(20, 130))
def test_hostile_text(text: str, width: int) -> None:
    """Whatever names and messages hold, each line is inert and within the page."""
    standing = hostile(text)
    for each in (standing, replace(standing, holder=None), replace(standing, alerts=[], destinations=[])):
        for line in shown(each, width).splitlines():
            assert line.isprintable()
            assert cell_len(line) <= width


@repeatable
@given(TEXT)
def test_hostile_text_as_json(text: str) -> None:
    """The object holds such text as it is, and can be written and read."""
    found = json.loads(json.dumps(service_json(hostile(text), NOW), allow_nan=False))
    assert found["alerts"][0]["run"] == text
    assert found["silences"][0]["ends_at"] is None


# -- JSON


def test_the_object() -> None:
    """The object names the daemon, what fires, the runs, the silences and the destinations."""
    found = service_json(TROUBLE, NOW)
    assert [found["schema"], found["generated_at"]] == [1, "2026-11-23T12:25:00.000+00:00"]
    assert found["daemon"] == {
        "running": True, "holder": HOLDER, "state_folder": FOLDER, "pid": 4711, "host": "gpu-a3", "version": "0.3.0",
        "started_at": "2026-11-23T10:03:20.000+00:00", "seen_at": "2026-11-23T12:24:58.000+00:00",
        "config": "/etc/nanwatch.toml", "followed": 12, "bytes_behind": 3_141_592, "bytes_read": 41_234_567_890,
        "frames": 1_203_331, "wake": "polling", "problems": ["/data/locked.log: permission denied"],
        "degraded": "the store is kept in memory only: no space left on device", "stopped_at": None,
    }  # fmt: skip
    assert found["alerts"][1] == {
        "rule": "vram_jump", "severity": "warning", "state": "firing", "epoch": 101, "batch": 1234,
        "message": "VRAM 4.20 -> 4.71 G since epoch 3", "evidence": {}, "log_offset": 8_812_345, "log_line": 1203,
        "id": "c0ffee1234", "suppressed": [], "started_at": "2026-11-23T12:00:00.000+00:00", "resolved_at": None,
        "noticed_at": "2026-11-23T12:00:00.000+00:00", "tags": [],
        "run": "/data/sweep/seg-hrnet-aug2-with-a-long-name-lr3e-4.log",
        "log": "/data/sweep/seg-hrnet-aug2-with-a-long-name-lr3e-4.log",
    }  # fmt: skip
    assert found["runs"] == [
        {
            "id": "/data/unet-iou-v3.log", "log": "/data/unet-iou-v3.log", "status": "running", "epoch": 4,
            "epochs": 50, "progress": 0.06, "nan_batches": 0, "updated_at": "2026-11-23T12:00:00.000+00:00",
        }
    ]  # fmt: skip
    assert found["silences"][1] == {
        "number": 12, "rule": "nan_*", "run": "*", "severity": "warning",
        "starts_at": "2026-11-23T12:00:00.000+00:00", "ends_at": None, "comment": "", "created_by": "root",
    }  # fmt: skip
    assert found["destinations"][1] == {
        "name": "mail/mailto", "sent": 3, "failed": 7, "given_up": 1, "waiting": 2,
        "last_sent_at": "2026-11-21T10:25:00.000+00:00", "last_failed_at": "2026-11-23T12:24:20.000+00:00",
        "last_reason": "535 5.7.8 authentication failed", "next_at": "2026-11-23T12:30:00.000+00:00",
    }  # fmt: skip


def test_the_object_of_a_daemon_that_was_stopped() -> None:
    """When it was stopped on purpose is a time; of one that ended otherwise it is null."""
    stopped = replace(WELL, holder=None, health=replace(HEALTH, stopped_at=NOW))
    assert service_json(stopped, NOW)["daemon"]["stopped_at"] == "2026-11-23T12:25:00.000+00:00"
    assert service_json(replace(WELL, holder=None), NOW)["daemon"]["stopped_at"] is None


def test_the_object_where_nothing_runs() -> None:
    """The same names are there, with null, where no daemon ever said how it fares."""
    found = service_json(NOTHING, NOW)
    assert found["daemon"].keys() == service_json(WELL, NOW)["daemon"].keys()
    assert found["daemon"] == dict.fromkeys((item.name for item in fields(Health)), None) | {
        "running": False, "holder": None, "state_folder": FOLDER,
    }  # fmt: skip
    assert [found[name] for name in ("alerts", "runs", "silences", "destinations")] == [[], [], [], []]


def test_every_time_is_iso_and_every_number_finite() -> None:
    """No NaN and no Unix time reaches a machine; what no calendar holds is null."""
    run = run_facts(progress=math.nan, updated_at=1e18)
    alert = alert_facts(evidence={"loss": math.nan}, started_at=-1e18)
    found = service_json(replace(TROUBLE, runs=[run], alerts=[(run, alert), *TROUBLE.alerts]), NOW)
    json.dumps(found, allow_nan=False)
    assert found["runs"][0]["progress"] is found["runs"][0]["updated_at"] is None
    assert found["alerts"][0]["evidence"] == {"loss": None}
    times = list(_times(found))
    assert len(times) > 20
    assert all(at is None or datetime.fromisoformat(at).tzinfo for at in times)


def _times(value: object) -> Iterator[Any]:
    """Yield what stands under every name that ends like a time's."""
    if isinstance(value, list):
        for item in value:
            yield from _times(item)
    if isinstance(value, dict):
        for name, item in value.items():
            if name.endswith("_at"):
                yield item
            yield from _times(item)
