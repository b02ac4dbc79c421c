"""Progress bars as text: tqdm, Ultralytics' own, Keras, Rich. A bar is found anywhere in a frame."""

from __future__ import annotations

import re
from typing import NamedTuple

from nanwatch.formats.numbers import read_duration, read_int, read_rate


class Bar(NamedTuple):
    """One drawing of a progress bar.

    `style` is `tqdm`, `ultra`, `keras` or `rich`; `n` of `total` (None: unknown) units are done. `elapsed`
    and `eta` are seconds, `rate` is units a second. `text` is what stands before the bar, `postfix` what the
    trainer appended to it; the bar ends at `end` of the frame, and `whole` tells that its last character was
    seen there.
    """

    style: str
    text: str
    n: int
    total: int | None
    elapsed: float | None
    eta: float | None
    rate: float | None
    postfix: str
    end: int
    whole: bool


_TQDM = re.compile(
    r"(?:(?P<percent>\d{1,3})%)?\|(?P<bar>[^|]{0,1000}+)\|\s*+(?P<n>[\d.,]++[kKMGT]?)/(?P<total>[\d.,]++[kKMGT]?|\?)"
    r"(?:\s*+\[(?P<inner>[^\[\]]*+(?:\[[^\[\]]*+\][^\[\]]*+)*+)(?P<close>\]?)|\s+(?P<short>\d+:\d\d(?::\d\d)?))?"
)
_TORN_INNER = re.compile(
    r"\s*+[\d:?.]*+(?:<[\d:?]*+(?: days?,? ?[\d:]*+)?)?(?:,\s*+[\d.?]++(?:[a-zA-Z]{1,8}/[a-z]{0,8})?)?"
    r"(?:,\s*+[\w/@.\-]++=[\w.+\-]*+)*+"
)
_TQDM_OPEN = re.compile(r"(?<!\d)(?P<n>\d{1,15})it \[(?P<inner>[^\[\]]*+)(?P<close>\]?)")
_ULTRA = re.compile(
    r"(?P<percent>\d{1,3})%\s++(?P<bar>[━╸╺─]++)\s*+(?P<n>[\d.]++[KMG]?)/(?P<total>[\d.]++[KMG]?)B?(?:\s|$)\s*+"
    r"(?:(?P<rate>[\d.]+[KMG]?(?:it|B|KB|MB|GB)/s|[\d.]+s/it)\s+)?"
    r"(?:(?P<elapsed>\d+(?::\d\d)+|[\d.]+s)(?:<(?P<eta>\d+(?::\d\d)+|[\d.]+s))?)?"
)
_KERAS = re.compile(
    r"^\s*+(?P<n>\d{1,15}+)/(?P<total>\d{1,15}+|Unknown)\s++"
    r"(?:[━╸─]{5,}+\s++|\[[=>.]{5,}+\]\s*+(?:-\s*+)?|-\s++)"
    r"(?:ETA:\s*+)?(?P<clock>\d++(?::\d\d)++|\d++(?:us|ms|s|m|h)?)\b\s*+(?:-\s*+)?"
    r"(?P<speed>[\d.]+(?:us|µs|ms|s)/\w+)?(?P<postfix>.*)$"
)
_RICH = re.compile(
    r"(?<![━╸╺─])(?<![━╸╺─] )[━╸╺─]{3,}[━╸╺─ ]*\s(?P<n>\d{1,15})/(?P<total>\d{1,15}|--)\s++"
    r"(?P<elapsed>\d+(?::\d\d)+)\s++•\s++(?P<eta>[\d:\-]++)\s++(?P<rate>[\d.]+it/s)?(?P<postfix>[^•]*)$"
)


def read_bar(text: str) -> Bar | None:
    """Return the bar that is drawn in *text*, or None."""
    if "%" in text:
        return _tqdm(text) if "|" in text else _ultra(text)
    if "|" in text and "/?" in text:
        return _tqdm(text)
    if "━" in text and "•" in text:
        return _rich(text)
    if "it [" in text:
        return _tqdm_open(text)
    head = text.lstrip()[:1]
    if head.isdigit() and ("━" in text or "[=" in text or "[>" in text or "[." in text or " - " in text):
        return _keras(text)
    return None


def _tqdm(text: str) -> Bar | None:
    match = _TQDM.search(text)
    if match is None:
        return _ultra(text)
    if match["percent"] is None and match["total"] != "?":
        return None
    n = read_int(match["n"])
    if n is None:
        return None
    inner, end = match["inner"] or "", match.end()
    if inner and not match["close"]:  # torn: what follows the bar is somebody else's text
        torn = _TORN_INNER.match(inner)
        end -= len(inner) - (torn.end() if torn else 0)
        inner = inner[: torn.end()] if torn else ""
    (elapsed, eta, rate), postfix = _inner(inner)
    if match["short"]:
        elapsed = read_duration(match["short"])
    return Bar(
        "tqdm", text[: match.start()], n, read_int(match["total"]), elapsed, eta, rate, postfix, end,
        bool(match["close"] or match["short"]),
    )  # fmt: skip


def _tqdm_open(text: str) -> Bar | None:
    match = _TQDM_OPEN.search(text)
    if match is None:
        return None
    (elapsed, eta, rate), postfix = _inner(match["inner"])
    return Bar(
        "tqdm", text[: match.start()], int(match["n"]), None, elapsed, eta, rate, postfix, match.end(),
        bool(match["close"]),
    )  # fmt: skip


def _inner(inner: str) -> tuple[tuple[float | None, float | None, float | None], str]:
    """Read `00:02<00:07, 5.06it/s, loss=nan`."""
    clock, _, rest = inner.partition(",")
    elapsed, _, eta = clock.partition("<")
    rate, _, postfix = rest.partition(",")
    if "=" in rate or (rate and "/" not in rate):
        rate, postfix = "", rest
    return (read_duration(elapsed), read_duration(eta), read_rate(rate)), postfix


def _ultra(text: str) -> Bar | None:
    match = _ULTRA.search(text)
    n = read_int(match["n"]) if match else None
    if match is None or n is None:
        return None
    return Bar(
        "ultra", text[: match.start()], n, read_int(match["total"]), read_duration(match["elapsed"] or ""),
        read_duration(match["eta"] or ""), read_rate(match["rate"] or ""), "", match.end(),
        match["elapsed"] is not None,
    )  # fmt: skip


def _keras(text: str) -> Bar | None:
    match = _KERAS.match(text)
    if match is None or not (match["speed"] or match["postfix"].lstrip().startswith("-")):
        return None
    n, total = int(match["n"]), read_int(match["total"])
    clock = read_duration(match["clock"]) or (float(match["clock"]) if match["clock"].isdigit() else None)
    done = n == total
    return Bar(
        "keras", "", n, total, clock if done else None, None if done else clock,
        read_rate(match["speed"] or ""), match["postfix"], match.end(), False,
    )  # fmt: skip


def _rich(text: str) -> Bar | None:
    match = _RICH.search(text)
    if match is None:
        return None
    return Bar(
        "rich", text[: match.start()], int(match["n"]), read_int(match["total"]),
        read_duration(match["elapsed"]), read_duration(match["eta"]), read_rate(match["rate"] or ""),
        match["postfix"], match.end(), False,
    )  # fmt: skip
