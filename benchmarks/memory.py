"""Peak memory of a cold summary: it must not grow with the log, not even for one endless line."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.common import (
    DATA,
    BenchmarkError,
    Case,
    Sample,
    arguments,
    machine,
    print_table,
    ratio,
    run_interleaved,
    run_main,
    spread,
    story_log,
)

BLOCK = b"step loss 0.4312 accuracy 0.8125 and on it goes without an end, " * 16_384  # 2**20 bytes


def endless_line(megabytes: int) -> Path:
    """A log of one line that no newline and no carriage return ever ends."""
    path = DATA / f"line-{megabytes}M.log"
    if not path.exists() or path.stat().st_size != megabytes * len(BLOCK):
        DATA.mkdir(exist_ok=True)
        with path.open("wb") as out:
            for _ in range(megabytes):
                out.write(BLOCK)
    return path


def check(sample: Sample) -> None:
    """A log without a run may be "nothing to read" (3), but never a failure."""
    if sample.status not in (0, 3) or "Traceback" in sample.err:
        raise BenchmarkError(f"nanwatch: exit {sample.status}: {sample.err.strip()[-300:]}")


def main() -> None:
    """Measure and print."""
    args = arguments("Peak memory of a cold summary.", runs=3)
    sizes = ("5M", "50M") if args.quick else ("100M", "1G")
    logs = [(f"story of {size}", story_log("yolo", size)[0]) for size in sizes]
    long = 50 if args.quick else 1024
    logs.append((f"one line of {long} MiB", endless_line(long)))
    cases = [Case("python -c pass", [sys.executable, "-c", "pass"])]
    for name, log in logs:
        cases.append(Case(name, [*args.command, "summary", "--no-cache", "--json", str(log)], check))
    run_interleaved(cases, args.runs)
    base, small = cases[0].values("rss"), cases[1].values("rss")
    rows = []
    for case in cases:
        rss = case.values("rss")
        wall = spread(case.values("wall"), 2)[1]
        rows.append([case.name, *spread(rss, 1), ratio(rss, base), ratio(rss, small), wall])
    header = ["summary of", "min MiB", "median MiB", "max MiB", "/ python", f"/ {sizes[0]}", "median s"]
    print_table(f"Peak resident memory, {args.runs} interleaved rounds ({machine()})", header, rows)


if __name__ == "__main__":
    sys.exit(run_main(main))
