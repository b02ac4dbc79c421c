"""oom: running out of memory ended the run."""

from __future__ import annotations

import pytest

from nanwatch.model.event import BatchDone, Event, Failure, Recovery
from tests.support.logs import bars, findings, told

BATCH = BatchDone(1, epoch=3, batch=7, batches=9, vram_gb=23.1)
OOM = Failure(5, "oom", "CUDA out of memory. Tried to allocate 2.00 GiB")


def test_fires() -> None:
    """It says what the log said, and where."""
    (finding,) = findings("oom", BATCH, OOM)
    assert (finding.severity, finding.epoch, finding.batch, finding.offset) == ("critical", 3, 7, 5)
    assert "Tried to allocate 2.00 GiB" in finding.message
    assert finding.evidence == {"vram_gb": 23.1}


def test_resolves() -> None:
    """It is over when training goes on after it."""
    assert not findings("oom", BATCH, OOM, BatchDone(9, epoch=3, batch=1, batches=9))


@pytest.mark.parametrize(
    "event", [Failure(5, "exception", "boom"), Failure(5, "killed", "Killed"), Recovery(5, "oom", "again")]
)
def test_look_alikes(event: Event) -> None:
    """Another failure, and a shortage from which the trainer recovered, are no business of this rule."""
    assert not findings("oom", BATCH, event)


def test_from_the_log() -> None:
    """Raw bytes: an out-of-memory traceback at the end is critical, speaking of memory is not."""
    error = (
        b"Traceback (most recent call last):\n"
        b'  File "train.py", line 9, in <module>\n    loss.backward()\n'
        b"torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a capacity of 24 GiB\n"
    )
    assert told(bars(1, "0.5", "0.4") + error, "oom")[0][:2] == ("oom", "critical")
    over = told(bars(1, "0.5", "0.4") + error + bars(2, "0.5", "0.4"), "oom")
    assert [word for _, word, _, _ in over] == ["critical", "resolved"]
    assert told(b"memory: 24 GiB, out of 32 GiB\n" + bars(1, "0.5", "0.4"), "oom") == []
