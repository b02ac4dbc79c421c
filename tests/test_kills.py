"""A daemon that is killed again and again while logs grow and are rotated: what arrives, and how often."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from nanwatch.config import Config
from tests.crash.harness import COMMAND, missing, repeats, run, surplus
from tests.crash.receiving import Arrival
from tests.crash.writing import Change, Reference

KILLS = int(os.environ.get("NANWATCH_CRASH_KILLS", "12"))
FIRST: Change = ("a1", "first")
OVER: Change = ("a1", "resolved")
OTHER: Change = ("b2", "first")
ANOTHER: Change = ("c3", "first")
KEY, SECOND = "k1", "k2"


@pytest.fixture
def reference(tmp_path: Path) -> Reference:
    """Return one that knows of an alert that began and ended, and of another that is spoken for."""
    return Reference(Config(logs=(str(tmp_path / "*.log"),)), Counter([FIRST, OVER, OTHER]), {"b2"})


@pytest.mark.timeout(120 + 6 * KILLS)
def test_kills_at_random_instants_lose_nothing_and_announce_nothing_twice() -> None:
    """Every alert arrives everywhere; a message comes again only with its own key and as often as it was cut short."""
    report = run(KILLS, seed=7, longest=0.3)
    assert not report.lost
    assert not report.defects
    assert report.arrived == report.expected > 0
    assert report.again <= report.under_way


def test_what_did_not_arrive_is_lost(reference: Reference) -> None:
    """A change that no message tells is missing, unless another alert spoke for it."""
    assert missing(reference, COMMAND, [Arrival(KEY, (FIRST,))]) == [f"{COMMAND}: lost: a1 resolved"]
    assert missing(reference, COMMAND, [Arrival(KEY, (FIRST, OVER))]) == []


@pytest.mark.parametrize(
    ("arrivals", "found"),
    [
        ([Arrival(KEY, (FIRST, OVER)), Arrival(KEY, (FIRST, OVER))], ""),
        ([Arrival(KEY, (OTHER,))], ""),
        ([Arrival(KEY, (FIRST,)), Arrival(SECOND, (FIRST, OVER))], "told in 2 messages: a1 first"),
        ([Arrival(KEY, (OVER,)), Arrival(SECOND, (FIRST,))], "over before it began: a1 resolved"),
        ([Arrival(KEY, (ANOTHER,))], "never happened: c3 first"),
    ],
)
def test_only_what_happened_is_told_and_once(reference: Reference, arrivals: list[Arrival], found: str) -> None:
    """The same message again is no second announcement; the same change in another message is."""
    assert surplus(reference, COMMAND, arrivals) == ([f"{COMMAND}: {found}"] if found else [])


def test_a_message_comes_once_more_for_each_kill_that_cut_it_short() -> None:
    """What was not under way when the daemon was killed comes once."""
    arrivals = [Arrival(KEY, (FIRST,)), Arrival(KEY, (FIRST,))]
    assert repeats(COMMAND, arrivals, {(COMMAND, KEY): 1}) == []
    assert repeats(COMMAND, arrivals, {}) == [f"{COMMAND}: message {KEY} came 2 times, killed 0 times"]
