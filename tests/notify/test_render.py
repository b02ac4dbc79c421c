"""The message as a whole: how urgent it is, and what it says where there is nothing to say."""

from __future__ import annotations

import pytest

from nanwatch.model.alert import SEVERITIES, Severity
from tests.notify.composing import compose, over
from tests.notify.making import news


def test_the_severity_is_that_of_what_still_fires() -> None:
    """What is over does not make a message more urgent, unless all of it is over."""
    items = (over("nan_burst"), news("vram_jump", severity="warning"))
    assert (compose(*items).severity, compose(*items).kind) == ("warning", "firing")
    assert (compose(over("nan_burst")).severity, compose(over("nan_burst")).kind) == ("critical", "resolved")


@pytest.mark.parametrize("severity", SEVERITIES)
def test_what_is_told_for_the_first_time_is_no_end(severity: Severity) -> None:
    """What began and ended before anybody was told is as urgent as it was; its title says that it is over."""
    item = over("nan_burst", severity=severity, evidence={"nan_batches": 3}, reasons=("first", "resolved"))
    told = compose(item)
    assert (told.kind, told.severity) == ("firing", severity)
    assert told.title == "OVER 3 NaN losses, unet-iou-v3, lasted 12 min"


def test_what_is_told_for_the_first_time_makes_the_title() -> None:
    """It comes before what is less severe, behind what is as severe and fires, and before an end of what was told."""
    began_and_ended = over("nan_burst", reasons=("first", "resolved"))
    warning, critical = news("vram_jump", severity="warning"), news("stall")
    assert compose(warning, began_and_ended).title.startswith("OVER NaN losses")
    assert (compose(warning, began_and_ended).kind, compose(warning, began_and_ended).severity) == (
        "firing",
        "critical",
    )
    assert compose(began_and_ended, critical).title.startswith("CRIT silent")
    assert compose(over("oom"), began_and_ended).title.startswith("OVER NaN losses")


def test_nothing_can_be_told() -> None:
    """A message of no news says so."""
    told = compose()
    assert (told.title, told.body, told.severity) == ("Nothing fires, gpu-a3", "Nothing fires.\nHost   gpu-a3", "info")
