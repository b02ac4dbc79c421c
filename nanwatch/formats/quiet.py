"""What is never news in a bar, in bytes: so that superseded frames can be passed over unread."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from nanwatch.formats.bars import Bar
from nanwatch.model.event import BatchDone
from nanwatch.model.names import is_validation

_ANY = r"[-+]?\d++(?:\.\d++)?(?:[eE][-+]?\d++)?"
_DECIMAL = re.compile(r"(?<![\w.])[-+]?\d+\.\d+(?:[eE][-+]?\d+)?(?![\w.])")
_POSTFIX = re.compile(r"(?P<name>[\w/@.\-]+)=(?P<value>[^,\]]*)")


def news_source(bar: Bar, event: BatchDone, ceilings: Mapping[str, float]) -> bytes | None:
    """Return the source of the pattern that finds the next frame which is news after *bar*, or None.

    A frame is no news if it draws the same bar of the same epoch with the same memory, and each loss is
    finite and not above the power of ten that *ceilings* allows it. None where that cannot be told by bytes.
    """
    if bar.style not in ("tqdm", "ultra") or not event.losses or not all(n in ceilings for n in event.losses):
        return None
    limits = {n: _at_most(ceilings[n]) for n in event.losses}
    if not all(limits.values()) or not all(math.isfinite(v) for v in event.losses.values()):
        return None
    if bar.postfix:
        source = _postfix_source(bar, event, limits)
    else:
        source = _row_source(bar.text, event, limits)
    return None if source is None else rb"\r(?!(?:\x1b\[K)?" + source.encode() + rb")"


def _row_source(text: str, event: BatchDone, limits: Mapping[str, str]) -> str | None:
    """A description that is a row of values: the same words, then the losses in their order."""
    first = _DECIMAL.search(text)
    if first is None:
        return None
    source = re.escape(text[: first.start()].rstrip())
    position = first.start()
    for name in event.losses:
        match = re.compile(r"\s*[-+\w.]+").match(text, position)
        if match is None:
            return None
        source += rf" ++{limits[name]}"
        position = match.end()
    return source + "(?=[ :])"


def _postfix_source(bar: Bar, event: BatchDone, limits: Mapping[str, str]) -> str | None:
    if _DECIMAL.search(bar.text):
        return None
    source = re.escape(bar.text.rstrip()) + r"[^|\r\n]*+\|[^|\r\n]*+\|[^\[\r\n]*+\[[^,\]\r\n]*+,[^,\]\r\n]*+"
    for match in _POSTFIX.finditer(bar.postfix):
        name, value = match["name"], match["value"].strip()
        same = name not in event.losses and (is_validation(name) or name.endswith("_epoch"))
        if name in limits:
            pattern = limits[name]
        elif same or not re.fullmatch(_ANY, value):
            pattern = re.escape(value)
        else:
            pattern = _ANY
        source += rf",[ ]?{re.escape(name)}={pattern}"
    return source + r"[,\]]"


def _at_most(ceiling: float) -> str:
    """Return a pattern for finite decimals below the greatest power of ten that is at most *ceiling*."""
    if not ceiling > 0:
        return ""
    digits = math.floor(math.log10(ceiling) + 1e-9)
    small = r"\d(?:\.\d++)?[eE]-\d++"  # how %g writes what is below 0.0001
    if digits >= 1:
        return rf"(?:-?\d{{1,{min(digits, 15)}}}+(?:\.\d++)?(?:[eE]-\d++)?)"
    if digits < -4:
        return ""
    zeros = "0" * -digits
    return rf"(?:-?(?:0(?:\.{zeros}\d*+)?|{small}))"
