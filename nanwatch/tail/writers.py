"""Which processes write a log, the trainer first? From /proc, so on Linux only, and only processes of this machine."""

from __future__ import annotations

import os
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from pathlib import Path

_PROC = "/proc"

_SAME_START_S = 2.0
"""The boot time is told in whole seconds, and shifts a little as the clock is set."""


@dataclass(frozen=True, slots=True)
class Writer:
    """A process that writes a log: the trainer itself where it can be told, else whoever holds the file.

    `command` is the program's name without control characters. `started` is in Unix seconds. `cpu_seconds` is the
    user and system time that was used so far by all writers of the log that belong to the same job: the process,
    its parents, children and process group; what a trainer's ended children used is part of it.
    """

    pid: int
    command: str
    started: float = 0.0
    cpu_seconds: float = 0.0


def find_writers(paths: Iterable[Path]) -> dict[Path, list[Writer] | None]:
    """Return for each of *paths* what `writers_of` says, at the cost of a single pass over all processes."""
    wanted = dict.fromkeys(paths)
    if not sys.platform.startswith("linux"):
        return dict(wanted)
    targets = {path: os.path.realpath(path) for path in wanted}
    try:
        scan = _Scan(frozenset(targets.values()))
        return {path: scan.writers(target) or _nobody(path) for path, target in targets.items()}
    except OSError:  # no /proc is mounted
        return dict(wanted)


def writers_of(path: Path) -> list[Writer] | None:
    """Return the processes that write the log at *path*, the trainer first; None where that cannot be known.

    It cannot be known off Linux, and when nobody was found although the log belongs to another user, whose
    processes are hidden from us. A writer on another machine or in another container is never seen.

    The first is the one that a person would name: the earliest started that is no shell, launcher or recorder.
    What writes through a pipe into `tee`, or to the terminal that `script` made, is a writer too.
    """
    return find_writers([path])[path]


def is_alive(writer: Writer) -> bool:
    """Tell whether *writer* still runs: its number alone may belong to another process by now."""
    process = _process(writer.pid)
    return process is not None and abs(process.started_at() - writer.started) < _SAME_START_S


def cpu_percent(writer: Writer, interval_s: float = 0.1) -> float | None:
    """Return the percentage of one core that *writer* and its descendants use; None when it has ended.

    It waits for *interval_s* seconds. The kernel counts in ticks of 10 ms: steps of 10 % in a tenth of a second.
    """
    if not is_alive(writer):
        return None
    processes = {process.pid: process for process in map(_process, _pids()) if process}
    before = [processes[pid] for pid in _family(writer.pid, processes.values()) if pid in processes]
    begun = time.monotonic()
    time.sleep(interval_s)
    ticks = sum(_ticks_since(process) for process in before)
    elapsed = time.monotonic() - begun
    return 100.0 * ticks / _ticks_per_second() / elapsed if is_alive(writer) else None


def _nobody(path: Path) -> list[Writer] | None:
    """Return what it means that no writer was found: none, or none that we may see."""
    try:
        owner = path.stat().st_uid
    except OSError:
        return None
    return [] if os.geteuid() in (0, owner) else None


# -- processes


class _Part(IntEnum):
    """What a process has to do with a log, in the order in which a person would name them."""

    TRAINER = 0
    WRAPPER = 1
    """Only starts others."""
    RELAY = 2
    """Writes what its children print, to a terminal or to pipes that it made for them."""
    FILTER = 3
    """Writes what comes in at its standard input."""


_NAMES = {
    _Part.WRAPPER: "sh bash dash zsh ksh mksh ash fish busybox env nohup timeout time nice ionice setsid stdbuf flock"
    " xargs parallel make just sudo su doas runuser srun slurmstepd conda mamba micromamba uv poetry pixi pipenv hatch"
    " tini dumb-init catatonit systemd-run strace ltrace",
    _Part.RELAY: "script screen expect unbuffer nanwatch mpirun mpiexec mpiexec.hydra orterun prterun hydra_pmi_proxy",
    _Part.FILTER: "tee cat grep egrep fgrep rg sed awk gawk mawk tr ts pv col split"
    " multilog rotatelogs cronolog svlogd s6-log",
}
_PARTS = {name: part for part, names in _NAMES.items() for name in names.split()}


@dataclass(frozen=True, slots=True)
class _Process:
    """A living process; times in clock ticks, `started` since the system came up.

    `reaped` is what its children used that have ended and were waited for.
    """

    pid: int
    command: str
    parent: int
    group: int
    used: int
    reaped: int
    started: int

    def started_at(self) -> float:
        """Return its start in Unix seconds."""
        return _boot_time(_PROC) + self.started / _ticks_per_second()


def _pids() -> list[int]:
    """Return the processes there are, without this one."""
    own = os.getpid()
    names = os.listdir(_PROC)  # noqa: PTH208 - thousands of names
    return [pid for pid in map(int, filter(str.isdecimal, names)) if pid != own]


def _process(pid: int) -> _Process | None:
    """Return the process *pid*; None when it has ended, be it a zombie."""
    try:
        text = Path(f"{_PROC}/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    before, _, after = text.rpartition(")")  # the name may hold anything, brackets and blanks too
    fields = after.split()
    if fields[0] in ("Z", "X"):
        return None
    command = "".join(filter(str.isprintable, before.partition("(")[2]))
    used, reaped = sum(map(int, fields[11:13])), sum(map(int, fields[13:15]))
    return _Process(pid, command or "?", int(fields[1]), int(fields[2]), used, reaped, int(fields[19]))


def _part(process: _Process) -> _Part:
    """Return what *process* does, from its name, or else its program's: `./run.sh` bears that name, but is a shell."""
    part = _PARTS.get(process.command)
    return part if part is not None else _PARTS.get(_program(process.pid), _Part.TRAINER)


def _program(pid: int) -> str:
    try:
        file = os.readlink(f"{_PROC}/{pid}/exe")  # noqa: PTH115
    except OSError:  # ended meanwhile
        return ""
    return file.rpartition("/")[2].removesuffix(" (deleted)")


def _family(pid: int, processes: Iterable[_Process]) -> set[int]:
    """Return *pid* and all that it started, directly or not."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for process in processes:
        children[process.parent].append(process.pid)
    found, ahead = {pid}, [pid]
    while ahead:
        born = [child for child in children[ahead.pop()] if child not in found]
        found.update(born)
        ahead += born
    return found


def _ticks_since(before: _Process) -> int:
    """Return the ticks that the process has used since *before*; 0 when it has ended."""
    now = _process(before.pid)
    return now.used - before.used if now is not None and now.started == before.started else 0


def _ticks_per_second() -> int:
    return os.sysconf("SC_CLK_TCK")


@cache  # for good: a start must stay what it was when somebody sets the clock
def _boot_time(proc: str) -> float:
    """Return when the system came up, in Unix seconds; 0 where it is not told."""
    lines = Path(f"{proc}/stat").read_text().splitlines()
    return next((float(line.split()[1]) for line in lines if line.startswith("btime ")), 0.0)


# -- who holds what


class _Scan:
    """What one pass over /proc saw: who holds the logs, and who holds which pipe."""

    def __init__(self, targets: frozenset[str]) -> None:
        self._targets = targets
        self._holders: defaultdict[str, set[int]] = defaultdict(set)
        self._pipes: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
        self._stdin: dict[int, str] = {}
        self._processes: dict[int, _Process | None] = {}
        self._pids = _pids()
        for pid in self._pids:
            self._look(pid)

    def writers(self, target: str) -> list[Writer]:
        """Return who writes the file *target*, the trainer first."""
        members = self._members(self._holders[target]) if target in self._holders else {}
        parts = {pid: _part(process) for pid, process in members.items()}
        jobs = {pid: _job(process, members) for pid, process in members.items()}
        ticks: defaultdict[int, int] = defaultdict(int)
        for pid, process in members.items():
            # What a shell has waited for may be other trainings, of other days.
            ticks[jobs[pid]] += process.used + (process.reaped if parts[pid] is _Part.TRAINER else 0)
        ordered = sorted(members.values(), key=lambda p: (parts[p.pid], p.started, p.pid))
        return [Writer(p.pid, p.command, p.started_at(), ticks[jobs[p.pid]] / _ticks_per_second()) for p in ordered]

    def _look(self, pid: int) -> None:
        try:
            folder = os.open(f"{_PROC}/{pid}/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:  # ended meanwhile, or somebody else's
            return
        try:
            for number in os.listdir(folder):  # noqa: PTH208
                self._note(pid, number, folder)
        except OSError:  # ended meanwhile
            return
        finally:
            os.close(folder)

    def _note(self, pid: int, number: str, folder: int) -> None:
        try:
            # The link's text, not what it leads to: a stat could hang on a dead network mount.
            text = os.readlink(number, dir_fd=folder)
        except OSError:  # closed meanwhile
            return
        if text in self._targets:
            if pid not in self._holders[text] and _for_writing(pid, number):
                self._holders[text].add(pid)
        elif text.startswith("pipe:["):
            self._pipes[text].append((pid, number))
            if number == "0":
                self._stdin[pid] = text

    def _members(self, holders: Iterable[int]) -> dict[int, _Process]:
        """Return *holders* and those whose output they pass on."""
        found: dict[int, _Process] = {}
        ahead = list(holders)
        while ahead:
            pid = ahead.pop()
            process = self._process(pid)
            if process is not None and pid not in found:
                found[pid] = process
                ahead += self._sources(process)
        return found

    def _sources(self, process: _Process) -> Iterable[int]:
        part = _part(process)
        if part is _Part.FILTER:
            pipe = self._pipes.get(self._stdin.get(process.pid, ""), [])
            return [pid for pid, number in pipe if _for_writing(pid, number)]
        if part is _Part.RELAY:
            return _family(process.pid, filter(None, map(self._process, self._pids)))
        return ()

    def _process(self, pid: int) -> _Process | None:
        if pid not in self._processes:
            self._processes[pid] = _process(pid)
        return self._processes[pid]


def _job(process: _Process, members: dict[int, _Process]) -> int:
    """Return what the processes of one job share: the process group of the eldest of them.

    The ranks that a launcher starts have groups of their own, a pipeline's programs have one together.
    """
    parent = members.get(process.parent)
    while parent is not None and parent.started <= process.started and parent is not process:
        process, parent = parent, members.get(parent.parent)
    return process.group


def _for_writing(pid: int, number: str) -> bool:
    try:
        lines = Path(f"{_PROC}/{pid}/fdinfo/{number}").read_text().splitlines()
    except OSError:  # closed meanwhile
        return False
    flags = next((int(line.split()[1], 8) for line in lines if line.startswith("flags:")), os.O_RDONLY)
    return flags & os.O_ACCMODE in (os.O_WRONLY, os.O_RDWR)
