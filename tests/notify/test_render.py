"""The message as a whole: how urgent it is, and what it says where there is nothing to say."""

from __future__ import annotations

from tests.notify.composing import compose, over
from tests.notify.making import news


def test_the_severity_is_that_of_what_still_fires() -> None:
    """What is over does not make a message more urgent, unless all of it is over."""
    items = (over("nan_burst"), news("vram_jump", severity="warning"))
    assert (compose(*items).severity, compose(*items).kind) == ("warning", "firing")
    assert (compose(over("nan_burst")).severity, compose(over("nan_burst")).kind) == ("critical", "resolved")


def test_nothing_can_be_told() -> None:
    """A message of no news says so."""
    told = compose()
    assert (told.title, told.body, told.severity) == ("Nothing fires, gpu-a3", "Nothing fires.\nHost   gpu-a3", "info")
