"""How to go on: the command in the trainer's own syntax, from the last clean checkpoint."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from nanwatch.diagnose.changes import Proposal
from nanwatch.diagnose.settings import Settings
from nanwatch.diagnose.trainers import Trainer, Way
from nanwatch.diagnose.words import Value
from nanwatch.model.checkpoint import Weights
from nanwatch.model.diagnosis import Resume
from nanwatch.model.run import Run

_TASKS = ("detect", "segment", "classify", "pose", "obb")
_PLACEHOLDER = "PATH"
_LATER = "RATE"
_FOLDERS = ("save_dir", "out_dir")
_MOST = 40
_UNKNOWN_WAY = (
    "{} has no command to resume that is known here: pass the checkpoint to your script's own option, often"
    " --resume PATH, and load the optimizer's state too."
)
_LATE = "Its weights are finite, but of epoch {}: one of epoch {} or earlier, from before the trouble, is better."
_REWRITTEN = (
    "It was written after the trouble began, be it that the trainer only rewrote it at its end: see of which epoch it"
    " is first (nanwatch checkpoint FILE)."
)
_LONGEST = 1000


def resume_of(
    run: Run, settings: Settings, facts: Mapping[str, Value], changes: Sequence[Proposal], weights: Weights | None
) -> Resume:
    """Return how to go on from the last clean checkpoint with *changes*."""
    trainer = settings.trainer
    if _is_anew(run, facts, weights):
        return _anew(run, settings, facts, changes)
    path, kind = _checkpoint(run, settings, facts, weights)
    shown = path if path is not None and path.isprintable() else None
    is_checked = weights is not None and weights.last_clean is not None
    notes = [_about_checkpoint(path, is_checked, weights, facts)]
    way = _way(trainer, changes)
    if way is None:
        notes.append(_UNKNOWN_WAY.format(trainer.title or "This trainer"))
        return Resume("", path, is_checked, " ".join(note for note in notes if note))
    notes.append(way.note)
    epoch = _scanned_epoch(weights)
    if epoch is not None:  # what the file says of itself
        facts = {**facts, "clean_epoch": epoch}
    command = _command(way, run, settings, facts, changes, shown, kind)
    if shown is None and _PLACEHOLDER in command:
        notes.append(f"{_PLACEHOLDER} stands for the checkpoint" + (", whose name cannot be printed." if path else "."))
    if _LATER in command.replace("=", " ").split():
        notes.append(f"{_LATER} stands for the new learning rate, as the log does not show the old one.")
    return Resume(command, path, is_checked, " ".join(note for note in notes if note))


def _is_anew(run: Run, facts: Mapping[str, Value], weights: Weights | None) -> bool:
    """Tell whether nothing of the run is worth going on from: it was NaN from its own first epoch on."""
    first = facts["nan_epoch"]
    is_first = isinstance(first, int) and first <= 1 and first == run.first_epoch and not run.resumes
    has_clean = weights is not None and weights.last_clean is not None
    return is_first and bool(facts["nan_lasts"]) and facts["clean_epoch"] is None and not has_clean


def _anew(run: Run, settings: Settings, facts: Mapping[str, Value], changes: Sequence[Proposal]) -> Resume:
    """Return how to begin again with what the run itself began with."""
    trainer = settings.trainer
    begins_with = settings.given(trainer.begins_with) if trainer.begins_with else None
    note = "None of its epochs was clean: begin anew with the changed settings, not from a checkpoint of this run."
    if trainer.restart is None or not begins_with or not begins_with.isprintable() or len(begins_with) > _LONGEST:
        return Resume("", None, False, note)
    command = _command(trainer.restart, run, settings, facts, changes, begins_with, "anew")
    return Resume(command, None, False, f"{note} Other settings that you gave must be given again.")


def _way(trainer: Trainer, changes: Sequence[Proposal]) -> Way | None:
    """Return the way that takes every one of *changes* that the trainer has an option for."""
    asked = {p.setting for p in changes if p.setting in trainer.options}
    if trainer.resume is None or (trainer.restart is not None and asked - set(trainer.resume.keeps)):
        return trainer.restart or trainer.resume
    return trainer.resume


def _checkpoint(
    run: Run, settings: Settings, facts: Mapping[str, Value], weights: Weights | None
) -> tuple[str | None, str]:
    """Return the checkpoint to start from, and which one it is: `scanned`, `last`, `best`, or not known."""
    if weights is not None and weights.last_clean is not None:
        return weights.last_clean.path, "scanned"
    if weights is not None and weights.checkpoints:
        return None, ""
    is_written = run.current is not None and run.current.done  # the checkpoint of the bad epoch itself
    named, kind = settings.trainer.checkpoints, _kind(facts, is_written)
    folder = run.output_folder or next((v for key in _FOLDERS if (v := settings.given(key)) is not None), "")
    path = named.get(kind, "").replace("{folder}", folder.rstrip("/")) if folder else ""
    if not named and kind == "last" and run.saved and not facts["trouble_goes_on"]:  # when it was saved nobody says
        path = run.saved[-1]
    return (path, kind) if 0 < len(path) <= _LONGEST else (None, kind)


def _kind(facts: Mapping[str, Value], is_written: bool) -> str:
    """Return which checkpoint was written before the trouble: the last one, the best one, or neither for sure."""
    epoch, clean, best = facts["epoch"], facts["clean_epoch"], facts["best_epoch"]
    if not facts["trouble_goes_on"] and not facts["is_unstable"] and not facts["is_declining"]:
        return "last"
    if not isinstance(clean, int) or not isinstance(epoch, int):
        return ""
    if clean == epoch - 1 and not is_written and not facts["is_unstable"] and not facts["nan_recoveries"]:
        return "last"
    return "best" if isinstance(best, int) and best <= clean else ""


def _about_checkpoint(
    path: str | None, is_checked: bool, weights: Weights | None, facts: Mapping[str, Value]
) -> str:  # fmt: skip
    if is_checked:
        epoch, clean = _scanned_epoch(weights), facts["clean_epoch"]
        is_late = epoch is not None and isinstance(clean, int) and epoch > clean
        return _LATE.format(epoch, clean) if is_late else ""
    if weights is not None and weights.checkpoints:
        count = len(weights.checkpoints)
        words = "The scanned checkpoint is not" if count == 1 else f"None of the {count:,} scanned checkpoints is"
        older = f"{weights.skipped:,} more were not looked at" if weights.skipped else "an older one is needed"
        return f"{words} clean: {older}."
    if path is not None and weights is not None and weights.later:
        return _REWRITTEN
    if path is None:
        return "The log names no checkpoint that is surely clean: scan those that are there (nanwatch checkpoint DIR)."
    return "Scan the checkpoint first (nanwatch checkpoint FILE)."


def _scanned_epoch(weights: Weights | None) -> int | None:
    return None if weights is None or weights.last_clean is None else weights.last_clean.epoch


def _command(
    way: Way, run: Run, settings: Settings, facts: Mapping[str, Value], changes: Sequence[Proposal],
    path: str | None, kind: str,
) -> str:  # fmt: skip
    quote = repr if way.python else shlex.quote
    task = settings.given("task")
    rest = _rest(run, facts, kind) if way.rest else None
    names = {p.change.name.replace("-", "_") for p in changes}
    carried = "--{flag} {value}" if way.pair.startswith("{name} ") else "{key}={value}"
    fields = {
        "checkpoint": quote(path) if path is not None else (f'"{_PLACEHOLDER}"' if way.python else _PLACEHOLDER),
        "settings": " ".join(_pairs(way, settings.trainer, changes)),
        "task": task if task in _TASKS else _TASKS[0],
        "carried": " ".join(_given(settings, settings.trainer.carried, carried, names)),
        "given": " ".join(_given(settings, list(settings.all_given()), "--{key}={value}", names)),
        "rest": way.rest.format(rest=rest) if rest is not None else "",
    }  # fmt: skip
    return " ".join(way.command.format_map(fields).split(" ")).replace("  ", " ").strip()


def _pairs(way: Way, trainer: Trainer, changes: Sequence[Proposal]) -> list[str]:
    """Return the settings of *changes* that this way takes, quoted."""
    is_resume = way is trainer.resume
    found = []
    for proposal in changes:
        option, after = trainer.options.get(proposal.setting), _value(proposal)
        if not option or after is None or not way.pair:
            continue
        if is_resume and proposal.setting not in way.keeps:
            continue
        if way.pair.startswith("{name} ") and not option.startswith("-"):
            continue  # no flag: it belongs into a file
        found.append(" ".join(shlex.quote(part) for part in way.pair.format(name=option, value=after).split(" ")))
    return found


def _value(proposal: Proposal) -> str | None:
    """Return the new value as the trainer takes it; a word in capitals stands for a learning rate not known."""
    after = proposal.change.after
    if after is None or " " not in after:
        return after
    return _LATER if proposal.setting == "learning_rate" else None


def _given(settings: Settings, keys: Sequence[str], pair: str, without: set[str]) -> list[str]:
    """Return settings of the old run that the new one needs again, quoted."""
    values = [(key, settings.given(key)) for key in keys[:_MOST] if key not in without and key != "init_from"]
    return [
        " ".join(shlex.quote(word.format(key=key, flag=key.replace("_", "-"), value=value)) for word in pair.split(" "))
        for key, value in values
        if value and len(value) <= _LONGEST and value.isprintable()
    ]


def _rest(run: Run, facts: Mapping[str, Value], kind: str) -> int | None:
    """Return how many epochs are left after the checkpoint, all where none was clean."""
    if kind == "anew":
        return run.epochs
    at = facts["best_epoch"] if kind == "best" else facts["clean_epoch"]
    if run.epochs is None or not isinstance(at, int):
        return None
    left = run.epochs - at - (1 if run.first_epoch == 0 else 0)
    return left if left > 0 else None
