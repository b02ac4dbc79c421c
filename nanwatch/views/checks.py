"""What a check of a config and its scenarios found, in words: a line if all is well, a difference line by line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nanwatch.checking import Checked
from nanwatch.config import Config
from nanwatch.views.words import clean, duration, plural


def config_words(config: Config, rules: Sequence[str]) -> str:
    """Return one line about a config that could be read; *rules* are those that are on."""
    own = [rule.name for rule in config.rules.custom if rule.enabled]
    off = len(config.rules) - 1 + len(config.rules.custom) - len(rules)
    parts = [f"{plural(len(rules), 'rule')} on"] + [f"{off} off"] * bool(off)
    parts += [f"{len(own)} of your own ({', '.join(own)})"] * bool(own)
    parts += [plural(len(config.alerts.silences), "silence")] * bool(config.alerts.silences)
    return clean(f"{config.path or 'no nanwatch.toml, the defaults'}: {', '.join(parts)}")


def scenario_words(checked: Checked) -> Iterator[str]:
    """Yield a line for the file, then each difference: - is expected and did not come, + came unexpected."""
    wrong = len({d.scenario for d in checked.differences})
    count = plural(checked.scenarios, "scenario")
    yield clean(f"{checked.file}: {count}, {f'{wrong} not as expected' if wrong else 'all as expected'}")
    for difference in checked.differences:
        yield clean(f"{checked.file}: {difference.scenario}: step {difference.step}, at {duration(difference.at)}")
        for mark, alerts in (("-", difference.missing), ("+", difference.surplus)):
            yield from (f"    {mark} {clean(alert)}" for alert in alerts)
