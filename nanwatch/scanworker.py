"""Looks through the checkpoints of one run, in a process of its own that gives way to everything else.

Standard input: a line of JSON with `places` (folders), `since` and `seconds`. Standard output: the `Weights`, as state.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from nanwatch.clock import SystemClock
from nanwatch.statecodec import dump
from nanwatch.weights import weights_at

_LOWEST = 19


def main() -> int:
    """Look through what standard input names."""
    os.nice(_LOWEST)  # on Linux the disk's queue follows it
    asked = json.load(sys.stdin)
    places = [Path(os.fsdecode(bytes.fromhex(place))) for place in asked["places"]]
    found = weights_at(places, asked["since"], asked["seconds"], SystemClock())
    print(dump(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
