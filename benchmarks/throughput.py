"""How fast a cold one-shot summary reads a log of 400 MB, beside the usual tools.

Every program must find the same figures, and they must be the story's: NaN batches by epoch, skipped steps,
the last epoch and batch, VRAM. `grep` and `cat` do less and are there as a measure of the machine.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.common import (
    BenchmarkError,
    Case,
    Json,
    Sample,
    arguments,
    machine,
    print_table,
    ratio,
    run_interleaved,
    run_main,
    spread,
    story_log,
    summary_runs,
)

MAWK = r"""
BEGIN { RS = "[\r\n]" }
/^ +[0-9]+\/[0-9]+ +[0-9.]+G / {
    frames++; last = $0; split($1, counter, "/")
    if ($3 == "nan" || $4 == "nan" || $5 == "nan") nan[counter[1]]++
}
/Non-finite gradient detected/ { skips++ }
END {
    split(last, field, " +"); split(field[2], epoch, "/"); sub(/G$/, "", field[3])
    match(last, /\| [0-9]+\/[0-9]+ \[/); split(substr(last, RSTART + 2, RLENGTH - 4), batch, "/")
    printf "{\"frames\": %d, \"skips\": %d, \"epoch\": %d, \"batch\": %d, \"vram\": %s, \"nan\": {",
        frames, skips, epoch[1], batch[1], field[3]
    for (e in nan) { printf "%s\"%s\": %d", comma, e, nan[e]; comma = ", " }
    print "}}"
}
"""

PYTHON = r"""
import json, re, sys
frame = re.compile(r" +(\d+)/\d+ +([\d.]+)G +(\S+) +(\S+) +(\S+) +\d+ +\d+:[^|]*\|[^|]*\| (\d+)/")
frames = skips = 0
nan = {}
last = None
with open(sys.argv[1], encoding="utf-8", errors="replace") as log:
    for line in log:
        if match := frame.match(line):
            frames += 1
            last = match
            if "nan" in match.group(3, 4, 5):
                nan[match[1]] = nan.get(match[1], 0) + 1
        if "Non-finite gradient detected" in line:
            skips += 1
print(json.dumps({"frames": frames, "skips": skips, "epoch": int(last[1]), "batch": int(last[6]),
                  "vram": float(last[2]), "nan": nan}))
"""


def check_figures(name: str, found: Json, facts: Json) -> None:
    """Fail loudly when a program's figures are not the truth."""
    expected = {
        "nan": facts["nan_batches_by_epoch"],
        "skips": facts["grad_skips"],
        "epoch": facts["epoch"],
        "batch": facts["batch"],
        "vram": facts["vram_gb"],
    }
    wrong = {key: (found.get(key), want) for key, want in expected.items() if found.get(key) != want}
    if wrong:
        raise BenchmarkError(f"{name} (found, truth): {wrong}")


def check_frames(name: str, sample: Sample, facts: Json) -> None:
    """Check a frame counter: a NaN batch is drawn twice."""
    if sample.status:
        raise BenchmarkError(f"{name}: exit {sample.status}: {sample.err.strip()[-300:]}")
    found = json.loads(sample.out)
    found["nan"] = {epoch: frames / 2 for epoch, frames in found["nan"].items()}
    check_figures(name, found, facts)


def check_summary(sample: Sample, facts: Json) -> None:
    """Check nanwatch's figures."""
    runs = summary_runs(sample)
    if len(runs) != 1:
        raise BenchmarkError(f"nanwatch found {len(runs)} runs in a log of one")
    run = runs[0]
    found = {
        "nan": {str(row["epoch"]): row["nan_batches"] for row in run["epochs_table"] if row["nan_batches"]},
        "skips": run["grad_skips"],
        "epoch": run["epoch"],
        "batch": run["batch"],
        "vram": run["vram_gb"],
    }
    check_figures("nanwatch", found, facts)
    for key in ("epochs", "batches", "nan_batches", "nan_onset"):
        if run[key] != facts[key]:
            raise BenchmarkError(f"nanwatch: {key} {run[key]}, truth {facts[key]}")


def cases_for(command: list[str], log: Path, facts: Json) -> list[Case]:
    """The programs to compare; mawk only where it is installed."""
    path = str(log)
    cases = [
        Case("cat > /dev/null", ["sh", "-c", 'cat "$0" > /dev/null', path]),
        Case("grep -c ' nan '", ["grep", "-c", " nan ", path]),
        Case(
            "python, regex on lines",
            [sys.executable, "-c", PYTHON, path],
            lambda sample: check_frames("python", sample, facts),
        ),
        Case(
            "nanwatch summary, cold",
            [*command, "summary", "--no-cache", "--json", path],
            lambda sample: check_summary(sample, facts),
        ),
    ]
    if shutil.which("mawk"):
        mawk = Case("mawk RS=[\\r\\n]", ["mawk", MAWK, path], lambda sample: check_frames("mawk", sample, facts))
        cases.insert(2, mawk)
    return cases


def main() -> None:
    """Measure and print."""
    args = arguments("Throughput of a cold summary.")
    log, facts = story_log("yolo", "50M" if args.quick else "400M")
    cases = cases_for(args.command, log, facts)
    run_interleaved(cases, args.runs)
    megabytes = log.stat().st_size / 1e6
    own = cases[-1].values("wall")
    rows = []
    for case in cases:
        walls = case.values("wall")
        speed = megabytes / float(spread(walls, 6)[1])
        rows.append([case.name, *spread(walls), f"{speed:.0f}", ratio(walls, own), spread(case.values("rss"), 1)[1]])
    title = f"Reading {megabytes:.0f} MB, page cache warm, {args.runs} interleaved rounds ({machine()})"
    header = ["program", "min s", "median s", "max s", "MB/s", "time / nanwatch", "peak RSS MiB"]
    print_table(title, header, rows)
    nan = ", ".join(f"{n} in epoch {e}" for e, n in facts["nan_batches_by_epoch"].items())
    place = f"epoch {facts['epoch']} batch {facts['batch']}; {facts['vram_gb']} G"
    print(f"\nChecked against the truth: NaN batches {nan or 'none'}; {facts['grad_skips']} skips; {place}.")


if __name__ == "__main__":
    sys.exit(run_main(main))
