"""Writes docs/alerts.md: the alerts that the two incident stories and every capture raise.

python docs/make_alerts_table.py [--out FILE]
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fixtures.stories import write_cod, write_yolo
from nanwatch.model.alert import Alert
from nanwatch.model.frame import Chunk
from nanwatch.model.run import Process
from nanwatch.pipeline import LogPipeline, Notice
from tests.support.facts import captures, load_facts

ROOT = Path(__file__).resolve().parent.parent
CAPTURES = ROOT / "fixtures" / "captures"
SILENCE = 22 * 60.0

HEAD = """\
# Alerts

What `nanwatch` raises on two incidents and on every genuine log of `fixtures/captures`, with the default rules.
Written by `python docs/make_alerts_table.py`; do not edit. What each rule means is in [rules.md](rules.md).

## Two incidents

Both logs are written by `fixtures/stories.py`, byte for byte in the shapes of genuine ones. Each table is the
whole list: what a careful person would send, in the order of the log, and nothing else.
"""
STORIES = {
    "NaN from batch 32 of epoch 4 (`stories.py yolo`)": (
        "YOLOv8m, 41,163 batches an epoch. Three clean epochs at 4.2 G; then 73 batches with NaN losses, 72 optimizer"
        " steps skipped by a guard, 4.71 G."
    ),
    "Decline, collapse, hang (`stories.py cod`)": (
        "Segmentation. IoU 0.6413 at epoch 88, declining from 89, 0.0022 at 98 with a loss of 15.3; from 30 % of epoch"
        " 101 on the log is silent, here for 22 minutes, while the process is alive and busy."
    ),
}
TABLE = "| where | severity | rule | message |\n| --- | --- | --- | --- |\n"
ALL = """\

## Every capture

One row a log: how the training process ended by its own record, and each alert with its place (e: epoch, b:
batch). *Over* means that it was resolved by the end of the log. News (`finished`, `interrupted` by hand) is in it too.
A log that hung or was killed without a word shows nothing of it in its bytes: there `stall` comes with the
silence, or `process_gone` with the process, which is tested with a clock and with real processes.

| log | outcome | alerts |
| --- | --- | --- |
"""


def story_rows(data: bytes, hangs: bool) -> Iterator[str]:
    """Yield a row for each change of an alert, in the order of the log."""
    pipeline = LogPipeline("story.log")
    steps: list[Iterator[Notice]] = [pipeline.feed(Chunk(0, data)), pipeline.catch_up()]
    if hangs:
        process = Process(1999742, "python", 0.0, 100.0)
        steps.append(pipeline.tick(1e9, 1e9 - SILENCE, [process], has_looked=True))
    for step in steps:
        for _, alert in step:
            if isinstance(alert, Alert):
                word = alert.severity if alert.state == "firing" else "resolved"
                quiet = f" ({', '.join(alert.suppressed)})" if alert.suppressed else ""
                yield f"| {_place(alert, ' ')} | {word} | `{alert.rule}` | {_cell(alert.message)}{quiet} |\n"


def capture_row(log: Path) -> str:
    """Return the row of one capture."""
    pipeline = LogPipeline(log.name)
    list(pipeline.feed(Chunk(0, log.read_bytes())))
    list(pipeline.finish())
    found = [alert for run in pipeline.runs for alert in pipeline.alerts_of(run)]
    told = ", ".join(f"`{a.rule}`{_short(a)}{' over' if a.state == 'resolved' else ''}" for a in found)
    return f"| {log.parent.name}/{log.stem} | {_facts(log).get('outcome', '')} | {told or 'none'} |\n"


def _facts(log: Path) -> dict[str, Any]:
    facts = load_facts(log)
    inner: dict[str, Any] = facts.get("facts") or facts
    return inner


def _place(alert: Alert, gap: str) -> str:
    parts = [] if alert.epoch is None else [f"epoch {alert.epoch}"]
    parts += [] if alert.batch is None else [f"batch {alert.batch:,}"]
    return f",{gap}".join(parts)


def _short(alert: Alert) -> str:
    place = _place(alert, "").replace("epoch ", "e").replace("batch ", "b")
    return f" {place.replace(',b', ' b')}" if place else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def captures_section() -> str:
    """Return the table of the captures."""
    return ALL + "".join(capture_row(log) for log in captures(CAPTURES))


def page() -> str:
    """Return the whole page."""
    text = HEAD
    for (title, about), write in zip(STORIES.items(), (write_yolo, write_cod), strict=True):
        out = io.BytesIO()
        write(out)
        text += f"\n### {title}\n\n{about}\n\n{TABLE}" + "".join(story_rows(out.getvalue(), write is write_cod))
    return text + captures_section()


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Write the table of alerts.")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "alerts.md")
    arguments = parser.parse_args(argv)
    arguments.out.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
