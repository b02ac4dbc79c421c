"""`python -m tests.crash`: kill the daemon, and print what became of its alerts."""

from __future__ import annotations

import argparse
import sys

from tests.crash.harness import run


def main() -> int:
    """Return 0 where nothing was lost and nothing was told twice."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description="Kill the daemon while logs grow.")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--longest", type=float, default=1.2, help="seconds that a daemon lives at most (1.2)")
    arguments = parser.parse_args()
    report = run(arguments.kills, arguments.seed, arguments.longest)
    print(report.table())
    return 1 if report.lost or report.defects else 0


if __name__ == "__main__":
    sys.exit(main())
