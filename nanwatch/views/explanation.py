"""An explanation as lines for a person, or as a JSON object."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nanwatch.explaining import Explanation, Matched
from nanwatch.views.words import clean, cut_end


def explanation_lines(found: Explanation, width: int) -> Iterator[str]:
    """Yield the explanation, no line wider than *width*."""
    known = found.frames - found.unmatched
    share = f" ({known / found.frames:.0%})" if found.frames else ""
    yield cut_end(clean(f"{found.log}: {found.format}"), width, "...")
    yield cut_end(f"{found.frames:,} frames, {known:,} recognised{share}, {found.unmatched:,} not", width, "...")
    if found.truncated:
        yield f"{found.truncated:,} frames were too long and were cut"
    yield from _section("recognised", sorted(found.matched.values(), key=lambda m: -m.frames), width)
    yield from _section("not recognised", sorted(found.unknown.values(), key=lambda m: -m.frames), width)


def _section(title: str, items: list[Matched], width: int) -> Iterator[str]:
    if not items:
        return
    yield ""
    yield f"{title}:"
    for item in items:
        events = ", ".join(f"{name} {count:,}" for name, count in item.events.items())
        what = item.name or f"first at byte {item.offset:,}"
        yield cut_end(f"{item.frames:9,}  {clean(what)}" + (f"  -> {events}" if events else ""), width, "...")
        yield cut_end(f"{'':11}{clean(item.sample.strip())}", width, "...")


def explanation_json(found: Explanation) -> dict[str, Any]:
    """Return the explanation as a JSON object."""
    return {
        "log": found.log,
        "format": found.format,
        "frames": found.frames,
        "unmatched": found.unmatched,
        "truncated": found.truncated,
        "recognised": [_item(m) for m in found.matched.values()],
        "unknown": [_item(m) for m in found.unknown.values()],
    }


def _item(item: Matched) -> dict[str, Any]:
    found = {"frames": item.frames, "first_offset": item.offset, "sample": item.sample}
    return {"pattern": item.name, "events": item.events, **found} if item.name else found
