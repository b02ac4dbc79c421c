"""What the rules cost: a cold summary of a log of 400 MB with all of them on, beside one with all of them off."""

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
    summary_runs,
)
from nanwatch.config import Rules

NAMES = [name for name in Rules._fields if name != "custom"]
OWN = 'condition = "IoU < 0.5 and epoch > 10 or vram_gb > 15.5 or best.age > 20"'


def write_config(name: str, enabled: bool, more: str = "") -> str:
    """Write a config in which every rule is on, or every one is off; return its path."""
    path = DATA / name
    path.write_text("".join(f"[rules.{rule}]\nenabled = {str(enabled).lower()}\n" for rule in NAMES) + more)
    return str(path)


def check(sample: Sample, fires: bool) -> None:
    """Fail loudly when the rules did not do what they were asked to."""
    found = {alert["rule"] for run in summary_runs(sample) for alert in run["alerts"]}
    if fires != ({"nan_loss", "nan_burst", "grad_skip", "vram_jump"} <= found):
        raise BenchmarkError(f"alerts: {sorted(found)}")


def main() -> None:
    """Measure and print."""
    args = arguments("What the rules cost.", runs=7)
    log, _ = story_log("yolo", "50M" if args.quick else "400M")
    command = [*args.command, "summary", "--no-cache", "--json", str(log), "--config"]
    cases = [
        Case("all rules off", [*command, write_config("off.toml", False)], lambda sample: check(sample, False)),
        Case("all rules on", [*command, write_config("on.toml", True)], lambda sample: check(sample, True)),
        Case(
            "and one of one's own",
            [*command, write_config("own.toml", True, f"[rules.own]\n{OWN}\n")],
            lambda sample: check(sample, True),
        ),
    ]
    run_interleaved(cases, args.runs)
    base = cases[0].values("wall")
    rows = [[case.name, *spread(case.values("wall")), ratio(case.values("wall"), base)] for case in cases]
    megabytes = log.stat().st_size / 1e6
    title = f"A cold summary of {megabytes:.0f} MB, {args.runs} interleaved rounds ({machine()})"
    print_table(title, ["rules", "min s", "median s", "max s", "/ off"], rows)


if __name__ == "__main__":
    sys.exit(run_main(main))
