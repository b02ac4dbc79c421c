"""What it costs to follow 200 logs in which nothing happens: CPU and memory, beside `tail -F`."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.common import (
    BenchmarkError,
    arguments,
    environment,
    machine,
    print_table,
    ratio,
    run_main,
    spread,
)
from fixtures.stories import write_yolo

FILES = 200
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(slots=True)
class Follower:
    """A program that follows all the logs."""

    name: str
    process: subprocess.Popen[bytes]
    cpu: list[float] = field(default_factory=list)  # per cent of one CPU
    rss: list[float] = field(default_factory=list)  # MiB

    def processes(self) -> list[int]:
        """The process and its children."""
        pid = self.process.pid
        if self.process.poll() is not None:
            raise BenchmarkError(f"{self.name} ended with {self.process.returncode}")
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [pid, *map(int, children)]

    def ticks(self) -> int:
        """User and system time used so far."""
        return sum(_stat(pid, 11) + _stat(pid, 12) for pid in self.processes())

    def resident(self) -> float:
        """Resident memory now."""
        return sum(_stat(pid, 21) for pid in self.processes()) * PAGE / 2**20


def _stat(pid: int, index: int) -> int:
    """A field of /proc/PID/stat, counted after the name (which may hold blanks)."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[index])


def start(name: str, command: Sequence[str]) -> Follower:
    """Start a follower with nobody reading what it says."""
    quiet = subprocess.DEVNULL
    return Follower(name, subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, env=environment()))


def settle(followers: Sequence[Follower]) -> None:
    """Wait until all have read what is there: less than 5 % of a CPU in a second, twice."""
    calm = 0
    for _ in range(120):
        before = [follower.ticks() for follower in followers]
        time.sleep(1)
        used = [follower.ticks() - ticks for follower, ticks in zip(followers, before, strict=True)]
        calm = calm + 1 if max(used) < TICK * 0.05 else 0
        if calm == 2:
            return
    print("warning: still busy after two minutes", file=sys.stderr)


def watch(followers: Sequence[Follower], seconds: float) -> None:
    """One round: all at the same time, since idle programs do not disturb each other."""
    before = [follower.ticks() for follower in followers]
    begun = time.perf_counter()
    time.sleep(seconds)
    elapsed = time.perf_counter() - begun
    for follower, ticks in zip(followers, before, strict=True):
        follower.cpu.append(100 * (follower.ticks() - ticks) / TICK / elapsed)
        follower.rss.append(follower.resident())


def main() -> None:
    """Measure and print."""
    args = arguments("The cost of following idle logs.", runs=3)
    if sys.platform != "linux":
        raise BenchmarkError("needs /proc, so Linux")
    seconds = 5 if args.quick else 20
    story = io.BytesIO()
    write_yolo(story, batches=20)
    with tempfile.TemporaryDirectory() as folder:
        logs = [Path(folder) / f"run-{i:03d}.log" for i in range(FILES)]
        for log in logs:
            log.write_bytes(story.getvalue())
        paths = [str(log) for log in logs]
        followers = [
            start("nanwatch tail --plain", [*args.command, "tail", "--plain", *paths]),
            start("tail -F", ["tail", "-n", "0", "-F", *paths]),
        ]
        try:
            settle(followers)
            for _ in range(args.runs):
                watch(followers, seconds)
        finally:
            for follower in followers:
                follower.process.terminate()
                follower.process.wait(10)
    rows = []
    for follower in followers:
        memory = ratio(follower.rss, followers[-1].rss)
        rows.append([follower.name, *spread(follower.cpu, 2), spread(follower.rss, 1)[1], memory])
    header = ["program", "min CPU %", "median CPU %", "max CPU %", "RSS MiB", "RSS / tail"]
    title = f"{FILES} idle logs, {args.runs} rounds of {seconds} s, one tick is {100 / TICK / seconds:.2f} %"
    print_table(f"{title} ({machine()})", header, rows)


if __name__ == "__main__":
    sys.exit(run_main(main))
