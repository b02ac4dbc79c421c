"""What holds for every test: property tests make the same examples each time, on a machine however slow."""

from __future__ import annotations

from hypothesis import settings

from tests.support.repeatable import repeatable

settings.register_profile("repeatable", repeatable)
settings.load_profile("repeatable")
