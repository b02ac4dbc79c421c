"""Checks what a user has written: rules of their own, and scenarios of what must be raised when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from glob import glob
from importlib.resources import files
from pathlib import Path

from nanwatch.config import Config
from nanwatch.errors import UsageError
from nanwatch.rules.base import make_rules
from nanwatch.scenarios import Difference, load_scenarios, run_scenario


@dataclass(frozen=True, slots=True)
class Checked:
    """A scenario file, how many scenarios it holds, and where they came out otherwise."""

    file: str
    scenarios: int
    differences: list[Difference]


def check_config(config: Config) -> list[str]:
    """Return the names of the rules that are on, the user's own among them.

    Raises:
        UsageError: a condition cannot be read.
    """
    return [rule.name for rule in make_rules(config.rules)]


def check_built_in(config: Config) -> Checked:
    """Run the scenarios that come with the rules, of all rules whose settings the config leaves as they are."""
    defaults = Config()
    folder = Path(str(files("nanwatch.rules"))) / "scenarios"
    count, differences = 0, []
    for path in sorted(folder.glob("*.toml")):
        if getattr(config.rules, path.stem) == getattr(defaults.rules, path.stem):
            found = load_scenarios(path)
            count += len(found)
            differences += [d for scenario in found for d in run_scenario(scenario, defaults, path.name)]
    return Checked("built in", count, differences)


def check_scenarios(patterns: Iterable[str], config: Config) -> Iterator[Checked]:
    """Run the scenario files that *patterns* name, each once.

    Raises:
        UsageError: there is none of that name, or one cannot be read.
    """
    for file in dict.fromkeys(name for pattern in patterns for name in _named(pattern)):
        scenarios = load_scenarios(Path(file))
        differences = [d for scenario in scenarios for d in run_scenario(scenario, config, file)]
        yield Checked(file, len(scenarios), differences)


def _named(pattern: str) -> list[str]:
    found = sorted(glob(pattern, recursive=True))  # noqa: PTH207 - the pattern may be absolute
    if not found:
        raise UsageError(f"{pattern}: no such scenario file")
    return found
