"""How property tests run here: the same examples each time, on a machine however slow."""

from __future__ import annotations

from hypothesis import settings

repeatable = settings(deadline=None, derandomize=True)
"""A decorator for a property test; `settings(repeatable, max_examples=...)` makes another number of examples."""
