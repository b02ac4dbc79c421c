"""What the tests of the dashboard share: keys that are answered are not waited for any longer."""

from __future__ import annotations

import pytest
import textual._wait


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """After each key, Textual waits until the process has done nothing for a while: a fifth of that is enough."""
    monkeypatch.setattr(textual._wait, "SLEEP_GRANULARITY", 1 / 200)
    monkeypatch.setattr(textual._wait, "SLEEP_IDLE", 1 / 4000)
