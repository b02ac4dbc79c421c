"""Checkpoints as lines of text and as the JSON of `nanwatch checkpoint`: what is in them, which is the last clean."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from nanwatch.model.checkpoint import BadTensor, Checkpoint, Part, Weights
from nanwatch.views.contract import Json, finite, iso
from nanwatch.views.page import Line, Page, Role, Span, render
from nanwatch.views.words import ASCII, UNICODE, clean, cut_end, pad, plural, size_words

_NARROWEST = 30
_NAME_SHARE = 0.4
_REMARKS = 3

_MARKS: dict[str, Span] = {"clean": Span("."), "nonfinite": Span("X", "critical"), "hostile": Span("X", "critical")}
_DOUBT = Span("!", "warning")


@dataclass(frozen=True, slots=True)
class Look:
    """How the lines are drawn: `width` in cells, with colours or not, with ASCII signs only or not."""

    width: int
    color: bool = False
    ascii_only: bool = False


def render_checkpoints(groups: Sequence[Weights], look: Look, first: int = 3) -> str:
    """Return every checkpoint of *groups* as text, each with its *first* bad tensors, then the last clean ones.

    Of names and texts in files only printable characters reach the output. No line is wider than *look* says, but one
    of nothing but the path to start again from: a terminal folds it, and it can be copied.
    """
    page = Page(max(_NARROWEST, look.width), ASCII if look.ascii_only else UNICODE)
    every = [checkpoint for group in groups for checkpoint in group.checkpoints]
    names = _short_names(every)
    facts = [_facts(checkpoint) for checkpoint in every]
    room = int(page.width * _NAME_SHARE)
    widths = (min(room, max(map(cell_len, names), default=0)), max(map(cell_len, facts), default=0))
    lines: list[Line] = []
    for checkpoint, name, fact in zip(every, names, facts, strict=True):
        lines += map(page.bound, _checkpoint(checkpoint, name, fact, widths, page, first))
    for group in groups:
        lines += _conclusion(group, page, is_alone=len(groups) == 1)
    paths = [cell_len(clean(group.last_clean.path)) for group in groups if group.last_clean]
    return render(lines, page._replace(width=max(page.width, *paths, 0)), look.color)


# -- one checkpoint


def _checkpoint(
    checkpoint: Checkpoint, name: str, fact: str, widths: tuple[int, int], page: Page, first: int
) -> list[Line]:
    """Return its line, the verdict beside what it is or, where that is too long, below."""
    mark, role = _MARKS.get(checkpoint.state, _DOUBT), _role(checkpoint)
    title: Role = "title" if role else ""
    head = [mark, Span(f" {pad(page.name(name, widths[0]), widths[0])}", title), Span(f"  {pad(fact, widths[1])}")]
    verdict = _verdict(checkpoint)
    lines = [Line([*head, *(Span(f"  {span.text}", span.role) for span in verdict)])]
    if lines[0].cells > page.width:
        lines = [Line(head), *page.items("", verdict, indent=4, column=0)]
    shown = checkpoint.bad[:first]
    lines += [line for tensor in shown for line in _tensor(tensor, page)]
    if shown and checkpoint.bad_tensors > len(shown):
        lines.append(Line([Span(f"    and {plural(checkpoint.bad_tensors - len(shown), 'more tensor')}", "quiet")]))
    return lines + _remarks(checkpoint, page)


def _role(checkpoint: Checkpoint) -> Role:
    return "" if checkpoint.state == "clean" else "critical" if checkpoint.state in _MARKS else "warning"


def _facts(checkpoint: Checkpoint) -> str:
    """Return `PyTorch, 86 MB, epoch 3`."""
    where = where_words(checkpoint)
    words = [checkpoint.format, size_words(checkpoint.size) if checkpoint.size else "", where]
    return ", ".join(clean(word) for word in words if word)


def where_words(checkpoint: Checkpoint) -> str:
    """Return the epoch and step at which it was saved, as far as it says: `epoch 2, step 500`."""
    told = (("epoch", checkpoint.epoch), ("step", checkpoint.step))
    return ", ".join(f"{word} {value:,}" for word, value in told if value is not None)


def _verdict(checkpoint: Checkpoint) -> list[Span]:
    """Return what is known of it, in phrases."""
    role = _role(checkpoint)
    if checkpoint.state == "clean":
        holds = [clean(part.name) for part in checkpoint.parts if part.elements]
        return [Span(f"clean: {', '.join(holds)}" if holds else "clean: holds no number that could be NaN")]
    if checkpoint.state == "hostile":
        return [Span(f"HOSTILE: {clean(checkpoint.problem)}; do not load it", role)]
    if checkpoint.state != "nonfinite":
        return [Span(f"{checkpoint.state}: {clean(checkpoint.problem)}".removesuffix(": "), role)]
    what = _counts(checkpoint.nan, checkpoint.inf, counted=False)
    tensors = plural(sum(part.tensors for part in checkpoint.parts), "tensor")
    found = [Span(f"{what} in {checkpoint.bad_tensors:,} of {tensors}:", role)]
    return found + [_part(part) for part in checkpoint.parts if part.elements]


def _part(part: Part) -> Span:
    counts = _counts(part.nan, part.inf)
    return Span(f"{clean(part.name)} {counts or 'clean'}", "critical" if counts else "")


def _counts(nan: int, inf: int, counted: bool = True) -> str:
    """Return `1,204 NaN, 3 Inf` or, not *counted*, `NaN and Inf`."""
    found = [(count, word) for count, word in ((nan, "NaN"), (inf, "Inf")) if count]
    return ", ".join(f"{n:,} {word}" for n, word in found) if counted else " and ".join(word for _, word in found)


def _tensor(tensor: BadTensor, page: Page) -> list[Line]:
    """Return a bad tensor on one line, or its name on one and the rest below."""
    shape = "[" + ", ".join(str(length) for length in tensor.shape) + "]"
    of = f"{_counts(tensor.nan, tensor.inf)} of {tensor.elements:,}"
    rest = cut_end(f"{clean(tensor.dtype)} {shape}  {of}", page.width - 6, page.glyphs.more)
    name = clean(tensor.name)
    if 4 + cell_len(name) + 2 + cell_len(rest) <= page.width:
        return [Line([Span(f"    {name}  "), Span(rest, "quiet")])]
    return [Line([Span(f"    {page.name(name, page.width - 4)}")]), Line([Span(f"      {rest}", "quiet")])]


def _remarks(checkpoint: Checkpoint, page: Page) -> list[Line]:
    more = len(checkpoint.remarks) - _REMARKS
    texts = [clean(text) for text in checkpoint.remarks[:_REMARKS]]
    texts += [f"and {plural(more, 'more remark')}"] if more > 0 else []
    return [line for text in texts for line in page.prose(text, "quiet", indent=4)]


def _short_names(checkpoints: list[Checkpoint]) -> list[str]:
    """Return the paths without the folders that all of them share."""
    parts = [clean(checkpoint.path).split("/") for checkpoint in checkpoints]
    shared = 0
    while parts and all(len(p) > shared + 1 and p[shared] == parts[0][shared] for p in parts):
        shared += 1
    return ["/".join(part[shared:]) for part in parts]


# -- what follows from it


def _conclusion(group: Weights, page: Page, is_alone: bool) -> list[Line]:
    """Return the last clean one of *group*; a single clean file has just been told to be it."""
    if not group.checkpoints:
        return []
    of = "" if is_alone else f" in {clean(group.folder)}" if group.folder else " of those named"
    lines = []
    if group.last_clean is None:
        lines += page.prose(
            f"last clean{of}: none of {plural(len(group.checkpoints), 'checkpoint')}", "title", indent=0
        )
    elif len(group.checkpoints) > 1 or group.skipped:
        lines += _last(group.last_clean, of, page)
        known = {text for checkpoint in group.checkpoints for text in checkpoint.remarks}
        for text in (text for text in group.last_clean.remarks if text not in known):
            lines += page.prose(clean(text), "quiet")
    if group.skipped:
        lines += page.prose(f"{plural(group.skipped, 'older checkpoint')} not looked at", "quiet", indent=0)
    return lines


def _last(checkpoint: Checkpoint, of: str, page: Page) -> list[Line]:
    """Return where it is: neither cut nor broken, however long it is, as it is what one copies."""
    told = [where_words(checkpoint), _saved(checkpoint)]
    facts, path = ", ".join(word for word in told if word), clean(checkpoint.path)
    line = Line([Span(f"last clean{of}: ", "title"), Span(path), Span(f" ({facts})" if facts else "")])
    if line.cells <= page.width:
        return [line]
    return [*page.prose(f"last clean{of}: {facts}".removesuffix(": "), "title", indent=0), Line([Span(path)])]


def _saved(checkpoint: Checkpoint) -> str:
    if checkpoint.modified_at is None:
        return ""
    try:
        return time.strftime("%Y-%m-%d %H:%M", time.localtime(checkpoint.modified_at))
    except (OverflowError, OSError, ValueError):
        return ""


# -- for programs


def checkpoints_json(groups: Sequence[Weights], now: float) -> Json:
    """Return the stable machine form: times are ISO 8601 in UTC, what is not known is null.

    `last_clean` is that of the first of *groups* that has one; each has its own among `groups`.
    """
    return {
        "schema": 1,
        "generated_at": iso(now),
        "checkpoints": [_checkpoint_json(item) for group in groups for item in group.checkpoints],
        "last_clean": next((group.last_clean.path for group in groups if group.last_clean), None),
        "groups": [_group_json(group) for group in groups],
    }


def _group_json(group: Weights) -> Json:
    last = group.last_clean
    return {
        "folder": group.folder,
        "last_clean": None if last is None else last.path,
        "remarks": [] if last is None else list(last.remarks),
        "checked": len(group.checkpoints),
        "skipped": group.skipped,
        "problem": group.problem or None,
    }


def _checkpoint_json(item: Checkpoint) -> Json:
    best = None if item.best is None else {"metric": item.best[0], "value": finite(item.best[1])}
    return {
        "path": item.path,
        "state": item.state,
        "format": item.format or None,
        "problem": item.problem or None,
        "remarks": list(item.remarks),
        "size": item.size,
        "modified_at": iso(item.modified_at),
        "epoch": item.epoch,
        "step": item.step,
        "best": best,
        "saved_at": item.saved_at,
        "nan": item.nan,
        "inf": item.inf,
        "parts": [_part_json(part) for part in item.parts],
        "bad_tensors": item.bad_tensors,
        "bad": [_tensor_json(tensor) for tensor in item.bad],
        "files": list(item.files),
        "seconds": round(item.seconds, 3),
    }


def _part_json(part: Part) -> Json:
    return {"name": part.name, "tensors": part.tensors, "elements": part.elements, "nan": part.nan, "inf": part.inf}


def _tensor_json(tensor: BadTensor) -> Json:
    return {
        "name": tensor.name, "part": tensor.part, "dtype": tensor.dtype, "shape": list(tensor.shape),
        "elements": tensor.elements, "nan": tensor.nan, "inf": tensor.inf,
    }  # fmt: skip
