"""`nanwatch compare`: runs side by side, or epochs of one run; on the terminal, as Markdown, or as JSON."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from nanwatch.console import config_of, hint, progress_line, say, write_whole
from nanwatch.errors import NothingToRead, UsageError
from nanwatch.reading import LogReading, read_log
from nanwatch.tail.discover import Discovery
from nanwatch.views.terminal import has_color, is_unicode, size

if TYPE_CHECKING:
    from nanwatch.config import Config
    from nanwatch.model.run import Epoch, Run
    from nanwatch.model.snapshot import RunView, Snapshot
    from nanwatch.views.compare.content import Block
    from nanwatch.views.compare.runs import Compared
    from nanwatch.views.contract import Json
    from nanwatch.views.curves.figures import Figure
    from nanwatch.views.words import Glyphs

_MOST = 6
"""Runs, or epochs, that can be told apart side by side."""
_NUMBERED = re.compile(r"(.+)#([1-9]\d{0,5})")


class Asked(NamedTuple):
    """A log, and which of its runs; None is the last one."""

    path: Path
    number: int | None = None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take the logs, what is aligned, and the form."""
    parser.add_argument(
        "logs", metavar="LOG", nargs="*", help="two to six log files or globs; LOG#2 is the second run in a log"
    )
    parser.add_argument("--epochs", metavar="N", nargs="+", help="compare these epochs of one log instead of runs")
    parser.add_argument("--metric", metavar="NAME", help="what is aligned by epoch (default: the primary metric)")
    parser.add_argument("-o", "--output", metavar="FILE", help="write FILE.md, as Markdown (-: standard output)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--config", metavar="FILE", help="config (default: nanwatch.toml here or of the user)")


def main(arguments: argparse.Namespace) -> int:
    """Compare runs, or epochs of one; tell in one line what could not be read."""
    _sort_out(arguments)
    _check(arguments)
    config, now = config_of(arguments), time.time()
    asked = _asked(arguments.logs)
    if arguments.epochs is None:
        _few_enough(asked)
        runs = _runs(asked, config, now)
        _show_runs(arguments, runs, _figures(runs, arguments.metric), now)
    else:
        _show_epochs(arguments, _one(asked, config, now), now)
    return 0


def _sort_out(arguments: argparse.Namespace) -> None:
    """Tell the epochs from the logs that were named after them: `--epochs 3 4 train.log`."""
    if arguments.epochs is not None:
        words: list[str] = [part for word in arguments.epochs for part in _parts(word)]
        count = next((n for n, word in enumerate(words) if not word.lstrip("-").isdecimal()), len(words))
        arguments.epochs = [int(word[:18]) for word in words[:count]]
        arguments.logs += words[count:]
    if not arguments.logs:
        raise UsageError("name the logs to compare (see nanwatch compare --help)")


def _parts(word: str) -> list[str]:
    """Return the epochs of `3,4`; what is none is left whole."""
    parts = [part.strip() for part in word.split(",")]
    return parts if all(part.lstrip("-").isdecimal() for part in parts) else [word]


def _check(arguments: argparse.Namespace) -> None:
    output: str | None = arguments.output
    if output not in (None, "-") and Path(str(output)).suffix.lower() not in (".md", ".markdown"):
        raise UsageError(f"-o {output}: the name must end in .md")
    if output is not None and arguments.json:
        raise UsageError("--json prints to standard output: without -o")
    if arguments.epochs is None:
        return
    if arguments.metric is not None:
        raise UsageError("--metric is for runs: --epochs shows every figure")
    if not 1 < len(set(arguments.epochs)) <= _MOST:
        found = len(set(arguments.epochs))
        raise UsageError(f"--epochs: two to {_MOST} different epochs, such as --epochs 3 4; found {found}")


# -- which runs


def _asked(patterns: Sequence[str]) -> list[Asked]:
    """Return the runs that the patterns name, in their order, each once.

    Raises:
        NothingToRead: no file is named.
        UsageError: standard input, or one log by several names and nothing else.
    """
    found: dict[tuple[str, int | None], Asked] = {}
    missing: list[str] = []
    for pattern in patterns:
        if pattern == "-":
            raise UsageError("a comparison needs files: standard input can only be followed (nanwatch tail -)")
        items = _items(pattern)
        if not items:
            missing.append(pattern)
        for item in items:
            found.setdefault((os.path.realpath(item.path), item.number), item)
    if missing and len(found) < 2:
        raise NothingToRead(f"no log found: {', '.join(missing)}{hint(missing)}")
    for pattern in missing:
        say(f"{pattern}: no log found")
    if len(found) == 1 < len(patterns):
        raise UsageError(f"{' and '.join(patterns[:3])} name the same log: a comparison needs two")
    return list(found.values())


def _items(pattern: str) -> list[Asked]:
    numbered = _NUMBERED.fullmatch(pattern)
    if numbered is not None and not Path(pattern).exists():
        return [Asked(Path(numbered[1]).expanduser(), int(numbered[2]))]
    return [Asked(path) for path in _matching(pattern)]


def _matching(pattern: str) -> list[Path]:
    discovery = Discovery([pattern])
    paths = discovery.scan()
    for problem in discovery.problems:
        say(problem)
    return list(paths)


def _few_enough(asked: Sequence[Asked]) -> None:
    if len(asked) > _MOST:
        raise UsageError(f"{len(asked)} logs: at most {_MOST} can be compared, name them one by one")


def _runs(asked: Sequence[Asked], config: Config, now: float) -> list[Compared]:
    """Return the runs of the logs that can be read, with a letter each.

    Raises:
        NothingToRead: fewer than two can be.
        UsageError: only one was named.
    """
    from nanwatch.views.compare.runs import compared
    from nanwatch.views.listing import short_names

    readings = _read(asked, config, now)
    if len(asked) == 1:
        raise UsageError(_lonely(asked[0], readings))
    chosen = [(item, _chosen(item, readings[item.path])) for item in asked]
    known = [(item, snapshot) for item, snapshot in chosen if snapshot is not None and snapshot.view is not None]
    if len(known) < 2:
        raise NothingToRead(f"only {len(known)} of {len(asked)} runs can be read: a comparison needs two")
    _no_twins(known)
    names = short_names([snapshot.view for _, snapshot in known if snapshot.view is not None])
    return compared([(_named(names[id(snapshot.view)], item), snapshot) for item, snapshot in known])


def _no_twins(known: Sequence[tuple[Asked, Snapshot]]) -> None:
    found: dict[tuple[str, int], Asked] = {}
    for item, snapshot in known:
        twin = found.setdefault((os.path.realpath(item.path), snapshot.number), item)
        if twin is not item:
            raise UsageError(f"{item.path} is named twice: run {snapshot.number} of it cannot be compared with itself")


def _named(name: str, item: Asked) -> str:
    return name if item.number is None or name.endswith(f"#{item.number}") else f"{name}#{item.number}"


def _lonely(item: Asked, readings: dict[Path, LogReading]) -> str:
    reading = readings[item.path]
    if reading.problem is not None:
        raise NothingToRead(f"{item.path}: {reading.problem}")
    if item.number is None and len(reading.runs) > 1:
        count = len(reading.runs)
        return f"{item.path} alone: it holds {count} runs, which are named {item.path}#1 to {item.path}#{count}"
    return f"{item.path} alone: a comparison needs two runs, or --epochs of one"


def _read(asked: Sequence[Asked], config: Config, now: float, *, with_curves: bool = True) -> dict[Path, LogReading]:
    progress = progress_line()
    paths = dict.fromkeys(item.path for item in asked)
    found = {path: read_log(path, config, None, now, progress, with_curves=with_curves) for path in paths}
    if progress is not None:
        progress.clear()
    return found


def _chosen(item: Asked, reading: LogReading) -> Snapshot | None:
    """Return the run that is asked for; say in a line why there is none."""
    if reading.problem is not None:
        say(f"{item.path}: {reading.problem}")
        return None
    found = [s for s in reading.snapshots() if item.number in (None, s.number)]
    if not found:
        say(f"{item.path}: has no run {item.number}, its runs are 1 to {len(reading.runs)}")
        return None
    return found[-1]


def _figures(runs: Sequence[Compared], name: str | None) -> list[Figure]:
    from nanwatch.views.compare.aligned import figure_named, usual_figures
    from nanwatch.views.compare.runs import shared_figures

    if name is None:
        return usual_figures(runs)
    found = figure_named(runs, name)
    if found is None:
        known = ", ".join(figure.title for figure in shared_figures(runs)[:12])
        raise UsageError(f"--metric {name}: no run tells it; they tell {known or 'none'}")
    return [found]


def _one(asked: Sequence[Asked], config: Config, now: float) -> RunView:
    if len(asked) != 1:
        raise UsageError(f"--epochs: of one log, found {len(asked)}")
    reading = _read(asked, config, now, with_curves=False)[asked[0].path]
    snapshot = _chosen(asked[0], reading)
    if snapshot is None or snapshot.view is None:
        raise NothingToRead("no epochs to compare")
    return snapshot.view


def _rows(run: Run, epochs: Sequence[int]) -> list[Epoch]:
    """Return the epochs that are asked for, in the order asked.

    Raises:
        UsageError: the run does not have one of them; those that it has are named.
    """
    known = sorted(epoch for epoch in run.table if epoch >= 0) if run.epoch is not None else []
    missing = [epoch for epoch in dict.fromkeys(epochs) if epoch not in known]
    if missing:
        said = f"its epochs are {_ranges(known)}" if known else "it counts none"
        raise UsageError(f"{run.log} has no epoch {', '.join(map(str, missing))}: {said}")
    return [run.table[epoch] for epoch in dict.fromkeys(epochs)]


def _ranges(numbers: Sequence[int]) -> str:
    """Return `1 to 4, 6`."""
    found: list[list[int]] = []
    for number in numbers:
        if found and found[-1][-1] == number - 1:
            found[-1][1:] = [number]
        else:
            found.append([number])
    return ", ".join(" to ".join(map(str, span)) for span in found)


# -- showing


def _show_runs(arguments: argparse.Namespace, runs: Sequence[Compared], figures: Sequence[Figure], now: float) -> None:
    from nanwatch.views.compare.content import runs_content
    from nanwatch.views.compare.contract import runs_json

    if arguments.json:
        _print_json(runs_json(runs, figures, now))
        return
    _show(arguments, f"nanwatch compare: {len(runs)} runs", runs_content(runs, figures, _glyphs(arguments)))


def _show_epochs(arguments: argparse.Namespace, view: RunView, now: float) -> None:
    from nanwatch.views.compare.content import epochs_content
    from nanwatch.views.compare.contract import epochs_json
    from nanwatch.views.words import clean

    rows = _rows(view.run, arguments.epochs)
    if arguments.json:
        _print_json(epochs_json(view, rows, now))
        return
    title = f"nanwatch compare: {clean(view.run.id)}, epochs {', '.join(str(row.epoch) for row in rows)}"
    _show(arguments, title, epochs_content(view.run, rows, _glyphs(arguments)))


def _print_json(found: Json) -> None:
    print(json.dumps(found))


def _glyphs(arguments: argparse.Namespace) -> Glyphs:
    from nanwatch.views.words import ASCII, UNICODE

    return UNICODE if arguments.output is not None or is_unicode(sys.stdout) else ASCII


def _show(arguments: argparse.Namespace, title: str, blocks: Sequence[Block]) -> None:
    from nanwatch.views.page import Page

    if arguments.output is None:
        from nanwatch.views.compare.terminal import render_terminal

        page = Page(max(20, size()[0]), _glyphs(arguments))
        sys.stdout.write(render_terminal(title, blocks, page, has_color(sys.stdout)))
        return
    from nanwatch.views.compare.markdown import render_markdown

    text = render_markdown(title, blocks)
    if arguments.output == "-":
        sys.stdout.write(text)
    else:
        write_whole(Path(arguments.output), text)
