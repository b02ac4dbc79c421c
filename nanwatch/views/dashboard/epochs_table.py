"""The table of epochs as lines: as many columns as fit beside the epochs' numbers, and a legend."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from rich.cells import cell_len

from nanwatch.model.alert import Alert
from nanwatch.model.run import Run
from nanwatch.model.snapshot import RunView
from nanwatch.views.dashboard.epochs_columns import BEST, WORST, Cell, Column, Place, cells_of, has_trouble, table_of
from nanwatch.views.dashboard.overview_signs import Signs, signs_of
from nanwatch.views.dashboard.panel import glyphs_of
from nanwatch.views.page import Line, Page, Span
from nanwatch.views.words import clean, pad, plural

_MOST_TITLE = 12
_GAP = 2


class Wish(NamedTuple):
    """What a person wants to see: the first column, the order, only what is not well, the epoch to compare with."""

    first: int = 0
    is_newest_first: bool = True
    is_problems: bool = False
    baseline: int | None = None


class Shown(NamedTuple):
    """The table: its head, a line for each of `places`, what is told below; `first` of `columns` is at the left.

    `troubled` are the lines of epochs with NaN or an alert, `widths` those of the number and of the columns seen.
    """

    head: list[Line]
    lines: list[Line]
    told: list[Line]
    places: list[Place]
    columns: list[Column]
    first: int
    troubled: list[int]
    widths: list[int]


class _Laid(NamedTuple):
    """A column as it is laid out."""

    title: str
    cells: list[Cell]
    width: int
    arrows: int


def epochs_shown(view: RunView, wish: Wish, width: int, is_ascii: bool = False, height: int | None = None) -> Shown:
    """Return the table of *view* in *width* cells; one less where more than *height* lines make it scroll."""
    places, columns, found = table_of(view)
    troubled = {n for n, place in enumerate(places) if has_trouble(place, found)}
    order = [n for n in range(len(places)) if n in troubled or not wish.is_problems]
    if wish.is_newest_first:
        order.reverse()
    if height is not None and len(order) > height:
        width -= 1
    page, signs = Page(max(1, width), glyphs_of(is_ascii)), signs_of(is_ascii)
    if not places:
        return Shown([], _only("no epoch so far", page), [], [], [], 0, [], [])
    numbers = _numbers(view.run, places, wish.baseline, signs, found)
    at = next((n for n, place in enumerate(places) if place.number == wish.baseline), None)
    room = page.width - max(numbers.width, cell_len(numbers.title)) - 2
    first, laid = _window(lambda c: _laid(c, cells_of(c, places, found, at, page.glyphs), page), columns, wish, room)
    seen = [numbers, *laid]
    lines = [page.bound(_line(seen, n)) for n in order]
    if not lines:
        lines = _only("no epoch with NaN or an alert; ! shows all", page)
    told = _told(view.run, wish, places, len(order), (first, first + len(laid), len(columns)), page, signs)
    return Shown(
        [page.bound(_head(seen))], lines, told, [places[n] for n in order], columns, first,
        [at for at, n in enumerate(order) if n in troubled], [column.width for column in seen],
    )  # fmt: skip


def _only(text: str, page: Page) -> list[Line]:
    return [page.bound(line) for line in page.prose(text, "quiet", indent=1)]


def _laid(column: Column, cells: list[Cell], page: Page) -> _Laid:
    arrows = max(len(cell.arrows) for cell in cells)
    body = max(len(cell.text) for cell in cells) + 1
    title = page.name(clean(column.name), max(_MOST_TITLE, body))
    return _Laid(title, cells, max(cell_len(title), body + arrows), arrows)


def _numbers(
    run: Run, places: Sequence[Place], baseline: int | None, signs: Signs, found: Mapping[tuple[int, str], Alert]
) -> _Laid:
    """Return the epochs' own numbers: the present one and the baseline have a sign, as have alerts on no figure."""
    cells = []
    for place in places:
        sign = signs.here if place.is_open else "b" if place.number == baseline else ""
        cells.append(_marked(Cell(" ", f"{place.number:,}", sign, "quiet"), found.get((place.number, ""))))
    width = max(len(cell.text) for cell in cells) + 2
    return _Laid("step" if run.epoch is None else "ep", cells, width, 1)


def _marked(cell: Cell, alert: Alert | None) -> Cell:
    if alert is None:
        return cell
    is_critical = alert.severity == "critical"
    return cell._replace(mark="X" if is_critical else "!", role="critical" if is_critical else "warning")


def _window(
    lay: Callable[[Column], _Laid], columns: Sequence[Column], wish: Wish, room: int
) -> tuple[int, list[_Laid]]:
    """Return which column is the first, and those that are seen: from there on, but as many as fit at the end.

    Only those are laid out: a long run has many cells.
    """
    first = max(0, min(wish.first, len(columns) - 1))
    seen: list[_Laid] = []
    for column in columns[first:]:
        laid = lay(column)
        if seen and laid.width + _GAP > room:
            return first, seen
        room -= laid.width + _GAP
        seen.append(laid)
    while first > 0 and (laid := lay(columns[first - 1])).width + _GAP <= room:
        room -= laid.width + _GAP
        seen.insert(0, laid)
        first -= 1
    return first, seen


def _head(seen: Sequence[_Laid]) -> Line:
    texts = [f" {pad(seen[0].title, seen[0].width - 1, right=True)} "]
    texts += [
        " " * _GAP + pad(pad(c.title, c.width - c.arrows, right=True), c.width)
        if cell_len(c.title) <= c.width - c.arrows
        else " " * _GAP + pad(c.title, c.width, right=True)
        for c in seen[1:]
    ]
    return Line([Span("".join(texts), "quiet")])


def _line(seen: Sequence[_Laid], row: int) -> Line:
    spans: list[Span] = []
    text, role, gap = "", seen[0].cells[row].role, " "
    for column in seen:
        cell = column.cells[row]
        if cell.role != role:
            spans.append(Span(text, role))
            text, role = "", cell.role
        figure = (cell.mark + cell.text).rjust(column.width - column.arrows)
        text += f"{gap}{figure}{cell.arrows:<{column.arrows}}" if column.arrows else gap + figure
        gap = " " * _GAP
    return Line([*spans, Span(text, role)])


def _told(
    run: Run, wish: Wish, places: Sequence[Place], rows: int, window: tuple[int, int, int], page: Page, signs: Signs
) -> list[Line]:
    """Return what is seen of the whole, and what the signs mean."""
    first, last, all_columns = window
    unit = "step" if run.epoch is None else "epoch"
    parts = ["newest first" if wish.is_newest_first else "oldest first"]
    if wish.is_problems:
        parts.append(f"only problems: {rows} of {plural(len(places), unit)}")
    else:
        parts.append(plural(len(places), unit) + (f" of {run.epochs:,}" if run.epochs and unit == "epoch" else ""))
    if run.epochs_dropped:
        parts.append(f"{run.epochs_dropped:,} older ones are not kept")
    if last - first < all_columns:
        parts.append(f"columns {first + 1}-{last} of {all_columns}, more with {_ways(first > 0, last < all_columns)}")
    against = f"baseline {unit} {wish.baseline:,}" if wish.baseline is not None else f"the {unit} before"
    better, worse = page.glyphs.better, page.glyphs.worse
    legend = f"{better} better {worse} worse than {against}, {2 * worse} > 3x usual"
    legend += f"  = same {BEST} best {WORST} worst"
    lines = [*page.prose(f" {signs.dot} ".join(parts), indent=1), *page.prose(legend, "quiet", indent=1)]
    return [page.bound(line) for line in lines]


def _ways(is_left: bool, is_right: bool) -> str:
    return "< >" if is_left and is_right else "<" if is_left else ">"


def as_tsv(view: RunView, places: Sequence[Place]) -> str:
    """Return the table with every column and all digits, values parted by tabs; the rows are *places*."""
    whole, columns, _ = table_of(view)
    at = {place.number: n for n, place in enumerate(whole)}
    head = ["step" if view.run.epoch is None else "epoch", *(clean(column.name) for column in columns)]
    rows = [[str(p.number), *(_raw(column.values[at[p.number]]) for column in columns)] for p in places]
    return "".join("\t".join(row) + "\n" for row in [head, *rows])


def _raw(value: float | None) -> str:
    return "" if value is None else repr(value)
