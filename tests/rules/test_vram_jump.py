"""vram_jump: an epoch needs clearly more memory than those before."""

from __future__ import annotations

import pytest

from nanwatch.config import VramJump
from nanwatch.model.event import BatchDone, Event
from tests.support.logs import bars, findings, told


def epochs(*peaks: float | None) -> list[Event]:
    """Return one batch an epoch, each with its VRAM."""
    return [BatchDone(n, epoch=n, batch=5, batches=9, vram_gb=peak) for n, peak in enumerate(peaks, start=1)]


def test_fires() -> None:
    """Ten percent and a quarter of a gigabyte above the usual peak."""
    (finding,) = findings("vram_jump", *epochs(4.2, 4.2, 4.2, 4.71))
    assert (finding.severity, finding.epoch, finding.batch, finding.offset) == ("warning", 4, 5, 4)
    assert finding.evidence == {"peak_gb": 4.71, "usual_gb": 4.2, "change_gb": 0.51}
    assert "+0.51 G" in finding.message


@pytest.mark.parametrize(
    "peaks",
    [
        (4.71,),
        (4.2, 4.2, 4.55),
        (1.0, 1.0, 1.2),
        (4.71, 4.71, 4.2),
        (4.2, 9.0, 4.2),
        (None, None, 4.7),
        (0.0, 0.0, 0.0),
        (),
    ],
)
def test_look_alikes(peaks: tuple[float | None, ...]) -> None:
    """A first epoch, a small share, a small amount, a fall and unknown figures stay silent."""
    assert not findings("vram_jump", *epochs(*peaks))


def test_resolves_when_it_is_the_usual() -> None:
    """It goes when the higher peak has become the median of the epochs before."""
    assert findings("vram_jump", *epochs(4.2, 4.2, 4.7, 4.7))
    assert not findings("vram_jump", *epochs(4.2, 4.2, 4.7, 4.7, 4.7, 4.7))
    assert not findings("vram_jump", *epochs(4.2, 4.2, 4.7, 4.2))


def test_thresholds() -> None:
    """Both thresholds come from the config."""
    assert findings("vram_jump", *epochs(4.2, 4.3), settings=VramJump(percent=1.0, gb=0.05))
    assert not findings("vram_jump", *epochs(4.2, 4.71), settings=VramJump(percent=20.0))


def test_from_the_log() -> None:
    """Raw bytes: the jump is told in the epoch in which it comes, and gone when the next is back to normal."""
    log = b"".join(
        bars(e, "0.5", "0.4", "0.3", more=f", vram={v}G") for e, v in [(1, 4.2), (2, 4.2), (3, 4.71), (4, 4.2)]
    )
    assert [(word, epoch) for _, word, epoch, _ in told(log, "vram_jump")] == [("warning", 3), ("resolved", 3)]
    assert told(log.replace(b"4.71", b"4.25"), "vram_jump") == []
