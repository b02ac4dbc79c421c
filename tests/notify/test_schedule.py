"""When people are told: quiet hours over midnight and clock changes, waits, retries that grow, rates that hold."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanwatch.config import Duration, NotifySettings, QuietHours
from nanwatch.model.alert import Reason, Severity
from nanwatch.notify.schedule import clamped, due_at, quiet_until, rejected_at, retry_at, room_at
from tests.support.repeatable import repeatable

BERLIN = ZoneInfo("Europe/Berlin")
DAYS = {"spring": (2026, 3, 29), "autumn": (2026, 10, 25), "ordinary": (2026, 11, 21)}
"""Berlin's clocks go from 2 to 3 o'clock on the first of these days, and from 3 back to 2 on the second."""
HOURS = [
    QuietHours(22 * 60, 7 * 60),
    QuietHours(13 * 60, 14 * 60 + 30),
    QuietHours(0, 6 * 60),
    QuietHours(23 * 60 + 59, 0),
    QuietHours(22 * 60, 2 * 60),
    QuietHours(22 * 60, 2 * 60 + 30),
    QuietHours(22 * 60, 3 * 60),
    QuietHours(2 * 60, 3 * 60),
    QuietHours(2 * 60 + 30, 7 * 60),
    QuietHours(2 * 60 + 10, 2 * 60 + 20),
    QuietHours(3 * 60, 2 * 60),
    QuietHours(2 * 60 + 31, 2 * 60 + 30),
]
NIGHT = HOURS[0]
JITTER = st.floats(0, 1)


@pytest.fixture(autouse=True, scope="module")
def _berlin() -> Iterator[None]:
    """Local time is Berlin's."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Berlin"
    time.tzset()
    yield
    if before is None:
        del os.environ["TZ"]
    else:
        os.environ["TZ"] = before
    time.tzset()


def at(day: str, clock: str, fold: int = 0) -> float:
    """Return the Unix time at which Berlin's clocks show this; with *fold*, the second time."""
    hour, minute = map(int, clock.split(":"))
    return datetime(*DAYS[day], hour, minute, tzinfo=BERLIN, fold=fold).timestamp()


def is_quiet(hours: QuietHours, moment: float) -> bool:
    """Tell whether Berlin's clocks show one of *hours*."""
    local = datetime.fromtimestamp(moment, UTC).astimezone(BERLIN)
    minute = local.hour * 60 + local.minute
    if hours.start < hours.end:
        return hours.start <= minute < hours.end
    return minute >= hours.start or minute < hours.end


# -- quiet hours


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("hours", HOURS)
def test_quiet_hours_minute_by_minute(hours: QuietHours, day: str) -> None:
    """In every minute of a day the quiet hours end at the first minute at which the clock shows none of them."""
    start = int(at(day, "00:00"))
    minutes = range(start, start + 3 * 86400, 60)
    over = minutes[-1]
    ends: dict[int, float | None] = {}
    for minute in reversed(minutes):
        quiet = is_quiet(hours, minute)
        over = over if quiet else minute
        ends[minute] = over if quiet else None
    for minute in minutes[: 26 * 60]:
        assert quiet_until(hours, minute) == ends[minute], datetime.fromtimestamp(minute, BERLIN)


@pytest.mark.parametrize(
    ("day", "clock", "hours", "end"),
    [
        ("ordinary", "06:59", NIGHT, "07:00"),
        ("ordinary", "00:00", NIGHT, "07:00"),
        ("ordinary", "13:00", HOURS[1], "14:30"),
        ("spring", "00:30", NIGHT, "07:00"),
        ("spring", "01:59", HOURS[5], "03:00"),  # half past two does not come
        ("autumn", "00:30", NIGHT, "07:00"),
        ("autumn", "01:00", HOURS[5], "02:30"),
    ],
)
def test_the_end_of_quiet_hours(day: str, clock: str, hours: QuietHours, end: str) -> None:
    """Quiet hours end when the clock shows it, however long that takes."""
    assert quiet_until(hours, at(day, clock)) == at(day, end)


def test_an_hour_that_comes_twice() -> None:
    """What the clock shows twice is quiet twice."""
    until_half_past = HOURS[5]
    assert quiet_until(until_half_past, at("autumn", "02:45")) is None
    assert quiet_until(until_half_past, at("autumn", "02:15", fold=1)) == at("autumn", "02:30", fold=1)


@pytest.mark.parametrize("clock", ["07:00", "12:00", "21:59"])
def test_no_quiet_hours_now(clock: str) -> None:
    """They hold from their first minute on and no longer at their end; where none are set, none hold."""
    assert quiet_until(NIGHT, at("ordinary", clock)) is None
    assert quiet_until(None, at("ordinary", "03:00")) is None


@given(
    start=st.integers(0, 1439), length=st.integers(1, 1439), day=st.sampled_from([*DAYS]), second=st.floats(0, 86400)
)
@settings(repeatable, max_examples=300)
def test_quiet_hours_end_later_and_are_over_then(start: int, length: int, day: str, second: float) -> None:
    """They end on a whole second in the future at which they hold no more, and they hold until just before it."""
    hours = QuietHours(start, (start + length) % 1440)
    now = at(day, "00:00") + second
    end = quiet_until(hours, now)
    assert (end is not None) is is_quiet(hours, now)
    if end is not None:
        assert end > now
        assert end == int(end)
        assert quiet_until(hours, end) is None
        assert quiet_until(hours, end - 0.5) == end


# -- waits

WAITS = NotifySettings(group_wait=Duration(30), group_wait_critical=Duration(5))


@pytest.mark.parametrize(
    ("severity", "reason", "by_day", "at_night"),
    [
        ("critical", "first", 5, 5),
        ("critical", "escalated", 5, 5),
        ("critical", "resolved", 30, None),
        ("critical", "repeated", 30, None),
        ("warning", "first", 30, None),
        ("warning", "escalated", 30, None),
        ("info", "first", 30, None),
        ("info", "resolved", 30, None),
    ],
)
def test_waits(severity: Severity, reason: Reason, by_day: float, at_night: float | None) -> None:
    """What is critical and new waits for seconds even at night; the rest waits for what belongs to it, and for day."""
    noon, night, morning = (at("ordinary", clock) for clock in ("12:00", "03:00", "07:00"))
    assert due_at(severity, reason, noon, WAITS, NIGHT) == noon + by_day
    assert due_at(severity, reason, night, WAITS, None) == night + by_day
    assert due_at(severity, reason, night, WAITS, NIGHT) == (morning if at_night is None else night + at_night)


def test_a_wait_into_quiet_hours() -> None:
    """News just before the quiet hours is not told in them, and news just before their end is told after its wait."""
    evening, morning = at("ordinary", "22:00"), at("ordinary", "07:00")
    assert due_at("warning", "first", evening - 10, WAITS, NIGHT) == morning + 86400
    assert due_at("warning", "first", morning - 10, WAITS, NIGHT) == morning + 20


# -- retries


def test_retries() -> None:
    """After the first failure 5 seconds, then twice as long each time, up to 15 minutes."""
    waits = [retry_at(failures, 1000.0, None, 0.5) - 1000.0 for failures in (1, 2, 3, 7, 8, 9, 10, 5000)]
    assert waits == pytest.approx([5, 10, 20, 320, 640, 900, 900, 900])


def test_rejections() -> None:
    """Where we are not let in we ask after 10 minutes, then an hour, then every three hours."""
    waits = [rejected_at(failures, 1000.0, 0.5) - 1000.0 for failures in (1, 2, 3, 4, 5000)]
    assert waits == pytest.approx([600, 3600, 10800, 10800, 10800])


@given(failures=st.integers(1, 10_000), jitter=JITTER)
@repeatable
def test_waits_grow_and_are_bounded(failures: int, jitter: float) -> None:
    """One more failure never makes the wait shorter, and it is never outside of the bounds."""
    assert 4 <= retry_at(failures, 0.0, None, jitter) <= retry_at(failures + 1, 0.0, None, jitter) <= 1080
    assert 480 <= rejected_at(failures, 0.0, jitter) <= rejected_at(failures + 1, 0.0, jitter) <= 12960


@given(failures=st.integers(1, 20), jitter=JITTER)
@repeatable
def test_jitter(failures: int, jitter: float) -> None:
    """Jitter makes a wait up to 20 % shorter or longer."""
    middle = retry_at(failures, 0.0, None, 0.5)
    assert retry_at(failures, 0.0, None, 0.0) == pytest.approx(0.8 * middle)
    assert retry_at(failures, 0.0, None, 1.0) == pytest.approx(1.2 * middle)
    assert 0.79 * middle <= retry_at(failures, 0.0, None, jitter) <= 1.21 * middle


@given(asked=st.floats(0, 86400), failures=st.integers(1, 20), jitter=JITTER)
@repeatable
def test_what_the_other_side_asks_for(asked: float, failures: int, jitter: float) -> None:
    """We never come back before the other side wants us to."""
    assert retry_at(failures, 0.0, asked, jitter) == max(asked, retry_at(failures, 0.0, None, jitter))


@pytest.mark.parametrize(
    ("asked", "wait"), [(86401.0, 86400.0), (math.inf, 86400.0), (0.0, 5.0), (-7.0, 5.0), (math.nan, 5.0)]
)
def test_absurd_wishes(asked: float, wait: float) -> None:
    """More than a day is not granted, and what is no time at all changes nothing."""
    assert retry_at(1, 1000.0, asked, 0.5) == pytest.approx(1000.0 + wait)


# -- rates


@pytest.mark.parametrize(
    ("sent", "limit", "is_critical", "expected"),
    [
        ([], 2, False, 10_000),
        ([9_000], 2, False, 10_000),
        ([9_000, 9_500], 2, False, 12_600),
        ([9_500, 9_000], 2, False, 12_600),
        ([9_000, 9_500], 0, False, 10_000),
        ([6_400, 9_500], 2, False, 10_000),  # an hour ago to the second
        ([6_401, 9_500], 2, False, 10_001),
        ([9_000, 9_500, 9_900], 2, False, 13_100),  # one too many: two must leave
        ([9_000, 9_990], 2, True, 10_050),
        ([9_000, 9_500], 2, True, 10_000),
        ([6_401, 9_990], 2, True, 10_001),
        ([9_990], 2, True, 10_000),
        ([10_001, 20_000, 30_000], 2, False, 10_000),
        ([9_000, 9_500, 20_000], 2, False, 12_600),
        ([9_000, 9_990, 20_000], 2, True, 10_050),
    ],
)
def test_room(sent: list[float], limit: int, is_critical: bool, expected: float) -> None:
    """A message goes at once while the hour holds fewer than the limit, and when it does again otherwise.

    A critical one waits for a minute at most; times from the future do not count.
    """
    assert room_at(sent, 10_000, limit, is_critical) == expected


def simulated(limit: int, seed: int, critical_share: float) -> list[tuple[float, bool]]:
    """Return when messages went, and whether each was critical, in a day with far more of them than the limit."""
    random = Random(seed)  # noqa: S311
    now = 1_795_000_000.0
    went: list[tuple[float, bool]] = []
    end = now + 86400
    while now < end:
        is_critical = random.random() < critical_share
        sent = [moment for moment, _ in went[-200:]]
        now = room_at(sent, now, limit, is_critical)
        assert room_at(sent, now, limit, is_critical) == now
        went.append((now, is_critical))
        now += random.expovariate(1 / random.choice([1, 20, 300]))
    return went


@given(limit=st.integers(1, 40), seed=st.integers(0, 10_000))
@settings(repeatable, max_examples=15)
def test_the_rate_of_a_day(limit: int, seed: int) -> None:
    """In no hour of a day more messages go out than the limit."""
    went = [moment for moment, _ in simulated(limit, seed, 0.0)]
    assert all(later - earlier >= 3600 for earlier, later in zip(went, went[limit:], strict=False))
    assert len(went) > limit


@given(limit=st.integers(1, 40), seed=st.integers(0, 10_000))
@settings(repeatable, max_examples=15)
def test_the_rate_of_a_bad_day(limit: int, seed: int) -> None:
    """Others never go beyond the limit because critical ones do, and these keep a minute between them when they do."""
    went = simulated(limit, seed, 0.3)
    for index, (moment, is_critical) in enumerate(went):
        recent = [earlier for earlier, _ in went[:index] if moment < earlier + 3600]
        assert len(recent) < limit or (is_critical and moment - recent[-1] >= 60)


# -- a clock that was set back


@pytest.mark.parametrize(("due", "expected"), [(50.0, 50.0), (100.0, 100.0), (160.0, 160.0), (161.0, 160.0)])
def test_clamped(due: float, expected: float) -> None:
    """What is due further ahead than can be is due after the longest wait; everything else when it is due."""
    assert clamped(due, 100.0, 60.0) == expected
