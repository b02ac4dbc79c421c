"""Tracebacks are read to the exception's line, in any trainer's log."""

# ruff: noqa: E501 (log lines are as long as they are)

from __future__ import annotations

import pytest

from nanwatch.formats.decode import Decoder
from nanwatch.model.event import Event, Failure, Interrupted, ProcessExited
from nanwatch.model.frame import Frame

HEAD = 'Traceback (most recent call last):\n  File "train.py", line 3, in <module>\n    main()\n'


def events_of(text: str) -> list[Event]:
    """Return the events of the lines of *text*."""
    decoder = Decoder()
    events: list[Event] = []
    for i, line in enumerate(text.splitlines()):
        events += decoder.decode(Frame(line, i))
    return events


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        (HEAD + "KeyError: 'loss'", "exception", "KeyError: 'loss'"),
        (HEAD + "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "oom", "torch.cuda.OutOfMemoryError"),
        (HEAD + "jaxlib.xla_extension.XlaRuntimeError: RESOURCE_EXHAUSTED: Out of memory", "oom", "jaxlib"),
        (HEAD + "AssertionError", "exception", "AssertionError"),
        ("\n".join(f"[rank0]: {line}" for line in (HEAD + "ValueError: bad").splitlines()), "exception", ""),
        (HEAD + "    ~~~~^^^^\n\nDuring handling of the above exception, another exception occurred:\n\n" + HEAD + "RuntimeError: second", "exception", "RuntimeError"),
        ("  0%|          | 0/9 [00:00<?, ?it/s]" + HEAD + "ValueError: glued to a bar", "exception", "ValueError"),
        (HEAD + "ValueError: two\nlines of text", "exception", "ValueError: two"),
    ],
)  # fmt: skip
def test_failure(text: str, kind: str, message: str) -> None:
    """A traceback is one failure, told with the exception's own line."""
    failures = [event for event in events_of(text) if isinstance(event, Failure)]
    assert [failure.kind for failure in failures] == [kind]
    assert message in failures[0].message


def test_interrupt_is_no_failure() -> None:
    """Ctrl-C ends in a traceback too, and is an interruption."""
    assert [type(event) for event in events_of(HEAD + "KeyboardInterrupt")] == [Interrupted]


def test_progress_between_its_lines() -> None:
    """A bar that draws itself between two lines of a traceback is read, and the traceback goes on."""
    lines = HEAD.splitlines()
    text = "\n".join(
        [*lines, "Epoch 1: 10%|█         | 1/10 [00:01<00:09, 1.00it/s, loss=0.5]", "ValueError: after the bar"]
    )
    assert [event.message for event in events_of(text) if isinstance(event, Failure)] == ["ValueError: after the bar"]


@pytest.mark.parametrize(
    "text",
    ["a Traceback in prose", "Traceback is printed on errors", "Error: 0.3", "KeyError: in a comment", HEAD],
)
def test_no_failure(text: str) -> None:
    """Words of tracebacks in prose, and a traceback that is not at its end, are no failure."""
    assert not [event for event in events_of(text) if isinstance(event, Failure)]


def test_end_of_the_process() -> None:
    """A traceback that `nanwatch run` saw cut off is forgotten: what the next process prints is its own."""
    text = HEAD + "[nanwatch] ended: killed by signal 9 (SIGKILL) after 3 h 02 min\nValueError: of another process"
    assert events_of(text) == [ProcessExited(3, 137, "killed by signal 9 (SIGKILL)")]
