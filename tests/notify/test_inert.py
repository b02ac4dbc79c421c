"""Hostile text: whatever logs say, nothing in a message is alive."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanwatch.model.alert import SEVERITIES, Reason
from nanwatch.model.news import News
from nanwatch.model.run import Status
from nanwatch.notify import render
from nanwatch.notify.inert import inert
from nanwatch.notify.wording import WORDINGS
from tests.notify.making import NOON, news
from tests.support.repeatable import repeatable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\nb\tc\x00d", "a b cd"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\ here", "click here"),
        ("\x1b]0;title\x07\x1bP1$r0m\x1b\\\x1b_Gf=100\x1b\\done", "done"),
        ("loss 0.5 \x1b]8;;http://evil.example", "loss 0.5 "),
        ("evil\u202egol.exe\u2066", "evilgol.exe"),
        ("@everyone", "@\u2060everyone"),
        ("<!channel> <@U1>", "<\u2060!channel> <\u2060@\u2060U1>"),
        ("[a](http://b)", "[a]\u2060(http://b)"),
        ("`code`", "'code'"),
        ("||hidden||", "|\u2060|hidden|\u2060|"),
        ("loss < 0.5 | IoU: 0.6 [12/50]", "loss < 0.5 | IoU: 0.6 [12/50]"),
        ("z" + "\u0301" * 9, "z\u0301\u0301"),
        ("z" + "\u0301\u200b" * 9, "z\u0301\u0301"),
        ("损失 naïve", "损失 naïve"),
    ],
)
def test_inert_text_is_readable_and_dead(text: str, expected: str) -> None:
    """Controls, bidi overrides, mentions, links and code are harmless; what is harmless stays as it was."""
    assert inert(text) == expected
    assert inert(expected) == expected


def test_inert_text_has_an_end() -> None:
    """A field is cut, and shows that it was."""
    assert inert("x" * 5000, 10) == "xxxxxxxxx…"


TEXT = st.one_of(
    st.text(st.characters(), max_size=80),
    st.lists(
        st.sampled_from([
            "@everyone", "@here", "<!channel>", "<@U1>", "](", "`", "||", "\n", "\r", "\x1b[2J", "{0}", "#2", "\u202e",
            "\x1b]8;;", "\x1b\\",
            "\u2067", "\x00", "\u2060", " ", "a/b", "1.5", "Error", "x" * 700, "@" * 300, "\ud800",
        ]),
        max_size=12,
    ).map("".join),
)  # fmt: skip


EVIDENCE = st.dictionaries(
    st.one_of(
        TEXT, st.sampled_from(["metric", "value", "best", "nan_batches", "silence_seconds", "pid", "from", "to"])
    ),
    st.one_of(TEXT, st.none(), st.integers(), st.floats()),
    max_size=15,
)


NUMBER = st.one_of(st.none(), st.floats())


@st.composite
def _news(draw: st.DrawFn) -> News:
    made = news(
        draw(st.one_of(st.sampled_from(sorted(WORDINGS)), TEXT)),
        log=draw(TEXT),
        run={
            "status": draw(st.sampled_from(get_args(Status))),
            "losses": draw(st.dictionaries(TEXT, st.floats(), max_size=6)),
            "primary_metric": draw(TEXT),
            "best_value": draw(NUMBER),
            "rate": draw(NUMBER),
            "eta_seconds": draw(NUMBER),
            "updated_at": draw(NUMBER),
            "epoch": draw(st.one_of(st.none(), st.integers())),
        },
        reasons=tuple(draw(st.lists(st.sampled_from(get_args(Reason)), min_size=1, max_size=2, unique=True))),
        message=draw(TEXT),
        severity=draw(st.sampled_from(SEVERITIES)),
        state=draw(st.sampled_from(["firing", "resolved"])),
        evidence=draw(EVIDENCE),
        started_at=draw(NUMBER),
        resolved_at=draw(NUMBER),
    )
    return replace(made, alert=replace(made.alert, epoch=draw(st.one_of(st.none(), st.integers()))))


@repeatable
@given(items=st.lists(_news(), max_size=14), host=TEXT)
def test_no_text_is_obeyed_by_anybody(items: list[News], host: str) -> None:
    """Whatever logs say: one line of title, a bounded body, no control, no mention, no link."""
    told = render.compose(items, key="k", host=host, now=NOON)
    assert len(told.title.replace("\u2060", "")) <= 60
    assert told.title.isprintable() or told.title.replace("\u2060", "").isprintable()
    assert len(told.body.encode()) <= 8192
    for line in told.body.split("\n"):
        assert line.replace("\u2060", "").isprintable()
    for text in (told.title, told.body):
        for live in ("@everyone", "@here", "<!channel>", "<@", "](", "`", "||"):
            assert live not in text


@repeatable
@given(text=TEXT)
def test_what_is_inert_stays_so(text: str) -> None:
    """Twice inert is once inert."""
    assert inert(inert(text), 1200) == inert(text)
