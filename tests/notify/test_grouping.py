"""What goes into one message: nothing is lost, nothing comes twice, and many runs with one trouble are one story."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanwatch.alerts.inhibition import INHIBITS, inhibitors
from nanwatch.alerts.suppression import reasons as suppression_reasons
from nanwatch.model.alert import SEVERITIES, Reason, Silence
from nanwatch.model.news import News
from nanwatch.notify.grouping import Row, Waiting, drop_covered, group, merge, message_key, ready, take_due
from tests.alerts.making import alert
from tests.notify.making import alert_facts, news, run_facts
from tests.support.repeatable import repeatable

STYLES: tuple[Literal["grouped", "single", "state"], ...] = ("grouped", "single", "state")
REASONS: tuple[Reason, ...] = ("first", "escalated", "resolved", "repeated")
NOW = 1000.0


def waiting(number: int, rule: str = "crash", run: str = "a", **changes: Any) -> Waiting:
    """Return news of *rule* in a run that is due now; keyword arguments are further fields of it or of the alert."""
    due, created_at = changes.pop("due", NOW), changes.pop("created_at", NOW)
    return Waiting((number,), news(rule, log=run, id=f"alert {number}", **changes), due, created_at)


def row(number: int, reason: Reason, of: str = "x", **changes: Any) -> Row:
    """Return a row of the outbox; keyword arguments are `created_at`, `due` and fields of the alert."""
    created_at, due = changes.pop("created_at", float(number)), changes.pop("due", number + 30.0)
    return number, reason, alert_facts(id=of, **changes), run_facts("a", batch=number), created_at, due


def ids(found: Iterable[Waiting]) -> list[int]:
    """Return the rows that *found* stands for."""
    return [number for one in found for number in one.ids]


def messages(found: Iterable[Sequence[Waiting]]) -> list[list[int]]:
    """Return the rows that each message stands for."""
    return [ids(message) for message in found]


@st.composite
def _waitings(draw: st.DrawFn) -> list[Waiting]:
    """Draw news of few rules in few runs, so that much belongs together."""
    made = []
    for number in range(draw(st.integers(0, 14))):
        state = draw(st.sampled_from(["firing", "resolved"]))
        made.append(
            waiting(
                number,
                draw(st.sampled_from(["crash", "stall", "nan_loss"])),
                draw(st.sampled_from("abcde")),
                severity=draw(st.sampled_from(SEVERITIES)),
                state=state,
                reasons=tuple(draw(st.lists(st.sampled_from(REASONS), min_size=1, unique=True))),
                suppressed=tuple(draw(st.sets(st.sampled_from(["silenced", "acknowledged", "inhibited by crash"])))),
                told=draw(st.sampled_from([None, "warning", "critical"])),
                due=draw(st.sampled_from([NOW - 5, NOW, NOW + 5, NOW + 5000])),
                created_at=draw(st.sampled_from([NOW - 60, NOW - 40, NOW - 20])),
            )
        )
    return draw(st.permutations(made))


@st.composite
def _rows(draw: st.DrawFn) -> list[Row]:
    made = []
    for number in draw(st.lists(st.integers(0, 10_000), max_size=14, unique=True)):
        created_at, due = draw(st.floats(0, 1e10)), draw(st.floats(0, 1e10))
        reason = draw(st.sampled_from(REASONS))
        made.append(row(number, reason, draw(st.sampled_from("xyz")), created_at=created_at, due=due))
    return made


# -- rows of one alert


def test_rows_of_one_alert_become_one_piece_of_news() -> None:
    """All reasons in order, each once, with the facts of the latest row; it is due when the first of them is."""
    found = merge(
        [
            row(1, "first", severity="warning", due=90.0),
            row(2, "escalated", severity="critical", due=7.0),
            row(3, "repeated", severity="critical"),
            row(4, "repeated", severity="critical"),
            row(5, "resolved", state="resolved"),
        ]
    )
    expected = News(
        alert_facts(id="x", state="resolved"), run_facts("a", batch=5), ("first", "escalated", "repeated", "resolved")
    )
    assert found == [Waiting((1, 2, 3, 4, 5), expected, due=7.0, created_at=1.0)]


def test_the_latest_row_is_the_one_with_the_highest_id() -> None:
    """Neither the order in which rows are given nor a clock that was set back changes which facts are the latest."""
    found = merge(
        [row(9, "escalated", message="new", created_at=100.0), row(8, "first", message="old", created_at=500.0)]
    )
    assert [(w.ids, w.news.reasons, w.news.alert.message, w.created_at) for w in found] == [
        ((8, 9), ("first", "escalated"), "new", 100.0)
    ]


@given(rows=_rows())
@repeatable
def test_merging_loses_nothing(rows: list[Row]) -> None:
    """Every row is in exactly one piece of news, one for each alert, whatever the order of the rows."""
    found = merge(rows)
    assert sorted(ids(found)) == sorted(r[0] for r in rows)
    assert sorted(w.news.alert.id for w in found) == sorted({r[2].id for r in rows})
    for one in found:
        own = [r for r in rows if r[2].id == one.news.alert.id]
        assert {*one.news.reasons} == {r[1] for r in own}
        assert len({*one.news.reasons}) == len(one.news.reasons)
        assert (one.due, one.created_at) == (min(r[5] for r in own), min(r[4] for r in own))
    assert merge(rows[::-1]) == found


# -- what is due


def test_nothing_goes_while_nothing_is_due() -> None:
    """However much waits, it waits for the first of it to be due."""
    assert take_due([waiting(n, run="abc"[n], due=NOW + 0.1) for n in range(3)], NOW) == []
    assert take_due([], NOW) == []


def test_the_same_run_goes_along() -> None:
    """What waits for the run of something due goes with it; other runs wait on."""
    crash, nan, other = waiting(1), waiting(2, "nan_loss", due=NOW + 20), waiting(3, "nan_loss", "b", due=NOW + 20)
    assert ids(take_due([nan, crash, other], NOW)) == [2, 1]


@pytest.mark.parametrize(
    ("runs", "expected"), [("ab", [0]), ("abc", [0, 1, 2]), ("aab", [0, 1]), ("abcd", [0, 1, 2, 3])]
)
def test_the_same_trouble_of_many_runs_goes_along(runs: str, expected: list[int]) -> None:
    """What happened to three runs or more goes together as soon as it is due for one of them."""
    found = take_due([waiting(n, run=run, due=NOW + n) for n, run in enumerate(runs)], NOW)
    assert ids(found) == expected


def test_what_is_over_goes_not_along_with_what_is_not() -> None:
    """An end belongs to other ends: it would be no part of the message."""
    ended = [waiting(n, run=run, state="resolved", due=NOW + 5) for n, run in enumerate("bc", 1)]
    assert ids(take_due([waiting(0), *ended], NOW)) == [0]


@given(found=_waitings())
@repeatable
def test_taking_loses_nothing(found: list[Waiting]) -> None:
    """All that is due is taken, once and in order; what else is taken shares a run or a rule with something due."""
    taken = take_due(found, NOW)
    due = [w for w in found if w.due <= NOW]
    assert taken == [w for w in found if w in taken]
    assert all(w in taken for w in due)
    for one in taken:
        assert any(one.news.run.id == d.news.run.id or one.news.alert.rule == d.news.alert.rule for d in due)


# -- messages that would come early


def test_what_would_come_early_waits_on() -> None:
    """Of three runs that crash at night the warnings wait for the morning: they would be messages of their own."""
    crashes = [waiting(n, run=run) for n, run in enumerate("abc")]
    warning = waiting(9, "vram_jump", "a", severity="warning", due=NOW + 9000)
    made = group(take_due([*crashes, warning], NOW), "grouped")
    assert messages(made) == [[0, 1, 2], [9]]
    assert messages(ready(made, NOW)) == [[0, 1, 2]]


@given(found=_waitings(), style=st.sampled_from(STYLES))
@repeatable
def test_all_that_is_due_is_ready(found: list[Waiting], style: Literal["grouped", "single", "state"]) -> None:
    """Each message that goes holds something due, and all that is due goes."""
    going = ready(group(take_due(found, NOW), style), NOW)
    assert all(any(w.due <= NOW for w in message) for message in going)
    assert {*ids(w for message in going for w in message)} >= {*ids(w for w in found if w.due <= NOW)}


# -- what others speak for

INHIBITED = ("inhibited by crash",)
SILENCED = [("silenced",), ("silenced: maintenance",), ("silenced", "acknowledged")]
TOLD: list[tuple[Reason, ...]] = [
    ("first",),
    ("escalated",),
    ("repeated",),
    ("first", "escalated"),
    ("escalated", "repeated"),
]
ENDS: list[tuple[Reason, ...]] = [("resolved",), ("first", "resolved"), ("escalated", "resolved")]


def is_covered(suppressed: tuple[str, ...], reasons: tuple[Reason, ...], told: str | None = None) -> bool:
    """Return whether such news is covered, and not kept."""
    one = waiting(1, suppressed=suppressed, reasons=reasons, told=told)
    kept, covered = drop_covered([one])
    assert [*kept, *covered] == [one]
    return covered == [one]


def is_held(suppressed: tuple[str, ...], reasons: tuple[Reason, ...], told: str | None = None) -> bool:
    """Return whether such news waits on: it is neither kept nor covered."""
    return drop_covered([waiting(1, suppressed=suppressed, reasons=reasons, told=told)]) == ([], [])


@pytest.mark.parametrize("reasons", [*TOLD, *ENDS])
def test_what_nothing_suppresses_stays(reasons: tuple[Reason, ...]) -> None:
    """News that nothing suppresses is told."""
    assert not is_covered((), reasons)
    assert not is_covered((), reasons, "warning")


@pytest.mark.parametrize(("reasons", "told", "expected"), [
    (("first",), None, True),
    (("first",), "warning", True),
    (("first", "escalated"), "warning", True),
    (("escalated",), None, True),
    (("escalated",), "warning", False),
    (("repeated",), "warning", False),
    (("resolved",), None, False),
    (("resolved",), "warning", False),
    (("escalated", "resolved"), "warning", False),
    (("first", "resolved"), None, True),
    (("first", "resolved"), "warning", True),
])  # fmt: skip
def test_what_another_alert_speaks_for(reasons: tuple[Reason, ...], told: str | None, expected: bool) -> None:
    """It is covered if its beginning was not told yet; what people know of goes on being told."""
    assert is_covered(INHIBITED, reasons, told) is expected


@pytest.mark.parametrize("reasons", TOLD)
def test_what_was_acknowledged_meanwhile(reasons: tuple[Reason, ...]) -> None:
    """Nobody is told of what somebody knows already, but of its end."""
    assert is_covered(("acknowledged",), reasons)
    assert is_covered(("acknowledged",), reasons, "warning")
    assert not is_covered(("acknowledged",), ("resolved",), "warning")
    assert not is_covered(("acknowledged",), ("first", "resolved"))


@pytest.mark.parametrize("suppressed", SILENCED)
@pytest.mark.parametrize("reasons", TOLD)
def test_what_was_silenced_meanwhile(reasons: tuple[Reason, ...], suppressed: tuple[str, ...]) -> None:
    """It waits for the end of the silence; a mere repetition does not."""
    if reasons == ("repeated",):
        assert is_covered(suppressed, reasons, "warning")
    else:
        assert is_held(suppressed, reasons)
        assert is_held(suppressed, reasons, "warning")


@pytest.mark.parametrize("suppressed", SILENCED)
@pytest.mark.parametrize("reasons", ENDS)
def test_the_end_of_what_was_silenced(reasons: tuple[Reason, ...], suppressed: tuple[str, ...]) -> None:
    """It is told where people know of the beginning; what began and ended in silence is not."""
    assert is_covered(suppressed, reasons) is ("first" in reasons)


@pytest.mark.parametrize(
    ("rule", "other"), [(rule, other) for rule, all_ in INHIBITS.items() for other in sorted(all_)]
)
def test_the_words_of_inhibition(rule: str, other: str) -> None:
    """The reasons that inhibition gives are known for what they are."""
    words = tuple(inhibitors(alert(other), [alert(rule)]))
    assert is_covered(words, ("first", "resolved"))


@pytest.mark.parametrize("comment", ["", "inhibited by crash", "acknowledged"])
def test_the_words_of_silences_and_acknowledgements(comment: str) -> None:
    """The reasons that silences and acknowledgements give are known for what they are, whatever the comment."""
    silenced = suppression_reasons(alert(), "a", [], [Silence(comment=comment)], None)
    acknowledged = suppression_reasons(alert(acknowledged_at=5.0), "a", [], [], None)
    assert is_held(silenced, ("escalated",), "warning")
    assert is_covered(acknowledged, ("escalated",), "warning")
    assert not is_covered(acknowledged, ("first", "resolved"))


@given(found=_waitings())
@repeatable
def test_dropping_loses_nothing(found: list[Waiting]) -> None:
    """Everything is kept, covered, or waits on in silence, in order."""
    kept, covered = drop_covered(found)
    assert kept == [w for w in found if w in kept]
    assert covered == [w for w in found if w in covered]
    held = [w for w in found if w not in kept and w not in covered]
    assert all(any(reason.startswith("silenced") for reason in w.news.alert.suppressed) for w in held)


# -- messages


def test_one_message_a_run() -> None:
    """What happened to one run, or the same to two, is told run by run."""
    found = [waiting(1, "crash", "a"), waiting(2, "crash", "b"), waiting(3, "nan_loss", "a", severity="warning")]
    assert messages(group(found, "grouped")) == [[1, 3], [2]]


def test_one_message_for_many_runs() -> None:
    """The same rule in three runs is one message, and what is left of each run is another."""
    found = [waiting(n, run=run) for n, run in enumerate("abc", 1)]
    found += [waiting(4, "crash", "c"), waiting(5, "oom", "a"), waiting(6, "oom", "d")]
    assert messages(group(found, "grouped")) == [[1, 2, 3, 4], [5], [6]]


def test_ends_and_beginnings_are_told_apart() -> None:
    """Runs in which something is over are no part of a message of those in which it is not."""
    found = [waiting(n, run=run) for n, run in enumerate("abc", 1)]
    found += [waiting(n, run=run, state="resolved") for n, run in enumerate("def", 4)]
    assert messages(group(found, "grouped")) == [[1, 2, 3], [4, 5, 6]]
    assert messages(group(found[1:], "grouped")) == [[2], [3], [4, 5, 6]]


@pytest.mark.parametrize(("at_most", "expected"), [(4, [[1], [2], [3], [4]]), (3, [[1, 2, 3, 4]])])
def test_a_digest(at_most: int, expected: list[list[int]]) -> None:
    """What would be more messages than that is a single one."""
    found = [waiting(n, f"rule {n}", run) for n, run in enumerate("abcd", 1)]
    assert messages(group(found, "grouped", at_most)) == expected


def test_the_worst_comes_first_and_then_the_oldest() -> None:
    """Within messages and between them severity decides, then age."""
    found = [
        waiting(1, "goal", "a", severity="info", created_at=1.0),
        waiting(2, "nan_loss", "b", severity="warning", created_at=2.0),
        waiting(3, "crash", "b", severity="critical", created_at=9.0),
        waiting(4, "oom", "a", severity="critical", created_at=8.0),
    ]
    assert messages(group(found, "grouped")) == [[4, 1], [3, 2]]
    assert messages(group(found, "single")) == [[4], [3], [2], [1]]
    assert messages(group(found, "state")) == [[4, 3, 2, 1]]


@pytest.mark.parametrize("style", STYLES)
def test_no_news_no_message(style: Literal["grouped", "single", "state"]) -> None:
    """Where nothing waits, nothing is sent."""
    assert group([], style) == []


@given(found=_waitings(), style=st.sampled_from(STYLES), at_most=st.integers(1, 6), data=st.data())
@repeatable
def test_grouping_loses_nothing(
    found: list[Waiting], style: Literal["grouped", "single", "state"], at_most: int, data: st.DataObject
) -> None:
    """Every piece of news is in exactly one message, the worst first, and the order in which it came is no matter."""
    made = group(found, style, at_most)
    assert sorted(ids(w for message in made for w in message)) == sorted(ids(found))
    assert all(made)
    for sequence in ([message[0] for message in made], *made):
        ranks = [(-SEVERITIES.index(w.news.alert.severity), w.created_at) for w in sequence]
        assert ranks == sorted(ranks)
    if style == "grouped":
        assert len(made) <= at_most
    assert group(data.draw(st.permutations(found)), style, at_most) == made


# -- keys

PAIRS = st.lists(st.tuples(st.text(), st.sampled_from(REASONS)), max_size=6)


def test_the_key_of_a_message() -> None:
    """The key is the same today and tomorrow: 32 hexadecimal digits of host, destination, alerts and reasons."""
    key = message_key("gpu-a3", "phone/ntfy", [("0a1b", "first"), ("2c3d", "resolved")])
    assert key == "18e1bd3ec788c3d9f4ac86247cd02aa7"


@given(pairs=PAIRS, data=st.data())
@repeatable
def test_the_order_is_no_matter_to_the_key(pairs: list[tuple[str, Reason]], data: st.DataObject) -> None:
    """The same alerts and reasons make the same key in any order, and however often each is named."""
    key = message_key("h", "d", pairs)
    assert message_key("h", "d", data.draw(st.permutations(pairs))) == key
    assert message_key("h", "d", [*pairs, *pairs]) == key


@given(one=PAIRS, other=PAIRS)
@repeatable
def test_other_messages_have_other_keys(one: list[tuple[str, Reason]], other: list[tuple[str, Reason]]) -> None:
    """Another alert, reason, host or destination makes another key."""
    assert (message_key("h", "d", one) == message_key("h", "d", other)) is ({*one} == {*other})
    assert len({message_key(h, d, one) for h, d in (("h", "d"), ("d", "h"), ("hd", ""), ("", "hd"))}) == 4
