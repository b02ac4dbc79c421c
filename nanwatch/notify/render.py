"""News in words: the title and the body of a message that somebody reads on a phone, in a chat or as an e-mail."""

from __future__ import annotations

import math
import re
import shlex
import textwrap
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import takewhile
from pathlib import PurePath
from typing import NamedTuple

from nanwatch.model.alert import SEVERITIES, Severity
from nanwatch.model.news import Message, News, RunFacts

_TITLE = 60
"""Characters that every phone shows of a title."""
_LEAST_NAME = 16
_LONGEST_WHAT = 32
_WIDTH = 72
_BODY = 8000
"""Bytes: beyond that, services cut a message themselves or refuse it."""
_RESERVED = 1200
"""Bytes of them for what stands before and after the alerts."""
_FULL_ALERTS = 10
_NAMED_RUNS = 5
_EVIDENCE = 12
_LONGEST_FIELD = 600
_LONGEST_PATH = 400

_ESCAPE = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b.?")
_LIVE = re.compile(r"[@<](?=\S)|\](?=\()|\|(?=\|)")
"""What services take for a mention, a link, or text to be hidden: `@everyone`, `<!channel>`, `[a](b)`, `||a||`."""
_JOINER = "\u2060"
_MOST_MARKS = 2
_UNSAFE_IN_PATH = re.compile(r"[^\w./,:;+=~% -]")

_WORDS: dict[Severity, str] = {"critical": "CRIT", "warning": "WARN", "info": "INFO"}
_ENDED_BADLY = {"failed": "run failed", "crashed": "run crashed", "interrupted": "run interrupted"}
_ENDINGS = {**_ENDED_BADLY, "finished": "run finished"}
_IN_A_ROW = re.compile(r"(\d+ (?:epochs|times)) in a row")
_ERROR = re.compile(r"\b([A-Za-z_]\w*(?:Error|Exception|Exit|Timeout))\b")
_TELLS_NOTHING = re.compile(
    r"(?i)(?:train(?:ing)?|output|out|logs?|nohup|std(?:out|err)|console|run|main|results?|debug|slurm[-_]?[\d_.-]*|[\d_.-]*)"
)
"""Names of logs that many runs have alike."""
_FOLDER_TELLS_NOTHING = re.compile(r"(?i)(?:logs?|runs?|outputs?|results?|tmp|data|home|\.|/|)")
_NUMBERS = re.compile(r"\d[\d.]*(?:e-?\d+)?")
_SUFFIX = re.compile(r"(?i)\.(?:log|out|txt|err)$")


class Wording(NamedTuple):
    """How a rule is worded: templates over its evidence, of each the first that can be filled.

    `what` is for a title, `many` follows `20 runs`, `was` follows `OK again`, `tail` stands in place of the epoch,
    `to_do` is one line that promises nothing which the log does not tell.
    """

    what: tuple[str, ...]
    many: tuple[str, ...]
    to_do: tuple[str, ...]
    was: tuple[str, ...] = ()
    tail: tuple[str, ...] = ()


_RESUME = ("Epoch {clean} was clean: resume from its checkpoint.", "No complete epoch was seen to be clean.")
_KEEP_BEST = ("The checkpoint of epoch {best_epoch}, the best so far, is the one to keep.", "Keep the best checkpoint.")

WORDINGS: dict[str, Wording] = {
    "oom": Wording(
        ("out of memory",), ("failed: oom",), ("Take a smaller batch, or free memory on {host}; then resume.",)
    ),
    "crash": Wording(
        ("{crashed}: {error}", "{crashed}"), ("{crashed}: {error}", "crashed"),
        ("Read the error at line {line} of the log; then resume.", "Read the error in the log; then resume."),
        was=("had {crashed}",),
    ),
    "process_gone": Wording(
        ("its process is gone",), ("failed: process gone",),
        ("Look on {host} for what ended it: its kernel log, its scheduler.",), was=("its process was gone",),
    ),
    "nan_burst": Wording(("{nan}", "NaN losses"), ("with NaN losses",), _RESUME),
    "stall": Wording(
        ("silent {silence}", "silent"), ("silent",),
        ("Look at process {pid} on {host}.", "Look at its process on {host}."), was=("was silent {silence}",),
    ),
    "metric_collapse": Wording(
        ("{metric} {value}, was {best}", "metric collapsed"), ("with a collapsed metric",), _KEEP_BEST,
        was=("{metric} had collapsed",),
    ),
    "loss_explosion": Wording(
        ("{loss} {usual} -> {value}", "loss exploded"), ("with an exploded loss",),
        ("If it stays there, resume from before epoch {epoch}.", "If it stays there, start again."),
    ),
    "grad_skip": Wording(
        ("{skips}", "steps skipped"), ("skipping steps",), ("See whether it grows, and NaN losses follow.",)
    ),
    "metric_decline": Wording(
        ("{metric} worse {row}", "metric worse"), ("with a metric in decline",), _KEEP_BEST,
        was=("{metric} was worse {row}",), tail=("{from} to {to}",),
    ),
    "nan_loss": Wording(
        ("loss is NaN",), ("with a NaN loss",), ("A single bad batch may pass; nan_burst tells when it does not.",),
        was=("after {nan}", "after a NaN loss"),
    ),
    "rollback": Wording(
        ("began epoch {again} again", "went back to epoch {to_epoch}", "went back"), ("went back",),
        ("What it trained since that checkpoint is lost.",),
        was=("had begun epoch {again} again", "had gone back to epoch {to_epoch}", "had gone back"),
    ),
    "frozen_metric": Wording(
        ("metrics frozen {epochs} epochs", "metrics frozen"), ("with frozen metrics",),
        ("See whether the weights are NaN: some trainers print the last good values again.",),
        was=("metrics were frozen",),
    ),
    "checkpoint_unsaved": Wording(
        ("no checkpoint for {epochs} epochs", "checkpoint not saved"), ("not saving checkpoints",),
        (
            "Until it saves again, a crash throws it back to epoch {last_saved_epoch}.",
            "Until it saves again, a crash throws it back to its last checkpoint.",
        ),
        was=("did not save",),
    ),
    "vram_jump": Wording(
        ("VRAM {change} G", "VRAM jumped"), ("with a VRAM jump",),
        ("Look what changed there; watch how much memory is left.",),
    ),
    "slowdown": Wording(
        ("{usual_rate} -> {rate} it/s", "slow"), ("slowed down",), ("Look what else runs on {host}: GPU, CPU, disk.",),
        was=("was slow",),
    ),
    "interrupted": Wording(
        ("interrupted",), ("interrupted",), ("Resume it from its last checkpoint.",), was=("was interrupted",)
    ),
    "deadline": Wording(
        ("{late} late", "late"), ("late",), ("Shorten the run, or give it more time.",), was=("was {late} late",)
    ),
    "oom_recovered": Wording(
        ("out of memory, recovered",), ("ran out of memory, recovered",), ("A smaller batch would avoid it.",),
        was=("after running out of memory",),
    ),
    "overfit": Wording(("overfitting",), ("overfitting",), ("Keep the best checkpoint.",), was=("was overfitting",)),
    "plateau": Wording(
        ("{metric} flat {epochs} epochs", "on a plateau"), ("on a plateau",), _KEEP_BEST, was=("was on a plateau",)
    ),
    "goal": Wording(
        ("{metric} reached {value}", "{metric} will hardly be {goal}", "about its goal"), ("with news of their goal",),
        ("The goal was {goal}.",), was=("about its goal of {goal}",),
    ),
    "finished": Wording(("",), ("done",), ("",), was=("goes on",), tail=("{done}", "")),
}  # fmt: skip
"""The rules in the order of their weight: of equally severe alerts the earlier one makes the title."""


def compose(news: Sequence[News], *, key: str, host: str, now: float) -> Message:
    """Return the message that tells of *news* at *now* (Unix seconds), the worst first."""
    ordered = sorted(news, key=_weight)
    firing = [item.alert.severity for item in ordered if not item.is_over]
    told = firing or [item.alert.severity for item in ordered]
    return Message(
        key=key,
        kind="firing" if firing else "resolved",
        severity=max(told, key=SEVERITIES.index, default="info"),
        title=inert(_title(ordered, host)),
        body=_body(ordered, host, now),
        host=host,
        created_at=now,
        news=tuple(news),
    )


def test_message(receiver: str, host: str, now: float, key: str) -> Message:
    """Return a message that tells nothing but that *receiver* can be reached from *host*."""
    lines = _wrap(f"This is a test of the receiver {receiver}, sent by nanwatch on {host}. Nothing to do.")
    title = inert(_fit("TEST of receiver", receiver, [host]))
    return Message(key, "test", "info", title, _joined([*lines, f"Sent   {_moment(now)}"]), host, now)


def inert(text: str, most: int = _LONGEST_FIELD) -> str:
    """Return *text* as one line of at most *most* characters that no screen, chat or mail program obeys.

    Controls, bidi overrides and towers of marks go; a word joiner after each sign that begins a mention or a link
    keeps it readable and dead.
    """
    kept = _printable(text)
    if len(kept) > most:
        kept = f"{kept[: most - 1]}…"
    return _LIVE.sub(rf"\g<0>{_JOINER}", kept.replace("`", "'"))


def _printable(text: str) -> str:
    text = _ESCAPE.sub("", text[: 4 * _LONGEST_FIELD])
    if text.isascii() and text.isprintable():
        return text
    kept, marks = [], 0
    for char in text:
        marks = marks + 1 if unicodedata.combining(char) else 0
        if marks <= _MOST_MARKS and (char.isprintable() or char.isspace()):
            kept.append(char if char.isprintable() else " ")
    return "".join(kept)


# -- the title


def _title(news: Sequence[News], host: str) -> str:
    if not news:
        return _fit("Nothing fires", host, [])
    runs = {item.run.id for item in news}
    rules = {(item.alert.rule, item.is_over) for item in news}
    if len(runs) > 1 and len(rules) == 1:
        return _group_title(news, len(runs), host)
    if len(runs) > 1 and len(news) > 3:
        return _fit(f"{_counts(news)}: {len(runs)} runs", "", [host])
    more = f"+{len(news) - 1} more" if len(news) > 1 else ""
    return _over_title(news[0], more) if news[0].is_over else _firing_title(news[0], more)


def _firing_title(item: News, more: str) -> str:
    rule, severity = item.alert.rule, item.alert.severity
    word = "DONE" if (rule, severity) == ("finished", "info") else _WORDS[severity]
    still = "still" if "repeated" in item.reasons else ""
    head = " ".join(part for part in (word, still, _what(item)) if part)
    return _fit(head, short_name(item.run), [_filled(_wording(item).tail, _facts(item)) or _place(item)], more)


def _over_title(item: News, more: str) -> str:
    """Say `OK again` only of a run that goes on: its end too makes an alert go."""
    name, lasted = short_name(item.run), _lasted(item)
    if "first" in item.reasons:
        return _fit(f"OVER {_what(item)}".rstrip(), name, [f"lasted {lasted}" if lasted else _place(item)], more)
    if item.run.status in _ENDINGS:
        return _fit(f"OVER {_what(item)}".rstrip(), name, [_ENDINGS[item.run.status]], more)
    was = _filled(_wording(item).was, _facts(item)) or f"after {_what(item)}"
    return _fit("OK again", name, [was], more)


def _group_title(news: Sequence[News], runs: int, host: str) -> str:
    first = news[0]
    word = "OVER" if first.is_over else _WORDS[first.alert.severity]
    still = " still" if all("repeated" in item.reasons for item in news) else ""
    many = {_filled(_wording(item).many, _facts(item)) for item in news}
    what = many.pop() if len(many) == 1 else _wording(first).many[-1]
    return _fit(f"{word}{still} {runs} runs {what}", _common_name(news), [host])


def _counts(news: Iterable[News]) -> str:
    """Return `3 critical, 5 warnings, 2 over`."""
    found = Counter("over" if item.is_over else item.alert.severity for item in news)
    words = [(found["critical"], "critical"), (found["warning"], "warning" + "s" * (found["warning"] != 1))]
    words += [(found["info"], "info"), (found["over"], "over")]
    return ", ".join(f"{count} {word}" for count, word in words if count)


def _fit(head: str, name: str, tails: Sequence[str], more: str = "") -> str:
    """Return the parts of a title in the length of one: first the tails go, then the name loses its middle."""
    head, name, ends = _printable(head), _printable(name), [part for part in (more,) if part]
    joint = ", " if " " in head else " "
    kept = [_printable(tail) for tail in tails if tail]
    while True:
        rest = "".join(f", {part}" for part in (*kept, *ends))
        room = _TITLE - len(head) - len(rest) - len(joint)
        if not name:
            joint, room = "", room + len(joint)
        if room >= min(len(name), _LEAST_NAME) or not kept:
            break
        kept.pop()
    if room < min(len(name), _LEAST_NAME):
        head, room = _cut_end(head, len(head) + room - _LEAST_NAME), _LEAST_NAME
    return f"{head}{joint if name else ''}{_cut_middle(name, room)}{rest}"


def _what(item: News) -> str:
    """Return in a few words what is wrong."""
    facts = _facts(item)
    if item.alert.rule in WORDINGS:
        return _printable(_filled(WORDINGS[item.alert.rule].what, facts))
    said = " ".join(_printable(item.alert.message).split())
    return _cut_end(said or item.alert.rule.replace("_", " "), _LONGEST_WHAT)


def _wording(item: News) -> Wording:
    """Return how the rule is worded; a rule of the user's own is by its name."""
    name = item.alert.rule.replace("_", " ")
    own = Wording((), (f"with {name.replace('{', '(').replace('}', ')')}",), ("{rule} is a rule of your own.",))
    return WORDINGS.get(item.alert.rule, own)


def _filled(templates: Iterable[str], facts: Mapping[str, str]) -> str:
    """Return the first of *templates* whose names are all known, filled in; nothing if there is none."""
    for template in templates:
        try:
            return template.format_map(facts)
        except KeyError:
            continue
    return ""


def _facts(item: News, host: str = "") -> dict[str, str]:
    """Return what the templates can name: the evidence in words, and what follows from it."""
    alert, run, evidence = item.alert, item.run, item.alert.evidence
    facts = {name: _number(value) for name, value in evidence.items() if value is not None}
    facts |= {"rule": alert.rule, "host": host or "its machine", "crashed": "crashed", "done": _done(run)}
    for name, value in (("epoch", alert.epoch), ("line", alert.line), ("clean", run.last_clean_epoch)):
        if value is not None:
            facts[name] = f"{value:,}"
    if evidence.get("kind") == "killed":
        facts["crashed"] = "killed"
    if evidence.get("to_epoch") is not None and evidence["to_epoch"] == evidence.get("from_epoch"):
        facts["again"] = facts["to_epoch"]
    for name, pattern, text in (("row", _IN_A_ROW, alert.message), ("error", _ERROR, alert.message)):
        found = pattern.search(text)
        if found:
            facts[name] = found[1]
    return facts | _counted(evidence)


def _counted(evidence: Mapping[str, float | int | str | None]) -> dict[str, str]:
    """Return the evidence that needs a unit, or a plural."""
    found = {}
    for name, (new, worded) in _UNITS.items():
        value = evidence.get(name)
        if isinstance(value, int | float) and math.isfinite(value):
            found[new] = worded(value)
    return found


def _place(item: News) -> str:
    alert, run = item.alert, item.run
    if alert.epoch is not None:
        return f"epoch {alert.epoch}" + (f"/{run.epochs}" if run.epochs else "")
    return f"step {alert.batch:,}" if alert.batch is not None else ""


def _done(run: RunFacts) -> str:
    """Return `90/90, top1 0.7612 (best)`: how far the run came, and how good it is."""
    at, of = (run.step, run.steps) if run.epoch is None else (run.epoch, run.epochs)
    parts = [] if at is None else [f"{at:,}/{of:,}" if of else f"{'epoch' if run.epoch is not None else 'step'} {at:,}"]
    if run.best_value is not None and run.primary_metric:
        is_best = run.primary_value == run.best_value
        value = f"{run.primary_metric} {_number(run.best_value)}"
        parts.append(f"{value} (best)" if is_best else f"best {value}")
    return ", ".join(parts)


def _weight(item: News) -> tuple[bool, int, int, float]:
    rules = [*WORDINGS]
    rank = rules.index(item.alert.rule) if item.alert.rule in WORDINGS else rules.index("interrupted")
    return item.is_over, -SEVERITIES.index(item.alert.severity), rank, item.alert.noticed_at


# -- names


def short_name(run: RunFacts) -> str:
    """Return what people call the run: the log's name, with its folder's where many logs are called so."""
    path = PurePath("stdin" if run.log in ("-", "") else _printable(run.log))
    stem = _SUFFIX.sub("", path.name) or path.name
    folders = [part for part in path.parts[:-1] if not _FOLDER_TELLS_NOTHING.fullmatch(part)]
    name = f"{folders[-1]}/{stem}" if _TELLS_NOTHING.fullmatch(stem) and folders else stem
    number = run.id.removeprefix(run.log)
    return f"{name}{number}" if re.fullmatch(r"#\d+", number) else name


def _common_name(news: Iterable[News]) -> str:
    """Return what the runs' names have in common, else the folder that holds them all, else the first and a count."""
    logs = {item.run.id: item.run for item in news}
    names = [short_name(run) for run in logs.values()]
    start = re.sub(r"[\d.]+$", "", "".join(_common_start(names)))
    if len(start) > 3:
        return start.rstrip("/") if start.endswith("/") else f"{start}*"
    folders = [PurePath(_printable(run.log)).parent.parts for run in logs.values()]
    shared = _common_start(folders)
    if shared and not _FOLDER_TELLS_NOTHING.fullmatch(shared[-1]):
        return shared[-1]
    return f"{names[0]} +{len(names) - 1}"


def _common_start(texts: Sequence[Sequence[str]]) -> list[str]:
    """Return the items with which all of *texts* begin."""
    return [same[0] for same in takewhile(lambda same: len(set(same)) == 1, zip(*texts, strict=False))]


def _cut_middle(name: str, room: int) -> str:
    """Return *name* in *room* characters: what is too long loses its middle, and no number half of itself."""
    if len(name) <= room:
        return name
    first, last = (room - 1) // 2, len(name) - room // 2
    for found in _NUMBERS.finditer(name):
        if 0 < found.start() < first < found.end():
            first = found.start()
        if found.start() < last < found.end() < len(name):
            last = found.end()
    return f"{name[:first]}…{name[last:]}"


def _cut_end(text: str, room: int) -> str:
    """Return *text* in *room* characters: what is too long loses its last words."""
    if len(text) <= room:
        return text
    head = text[: max(1, room - 1)]
    if " " in head and not text[len(head)].isspace():
        head = head[: head.rindex(" ")]
    return head.rstrip(" ;,:(") + "…"


# -- the body


def _body(news: Sequence[News], host: str, now: float) -> str:
    """Return all that is known, the most important first: as many alerts in full as fit, the others as a count."""
    runs = list(dict.fromkeys(item.run.id for item in news))
    ordered = [item for run in runs for item in news if item.run.id == run]
    lines = _overview(ordered, host) if len(runs) > 1 else []
    shown = 0
    for at, item in enumerate(ordered[:_FULL_ALERTS]):
        is_last = at + 1 in (len(ordered), _FULL_ALERTS) or ordered[at + 1].run.id != item.run.id
        block = _alert_lines(item, host, now, len(ordered) > 1, len(runs) > 1)
        block += _run_lines(item.run, now, item) if is_last else []
        if shown and _size([*lines, *block]) > _BODY - _RESERVED:
            break
        lines += [*block, ""]
        shown += 1
    if shown < len(ordered):
        lines += [f"and {len(ordered) - shown} more: {_counts(ordered[shown:])}", ""]
    return _bounded([*(lines or ["Nothing fires."]), f"Host   {host}"])


def _overview(news: Sequence[News], host: str) -> list[str]:
    """Return which runs it is about: five names, and how many more; and when it began."""
    names = list({item.run.id: short_name(item.run) for item in news}.values())
    more = f", and {len(names) - _NAMED_RUNS} more" if len(names) > _NAMED_RUNS else ""
    text = f"{len(names)} runs on {host}: {', '.join(names[:_NAMED_RUNS])}{more}; {_counts(news)}."
    began = [item for item in news if item.alert.started_at is not None]
    first = min(began, key=lambda item: item.alert.started_at or 0.0, default=None)
    lines = _wrap(text)
    if first is not None and first.alert.started_at is not None:
        lines += _field("First", f"{short_name(first.run)}, {_moment(first.alert.started_at)}")
    return [*lines, ""]


def _alert_lines(item: News, host: str, now: float, is_one_of_many: bool, tells_run: bool) -> list[str]:
    """Return one alert: what it says, what to do, its evidence, where it began."""
    alert = item.alert
    message = " ".join(inert(alert.message).split())
    word = "OVER" if item.is_over else _WORDS[alert.severity]
    name = f" {short_name(item.run)}" if tells_run else ""
    lead = f"{word}{name}: " if is_one_of_many else ""
    lines = _wrap(f"{lead}{_life(item, now)}{message}")
    lines += _field("Do", _to_do(item, host))
    lines += _evidence(item)
    lines += _field("At", _onset(item)) + _field("Since", _since(item))
    if not item.is_over and alert.severity != "info":
        lines += [f"Quiet  nanwatch daemon ack {_printable(alert.id)}"]
    return lines


def _life(item: News, now: float) -> str:
    """Return whether it is over, and what else the reader must know of it first."""
    alert, lasted = item.alert, _lasted(item)
    if item.is_over:
        began = "Began and ended, over" if "first" in item.reasons else "Over"
        return f"{began} after {lasted}: " if lasted else f"{began}: "
    said = f"now {alert.severity}" if "escalated" in item.reasons else ""
    if "repeated" in item.reasons:
        start = alert.noticed_at if alert.started_at is None else alert.started_at
        said = ", ".join(part for part in (f"still firing, for {_duration(now - start)}", said) if part)
    return f"{said[0].upper()}{said[1:]}: " if said else ""


def _lasted(item: News) -> str:
    alert = item.alert
    if alert.started_at is None or alert.resolved_at is None or alert.resolved_at < alert.started_at:
        return ""
    return _duration(alert.resolved_at - alert.started_at)


def _to_do(item: News, host: str) -> str:
    if item.is_over or item.alert.severity == "info":
        return "Nothing to do."
    return _filled(_wording(item).to_do, _facts(item, host)) or "Look at the log."


def _evidence(item: News) -> list[str]:
    values = [(_printable(name)[:40], value) for name, value in item.alert.evidence.items() if value is not None]
    if not values:
        return []
    width = max(len(name) for name, _ in values[:_EVIDENCE])
    lines = [f"  {name:<{width}}  {_number(value, ',' * (name != 'pid'))}" for name, value in values[:_EVIDENCE]]
    more = len(values) - _EVIDENCE
    return ["Evidence", *lines, *([f"  and {more} more"] if more > 0 else [])]


def _onset(item: News) -> str:
    alert = item.alert
    places = [("epoch", alert.epoch), ("batch" if alert.epoch is not None else "step", alert.batch)]
    places += [("log line", alert.line), ("byte", alert.offset)]
    return ", ".join(f"{name} {value:,}" for name, value in places if value is not None)


def _since(item: News) -> str:
    alert = item.alert
    if alert.started_at is None:
        return f"while nanwatch was not watching; seen {_moment(alert.noticed_at)}"
    return _moment(alert.started_at) + (
        f", until {_moment(alert.resolved_at)}" if alert.resolved_at is not None else ""
    )


def _run_lines(run: RunFacts, now: float, item: News) -> list[str]:
    """Return where the run stands, and a line to paste that shows more."""
    lines = _field("Run", f"{short_name(run)}: {_standing(run)}")
    for text in (_pace(run), _losses(run), _counters(run), _best(run)):
        lines += _field("", text)
    if run.last_clean_epoch is not None and (run.nan_batches or item.alert.rule in ("nan_loss", "nan_burst")):
        lines += _field("Clean", f"epoch {run.last_clean_epoch} was the last without NaN")
    if run.updated_at is not None:
        ago = f", {_duration(now - run.updated_at)} ago" if now - run.updated_at >= 1 else ""
        lines += _field("Grew", f"{_moment(run.updated_at)}{ago}")
    lines.append(f"Log    {inert(run.log, _LONGEST_PATH)}")
    pasted = _pasted(run.log)
    return [*lines, *([f"Look   nanwatch summary {pasted}"] if pasted else [])]


def _standing(run: RunFacts) -> str:
    """Return `running, epoch 4/50, batch 1,420/41,163`."""
    pairs = [("epoch", run.epoch, run.epochs), ("batch", run.batch, run.batches)]
    if run.batch is None:
        pairs.append(("step", run.step, run.steps))
    parts = [f"{name} {at:,}{f'/{of:,}' if of else ''}" for name, at, of in pairs if at is not None]
    return ", ".join([run.status, *parts])


def _pace(run: RunFacts) -> str:
    """Return `12.4 it/s, ETA 43 h` of a run that goes on."""
    parts = []
    if run.status == "running" and run.rate and math.isfinite(run.rate):
        parts.append(f"{run.rate:.3g} it/s" if run.rate >= 1 else f"{1 / run.rate:.3g} s/it")
    if run.status == "running" and run.eta_seconds is not None and math.isfinite(run.eta_seconds):
        parts.append(f"ETA {_duration(run.eta_seconds)}")
    return ", ".join(parts)


def _losses(run: RunFacts) -> str:
    shown = [f"{_printable(name)[:40]} {_number(value)}" for name, value in [*run.losses.items()][:4]]
    return ", ".join([*shown, *([f"{len(run.losses) - 4} more"] if len(run.losses) > 4 else [])])


def _counters(run: RunFacts) -> str:
    parts = [f"{run.nan_batches:,} NaN batch{'es' * (run.nan_batches != 1)}" if run.nan_batches else "no NaN"]
    if run.grad_skips:
        parts.append(f"{run.grad_skips:,} step{'s' * (run.grad_skips != 1)} skipped")
    if run.vram_gb is not None:
        parts.append(f"VRAM {run.vram_gb:.3g} G")
    return ", ".join(parts)


def _best(run: RunFacts) -> str:
    if run.primary_metric is None or (run.primary_value is None and run.best_value is None):
        return ""
    at = "" if run.best_epoch is None else f" ({'step' if run.epoch is None else 'epoch'} {run.best_epoch:,})"
    best = "" if run.best_value is None else f"best {_number(run.best_value)}{at}"
    value = "" if run.primary_value is None else _number(run.primary_value)
    return f"{_printable(run.primary_metric)[:40]} {', '.join(part for part in (value, best) if part)}"


def _pasted(log: str) -> str:
    """Return the log's path as a shell and nanwatch take it, a `?` for each sign that a chat would not leave alone."""
    if len(log) > _LONGEST_PATH:
        return ""
    quoted = shlex.quote(log)
    return quoted if inert(quoted, _LONGEST_PATH) == quoted else shlex.quote(_UNSAFE_IN_PATH.sub("?", log))


def _field(name: str, text: str) -> list[str]:
    """Return `name   text` in as many lines as it takes; nothing where there is no text."""
    return _wrap(f"{name:<7}{text}", " " * 7) if text else []


def _wrap(text: str, indent: str = "") -> list[str]:
    text = _printable(text).replace(" %", "\N{NO-BREAK SPACE}%")
    return textwrap.wrap(
        text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )  # fmt: skip


def _joined(lines: Iterable[str]) -> str:
    return "\n".join(inert(line) for line in lines)


def _size(lines: Iterable[str]) -> int:
    return len(_joined(lines).encode())


def _bounded(lines: Sequence[str]) -> str:
    """Return *lines*, without those before the last one that are too many, and how many these are."""
    text = _joined(lines)
    kept = len(lines) - 1
    while len(text.encode()) > _BODY and kept > 1:
        kept -= 1
        text = _joined([*lines[:kept], f"and {len(lines) - 1 - kept} more lines", lines[-1]])
    return text


# -- numbers and times


def _number(value: float | str, group: str = ",") -> str:
    """Return four telling digits, a whole number in full, or a text as it is."""
    if isinstance(value, str):
        return value[:200]
    if isinstance(value, int):
        return f"{value:{group}}" if abs(value) < 10**15 else f"{float(value):.4g}"
    return f"{value:.4g}"


def _duration(seconds: float) -> str:
    """Return `45 s`, `22 min`, `3 h 25 min`, or `2 d 4 h`."""
    if not math.isfinite(seconds) or seconds >= 1e9:
        return "ages"
    whole = max(0, round(seconds))
    if whole < 90:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, rest = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {rest} min" if rest else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"


def _moment(at: float) -> str:
    """Return the local time with its date and its zone."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(at))
    except (OverflowError, OSError, ValueError):
        return "at an unknown time"


_UNITS: dict[str, tuple[str, Callable[[float], str]]] = {
    "nan_batches": ("nan", lambda count: f"{count:,.0f} NaN {'loss' if count == 1 else 'losses'}"),
    "grad_skips": ("skips", lambda count: f"{count:,.0f} {'step' if count == 1 else 'steps'} skipped"),
    "silence_seconds": ("silence", _duration),
    "late_seconds": ("late", _duration),
    "change_gb": ("change", lambda gb: f"{gb:+.2f}"),
    "pid": ("pid", lambda pid: f"{pid:.0f}"),
}
"""Evidence that templates name otherwise, and how it is worded there."""
