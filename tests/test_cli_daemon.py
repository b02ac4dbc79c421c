"""`nanwatch daemon` as a program of its own: signals, reloads, what people ask for, and what nobody may see."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import jsonschema  # type: ignore[import-untyped]
import pytest

from fixtures.stories import write_yolo
from nanwatch.cli import main
from nanwatch.store import FILE, open_store
from tests.support.command import TIMEOUT, Lines, Serving, ear, environment, run, serving
from tests.support.logs import bars
from tests.support.servers import Answer, WebServer

HEALTHY = bars(1, *["0.5"] * 9, total=10)
NAN = HEALTHY + bars(2, "0.5", *["nan"] * 5, total=10)[:-1]
"""Unfinished: two alerts fire, nan_loss quietly beside nan_burst."""
CONFIG = """\
logs = ["logs/*.log"]
[receivers.me]
command = ["./hear.sh"]
[notify]
group_wait = 0
group_wait_critical = 0
"""
SENT = [("me/command", 2), ("you/command", 1)]
SECONDS_TO_END = 5.0
T = TypeVar("T")
Ask = Callable[..., tuple[int, str, str]]

_TEXT, _TIME = {"type": "string"}, {"type": ["string", "null"], "pattern": r"^\d{4}-\d\d-\d\dT.*\+00:00$"}
_COUNT, _MAYBE = {"type": "integer", "minimum": 0}, {"type": ["integer", "null"]}


def _object(**properties: object) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


STATUS = _object(
    schema={"const": 1},
    generated_at=_TIME,
    daemon=_object(
        running={"type": "boolean"}, holder={"type": ["string", "null"]}, state_folder=_TEXT, pid=_MAYBE,
        host={"type": ["string", "null"]}, version={"type": ["string", "null"]}, started_at=_TIME, seen_at=_TIME,
        config={"type": ["string", "null"]}, followed=_MAYBE, bytes_behind=_MAYBE, bytes_read=_MAYBE, frames=_MAYBE,
        wake={"type": ["string", "null"]}, problems={"type": ["array", "null"], "items": _TEXT},
        degraded={"type": ["string", "null"]}, stopped_at=_TIME,
    ),
    alerts={"type": "array", "items": _object(
        rule=_TEXT, severity={"enum": ["info", "warning", "critical"]}, state={"const": "firing"}, epoch=_MAYBE,
        batch=_MAYBE, message=_TEXT, evidence={"type": "object"}, log_offset=_MAYBE, log_line=_MAYBE,
        id={"type": "string", "pattern": "^[0-9a-f]{10}$"}, suppressed={"type": "array", "items": _TEXT},
        started_at=_TIME, resolved_at=_TIME, noticed_at=_TIME, tags={"type": "array", "items": _TEXT}, run=_TEXT,
        log=_TEXT,
    )},
    runs={"type": "array", "items": _object(
        id=_TEXT, log=_TEXT, status=_TEXT, epoch=_MAYBE, epochs=_MAYBE, progress={"type": ["number", "null"]},
        nan_batches=_COUNT, updated_at=_TIME,
    )},
    silences={"type": "array", "items": _object(
        number=_COUNT, rule=_TEXT, run=_TEXT, severity=_TEXT, starts_at=_TIME, ends_at=_TIME, comment=_TEXT,
        created_by=_TEXT,
    )},
    destinations={"type": "array", "items": _object(
        name=_TEXT, sent=_COUNT, failed=_COUNT, given_up=_COUNT, waiting=_COUNT, last_sent_at=_TIME,
        last_failed_at=_TIME, last_reason=_TEXT, next_at=_TIME,
    )},
)  # fmt: skip
"""What `daemon status --json` prints."""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder that is the user's own, with a config and an empty folder for logs; the test stands in it."""
    for name, value in environment(tmp_path, XDG_STATE_HOME=str(tmp_path / "state")).items():
        if name.startswith(("HOME", "XDG", "TERM")):
            monkeypatch.setenv(name, value)
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "logs").mkdir()
    configure(tmp_path, CONFIG)
    # In this process, `nanwatch daemon` sets up what is of the whole process.
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    root, raises = logging.getLogger("nanwatch"), logging.raiseExceptions
    before = root.handlers, root.propagate, root.level
    yield tmp_path
    for number, handler in handlers.items():
        signal.signal(number, handler)
    for added in set(root.handlers) - set(before[0]):
        added.close()
    root.handlers, root.propagate, root.level = before
    logging.raiseExceptions = raises


@pytest.fixture
def heard(home: Path) -> Iterator[Lines]:
    """What the receiver `me` is told: state and rule, a line each."""
    script = home / "hear.sh"
    script.write_text(f"#!/bin/sh\nprintf '%s %s\\n' $NANWATCH_STATE $NANWATCH_RULE 1<>{home}/heard\n")
    script.chmod(0o755)
    with ear(home / "heard") as lines:
        yield lines


@pytest.fixture
def ask(home: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run `nanwatch daemon` with arguments in this process; return the exit code, stdout and stderr."""
    del home

    def ask(*arguments: object) -> tuple[int, str, str]:
        code = main(["daemon", *map(str, arguments)])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        return code, captured.out, captured.err

    return ask


def configure(home: Path, text: str, mode: int = 0o600) -> None:
    """Write the config."""
    path = home / "nanwatch.toml"
    path.write_text(text)
    path.chmod(mode)


def grow(home: Path, data: bytes = NAN, name: str = "a.log") -> None:
    """Let a log grow."""
    with (home / "logs" / name).open("ab") as log:
        log.write(data)


@contextlib.contextmanager
def started(home: Path, *arguments: str, **more: str) -> Iterator[Serving]:
    """Run a daemon that follows and says so; it must never say what a programmer would."""
    with serving(home, *arguments, **more) as daemon:
        daemon.line(" INFO following ")
        yield daemon
    assert "Traceback" not in daemon.text


def files(home: Path) -> set[str]:
    """Return every file and folder in *home*."""
    return {str(path.relative_to(home)) for path in home.rglob("*")}


def one_line(said: str) -> bool:
    """Tell whether what was said on stderr is one clear line of nanwatch's own."""
    return said.startswith("nanwatch: ") and said.count("\n") == 1 and said.endswith("\n")


def status(ask: Ask, *arguments: str) -> dict[str, Any]:
    """Return what `daemon status --json` tells, which is as it is promised."""
    _, out, _ = ask("status", "--json", *arguments)

    def refuse(name: str) -> float:
        raise AssertionError(f"{name} is no JSON")

    found: dict[str, Any] = json.loads(out, parse_constant=refuse)
    jsonschema.validate(found, STATUS)
    return found


def until(ask: Ask, is_so: Callable[[dict[str, Any]], object], timeout: float = TIMEOUT) -> dict[str, Any]:
    """Ask for the status until *is_so* of it: nothing else tells when the store has changed."""
    return eventually(lambda: status(ask), is_so, timeout)


def eventually(look: Callable[[], T], is_so: Callable[[T], object], timeout: float = TIMEOUT) -> T:
    """Look again and again, where nothing tells of a change, and return what is found once *is_so* of it."""
    end = time.monotonic() + timeout
    while not is_so(found := look()):
        assert time.monotonic() < end, found
        time.sleep(0.02)
    return found


def written(path: Path, words: str) -> None:
    """Wait until *words* stand in the file at *path*."""
    eventually(lambda: path.read_text() if path.exists() else "", lambda text: words in text)


def alert(found: dict[str, Any], rule: str = "nan_burst") -> dict[str, Any]:
    """Return the alert of *rule* that fires."""
    chosen: dict[str, Any] = next(a for a in found["alerts"] if a["rule"] == rule)
    return chosen


# -- start and end


def test_it_tells_what_happens_writes_only_its_store_and_ends_with_0(home: Path, heard: Lines, ask: Ask) -> None:
    """A log that grows is told of; `status` shows it all; Ctrl-C is an end; all that is left behind is the store."""
    before = files(home)
    with started(home) as daemon:
        grow(home)
        assert heard.line("") == "firing nan_burst"
        found = until(ask, lambda found: found["daemon"]["followed"] and found["destinations"])
        told, text, said = ask("status")
        began = time.monotonic()
        assert daemon.end(signal.SIGINT) == 0
    assert time.monotonic() - began < SECONDS_TO_END
    assert daemon.text.splitlines()[-1].endswith("INFO stopped")
    assert (told, said) == (0, "")
    assert all(word in text for word in ("running", f"process {daemon.process.pid} on ", "nan_burst", "me/command"))
    assert (found["daemon"]["running"], found["daemon"]["pid"]) == (True, daemon.process.pid)
    assert [a["rule"] for a in found["alerts"]] == ["nan_loss", "nan_burst"]
    assert [(d["name"], d["sent"]) for d in found["destinations"]] == [("me/command", 1)]
    store = {"state", "state/nanwatch", f"state/nanwatch/{FILE}", "state/nanwatch/daemon.lock"}
    assert files(home) - before == store | {"logs/a.log"}
    assert [(home / "state/nanwatch" / name).stat().st_mode & 0o077 for name in ("", FILE)] == [0, 0]

    code, text, said = ask("status")
    assert (code, said, "NOT running" in text, "nan_burst" in text) == (3, "", True, True)
    assert status(ask)["daemon"]["running"] is False


def test_a_second_one_ends_at_once_and_says_who_is_first(home: Path, ask: Ask) -> None:
    """Two daemons never share a store: the second names the process and the machine of the first, and the store."""
    with started(home) as daemon:
        second = run(home, "daemon", XDG_STATE_HOME=str(home / "state"))
        said = second.stderr.decode()
        assert (second.returncode, one_line(said)) == (4, True)
        who = f"process {daemon.process.pid} on {socket.gethostname()} since "
        assert all(word in said for word in ("another daemon is running", who, str(home / "state/nanwatch")))
        with started(home, "--state", "other") as other:  # for another store, there may be one
            assert ask("--state", "other", "status")[0] == ask("status", "--state", "other")[0] == 0
            assert other.end() == 0
        assert daemon.end() == 0
        assert ask("status", "--state", "other")[0] == 3


def test_a_slow_receiver_does_not_keep_it(home: Path, heard: Lines) -> None:
    """It ends in time although a command takes longer, and says that this message will come again; it does."""
    script = home / "hear.sh"
    quick = script.read_text()
    script.write_text(f"#!/bin/sh\nexec 1<>{home}/heard\necho begun $$\nexec sleep 10\n")
    grow(home)
    with serving(home, "--log-level", "warning", "run") as daemon:
        slow = int(heard.line("begun").split()[1])
        began = time.monotonic()
        assert daemon.end() == 0
        assert time.monotonic() - began < SECONDS_TO_END
    os.kill(slow, signal.SIGKILL)
    assert " WARNING stopped while a delivery was under way; it will be repeated\n" in daemon.text
    assert "Traceback" not in daemon.text
    script.write_text(quick)
    with started(home) as daemon:
        assert heard.line("") == "firing nan_burst"
        assert daemon.end() == 0


def test_catching_up_does_not_keep_it(home: Path, ask: Ask) -> None:
    """It ends in time in the middle of a big log that is new to it, and goes on from there."""
    big = home / "logs" / "big.log"
    with big.open("wb") as log:
        write_yolo(log, size=60_000_000)
        log.write(b"".join(b"Epoch 1, step %d: loss 0.5\n" % step for step in range(400_000)))
    size = big.stat().st_size
    with started(home) as daemon:
        until(ask, lambda found: found["daemon"]["bytes_read"])
        began = time.monotonic()
        assert daemon.end() == 0
        assert time.monotonic() - began < SECONDS_TO_END
    reached = offset(home)
    assert 0 < reached < size
    with started(home) as daemon:
        found = until(ask, lambda found: found["daemon"]["pid"] == daemon.process.pid and found["daemon"]["bytes_read"])
        assert found["daemon"]["bytes_read"] <= size - reached
        assert daemon.end() == 0
    assert offset(home) >= reached + found["daemon"]["bytes_read"]
    big.unlink()


def offset(home: Path) -> int:
    """Return how far the log was read, as the store has it."""
    store = open_store(home / "state" / "nanwatch")
    (log,) = store.logs()
    store.database.close()
    return log.position.offset


def test_a_signal_before_it_is_ready(home: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGHUP does not end it, SIGTERM does as at any other time: with exit code 0 and without a word."""

    def interrupt(_: object) -> None:
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("it goes on")

    monkeypatch.setattr("nanwatch.daemon.set_up", interrupt)
    with pytest.raises(SystemExit) as ended:
        ask()
    assert ended.value.code == 0
    assert not (home / "state").exists()


def test_a_log_whose_name_is_no_text(home: Path, heard: Lines) -> None:
    """A log whose name is not in UTF-8 does not end it, and what happens in the others is told."""
    with started(home) as daemon:
        grow(home, name="b\udcff.log")
        grow(home)
        assert [heard.line(""), heard.line("")] == ["firing nan_burst"] * 2
        assert daemon.end() == 0


# -- reloads


def test_a_reload_is_all_or_nothing(home: Path, heard: Lines, ask: Ask) -> None:
    """A broken config, or one that is gone, is refused in a line and changes nothing; a good one is taken."""
    config = home / "nanwatch.toml"
    with started(home) as daemon:
        configure(home, CONFIG + "[daemon]\nhistory = 'long ago'\n")
        daemon.tell(signal.SIGHUP)
        refused = daemon.line("ERROR")
        assert refused.partition(" ERROR ")[2] == (
            "not reloaded, the old config stays in force: nanwatch.toml: daemon.history: "
            "expected a duration such as '10m' or '1h 30m', found 'long ago'"
        )
        config.unlink()
        daemon.tell(signal.SIGHUP)
        assert daemon.line("ERROR").endswith("not reloaded, the old config stays in force: nanwatch.toml: no such file")
        grow(home)
        assert heard.line("") == "firing nan_burst"

        other = "[receivers.you]\ncommand = ['./hear.sh']\nruns = ['*/b.log*']\n[daemon]\nmetrics = '127.0.0.1:0'\n"
        configure(home, CONFIG + other)
        daemon.tell(signal.SIGHUP)
        assert daemon.line("WARNING").endswith("daemon.metrics: what is new holds from the next start on")
        assert daemon.line("INFO following").endswith("; telling me/command, you/command")
        grow(home, name="b.log")
        assert [heard.line(""), heard.line("")] == ["firing nan_burst"] * 2
        until(ask, lambda found: [(d["name"], d["sent"]) for d in found["destinations"]] == SENT)
        assert daemon.end() == 0
    assert (daemon.text.count(" ERROR "), daemon.text.count(" WARNING ")) == (2, 1)


# -- what people ask for


def test_people_speak_to_the_daemon(home: Path, heard: Lines, ask: Ask) -> None:
    """Acknowledgements and silences show within seconds, and what is silenced is told once that ends."""
    with started(home) as daemon:
        grow(home)
        heard.line("firing nan_burst")
        known = alert(until(ask, lambda found: len(found["alerts"]) == 2))["id"]
        assert ask("ack", known[:4]) == (0, f"acknowledged: nan_burst of {home}/logs/a.log\n", "")
        until(ask, lambda found: "acknowledged" in alert(found)["suppressed"])

        code, out, said = ask("silence", "--run", "*/b.log*", "--for", "2h", "--comment", "known")
        assert (code, said) == (0, "")
        assert out.startswith("silence 1 holds until ")
        assert out.endswith("; end it with: nanwatch daemon unsilence 1\n")
        assert ask("ack", "--undo", known)[:2] == (0, f"no longer acknowledged: nan_burst of {home}/logs/a.log\n")
        until(ask, lambda found: not alert(found)["suppressed"] and found["silences"])
        grow(home, name="b.log")
        until(ask, lambda found: len(found["alerts"]) == 4)
        quiet = [a["suppressed"] for a in status(ask)["alerts"] if a["log"].endswith("b.log")]
        assert all(any(reason.startswith("silenced") for reason in reasons) for reasons in quiet)
        assert "known" in ask("status")[1]
        assert ask("unsilence", 1) == (0, "silence 1 ended\n", "")
        assert heard.line("") == "firing nan_burst"
        assert daemon.end() == 0
    assert heard.text.count("\n") == 2


def test_people_speak_to_a_daemon_that_does_not_run(home: Path, heard: Lines, ask: Ask) -> None:
    """What is asked between two daemons is taken up by the next one; it is said that none runs."""
    with started(home) as daemon:
        grow(home)
        heard.line("firing nan_burst")
        assert daemon.end() == 0
    idle = "nanwatch: no daemon is running: it will be taken up when one starts\n"
    assert ask("ack", alert(status(ask))["id"])[::2] == (0, idle)
    assert ask("silence", "--rule", "nan_*", "--forever")[1:] == (
        (
            "silence 1 holds until it is ended and matches 2 of the alerts that fire now; "
            "end it with: nanwatch daemon unsilence 1\n"
        ),
        idle,
    )  # fmt: skip
    assert ask("silence", "--all", "--until", "2999-12-24T08:00")[1].startswith("silence 2 holds until 2999-12-24 08:0")
    assert ask("unsilence", 2)[0] == 0
    assert [(s["rule"], s["run"], s["ends_at"]) for s in status(ask)["silences"]] == [("nan_*", "*", None)]
    with started(home) as daemon:
        until(ask, lambda found: "acknowledged" in alert(found)["suppressed"])
        grow(home, name="b.log")
        quiet = until(ask, lambda found: len(found["alerts"]) == 4)["alerts"][2:]
        assert all("silenced" in one["suppressed"] for one in quiet)
        assert daemon.end() == 0
    assert heard.text.count("\n") == 1


def test_a_silence_shows_in_the_status_of_what_fires(home: Path, heard: Lines, ask: Ask) -> None:
    """What fires already is shown as silenced within seconds, and again as it was once that ends."""
    with started(home) as daemon:
        grow(home)
        heard.line("firing nan_burst")
        ask("silence", "--all")
        until(ask, lambda found: "silenced" in alert(found)["suppressed"], 3.0)
        ask("unsilence", "1")
        until(ask, lambda found: not alert(found)["suppressed"], 3.0)
        assert daemon.end() == 0


def test_what_people_cannot_ask_for(home: Path, heard: Lines, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is wrong is one line and exit code 2; before any daemon has run, there is nothing to speak to."""
    for part in (["status"], ["ack", "3f"], ["silence", "--all"], ["unsilence", "1"]):
        code, out, said = ask(*part)
        assert (code, out, one_line(said), "no daemon is running, and none has been" in said) == (3, "", True, True)
    assert not (home / "state").exists()
    with started(home) as daemon:
        grow(home)
        heard.line("firing nan_burst")
        assert daemon.end() == 0
    for arguments, words in [
        (["ack", "nothing"], "no alert that fires has an id that begin"),
        (["ack", ""], "2 alerts have ids that begin with"),
        (["silence"], "name a --rule or a --run, or say --all"),
        (["silence", "--for", "2h"], "name a --rule or a --run, or say --all"),
        (["silence", "--all", "--for", "soon"], "--for: expected a duration such as 2h or 30m, found 'soon'"),
        (["silence", "--all", "--for", "0s"], "--for: expected a duration"),
        (["silence", "--all", "--for", "9" * 400 + "d"], "--for: expected a duration"),
        (["silence", "--all", "--until", "soon"], "--until: expected a time such as 2026-12-24T08:00, found 'soon'"),
        (["silence", "--all", "--until", "2020-01-01"], "--until: 2020-01-01 is in the past"),
        (["silence", "--all", "--until", "0001-01-01"], "--until: "),
        (["silence", "--all", "--until", "2999-01-01", "--forever"], "not allowed with"),
        (["silence", "--all", "--severity", "bad"], "invalid choice"),
        (["unsilence", "7"], "no silence 7 holds"),
        (["unsilence", str(10**30)], "no silence 1000"),
        (["unsilence", "x"], "invalid int value"),
        (["status", "--state", "~no-such-user/x"], "--state: '~no-such-user/x': nobody here has such a home folder"),
        (["status", "--config", "gone.toml"], "gone.toml: no such file"),
    ]:
        code, out, said = ask(*arguments)
        assert (code, out, one_line(said)) == (2, "", True), (arguments, said)
        assert words in said

    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert ask("silence", "--run", "*/\udcff*", "--comment", "\udcff\x1b[2J")[0] == 0  # a path that is no text
    assert status(ask)["silences"][0]["created_by"] == f"user {os.getuid()}"
    assert "\x1b" not in ask("status")[1]


# -- test-notify


def test_a_test_message_goes_to_every_receiver_or_to_those_named(home: Path, heard: Lines, ask: Ask) -> None:
    """What arrives is told for each destination; one that fails makes exit code 1; no store is made."""
    web = WebServer(Answer(204), Answer(401, body=b"no such hook: /hook-of-ana"))
    with web:
        urls = [f"json://{web.address}/hook-of-ana"]
        bad = ["sh", "-c", "echo no /hook-of-ana >&2; exit 3"]
        configure(home, CONFIG + f"[receivers.web]\nurls = {urls}\n[receivers.bad]\ncommand = {bad}\n")
        assert ask("test-notify", "me", "web") == (0, "me/command: sent\nweb/json: sent\n", "")
        assert heard.line("") == "test "
        assert "test" in web.wait_for(1)[0].body.decode()
        code, out, said = ask("test-notify", "--json")
    assert (code, said) == (1, "")
    assert json.loads(out) == [
        {"destination": "me/command", "outcome": "sent", "reason": ""},
        {"destination": "web/json", "outcome": "rejected", "reason": "401 from the server: no such hook: /***"},
        {"destination": "bad/command", "outcome": "later", "reason": "exit code 3: no /***"},
    ]
    assert ask("test-notify", "bad")[:2] == (1, "bad/command: not delivered: exit code 3: no /hook-of-ana\n")
    assert ask("test-notify", "you", "me") == (2, "", "nanwatch: no receiver you (known: bad, me, web)\n")
    configure(home, "")
    code, out, said = ask("test-notify")
    assert (code, out, one_line(said), "the config names no receiver" in said) == (2, "", True, True)
    assert not (home / "state").exists()


# -- its own log


def test_its_own_log_may_be_rotated_under_it(home: Path) -> None:
    """Renamed, it goes on in a new file; where none can be made, on stderr; options stand before or after `run`."""
    own, old, log = home / "own", home / "old", home / "own" / "nanwatch.log"
    own.mkdir()
    with serving(home, "--log-file", str(log), "--state", "here", "run") as daemon:
        written(log, " INFO following ")
        configure(home, "[daemon]\nhistory = 1979-05-27\n")
        log.rename(own / "nanwatch.log.1")
        daemon.tell(signal.SIGHUP)
        written(log, " ERROR not reloaded")
        own.rename(old)
        daemon.tell(signal.SIGHUP)
        daemon.line(" ERROR not reloaded")
        own.mkdir()
        assert daemon.end() == 0
    assert daemon.text.count("\n") == 1
    files = log, old / "nanwatch.log", old / "nanwatch.log.1"
    assert [" INFO stopped" in files[0].read_text(), " ERROR " in files[1].read_text()] == [True, True]
    assert " INFO following " in files[2].read_text()
    assert not (home / "state").exists()


# -- metrics


def test_prometheus_is_answered(home: Path, heard: Lines) -> None:
    """The port that the config names answers while the daemon runs, and no longer."""
    configure(home, CONFIG + "[daemon]\nmetrics = '127.0.0.1:0'\n")
    with started(home) as daemon:
        port = int(daemon.text.partition("metrics on port ")[2].split()[0])
        grow(home)
        heard.line("firing nan_burst")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=TIMEOUT) as answer:
            told = answer.read().decode()
        assert daemon.end() == 0
    assert "nan_burst" in told
    with socket.socket() as caller:
        assert caller.connect_ex(("127.0.0.1", port)) != 0


# -- secrets


def test_nobody_sees_a_secret(home: Path, heard: Lines, ask: Ask) -> None:
    """Neither its arguments, nor its log at its most talkative, nor its status, nor its store holds one."""
    password, token, hook = "hunter2-of-ana", "tok-3f9a77c1", "hook-77c13f9a"
    here = WebServer(Answer(401, body=f"bad {token} of {password}".encode()))
    there = WebServer(Answer(401, body=f"bad /{hook}".encode()))
    with here, there:
        (home / "hook.url").write_text(f"json://{there.address}/{hook}\n")
        urls = [f"json://ana:${{PASSWORD}}@{here.address}/${{TOKEN}}", "file:hook.url"]
        configure(home, CONFIG + f"[receivers.web]\nurls = {urls}\n", mode=0o644)
        before = files(home)
        with started(home, "--log-level", "debug", PASSWORD=password, TOKEN=token) as daemon:
            grow(home)
            heard.line("firing nan_burst")
            bodies = [server.wait_for(1)[0].body.decode() for server in (here, there)]
            shown = {daemon.line("ERROR web/json").partition(" ERROR ")[2].partition(";")[0] for _ in bodies}
            until(ask, lambda found: sum(d["failed"] for d in found["destinations"]) == 2)
            seen = Path(f"/proc/{daemon.process.pid}/cmdline").read_text() + ask("status")[1] + str(status(ask))
            (home / "hook.url").unlink()
            daemon.tell(signal.SIGHUP)
            assert daemon.line("ERROR not reloaded").endswith(f"{home}/hook.url: no such file or directory")
            stored = store_text(home)
            assert daemon.end() == 0
    stored += store_text(home)
    assert [body for body in bodies if "NaN" not in body] == []
    assert shown == {
        "web/json: not let in: 401 from the server: bad *** of ***",
        "web/json-2: not let in: 401 from the server: bad /***",
    }
    assert "nan_burst" in stored
    assert "bad /***" in seen
    assert [secret for secret in (password, token, hook) if secret in seen + stored + daemon.text] == []
    assert "others may read it" not in daemon.text
    assert {path.partition("/")[0] for path in files(home) - before} == {"state", "logs"}


def test_nobody_sees_a_secret_that_a_command_gives_away(home: Path, ask: Ask) -> None:
    """What a command says on stderr is shown without the secrets that the config knows."""
    script = home / "hear.sh"
    script.write_text("#!/bin/sh\necho cannot reach https://hooks.example/$HOOK >&2\nexit 1\n")
    script.chmod(0o755)
    configure(home, CONFIG + "[receivers.web]\nurls = ['json://127.0.0.1:1/${HOOK}']\nrules = ['oom']\n")
    grow(home)
    with started(home, HOOK="tok-3f9a77c1") as daemon:
        daemon.line("WARNING me/command: not delivered: exit code 1: cannot reach ")
        found = until(ask, lambda found: found["destinations"])
        assert daemon.end() == 0
    assert "tok-3f9a77c1" not in daemon.text
    assert "tok-3f9a77c1" not in str(found) + store_text(home)


def store_text(home: Path) -> str:
    """Return every byte that the store holds."""
    return b"".join(path.read_bytes() for path in (home / "state/nanwatch").iterdir()).decode("latin-1")


def test_a_config_that_may_not_be_meant_so_gets_a_warning(home: Path) -> None:
    """Of secrets that others may read, with how to mend that, and of tags that there are none; at a reload too.

    An address without a secret may be read by all.
    """
    secret = "[receivers.web]\nurls = ['json://ana:hunter2-of-ana@127.0.0.1/']\n"
    configure(home, "[receivers.fleet]\nalertmanager = ['http://127.0.0.1:1']\n", mode=0o644)
    with started(home) as daemon:
        configure(home, secret + "tags = ['vision']\n", mode=0o640)
        daemon.tell(signal.SIGHUP)
        warnings = [daemon.line(" WARNING ").partition(" WARNING ")[2] for _ in range(2)]
        configure(home, secret)
        daemon.tell(signal.SIGHUP)
        daemon.line("following")
        assert daemon.end() == 0
    assert warnings == [
        "nanwatch.toml holds secrets and others may read it: chmod 600 it",
        "receivers.web.tags: there is no [tags.vision], so it hears nothing by it",
    ]
    assert daemon.text.count("WARNING") == 2
    assert "hunter2" not in daemon.text


# -- what keeps it from starting


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ("[receivers.x]\nurls = ['slack://${NO_SUCH_TOKEN}']",
         "nanwatch.toml: receivers.x.urls[0]: the environment variable NO_SUCH_TOKEN is not set"),
        ("[receivers.x]\nurls = ['file:gone.url']", "nanwatch.toml: receivers.x.urls[0]: "),
        ("[receivers.x]\nurls = ['nosuchservice://hunter2/']", "nanwatch.toml: receivers.x.urls[0]: "),
        ("[receivers.x]\nurls = ['hunter2']", "nanwatch.toml: receivers.x.urls[0]: "),
        ("[receivers.x]\nurls = ['']", "nanwatch.toml: receivers.x.urls[0]: "),
        ("[receivers.x]\nalertmanager = ['ftp://hunter2/']", "nanwatch.toml: receivers.x.alertmanager[0]: "),
        ("[receivers.x]\nurl = 'slack://hunter2'", "nanwatch.toml: receivers.x.url: no such setting"),
        ("[daemon]\nmetrics = 'nonsense'", "nanwatch.toml: daemon.metrics: 'nonsense' is not an address"),
        ("[daemon]\nmetrics = '127.0.0.1:IN_USE'", "nanwatch.toml: daemon.metrics: 127.0.0.1:"),
        ("logs = ['-']", "standard input"),
        ("logs = [", "nanwatch.toml: "),
    ],
)  # fmt: skip
def test_a_config_that_cannot_be_used_starts_nothing(home: Path, ask: Ask, config: str, words: str) -> None:
    """It is one line that says where, never what the secret was, and exit code 2; nobody is told of anything."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        configure(home, CONFIG + config.replace("IN_USE", str(other.getsockname()[1])) if config[0] == "[" else config)
        code, out, said = ask("--log-file", "own.log")
    assert (code, out, one_line(said)) == (2, "", True), said
    assert words in said
    assert "hunter2" not in said
    assert not (home / "own.log").exists() or "following" not in (home / "own.log").read_text()
    assert (home / "state").exists() is ("IN_USE" in config)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--state", "nanwatch.toml"], "nanwatch.toml: "),
        (["--state", "nanwatch.toml/x"], "nanwatch.toml/x: not a directory"),
        (["--state", "/proc/nanwatch"], "/proc/nanwatch: no such file or directory"),
        (["--state", "~no-such-user"], "--state: "),
        (["--log-file", "logs"], "logs: is a directory"),
        (["--log-file", "gone/own.log"], "gone/own.log: no such file or directory"),
        (["--log-level", "loud"], "--log-level: invalid choice: 'loud'"),
        (["--config", "gone.toml"], "gone.toml: no such file"),
        (["dance"], "invalid choice: 'dance'"),
    ],
)
def test_what_cannot_be_used_is_told_in_a_line(home: Path, ask: Ask, arguments: list[str], words: str) -> None:
    """A folder, a file or a word that will not do is one line and exit code 2, and nothing is written."""
    before = files(home)
    code, out, said = ask(*arguments)
    assert (code, out, one_line(said)) == (2, "", True), said
    assert words in said
    assert files(home) == before


def test_a_folder_that_is_gone(home: Path, ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Started without a config in a folder that was deleted, it says so."""
    (home / "away").mkdir()
    monkeypatch.chdir(home / "away")
    (home / "away").rmdir()
    assert ask() == (2, "", "nanwatch: the folder in which this was started is gone\n")
