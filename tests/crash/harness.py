"""Kills a daemon again and again while logs grow, and compares what arrived with what had to."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from nanwatch.configfile import load_config
from nanwatch.model.news import NEWS_KINDS, Message
from nanwatch.statecodec import load
from nanwatch.store import FILE, Store, open_store
from tests.crash.receiving import Arrival, CommandInbox, HookInbox, Inbox, MailInbox
from tests.crash.writing import Change, Logs, Reference, Writer, chance, make_plan
from tests.support.command import environment

COMMAND, HOOK, MAIL = DESTINATIONS = ("tell/command", "hook/json", "mail/mailto")
TIMEOUT = 60.0
"""Seconds that are waited for what must come."""
_STOP_S = 5.0
"""So long a daemon may take to stop when it is asked to."""
_KILLS_A_ROUND = 10
_START_S = 0.6
"""About so long a daemon needs before it reads the first byte."""
_AIM_S = 0.04
_CHECKPOINTS = 3
_HEAD = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"
_CLEAN = b"\x93NUMPY\1\0\x76\0" + _HEAD.ljust(117) + b"\n" + b"\0" * 8
"""Weights of a .npy file, all of them zero."""
_CONFIG = """\
logs = ["{logs}/*.log"]
[rules]  # how long a log is silent depends on the machine that runs this
stall.enabled = false
process_gone.enabled = false
[checkpoints]
wait = "2s"
folders = {{"*.log" = "{weights}"}}
[notify]
group_wait = "0s"
group_wait_critical = "0s"
host = "here"
[receivers.tell]
command = ["{script}"]
rate_limit = 0
[receivers.hook]
urls = ["json://{hook}"]
rate_limit = 0
[receivers.mail]
urls = ["mailto://{mail}?from=nanwatch@example.org&to=ana@example.org&mode=insecure"]
rate_limit = 0
"""


@dataclass(frozen=True)
class Report:
    """What became of it all. Changes are counted at each destination, messages once each time that they came.

    `covered` are the alerts that another one spoke for: they may be told or not. `again` are the messages that came
    once more, `under_way` how often a message was being delivered when the daemon was killed.
    """

    kills: int
    starts: int
    logs: int
    expected: int
    arrived: int
    covered: int
    messages: int
    again: int
    under_way: int
    lost: tuple[str, ...]
    defects: tuple[str, ...]
    seconds: float

    def table(self) -> str:
        """Return all of it for a person, a line each."""
        rows = {
            "kills": self.kills,
            "starts": self.starts,
            "logs": self.logs,
            "expected": f"{self.expected} changes of alerts, at {len(DESTINATIONS)} destinations together",
            "arrived": self.arrived,
            "lost": len(self.lost),
            "messages": self.messages,
            "arrived again": f"{self.again} (killed between sending and recording)",
            "under way": f"{self.under_way} messages when the daemon was killed",
            "covered": f"{self.covered} alerts that another one spoke for: told or not",
            "defects": len(self.defects),
            "seconds": f"{self.seconds:.0f}",
        }
        return "\n".join([f"{name:14} {value}" for name, value in rows.items()] + [*self.lost, *self.defects])


class Daemon:
    """A `nanwatch daemon` of its own process; `begun` is set once it follows logs, or has ended."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-m", "nanwatch", "daemon", "--config", "nanwatch.toml", "--state", "state"]
        self.begun = threading.Event()
        self.said: list[str] = []
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=folder,
            env=environment(folder), text=True,
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self.kill()

    @property
    def pid(self) -> int:
        """The number of its process."""
        return self._process.pid

    def wait(self) -> None:
        """Wait until it follows logs."""
        assert self.begun.wait(TIMEOUT), "the daemon does not begin"
        assert self._process.poll() is None, "\n".join(self.said)

    def kill(self) -> None:
        """End it in the middle of whatever it does."""
        self._process.kill()
        self._end(TIMEOUT)

    def stop(self) -> list[str]:
        """Ask it to end; return what is wrong with how it did."""
        self._process.send_signal(signal.SIGTERM)
        try:
            self._end(_STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return [f"not stopped {_STOP_S:g} s after SIGTERM"]
        code = self._process.returncode
        return [f"stopped with exit code {code}"] if code else []

    def _end(self, timeout: float) -> None:
        self._process.wait(timeout)
        self._reader.join(TIMEOUT)
        assert self._process.stderr is not None
        self._process.stderr.close()

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.said.append(line.rstrip())
            if " following " in line:
                self.begun.set()
        self.begun.set()


class Scene:
    """A folder with logs, a config and a store, three receivers, a writer, and the daemons that come and go.

    *longest* is how long a life lasts at most, in seconds; all that is left to chance follows from *seed*.
    """

    def __init__(self, folder: Path, kills: int, seed: int, longest: float, stack: ExitStack) -> None:
        self._folder, self._kills, self._longest = folder, kills, longest
        self._dice = chance("lives", seed)
        self._arrived = threading.Event()
        self._daemons = stack.enter_context(ExitStack())
        (folder / "logs").mkdir()
        (folder / "weights").mkdir()
        for number in range(_CHECKPOINTS):
            (folder / "weights" / f"epoch{number}.npy").write_bytes(_CLEAN)
        hook = stack.enter_context(HookInbox(self._arrived, chance("hook", seed)))
        mail = stack.enter_context(MailInbox())
        command = CommandInbox(folder, self._arrived)
        self._inboxes: dict[str, Inbox] = {COMMAND: command, HOOK: hook, MAIL: mail}
        self._write_config(command.script, hook.address, mail.address)
        plan = make_plan(chance("plan", seed), -(-kills // _KILLS_A_ROUND))
        logs = stack.enter_context(closing(Logs(folder / "logs")))
        config = load_config(str(folder / "nanwatch.toml")).absolute()
        self.reference = stack.enter_context(closing(Reference(config)))
        self.logs = len({step.log for step in plan})
        self._writer = Writer(plan, logs, self.reference, chance("writer", seed))
        self._steps = len(plan)
        self.starts = 0
        self.under_way: Counter[tuple[str, str]] = Counter()
        self.defects: list[str] = []

    def _write_config(self, script: Path, hook: str, mail: str) -> None:
        path = self._folder / "nanwatch.toml"
        folders = {name: self._folder / name for name in ("logs", "weights")}
        path.write_text(_CONFIG.format(**folders, script=script, hook=hook, mail=mail))
        path.chmod(0o600)  # or the daemon warns of the secrets that addresses may hold

    # -- lives

    def play(self) -> None:
        """Kill the daemon as often as was asked for, then let one work until all is told."""
        daemon = self._start()  # what it finds at its very first look would be history
        daemon.wait()
        self._wait(lambda store: _is_at_work(store, daemon), "the first look")
        self._writer.start()
        self._die(daemon)
        for left in range(self._kills - 1, 0, -1):
            self._live(left)
        self._finish()
        self._rest()

    def _live(self, left: int) -> None:
        """Let a daemon begin, work for a short while, and die; *left* is how many more will."""
        steps = min(self._steps, round(self._dice.uniform(0, 2) * self._steps / left))
        early = self._dice.randint(0, steps)
        self._steps -= steps
        self._writer.allow(early)
        daemon = self._start()
        kind = self._dice.choice(("start", "any", "any", "message", "message", "piece"))
        if kind == "start":
            self._pause(_START_S)
        else:
            daemon.wait()
        self._writer.allow(steps - early)
        if kind == "any":
            self._pause(self._longest)
        elif kind != "start":
            self._await(self._arrived if kind == "message" else self._writer.wrote)
        self._die(daemon)

    def _await(self, event: threading.Event) -> None:
        """Wait for *event*, not for long, and then a moment more: what it sets off is not done yet."""
        event.clear()
        event.wait(self._longest)
        self._pause(_AIM_S)

    def _pause(self, longest: float) -> None:
        threading.Event().wait(self._dice.uniform(0, longest))

    def _start(self) -> Daemon:
        self.starts += 1
        self._daemons.close()
        return self._daemons.enter_context(Daemon(self._folder))

    def _die(self, daemon: Daemon) -> None:
        daemon.kill()
        self._heed(daemon)
        with self._store_as_left() as store:
            self._writer.know(_known(store))
            for name in DESTINATIONS:
                self.under_way.update((name, pending.message.key) for pending in store.pending(name)[:1])

    def _finish(self) -> None:
        """Let the writer and a daemon come to their end."""
        self._writer.allow(self._steps)
        daemon = self._start()
        self._wait(self._is_written, "all to be written")
        assert self._writer.failure is None
        self._wait(self._is_all_told, "all to be told")
        self._end(daemon)

    def _rest(self) -> None:
        """Start once more: there is nothing to be told."""
        before = self.arrivals(), self._news()
        daemon = self._start()
        self._wait(lambda store: _is_at_work(store, daemon), "the last look")
        self._end(daemon)
        if (self.arrivals(), self._news()) != before:
            self.defects.append("somebody was told after a restart, although nothing had happened")

    def _end(self, daemon: Daemon) -> None:
        daemon.wait()
        self.defects += daemon.stop()
        self._heed(daemon)

    def _heed(self, daemon: Daemon) -> None:
        """Take what a daemon complains of for a defect: nothing here gives it cause to."""
        self.defects += [f"the daemon says: {line}" for line in daemon.said if " INFO " not in line]

    # -- the store

    @contextmanager
    def _store_as_left(self) -> Iterator[Store]:
        """Open a copy of the store: the next daemon shall find it exactly as the last one left it."""
        with tempfile.TemporaryDirectory() as scratch:
            for path in (self._folder / "state").glob(f"{FILE}*"):
                if not path.name.endswith("-shm"):
                    shutil.copyfile(path, Path(scratch) / path.name)
            store = open_store(Path(scratch), say=self.defects.append)
            with closing(store.database):
                yield store

    def _wait(self, is_so: Callable[[Store], bool], what: str) -> None:
        """Wait until *is_so* of the store that the daemon works with; what never comes is a defect."""
        path, until = self._folder / "state" / FILE, time.monotonic() + TIMEOUT
        while time.monotonic() < until:
            if path.exists():
                store = open_store(path.parent)
                with closing(store.database):
                    if is_so(store):
                        return
            self._arrived.wait(0.05)
            self._arrived.clear()
        self.defects.append(f"waited {TIMEOUT:g} s in vain for {what}")

    def _is_written(self, store: Store) -> bool:
        self._writer.know(_known(store))
        return not self._writer.is_alive()

    def _is_all_told(self, store: Store) -> bool:
        query = "SELECT destination, alert, reason FROM news WHERE outcome = 'sent'"
        sent = set(store.database.read(lambda db: db.execute(query).fetchall()))
        waits = any(store.waiting(name) or store.pending(name) for name in DESTINATIONS)
        return not waits and sent >= {(name, *change) for name in DESTINATIONS for change in self.reference.expected}

    def _news(self) -> int:
        """Return how often it was decided to tell somebody something."""
        with self._store_as_left() as store:
            return int(store.database.read(lambda db: db.execute("SELECT count(*) FROM news").fetchone()[0]))

    # -- what came of it

    def arrivals(self) -> dict[str, list[Arrival]]:
        """Return what arrived at each destination, in order."""
        with self._store_as_left() as store:
            rows = store.database.read(lambda db: db.execute("SELECT message FROM delivery").fetchall())
        formed = [load(text, NEWS_KINDS) for (text,) in rows]
        by_key = {message.key: message for message in formed if isinstance(message, Message)}
        return {name: inbox.arrivals(by_key) for name, inbox in self._inboxes.items()}

    def unread(self) -> list[str]:
        """Return the logs that the store does not know to their end, a line each."""
        with self._store_as_left() as store:
            read = {log.path: log.position.offset for log in store.logs()}
        sizes = {str(path): path.stat().st_size for path in (self._folder / "logs").glob("*.log")}
        return [f"{log}: read up to {read.get(log)} of {size}" for log, size in sizes.items() if read.get(log) != size]


def _known(store: Store) -> list[str]:
    """Return the names of the logs that a daemon will go on with."""
    return [Path(log.path).name for log in store.logs()]


def _is_at_work(store: Store, daemon: Daemon) -> bool:
    """Tell whether *daemon* has looked at everything once."""
    health = store.health()
    return health is not None and health.pid == daemon.pid


def run(kills: int, seed: int, longest: float = 1.2) -> Report:
    """Kill a daemon *kills* times within *longest* seconds of life each; return what became of its alerts."""
    begun = time.monotonic()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        scene = Scene(folder, kills, seed, longest, stack)
        scene.play()
        arrivals = scene.arrivals()
        lost = [line for name in DESTINATIONS for line in missing(scene.reference, name, arrivals[name])]
        defects = [*scene.defects, *scene.unread()]
    for name in DESTINATIONS:
        defects += surplus(scene.reference, name, arrivals[name])
        defects += repeats(name, arrivals[name], scene.under_way)
    expected = len(scene.reference.expected) * len(DESTINATIONS)
    came = [(name, arrival.key) for name, found in arrivals.items() for arrival in found]
    return Report(
        kills=kills, starts=scene.starts, logs=scene.logs, expected=expected, arrived=expected - len(lost),
        covered=len(scene.reference.covered), messages=len(came), again=len(came) - len(set(came)),
        under_way=scene.under_way.total(), lost=tuple(lost), defects=tuple(defects), seconds=time.monotonic() - begun,
    )  # fmt: skip


def missing(reference: Reference, name: str, arrivals: Sequence[Arrival]) -> list[str]:
    """Return the changes that had to arrive at the destination *name* and did not, a line each."""
    came = {change for arrival in arrivals for change in arrival.told}
    return [f"{name}: lost: {reference.words(change)}" for change in sorted(reference.expected - came)]


def surplus(reference: Reference, name: str, arrivals: Sequence[Arrival]) -> list[str]:
    """Return what arrived at *name* that had not happened, had been told, or had not begun, a line each."""
    keys: dict[Change, set[str]] = defaultdict(set)
    wrong, begun = [], set()
    for arrival in arrivals:
        if not arrival.told:
            wrong.append(f"{name}: tells nothing that is known: message {arrival.key}")
        begun |= {alert for alert, reason in arrival.told if reason != "resolved"}
        for change in arrival.told:
            keys[change].add(arrival.key)
            if change[1] == "resolved" and change[0] not in begun:
                wrong.append(f"{name}: over before it began: {reference.words(change)}")
    for change, found in keys.items():
        if change[0] not in reference.covered and change not in reference.told:
            wrong.append(f"{name}: never happened: {reference.words(change)}")
        if len(found) > max(1, reference.told[change]):
            wrong.append(f"{name}: told in {len(found)} messages: {reference.words(change)}")
    return wrong


def repeats(name: str, arrivals: Sequence[Arrival], under_way: Mapping[tuple[str, str], int]) -> list[str]:
    """Return the messages that *name* got more often than a kill explains, a line each.

    *under_way* tells how often each message of each destination was next in turn when the daemon was killed.
    """
    came = Counter(arrival.key for arrival in arrivals)
    return [
        f"{name}: message {key} came {n} times, killed {under_way.get((name, key), 0)} times"
        for key, n in came.items() if n > 1 + under_way.get((name, key), 0)
    ]  # fmt: skip
