"""A report as data: sections of sentences, tables, steps and charts, which a renderer only has to draw.

Every text is one line of printable characters, as `views.words.clean` leaves it; what else a form obeys (Markdown,
HTML) is for its renderer to make inert. ` -> ` stands for an arrow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

Tone = Literal["", "critical", "warning", "good", "quiet"]
"""What a text means; colours only repeat what it says in words."""


class Cell(NamedTuple):
    """A text, and what it means."""

    text: str
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A sentence or several."""

    text: str
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """What a thing is called and what it is; `notes` are further lines that belong to it."""

    label: str
    text: str
    tone: Tone = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """Labels and values, one below the other."""

    rows: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Items:
    """A list: of `is_ordered` steps, or of things side by side."""

    rows: tuple[Fact, ...]
    is_ordered: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under heads; the first cell of a row names it. The columns in `numbers` are aligned at the right."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    numbers: frozenset[int] = frozenset()
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """A line for a shell, to be copied."""

    text: str


class Point(NamedTuple):
    """What a figure was around `x`: its last value and the lowest and highest, which are None where nothing is."""

    x: float
    value: float | None
    low: float | None
    high: float | None
    where: str


class BadMark(NamedTuple):
    """So many values that were not finite, around `x`."""

    x: float
    values: int
    where: str


class AlertMark(NamedTuple):
    """An alert at `x`, in words."""

    x: float
    severity: str
    text: str


class Chart(NamedTuple):
    """One figure of a run over its `unit` (epochs or steps), from `start` to `end`; `text` says what is to be seen."""

    title: str
    text: str
    unit: str
    start: float
    end: float
    points: tuple[Point, ...]
    is_sparse: bool
    bad: tuple[BadMark, ...]
    alerts: tuple[AlertMark, ...]


@dataclass(frozen=True, slots=True)
class Charts:
    """Plots, for forms that can draw them: what they show stands in the tables too, but for its course.

    `remark` names the figures for which there was no room.
    """

    charts: tuple[Chart, ...]
    remark: str = ""


Part = Paragraph | Facts | Items | Table | Command | Charts


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page with a title of its own."""

    title: str
    parts: tuple[Part, ...]

    @property
    def is_drawn(self) -> bool:
        """Whether nothing but plots stands in it."""
        return all(isinstance(part, Charts) for part in self.parts)


@dataclass(frozen=True, slots=True)
class ReportPage:
    """One run: its name, how bad it is in a word, the answer in one sentence, and what there is to tell."""

    name: str
    health: str
    tone: Tone
    headline: str
    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What a reader is given: what all runs have in common, then the runs, worst first."""

    title: str
    remark: str
    sections: tuple[Section, ...]
    pages: tuple[ReportPage, ...]

    @property
    def has_charts(self) -> bool:
        """Whether there is anything to plot."""
        parts = (part for page in self.pages for section in page.sections for part in section.parts)
        return any(isinstance(part, Charts) for part in parts)
