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
_VALUE = re.compile(rf"{_DECIMAL.pattern}|(?<=\s)-?(?:nan|inf)(?:\.0)?(?=\s)")
_POSTFIX = re.compile(r"(?P<name>[\w/@.\-]+)=(?P<value>[^,\]]*)")


def news_source(bar: Bar, event: BatchDone, ceilings: Mapping[str, float], nan_is_news: bool = True) -> bytes | None:
    """Return the source of the pattern that finds the next frame which is news after *bar*, or None.

    A frame is no news if it draws the same bar of the same epoch with the same memory, and each loss is
    finite and not above the power of ten that *ceilings* allows it. Where all that can be said of non-finite
    losses has been said (*nan_is_news* is False), those that stay non-finite are none either. None where it
    cannot be told by bytes.
    """
    if bar.style not in ("tqdm", "ultra") or not event.losses or not all(n in ceilings for n in event.losses):
        return None
    limits = {n: _limit(v, ceilings[n]) for n, v in event.losses.items()}
    if not all(usual for usual, _ in limits.values()):
        return None
    if nan_is_news and not all(math.isfinite(v) for v in event.losses.values()):
        return None
    source = _postfix_source(bar, event, limits) if bar.postfix else _row_source(bar.text, event, limits)
    erase = rb"(?:\x1b\[K)?" if bar.style == "ultra" else b""
    return None if source is None else rb"\r(?!" + erase + source.encode() + rb")"


def _row_source(text: str, event: BatchDone, limits: Mapping[str, tuple[str, str]]) -> str | None:
    """A description that is a row of values: the same words, then the losses in their order."""
    first = _VALUE.search(text)
    if first is None:
        return None
    values = len(re.findall(r"[-+\w.]+", text[first.start() :]))
    if values < len(event.losses):
        return None
    usual = "".join(rf" ++{limits[name][0]}" for name in event.losses)
    every = "".join(rf" ++{limits[name][1]}" for name in event.losses)
    return rf"{re.escape(text[: first.start()].rstrip())}(?:{usual}|{every})[ :]"


def _postfix_source(bar: Bar, event: BatchDone, limits: Mapping[str, tuple[str, str]]) -> str | None:
    if _DECIMAL.search(bar.text):
        return None
    source = re.escape(bar.text.rstrip()) + r"[^|\r\n]*+\|[^|\r\n]*+\|[^\[\r\n]*+\[[^,\]\r\n]*+,[^,\]\r\n]*+"
    for match in _POSTFIX.finditer(bar.postfix):
        name, value = match["name"], match["value"].strip()
        same = name not in event.losses and (is_validation(name) or name.endswith("_epoch"))
        if name in limits:
            pattern = limits[name][1]
        elif same or not re.fullmatch(_ANY, value):
            pattern = re.escape(value)
        else:
            pattern = _ANY
        source += rf",[ ]?{re.escape(name)}={pattern}"
    return source + r"[,\]]"


def _limit(value: float, ceiling: float) -> tuple[str, str]:
    if math.isfinite(value):
        return _at_most(ceiling)
    word = "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    return rf"{word}(?:\.0)?", rf"{word}(?:\.0)?"


def _at_most(ceiling: float) -> tuple[str, str]:
    """Return patterns for decimals below the greatest power of ten that is at most *ceiling*.

    The first reads the usual form at once, the second every form; both are empty where no pattern can tell.
    """
    if not ceiling > 0:
        return "", ""
    digits = math.floor(math.log10(ceiling) + 1e-9)
    if not -4 <= digits <= 15:
        return "", ""
    if digits >= 1:
        whole = r"\d" if digits == 1 else rf"\d{{1,{digits}}}+"
        return rf"{whole}\.\d++", rf"-?{whole}\.?\d*+(?:[eE]-\d++)?"
    zeros = "0" * -digits
    # %g writes what is below 0.0001 with an exponent.
    return rf"0\.{zeros}\d++", rf"-?(?:0(?:\.{zeros}\d*+)?|\d(?:\.\d++)?[eE]-(?:0[5-9]|[1-9]\d))"
