"""Writes docs/accuracy.md: what the one-shot summary says about every capture, held against its facts.

python docs/make_accuracy_table.py [--nanwatch CMD] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.support.facts import Check, captures, check_facts, load_facts, not_printed

ROOT = Path(__file__).resolve().parent.parent
CAPTURES = ROOT / "fixtures" / "captures"
INTRODUCTION = """\
# Accuracy

Every log in `fixtures/captures` is the genuine output of a trainer, with facts that the training process
recorded beside it. This table holds `nanwatch summary --json` against those facts: counters, NaN batches,
skipped steps, VRAM, every metric of every epoch, the outcome, the alerts that must fire and those that must
not. Written by `python docs/make_accuracy_table.py`; do not edit.

Not everything that is known about a run is printed in its log. What no reader of the log can know is counted
apart, with the reason; the list is in `tests/support/facts.py`.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One log of the table."""

    family: str
    log: str
    checks: list[Check]
    error: str

    @property
    def right(self) -> int:
        """How many facts the summary has right."""
        return sum(check.ok for check in self.checks)

    @property
    def hidden(self) -> list[Check]:
        """The facts that the log does not print."""
        return [c for c in self.checks if not c.ok and not_printed(self.log, c.name)]

    @property
    def printed(self) -> int:
        """How many facts the log prints."""
        return len(self.checks) - len(self.hidden)

    def remarks(self) -> str:
        """The facts that it has not, with what it says instead, and those that the log does not print."""
        wrong = [c for c in self.checks if not c.ok and c not in self.hidden]
        missed = [f"missed `{c.name}`: {_brief(c.found)} for {_brief(c.expected)}" for c in wrong]
        reasons = {not_printed(self.log, c.name) or "": c.name for c in self.hidden}
        unprinted = [f"not printed, `{name}`: {why}" for why, name in reasons.items()]
        return "; ".join([self.error] * bool(self.error) + missed + unprinted)


def _brief(value: object) -> str:
    """A value short enough for a table, with nothing in it that Markdown would take for a column."""
    text = str(value).replace("|", "\\|").replace("\n", " ")
    return text if len(text) <= 60 else text[:57] + "..."


def summarise(command: Sequence[str], log: Path) -> tuple[list[dict[str, Any]], str]:
    """The runs that the summary finds in a log, or why there are none."""
    full = [*command, "summary", "--json", "--no-cache", str(log)]
    result = subprocess.run(full, capture_output=True, text=True, check=False, timeout=120)
    try:
        runs: list[dict[str, Any]] = json.loads(result.stdout)["runs"]
    except (ValueError, KeyError):
        return [], f"no JSON (exit {result.returncode})"
    return runs, ""


def examine(command: Sequence[str], log: Path) -> Row:
    """Check one log."""
    runs, error = summarise(command, log)
    return Row(log.parent.name, log.stem, check_facts(load_facts(log), runs), error)


def table(rows: Iterable[Row]) -> str:
    """The table by log, after one line by family."""
    rows = list(rows)
    lines = ["| family | logs | all right | facts right | not printed |", "|---|---:|---:|---:|---:|"]
    for family in sorted({row.family for row in rows}):
        mine = [row for row in rows if row.family == family]
        lines.append(f"| {family} | {_totals(mine)} |")
    lines.append(f"| **all** | {_totals(rows)} |")
    lines += ["", "| family | log | facts right | remarks |", "|---|---|---:|---|"]
    for row in rows:
        lines.append(f"| {row.family} | {row.log} | {row.right}/{row.printed} | {row.remarks()} |")
    return "\n".join(lines) + "\n"


def _totals(rows: Sequence[Row]) -> str:
    perfect = sum(row.right == row.printed for row in rows)
    right, printed, hidden = (sum(n) for n in zip(*((r.right, r.printed, len(r.hidden)) for r in rows), strict=True))
    return f"{len(rows)} | {perfect} | {right}/{printed} | {hidden}"


def main(argv: list[str] | None = None) -> int:
    """Run every capture and write the page."""
    parser = argparse.ArgumentParser(description="Write docs/accuracy.md.")
    parser.add_argument("--nanwatch", metavar="CMD", default=f"{shlex.quote(sys.executable)} -m nanwatch")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "accuracy.md")
    args = parser.parse_args(argv)
    command = shlex.split(args.nanwatch)
    rows = [examine(command, log) for log in captures(CAPTURES)]
    args.out.write_text(f"{INTRODUCTION}\n{table(rows)}", encoding="utf-8")
    total = sum(row.printed for row in rows)
    print(f"{args.out}: {sum(row.right for row in rows)}/{total} facts right in {len(rows)} logs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
