"""What `watch -n 30 nanwatch summary` costs: a summary of an unchanged log, beside a bare interpreter."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.common import (
    BenchmarkError,
    Case,
    arguments,
    environment,
    machine,
    measure,
    print_table,
    ratio,
    run_interleaved,
    run_main,
    spread,
    story_log,
)


def main() -> None:
    """Measure and print."""
    args = arguments("Start-up of a warm summary.", runs=15)
    sizes = ("1M", "50M") if args.quick else ("1M", "400M")
    cases = [
        Case("python -c pass", [sys.executable, "-c", "pass"]),
        Case("nanwatch --help", [*args.command, "--help"]),
    ]
    for size in sizes:
        log = str(story_log("yolo", size)[0])
        first = measure([*args.command, "summary", log], environment())  # fills the cache
        if first.status:
            raise BenchmarkError(f"nanwatch: exit {first.status}: {first.err.strip()[-300:]}")
        cases.append(Case(f"summary, {size}", [*args.command, "summary", log]))
        cases.append(Case(f"summary --json, {size}", [*args.command, "summary", "--json", log]))
    run_interleaved(cases, args.runs)
    base = cases[0].values("wall")
    rows = []
    for case in cases:
        walls = case.values("wall")
        milliseconds = [1000 * wall for wall in walls]
        rows.append([case.name, *spread(milliseconds, 1), ratio(walls, base), spread(case.values("rss"), 1)[1]])
    header = ["command", "min ms", "median ms", "max ms", "/ python", "peak RSS MiB"]
    print_table(f"Warm start, {args.runs} interleaved rounds ({machine()})", header, rows)


if __name__ == "__main__":
    sys.exit(run_main(main))
