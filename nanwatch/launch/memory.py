"""Did the kernel's OOM killer end something of ours? The control group that we and the command live in counts it."""

from __future__ import annotations

from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
_OURS = Path("/proc/self/cgroup")


def oom_kills(cgroups: Path = CGROUPS, ours: Path = _OURS) -> int | None:
    """Return how many processes of our control group the OOM killer has killed; None where nobody counts.

    *cgroups* is where control groups are mounted, *ours* the file that tells which one we are in.
    """
    for path in _counters(cgroups, ours):
        try:
            words = path.read_text().split()
        except OSError:  # another version of control groups, or the path is that of the machine outside a container
            continue
        if "oom_kill" in words[:-1]:
            return int(words[words.index("oom_kill") + 1])
    return None


def _counters(cgroups: Path, ours: Path) -> list[Path]:
    """Return where the counter may stand: version 2, then version 1; our own group, then what a container shows."""
    try:
        lines = ours.read_text().splitlines()
    except OSError:  # not on Linux
        return []
    found = []
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if not controllers:
            name, top = "memory.events", cgroups
        elif "memory" in controllers.split(","):
            name, top = "memory.oom_control", cgroups / "memory"
        else:
            continue
        found += [top / group.lstrip("/") / name, top / name]
    return found
