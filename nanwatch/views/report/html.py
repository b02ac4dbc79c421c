"""A report as one HTML file that works offline: tables first, plots where scripts run, and nothing fetched."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from html import escape
from importlib.resources import files
from itertools import count

from nanwatch.views.report.page import (
    Cell,
    Chart,
    Charts,
    Command,
    Fact,
    Facts,
    Items,
    Paragraph,
    Part,
    Report,
    ReportPage,
    Section,
    Table,
    Tone,
)
from nanwatch.views.report.plots import figure_json, has_plots, script

_NO_PLOTS = "The plots are left out: they need Plotly (pip install plotly)."
_HINT = "Drag to zoom, double-click to see all; uprights are alerts and the beginnings of epochs."
_NO_SCRIPT = "The plots need JavaScript; the tables above do not."


def render_html(report: Report) -> str:
    """Return *report* as a page whose only scripts are its own: each is named by its hash."""
    painter = _Painter(has_plots())
    body = "\n".join(painter.report(report))
    scripts = [script(), _asset("report.js")] if painter.figures else []
    hashes = " ".join(f"'sha256-{_hash(text)}'" for text in scripts) or "'none'"
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; script-src {hashes}; "
        "base-uri 'none'; form-action 'none'"
    )
    data = f'<script type="application/json" id="figures">[{",".join(painter.figures)}]</script>'
    tail = "".join([data, *(f"<script>{text}</script>\n" for text in scripts)]) if scripts else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(report.title)}</title>\n<style>{_asset('report.css')}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n{tail}</body>\n</html>\n"
    )


def _asset(name: str) -> str:
    return (files("nanwatch.views.report") / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def shown(text: str) -> str:
    """Return *text* as HTML shows it: character by character."""
    return escape(text.replace(" -> ", " → "))


class _Painter:
    """Draws the parts of a report; `figures` are the plots that it has left room for, as JSON."""

    def __init__(self, has_plots: bool) -> None:
        self.figures: list[str] = []
        self._has_plots = has_plots
        self._numbers = count(1)

    def report(self, report: Report) -> Iterator[str]:
        """Yield the page."""
        yield f'<header><h1>{shown(report.title)}</h1><p class="quiet">{shown(report.remark)}</p></header>'
        if len(report.pages) > 1:
            links = (f'<li><a href="#run-{n}">{shown(page.name)}</a></li>' for n, page in enumerate(report.pages, 1))
            yield f'<nav aria-label="Runs"><ul>{"".join(links)}</ul></nav>'
        for section in report.sections:
            yield from self._section(section)
        for n, page in enumerate(report.pages, 1):
            yield from self._page(page, n, is_alone=len(report.pages) == 1)

    def _page(self, page: ReportPage, n: int, is_alone: bool) -> Iterator[str]:
        yield f'<article id="run-{n}">' + ("" if is_alone else f"<h2>{shown(page.name)}</h2>")
        yield (
            f'<p class="headline {_class(page.tone)}"><strong>{shown(page.health.upper())}</strong> '
            f"{shown(page.headline)}</p>"
        )
        for section in page.sections:
            yield from self._section(section, 2 if is_alone else 3)
        yield "</article>"

    def _section(self, section: Section, level: int = 2) -> Iterator[str]:
        name = f"s{next(self._numbers)}"
        yield f'<section aria-labelledby="{name}"><h{level} id="{name}">{shown(section.title)}</h{level}>'
        for part in section.parts:
            yield from self._part(part)
        yield "</section>"

    def _part(self, part: Part) -> Iterator[str]:
        match part:
            case Paragraph(text, tone):
                yield f'<p class="{_class(tone)}">{shown(text)}</p>'
            case Facts(rows):
                yield from _facts(rows)
            case Items(rows, is_ordered):
                tag = "ol" if is_ordered else "ul"
                yield f"<{tag}>{''.join(map(_item, rows))}</{tag}>"
            case Table():
                yield from _table(part)
            case Command(text):
                yield f"<pre><code>{escape(text)}</code></pre>"
            case Charts(charts, remark):
                yield from self._charts(charts)
                yield from [f'<p class="quiet">{shown(remark)}</p>'] if remark else []

    def _charts(self, charts: tuple[Chart, ...]) -> Iterator[str]:
        if not self._has_plots:
            yield f'<p class="quiet">{shown(_NO_PLOTS)}</p>'
            return
        yield f'<noscript><p class="quiet">{_NO_SCRIPT}</p></noscript><p class="quiet">{_HINT}</p><div class="plots">'
        for chart in charts:
            text = shown(chart.text)
            yield (
                f'<figure><figcaption><b>{shown(chart.title)}</b> <span class="quiet">{text}</span></figcaption>'
                f'<div class="plot" data-figure="{len(self.figures)}" role="img" '
                f'aria-label="{shown(chart.title)}: {text}"></div></figure>'
            )
            self.figures.append(figure_json(chart))
        yield "</div>"


def _facts(rows: tuple[Fact, ...]) -> Iterator[str]:
    yield '<table class="facts"><tbody>'
    for fact in rows:
        head = f'<th scope="row">{shown(fact.label)}</th>'
        yield f'<tr>{head}<td class="{_class(fact.tone)}">{shown(fact.text)}</td></tr>'
    yield "</tbody></table>"


def _item(fact: Fact) -> str:
    label = f"<b>{shown(fact.label)}</b>: " if fact.label else ""
    notes = "".join(f"<li>{shown(note)}</li>" for note in fact.notes)
    return f'<li><span class="{_class(fact.tone)}">{label}{shown(fact.text)}</span>' + (
        f"<ul>{notes}</ul></li>" if notes else "</li>"
    )


def _table(table: Table) -> Iterator[str]:
    caption = f"<caption>{shown(table.title)}</caption>" if table.title else ""
    heads = "".join(
        f'<th scope="col"{_number(n, table)}>{shown(head)}</th>' if head else "<td></td>"
        for n, head in enumerate(table.heads)
    )
    yield f'<div class="wide"><table>{caption}<thead><tr>{heads}</tr></thead><tbody>'
    for row in table.rows:
        yield "<tr>" + "".join(_cell(cell, n, table) for n, cell in enumerate(row)) + "</tr>"
    yield "</tbody></table></div>"
    if table.remark:
        yield f'<p class="quiet">({shown(table.remark)})</p>'


def _cell(cell: Cell, n: int, table: Table) -> str:
    if n == 0:
        return f'<th scope="row">{shown(cell.text)}</th>'
    names = " ".join(name for name in ("number" if n in table.numbers else "", cell.tone) if name)
    return f'<td class="{names}">{shown(cell.text)}</td>' if names else f"<td>{shown(cell.text)}</td>"


def _number(n: int, table: Table) -> str:
    return ' class="number"' if n in table.numbers else ""


def _class(tone: Tone) -> str:
    return tone or "plain"
