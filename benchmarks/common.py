"""What the benchmarks share: arguments, generated logs, measured commands, tables."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(__file__).resolve().parent / ".data"
STORIES = ROOT / "fixtures" / "stories.py"
Json = dict[str, Any]


class BenchmarkError(Exception):
    """A measured program gave a wrong answer or no answer: the figures would mean nothing."""


def arguments(description: str, runs: int = 5) -> argparse.Namespace:
    """The options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="small sizes, to try the benchmark itself")
    parser.add_argument("--runs", type=int, default=runs, help=f"measured rounds (default {runs})")
    parser.add_argument("--nanwatch", metavar="CMD", help="the command to measure (default: beside this Python)")
    args = parser.parse_args()
    args.command = nanwatch_command(args.nanwatch)
    return args


def nanwatch_command(option: str | None) -> list[str]:
    """The command given, else the ``nanwatch`` beside this interpreter, else its module."""
    if option:
        return shlex.split(option)
    beside = Path(sys.executable).with_name("nanwatch")
    return [str(beside)] if beside.exists() else [sys.executable, "-m", "nanwatch"]


def environment() -> dict[str, str]:
    """This environment, with a cache folder of the benchmarks' own and no colours."""
    return {**os.environ, "XDG_CACHE_HOME": str(DATA / "cache"), "NO_COLOR": "1"}


def story_log(story: str, size: str) -> tuple[Path, Json]:
    """A story of this size and its facts; written once for each version of the generator."""
    version = hashlib.sha256(STORIES.read_bytes()).hexdigest()[:8]
    log = DATA / f"{story}-{size}-{version}.log"
    facts = log.with_suffix(".facts.json")
    if not (log.exists() and facts.exists()):
        DATA.mkdir(exist_ok=True)
        print(f"writing {log.name} ...", file=sys.stderr)
        # in a process of its own: what it used would count as the floor of every child's peak memory
        command = [
            sys.executable,
            str(STORIES),
            story,
            "--size",
            size,
            "--out",
            str(log),
            "--facts",
            str(facts),
        ]
        subprocess.run(command, check=True)
    found: Json = json.loads(facts.read_text(encoding="utf-8"))
    return log, found


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of a command."""

    wall: float  # seconds
    cpu: float  # seconds, user and system
    rss: float  # peak resident memory, in 2**20 bytes
    status: int
    out: str
    err: str


class HighWater(threading.Thread):
    """Watches the peak memory of a process while it runs, where /proc tells it."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.kib = 0
        self._status = Path(f"/proc/{pid}/status")
        self.start()

    def run(self) -> None:
        """Look every few milliseconds until the process is gone."""
        while True:
            try:
                _, found, rest = self._status.read_text().partition("VmHWM:")
            except OSError:
                return
            if not found:
                return
            self.kib = int(rest.split()[0])
            time.sleep(0.004)


def peak_memory(reported: int, watched: int) -> float:
    """Peak memory of a child in MiB.

    The kernel's account (`reported`) is exact, but includes what the child was before its exec: a copy of us.
    Up to our own size, then, the figure that was watched from outside is the better one.
    """
    unit = 2**20 if platform.system() == "Darwin" else 2**10
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (watched if watched and reported <= own else reported) / unit


def measure(command: Sequence[str], env: Mapping[str, str] | None = None) -> Sample:
    """Run a command to its end, through the kernel's own account of it (wait4)."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        begun = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=env)
        high = HighWater(process.pid)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        high.join()
        texts = []
        for stream in (out, err):
            stream.seek(0)
            texts.append(stream.read().decode("utf-8", "replace"))
    cpu = usage.ru_utime + usage.ru_stime
    return Sample(wall, cpu, peak_memory(usage.ru_maxrss, high.kib), process.returncode, *texts)


@dataclass(slots=True)
class Case:
    """A command to be measured several times, and what its output must say."""

    name: str
    command: Sequence[str]
    check: Callable[[Sample], None] | None = None
    samples: list[Sample] = field(default_factory=list)

    def values(self, attribute: str) -> list[float]:
        """One figure of every run."""
        return [float(getattr(sample, attribute)) for sample in self.samples]


def run_interleaved(cases: Sequence[Case], runs: int) -> None:
    """Run every case once in each round, so that a busy minute of the machine hits all of them."""
    for _ in range(runs):
        for case in cases:
            sample = measure(case.command, environment())
            if case.check:
                case.check(sample)
            elif sample.status:
                raise BenchmarkError(f"{case.name}: exit {sample.status}: {sample.err.strip()[-300:]}")
            case.samples.append(sample)


def summary_runs(sample: Sample) -> list[Json]:
    """The runs in the output of ``summary --json``, or an error that tells what came instead."""
    try:
        runs: list[Json] = json.loads(sample.out)["runs"]
    except (ValueError, KeyError, TypeError) as error:
        said = (sample.err or sample.out).strip()[-300:]
        raise BenchmarkError(f"summary printed no JSON (exit {sample.status}): {said}") from error
    return runs


def spread(values: Sequence[float], digits: int = 3) -> list[str]:
    """Smallest, median and largest, for a table."""
    return [f"{f(values):.{digits}f}" for f in (min, statistics.median, max)]


def ratio(values: Sequence[float], base: Sequence[float]) -> str:
    """How many times the median of the baseline."""
    median = statistics.median(base)
    return f"{statistics.median(values) / median:.2f}x" if median else "-"


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share of the values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table that is readable as text, too."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first, *rest = zip(cells, widths, strict=True)
        return f"| {first[0]:<{first[1]}} | " + " | ".join(f"{cell:>{width}}" for cell, width in rest) + " |"

    print(f"\n{title}\n\n{line(header)}")
    print("|-" + "-|-".join("-" * width for width in widths) + "-|")
    for row in rows:
        print(line(row))


def machine() -> str:
    """Where the figures come from."""
    return f"Python {platform.python_version()}, {os.cpu_count()} CPUs, {platform.system()} {platform.machine()}"


def run_main(main: Callable[[], None]) -> int:
    """Run a benchmark; a wrong answer ends it with one line and exit code 1."""
    try:
        main()
    except BenchmarkError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
