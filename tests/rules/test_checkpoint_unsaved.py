"""checkpoint_unsaved: weights are no longer written."""

from __future__ import annotations

import pytest

from nanwatch.config import CheckpointUnsaved
from nanwatch.model.alert import Finding
from nanwatch.model.event import CheckpointSaved, CheckpointSkipped, EpochDone, Event, RunFinished
from tests.support.logs import findings, lines, told

LOSS = (0.9, 0.7, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)


def found(
    saves: str, *more: Event, best: bool = False, losses: tuple[float, ...] = LOSS, epochs: int = 3, missing: int = 2
) -> list[Finding]:
    """Return what the rule finds after an epoch for each letter of *saves*: `s` saved, `-` not, `x` skipped."""
    events: list[Event] = []
    for n, word in enumerate(saves, start=1):
        events.append(EpochDone(100 * n, n, losses={"loss": losses[n - 1]}))
        if word == "s":
            events.append(CheckpointSaved(100 * n + 50, best=best))
        elif word == "x":
            events.append(CheckpointSkipped(100 * n + 50, "Skipping checkpoint save: EMA contains NaN"))
    settings = CheckpointUnsaved(epochs=epochs, missing=missing)
    return findings("checkpoint_unsaved", *events, *more, settings=settings)


def test_fires() -> None:
    """When two epochs after three that were saved have ended without it."""
    assert not found("sss--")
    (finding,) = found("sss---")
    assert (finding.severity, finding.key, finding.epoch) == ("warning", "silent", 5)
    assert finding.message == "no checkpoint saved for 2 epochs; until epoch 3 each was saved"
    assert finding.evidence == {"last_saved_epoch": 3, "epochs": 2}
    assert found("-sss---", RunFinished(999))


def test_fires_when_the_trainer_says_so() -> None:
    """At once, in its own words."""
    (finding,) = found("sx")
    assert (finding.severity, finding.key, finding.epoch, finding.offset) == ("warning", "said", 2, 250)
    assert finding.message == "Skipping checkpoint save: EMA contains NaN (last saved in epoch 1)"
    assert finding.evidence == {"last_saved_epoch": 1}
    assert found("x")[0].message == "Skipping checkpoint save: EMA contains NaN"
    assert len(found("", CheckpointSkipped(1, "x" * 5000))[0].message) < 200


def test_fires_on_while_it_is_said_again() -> None:
    """Each epoch's word renews it."""
    assert found("sxx-")
    assert not found("sxx--")


def test_resolves() -> None:
    """With the next checkpoint; what was said, also with a whole epoch of which it is not said."""
    assert not found("sss---s")
    assert not found("sxs")
    assert found("sx-")
    assert not found("sx--")
    assert not found("sx", CheckpointSaved(999, best=True))


@pytest.mark.parametrize("saves", ["", "s", "------", "ss----", "sss", "sss-s-s-s", "s-s-s----", "----s----"])
def test_look_alikes(saves: str) -> None:
    """Never saved, saved every other or fifth epoch, one that is missing, and the epoch in progress."""
    assert not found(saves)


def test_look_alikes_of_the_best() -> None:
    """What is saved only when it is the best may fail to come, called so or not."""
    falling = (0.9, 0.8, 0.7, 0.75, 0.75, 0.8)
    assert not found("sss---", best=True)
    assert not found("sss---", losses=falling)
    assert found("sss---", losses=(0.9, 0.8, 0.7, 0.6, 0.5, 0.4))


def test_thresholds() -> None:
    """How many were saved, and how many are missing, comes from the config."""
    assert found("ss---", epochs=2)
    assert not found("sss---", missing=3)


def test_from_the_log() -> None:
    """Raw bytes: lines that come after each epoch, until they do not."""
    losses = [0.9, 0.7, 0.8, 0.6, 0.5, 0.4]
    texts = [f"Epoch {n}/9: loss: {loss}" for n, loss in enumerate(losses, start=1)]
    saved = [
        line for n, text in enumerate(texts, start=1) for line in (text, f"Saved checkpoint to e{n}.pt")[: 1 + (n < 4)]
    ]
    assert told(lines(saved), "checkpoint_unsaved") == [("checkpoint_unsaved", "warning", 5, None)]
    assert told(lines([*saved, "Saved checkpoint to e6.pt"]), "checkpoint_unsaved")[-1][1] == "resolved"
