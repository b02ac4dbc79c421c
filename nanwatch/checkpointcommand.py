"""`nanwatch checkpoint`: looks through files of weights, tells which are clean and which of these is the newest."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from nanwatch.console import progress_line, say
from nanwatch.errors import NothingToRead, UsageError

if TYPE_CHECKING:
    from nanwatch.checkpoints.found import Found
    from nanwatch.checkpoints.shards import Scan
    from nanwatch.model.checkpoint import Checkpoint, Weights
    from nanwatch.views.terminal import Progress

CLEAN, NONFINITE, UNREADABLE = 0, 2, 3
"""The exit codes; what is not finite outweighs what cannot be read."""

_ABOUT = """Looks for NaN and infinity in every number of the weights, without running anything that is in them.
PyTorch, safetensors, NumPy and (with h5py) HDF5 and Keras files, shards, and folders of these."""
_EXITS = """exit codes: 0 all are clean; 2 one holds NaN or infinity (or: wrong usage);
3 one is truncated, corrupted, hostile, missing or unreadable, and none holds NaN."""
_FIRST = 3
_GLOB = set("*?[")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what `nanwatch checkpoint` takes."""
    parser.description, parser.epilog = _ABOUT, _EXITS
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("paths", metavar="PATH", nargs="+", help="files, folders or globs")
    parser.add_argument(
        "--last-clean", action="store_true", help="stop at the newest clean one (default: look at all of them)"
    )
    parser.add_argument("--verify", action="store_true", help="check the checksums of all stored bytes too: slower")
    parser.add_argument(
        "--first", metavar="N", type=int, default=_FIRST, help=f"name so many bad tensors of each (default: {_FIRST})"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def main(arguments: argparse.Namespace) -> int:
    """Print what the checkpoints hold; return the exit code that sums it up."""
    if arguments.first < 0:
        raise UsageError("--first takes a number of tensors, 0 or more")
    groups, problems = _groups(arguments.paths)
    for problem in problems[: None if groups else -1]:
        say(problem)
    if not groups:
        raise NothingToRead(problems[-1])
    results = _looked_through(groups, arguments)
    if arguments.json:
        from nanwatch.views.checkpoints import checkpoints_json

        print(json.dumps(checkpoints_json(results, time.time()), allow_nan=False))
    else:
        _print_text(results, arguments.first)
    return _exit_code([item for group in results for item in group.checkpoints], bool(problems))


def _exit_code(checkpoints: list[Checkpoint], is_short: bool) -> int:
    """Return the code of what was found; *is_short* tells that something named is not there."""
    if any(item.state == "nonfinite" or item.nan or item.inf for item in checkpoints):
        return NONFINITE
    return UNREADABLE if is_short or any(item.state != "clean" for item in checkpoints) else CLEAN


def _print_text(results: list[Weights], first: int) -> None:
    from nanwatch.views.checkpoints import Look, render_checkpoints
    from nanwatch.views.terminal import has_color, is_unicode, size

    look = Look(size()[0], has_color(sys.stdout), not is_unicode(sys.stdout))
    sys.stdout.write(render_checkpoints(results, look, first))


# -- what was named


def _groups(paths: list[str]) -> tuple[list[tuple[str, list[Found]]], list[str]]:
    """Return the checkpoints that *paths* name, and what was wrong.

    All that are named themselves are one group, whether files or folders; each folder of several is its own.
    """
    from nanwatch.checkpoints.folder import find_checkpoints, found_file
    from nanwatch.checkpoints.found import newest_first

    single: dict[Path, Found] = {}
    folders: dict[Path, list[Found]] = {}
    problems = []
    for text in paths:
        named = list(_named(text))
        if not named:
            problems.append(f"{text}: {'nothing matches' if _GLOB & set(text) else 'is missing'}")
        for path in named:
            try:
                found = find_checkpoints(path) if path.is_dir() else [found_file(path)]
            except OSError as error:
                problems.append(f"{path}: {(error.strerror or 'cannot be read').lower()}")
                continue
            if [item.path for item in found] == [path]:
                single[path] = found[0]
            elif found:
                folders[path] = found
            elif len(named) == 1:
                problems.append(f"{path}: no checkpoints in this folder")
    groups = [("", newest_first(single.values()))] if single else []
    groups += [(str(path), found) for path, found in folders.items()]
    return groups, problems or (["no checkpoints here"] if not groups else [])


def _named(text: str) -> Iterator[Path]:
    """Yield the path that *text* is or, if there is none, those that it matches as a glob."""
    path = Path(text)
    try:
        if path.exists() or path.is_symlink():
            yield path
        elif _GLOB & set(text):
            start = Path(path.anchor)
            yield from sorted(start.glob(str(path.relative_to(start))))
    except (OSError, ValueError, NotImplementedError) as error:
        raise NothingToRead(f"{text}: {getattr(error, 'strerror', None) or error}") from None


# -- looking


def _looked_through(groups: list[tuple[str, list[Found]]], arguments: argparse.Namespace) -> list[Weights]:
    from nanwatch.checkpoints.folder import scan_all

    first, progress = arguments.first, progress_line()
    scan = _scan(first, arguments.verify, progress, sum(item.size for _, found in groups for item in found))
    try:
        return [
            scan_all(name, found, scan, limit=None, seconds=math.inf, steady=time.monotonic,
                     every=not arguments.last_clean, first_bad=first, now=time.time())
            for name, found in groups
        ]  # fmt: skip
    finally:
        if progress is not None:
            progress.clear()


def _scan(first: int, verify: bool, progress: Progress | None, size: int) -> Scan:
    """Return what looks through one file and shows how far all of them, *size* bytes, have come."""
    from nanwatch.checkpoints.scan import scan_file

    done = 0

    def scan(path: Path, *, seconds: float = math.inf) -> Checkpoint:
        nonlocal done
        show = None if progress is None else lambda part, _: progress(path.name, done + part, size)
        found = scan_file(path, first_bad=first, verify=verify, progress=show, seconds=seconds)
        done += found.size
        return found

    return scan
