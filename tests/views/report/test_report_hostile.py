"""Text from a log is inert in every form of a report: no escape, no markup, no link, no heading, no script."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from unittest.mock import patch

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from rich.cells import cell_len

from nanwatch.views.report.html import render_html
from nanwatch.views.report.markdown import escaped, line_of, render_markdown
from nanwatch.views.report.page import (
    AlertMark,
    BadMark,
    Cell,
    Chart,
    Charts,
    Command,
    Fact,
    Facts,
    Items,
    Paragraph,
    Point,
    Report,
    ReportPage,
    Section,
    Table,
)
from nanwatch.views.report.plots import figure_json
from nanwatch.views.report.terminal import render_terminal, shell_lines
from nanwatch.views.words import clean

PIECES = [
    "[a](http://e.vil)", "![a](x.png)", "<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", "`", "``",
    "http://e.vil/x", "www.e.vil", "@team", "#12", "# head", "> quote", "- item", "1. item", "---", "===", "*a*",
    "__b__", "_c_", "~~d~~", "|", "\\", "\\|", "&lt;", "&#60;", "<!--", "a_b", "$x$", "a@b.vil", "[ ] x",
    "[ref]: http://e.vil", "[red]x[/red]", "\x1b[31m", "\x1b]8;;http://e.vil\x07", "\u202e", "nan", "%{x}",
    "<b>", "'\"", "+ x", "    code", "~~~", "<http://e.vil>", "GH-1", "a=b", "last.pt", ":smile:",
    "javascript:alert(1)", "'%{meta}'",
]  # fmt: skip
HOSTILE = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=6).map(" ".join) | st.lists(
    st.sampled_from(PIECES), max_size=6
).map("".join)
ALLOWED = {
    "inline", "text", "softbreak", "code_inline", "fence", "strong_open", "strong_close", "heading_open",
    "heading_close", "paragraph_open", "paragraph_close", "bullet_list_open", "bullet_list_close", "list_item_open",
    "list_item_close", "ordered_list_open", "ordered_list_close", "table_open", "table_close", "thead_open",
    "thead_close", "tbody_open", "tbody_close", "tr_open", "tr_close", "th_open", "th_close", "td_open", "td_close",
}  # fmt: skip
"""What a report is made of in Markdown: no link, image, HTML, quote, rule, emphasis or indented code."""


def report_with(text: str) -> Report:
    """Return a report that holds *text* wherever a log's text can stand."""
    told = clean(text)
    fact = Fact(told, told, "critical", (told,))
    table = Table(told, ("", told), ((Cell(told), Cell(told)),), frozenset({1}), told)
    parts = (Paragraph(told), Facts((fact,)), Items((fact, Fact("", told))), Items((fact,), True), table, Command(told))
    chart = Chart(
        told, told, "epoch", 1.0, 2.0, (Point(1.0, 0.5, 0.4, 0.6, told),), False, (BadMark(1.5, 3, told),),
        (AlertMark(1.5, "critical", told),),
    )  # fmt: skip
    sections = (Section("Fixed", parts), Section("Plots", (Charts((chart,)),)))
    page = ReportPage(told, "critical", "critical", told, sections)
    return Report(told, told, sections[:1], (page, page))


def tokens(text: str) -> list[Token]:
    """Return all tokens of a Markdown text, read with every extension that makes links and tables."""
    found: list[Token] = []
    for token in MarkdownIt("gfm-like").parse(text):
        found += [token, *(token.children or ())]
    return found


def seen(text: str) -> str:
    """Return what a reader sees of a Markdown text."""
    return "".join(t.content for t in tokens(text) if t.type in ("text", "code_inline"))


@settings(max_examples=300, deadline=None)
@given(HOSTILE)
def test_markdown_has_no_structure_but_its_own(text: str) -> None:
    """Hostile text never yields a link, an image, HTML, a heading, a quote or another list or table."""
    told, plain = (tokens(render_markdown(report_with(t))) for t in (text, "plain"))
    assert {t.type for t in told} <= ALLOWED
    kinds = ("heading_open", "list_item_open", "tr_open", "td_open", "th_open", "fence")
    if clean(text):
        assert [sum(t.type == k for t in told) for k in kinds] == [sum(t.type == k for t in plain) for k in kinds]


@settings(max_examples=300, deadline=None)
@given(HOSTILE)
@example("a`b www.x`y")
@example("`@a")
@example("\\@a\\")
def test_markdown_shows_text_character_by_character(text: str) -> None:
    """What was escaped reads as it was, but for runs of blanks and arrows."""
    told = clean(text)
    as_read = told.replace(" -> ", " → ").split()
    assert seen(f"x {escaped(told)} x").split() == ["x", *as_read, "x"]
    assert seen(line_of(told)).split() == as_read


def test_markdown_mentions_nobody() -> None:
    """What GitHub makes a mention, an issue or a link of stands in code."""
    for text in ("@team", "a@b.c", "#12", "x/y#3", "http://a.b", "www.a.b", "GH-7", "last.pt"):
        assert escaped(text) == f"`{text}`"
    assert escaped("(see @team.)") == "(see `@team`.)"
    assert escaped("nan_burst in epoch 4") == "nan_burst in epoch 4"


class Tags(HTMLParser):
    """Collects the elements and the attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element, and where it leads."""
        self.elements.append((tag, tuple(name for name, _ in attrs)))
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action", "data")]


@settings(max_examples=100, deadline=None)
@given(HOSTILE)
def test_html_has_no_element_but_its_own(text: str) -> None:
    """Hostile text adds neither an element nor an attribute, and every link leads to a place in the page."""
    found = []
    for told in (text, "plain"):
        reader = Tags()
        with patch("nanwatch.views.report.html.script", return_value="0"):
            reader.feed(re.sub(r"<script>.*?</script>", "", render_html(report_with(told)), flags=re.DOTALL))
        found.append(reader)
    if clean(text):
        assert found[0].elements == found[1].elements
    assert all(link.startswith("#run-") for link in found[0].links)


@settings(max_examples=100, deadline=None)
@given(HOSTILE)
def test_figures_cannot_end_their_script(text: str) -> None:
    """The JSON of a plot holds no `<`; its texts are escaped for Plotly, which reads some HTML."""
    chart = next(p for s in report_with(text).pages[0].sections for p in s.parts if isinstance(p, Charts)).charts[0]
    data = figure_json(chart)
    assert "<" not in data
    texts = [t for trace in json.loads(data)["data"] for t in (trace.get("name", ""), *trace.get("hovertext", ()))]
    for told in texts:
        assert "<" not in told.replace("<br>", "")


@settings(max_examples=200, deadline=None)
@given(HOSTILE, st.sampled_from([40, 80, 120]), st.booleans(), st.booleans())
def test_terminal_obeys_nothing(text: str, width: int, color: bool, ascii_only: bool) -> None:
    """No escape but the report's own colours reaches a terminal, Rich's markup is text, no line is too wide."""
    shown = render_terminal(report_with(text), width, color, ascii_only)
    assert color or "\x1b" not in shown
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert all(line.isprintable() for line in plain.splitlines())
    if "\\" not in text:  # a command is one line for a shell, however long its words are
        assert max(map(cell_len, plain.splitlines())) <= width


@pytest.mark.parametrize(
    ("command", "lines"),
    [
        ("$ a b c", ["$ a b c"]),
        ("$ aaaa 'b b b' cccc", ["$ aaaa \\", "  'b b b' \\", "  cccc"]),
        ("$ it's", ["$ it's"]),
    ],
)
def test_a_command_is_broken_between_its_words(command: str, lines: list[str]) -> None:
    """A long command goes on behind a backslash, never within quotes."""
    assert shell_lines(command, 12) == lines


def test_numbers_line_up_in_the_source() -> None:
    """The columns of a table are as wide in every row of the Markdown, so that it reads as plain text."""
    table = Table("", ("epoch", "loss"), ((Cell("1"), Cell("0.5")), (Cell("100"), Cell("12.25"))), frozenset({0, 1}))
    report = Report("t", "r", (Section("S", (table,)),), ())
    assert render_markdown(report).splitlines()[-4:] == [
        "| epoch |  loss |", "| ----: | ----: |", "|     1 |   0.5 |", "|   100 | 12.25 |",
    ]  # fmt: skip


def test_a_table_of_prose_becomes_blocks_where_it_is_too_wide() -> None:
    """In a narrow terminal a long text has whole lines, and not a column in which words are broken."""
    long = "torch.OutOfMemoryError: CUDA out of memory, tried to allocate 1.24 GiB of which 912 MiB were free"
    table = Table("", ("run", "what", "at"), ((Cell("a/run"), Cell(long), Cell("epoch 5/14")),))
    report = Report("t", "", (Section("Runs", (table,)),), ())
    narrow = render_terminal(report, 50, color=False, ascii_only=True)
    assert "  a/run  epoch 5/14\n    torch.OutOfMemoryError: CUDA out of memory,\n" in narrow
    assert "run" in render_terminal(report, 80, color=False, ascii_only=True).splitlines()[4]
    wide = render_terminal(report, 140, color=False, ascii_only=True)
    assert [line for line in wide.splitlines() if "a/run" in line and long in line and "epoch 5/14" in line]
