"""The title of a message: how bad, what, which run and where, in what every phone shows of it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nanwatch.model.news import News
from nanwatch.model.words import printable
from nanwatch.notify.names import common_name, short_name
from nanwatch.notify.phrases import began_and_ended, counts, filled, how_bad, lasted, place, terms
from nanwatch.notify.wording import WORDINGS, wording_of

_TITLE = 60
"""Characters that every phone shows of a title."""
_LEAST_NAME = 16
_LONGEST_WHAT = 32
_LEAST_PIECE = 8
"""Of a word that is cut in two, so much must be left to tell it."""
_FEW = 3
"""Alerts of several runs: of so many the worst is told, more are only counted."""
_ENDINGS = ("failed", "crashed", "interrupted", "finished")
_NUMBERS = re.compile(r"\d[\d.]*(?:e-?\d+)?")


def title(news: Sequence[News], host: str) -> str:
    """Return the title of a message that tells of *news*, which are ordered, the worst first; it is not inert yet."""
    if not news:
        return fit("Nothing fires", host)
    runs = {item.run.id for item in news}
    rules = {(item.alert.rule, item.is_over) for item in news}
    if len(runs) > 1 and len(rules) == 1:
        return _group_title(news, len(runs), host)
    if len(runs) > 1 and len(news) > _FEW:
        return fit(f"{counts(news)}: {len(runs)} runs", tail=host)
    more = f"+{len(news) - 1} more" if len(news) > 1 else ""
    return _over_title(news[0], more) if news[0].is_over else _firing_title(news[0], more)


def _firing_title(item: News, more: str) -> str:
    rule, severity = item.alert.rule, item.alert.severity
    word = "DONE" if (rule, severity) == ("finished", "info") else how_bad(item)
    still = "still" if "repeated" in item.reasons and word != "DONE" else ""
    head = " ".join(part for part in (word, still, _what(item)) if part)
    return fit(head, short_name(item.run), filled(wording_of(rule).tail, terms(item)) or place(item), more)


def _over_title(item: News, more: str) -> str:
    """Say `OK again` only of a run that goes on: its end too makes an alert go."""
    name, status, what = short_name(item.run), item.run.status, _what(item)
    if began_and_ended(item):
        long = lasted(item)
        return fit(f"OVER {what}".rstrip(), name, f"lasted {long}" if long else place(item), more)
    if status in _ENDINGS:
        return fit(f"OVER {what}".rstrip(), name, f"run {status}", more)
    return fit("OK again", name, filled(wording_of(item.alert.rule).was, terms(item)) or f"after {what}", more)


def _group_title(news: Sequence[News], runs: int, host: str) -> str:
    """Say what all have in common: one rule, and the error where it is the same in all."""
    still = " still" if all("repeated" in item.reasons for item in news) else ""
    many = wording_of(news[0].alert.rule).many
    said = {filled(many, terms(item)) for item in news}
    what = said.pop() if len(said) == 1 else many[-1]
    return fit(f"{how_bad(news[0])}{still} {runs} runs {what}", common_name(news), host)


def _what(item: News) -> str:
    """Return in a few words what is wrong: of a rule of the user's own, what it says itself."""
    if item.alert.rule in WORDINGS:
        return printable(filled(WORDINGS[item.alert.rule].what, terms(item)))
    said = " ".join(printable(item.alert.message).split())
    return _cut_end(said or item.alert.rule.replace("_", " "), _LONGEST_WHAT)


def fit(head: str, name: str = "", tail: str = "", more: str = "") -> str:
    """Return the parts in the length of a title: first the tail goes, then the name loses its middle.

    Where even that is too long, the head loses its end; *more* always stays.
    """
    head, name = printable(head), printable(name)
    joint = "" if not name else ", " if " " in head else " "
    least = min(len(name), _LEAST_NAME)
    for ends in ((printable(tail), more), (more,)):
        rest = "".join(f", {part}" for part in ends if part)
        room = _TITLE - len(head) - len(joint) - len(rest)
        if room >= least:
            break
    else:
        head = _cut_end(head, len(head) + room - least)
        room = _TITLE - len(head) - len(joint) - len(rest)
    return f"{head}{joint}{_cut_middle(name, room)}{rest}"


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
    """Return *text* in *room* characters: what is too long loses its last words, a long word only its end."""
    if len(text) <= room:
        return text
    end = max(1, room - 1)
    end = next((found.start() for found in _NUMBERS.finditer(text) if 0 < found.start() < end < found.end()), end)
    start = text.rfind(" ", 0, end) + 1
    if 0 < end - start < _LEAST_PIECE and start and not text[end].isspace():
        end = start
    return text[:end].rstrip(" ;,:(") + "…"
