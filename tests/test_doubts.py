"""Doubts about a config: what has no effect is said."""

from __future__ import annotations

from pathlib import Path

from nanwatch.config import AlertSettings, Config, CustomRule, Receiver, Rules, Tag
from nanwatch.doubts import doubts
from nanwatch.model.alert import Silence
from nanwatch.notify.receivers import Destination
from nanwatch.notify.via_command import CommandNotifier


def test_a_config_without_a_fault_raises_none(tmp_path: Path) -> None:
    """Rules of one's own count, and so do patterns."""
    program = tmp_path / "x.sh"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    receiver = Receiver("a", command=(str(program),), rules=("nan_*", "mine"), tags=("t",))
    config = Config(
        rules=Rules(custom=(CustomRule("mine", "epoch > 1"),)), receivers=(receiver,), tags=(Tag("t", rules=("oom",)),),
        alerts=AlertSettings(silences=(Silence(),)),
    )  # fmt: skip
    assert list(doubts(config, [Destination(receiver, CommandNotifier("a/command", receiver.command, 1.0))])) == []


def test_what_would_never_be_told_is_said() -> None:
    """Names of rules and tags that do not exist, and programs that are not there, each with its place."""
    receiver = Receiver("a", command=("/no/such/program",), rules=("nan_bursts",), tags=("t",))
    config = Config(
        receivers=(receiver,), tags=(Tag("u", rules=("ooms",)),),
        alerts=AlertSettings(silences=(Silence("stal"),)),
    )  # fmt: skip
    found = list(doubts(config, [Destination(receiver, CommandNotifier("a/command", receiver.command, 1.0))]))
    assert found[:4] == [
        "receivers.a.rules: no rule is called 'nan_bursts'",
        "receivers.a.tags: there is no [tags.t], so it hears nothing by it",
        "tags.u.rules: no rule is called 'ooms'",
        "alerts.silences[0].rule: no rule is called 'stal'",
    ]
    assert found[4].startswith("a/command: ")
    assert len(found) == 5
