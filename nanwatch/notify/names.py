"""What people call a run, and many runs together."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import takewhile
from pathlib import PurePath

from nanwatch.model.news import News, RunFacts
from nanwatch.model.words import printable

_LOG_TELLS_NOTHING = re.compile(
    r"(?i)(?:train(?:ing)?|output|out|logs?|nohup|std(?:out|err)|console|run|main|results?|debug|slurm[-_]?[\d_.-]*|[\d_.-]*)"
)
"""Names of logs that many runs have alike."""
_FOLDER_TELLS_NOTHING = re.compile(r"(?i)(?:logs?|runs?|outputs?|results?|tmp|data|home|\.|/|)")
_SUFFIX = re.compile(r"(?i)\.(?:log|out|txt|err)$")
_LEAST_START = 4


def short_name(run: RunFacts) -> str:
    """Return what people call the run: the log's name, with its folder's where many logs are called so."""
    path = PurePath("stdin" if run.log in ("-", "") else printable(run.log))
    stem = _SUFFIX.sub("", path.name) or path.name
    folders = [part for part in path.parts[:-1] if not _FOLDER_TELLS_NOTHING.fullmatch(part)]
    name = f"{folders[-1]}/{stem}" if _LOG_TELLS_NOTHING.fullmatch(stem) and folders else stem
    number = run.id.removeprefix(run.log)
    return f"{name}{number}" if re.fullmatch(r"#\d+", number) else name


def common_name(news: Iterable[News]) -> str:
    """Return what the runs' names have in common, else the folder that holds them all, else the first and a count."""
    runs = {item.run.id: item.run for item in news}.values()
    names = [short_name(run) for run in runs]
    start = re.sub(r"[\d.]+$", "", "".join(_common_start(names)))
    if len(start) >= _LEAST_START:
        return start.rstrip("/") if start.endswith("/") else f"{start}*"
    folders = _common_start([PurePath(printable(run.log)).parent.parts for run in runs])
    if folders and not _FOLDER_TELLS_NOTHING.fullmatch(folders[-1]):
        return folders[-1]
    return f"{names[0]} +{len(names) - 1}"


def _common_start(texts: Sequence[Sequence[str]]) -> list[str]:
    """Return the items with which all of *texts* begin."""
    return [same[0] for same in takewhile(lambda same: len(set(same)) == 1, zip(*texts, strict=False))]
