"""How each rule is worded in messages: in a title, in the title of a group, when it is over, and what to do."""

from __future__ import annotations

from typing import NamedTuple


class Wording(NamedTuple):
    """How a rule is worded: templates over `phrases.terms`, of each the first that can be filled.

    `what` is for a title, `many` follows `20 runs`, `was` follows `OK again` (without it: `after` and `what`), `tail`
    stands in place of the epoch, `to_do` is one line that promises nothing which the log does not tell, and instead
    of it `at_end` where the run has finished, `passed` where the alert began and ended before anybody was told, and
    `together` for several runs of which it says different things. The last of `many` names nothing: it stands for runs
    that differ.
    """

    what: tuple[str, ...]
    many: tuple[str, ...]
    to_do: tuple[str, ...]
    was: tuple[str, ...] = ()
    tail: tuple[str, ...] = ()
    at_end: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()
    together: tuple[str, ...] = ()


_KEEP_BEST = ("The checkpoint of {best_at}, the best so far, is the one to keep.", "Keep the best checkpoint.")
_NOTHING = ("Nothing to do: the run has finished.",)
_LAST = ("The run has finished: see whether its last checkpoint is of use.",)

WORDINGS: dict[str, Wording] = {
    "oom": Wording(
        what=("out of memory",),
        many=("failed: oom",),
        to_do=("Take a smaller batch, or free memory on {host}; then {go_on}.",),
        at_end=_NOTHING,
        passed=("Should it come again: take a smaller batch, or free memory on {host}.",),
        together=("Take a smaller batch, or free memory on {host}.",),
    ),
    "crash": Wording(
        what=("{crashed}: {error}", "{crashed}"),
        many=("{crashed}: {error}", "crashed"),
        to_do=("Read the error at line {line} of the log; then {go_on}.", "Read the error in the log; then {go_on}."),
        was=("had {crashed}",),
        at_end=("Read the error at line {line} of the log.", "Read the error in the log."),
        passed=("Read the error at line {line} of the log.", "Read the error in the log."),
        together=("Read the error in each log; then {go_on}.", "Read the error in each log."),
    ),
    "process_gone": Wording(
        what=("its process is gone",),
        many=("failed: process gone",),
        to_do=("Look on {host} for what ended it: its kernel log, its scheduler.",),
        was=("its process was gone",),
        at_end=_NOTHING,
    ),
    "nan_burst": Wording(
        what=("{nan}", "NaN losses"),
        many=("with NaN losses",),
        to_do=(
            "Resume from {checkpoint}, the last clean checkpoint.",
            "Epoch {clean} was clean: resume from its checkpoint.",
            "It began at step {onset_step}: resume from a checkpoint before that.",
            "No complete epoch was seen to be clean.",
        ),
        at_end=(
            "The run has finished; {checkpoint} is the last clean checkpoint.",
            "The run has finished; epoch {clean} was clean: its checkpoint is the one to trust.",
            "The run has finished: a checkpoint from before step {onset_step} is the one to trust.",
            "The run has finished; no complete epoch was seen to be clean.",
        ),
        together=("Resume each from the checkpoint of a clean epoch, where one is told below.",),
    ),
    "stall": Wording(
        what=("silent {silence}", "silent"),
        many=("silent",),
        to_do=("Look at process {pid} on {host}.", "Look at its process on {host}."),
        was=("was silent {silence}",),
        at_end=_NOTHING,
        passed=("Should it come again: look what else ran on {host}.",),
        together=("Look at their processes on {host}.",),
    ),
    "metric_collapse": Wording(
        what=("{metric} {value}, was {best}", "metric collapsed"),
        many=("with a collapsed metric",),
        to_do=_KEEP_BEST,
        was=("{metric} had collapsed",),
        together=("Keep the best checkpoint of each.",),
    ),
    "loss_explosion": Wording(
        what=("{loss} {usual} -> {value}", "loss exploded"),
        many=("with an exploded loss",),
        to_do=("If it stays there, resume from before {onset}.", "If it stays there, start again."),
        at_end=("The run has finished: a checkpoint from before {onset} is the one to trust.", *_LAST),
        passed=(
            "See whether the loss is again what it was before {onset}.",
            "See whether the loss is again what it was.",
        ),
        together=("Where it stays there, resume from before that.",),
    ),
    "grad_skip": Wording(
        what=("{skips}", "steps skipped"),
        many=("skipping steps",),
        to_do=("See whether it grows, and NaN losses follow.",),
        at_end=_LAST,
    ),
    "metric_decline": Wording(
        what=("{metric} worse {row}", "metric worse"),
        many=("with a metric in decline",),
        to_do=_KEEP_BEST,
        was=("{metric} was worse {row}",),
        tail=("{from} to {to}",),
        together=("Keep the best checkpoint of each.",),
    ),
    "nan_loss": Wording(
        what=("loss is NaN",),
        many=("with a NaN loss",),
        to_do=("A single bad batch may pass; nan_burst tells when it does not.",),
        was=("after {nan}", "after a NaN loss"),
        at_end=_LAST,
    ),
    "rollback": Wording(
        what=("began epoch {again} again", "went back to epoch {to_epoch}", "went back"),
        many=("went back",),
        to_do=("What it trained since that checkpoint is lost.",),
        was=("had begun epoch {again} again", "had gone back to epoch {to_epoch}", "had gone back"),
        at_end=_NOTHING,
    ),
    "frozen_metric": Wording(
        what=("metrics frozen {span}", "metrics frozen"),
        many=("with frozen metrics",),
        to_do=("See whether the weights are NaN: some trainers print the last good values again.",),
        was=("metrics were frozen",),
    ),
    "checkpoint_unsaved": Wording(
        what=("no checkpoint for {span}", "checkpoint not saved"),
        many=("not saving checkpoints",),
        to_do=(
            "Until it saves again, a crash throws it back to epoch {last_saved_epoch}.",
            "Until it saves again, a crash throws it back to its last checkpoint.",
        ),
        was=("did not save",),
        at_end=(
            "The run has finished: its last checkpoint is that of epoch {last_saved_epoch}.",
            "The run has finished: see which checkpoint is its last.",
        ),
        passed=("See which checkpoint is its last.",),
        together=("Until they save again, a crash throws each back to its last checkpoint.",),
    ),
    "vram_jump": Wording(
        what=("VRAM {change} G", "VRAM jumped"),
        many=("with a VRAM jump",),
        to_do=("Look what changed there; watch how much memory is left.",),
        at_end=_NOTHING,
    ),
    "slowdown": Wording(
        what=("{usual_rate} -> {rate} it/s", "slow"),
        many=("slowed down",),
        to_do=("Look what else runs on {host}: GPU, CPU, disk.",),
        was=("was slow",),
        at_end=_NOTHING,
        passed=("Should it come again: look what else runs on {host}.",),
    ),
    "interrupted": Wording(
        what=("interrupted",),
        many=("interrupted",),
        to_do=("Resume it from its last checkpoint.",),
        was=("was interrupted",),
        at_end=_NOTHING,
        passed=("See whether it went on from its last checkpoint.",),
    ),
    "deadline": Wording(
        what=("{late} late", "late"),
        many=("late",),
        to_do=("Shorten the run, or give it more time.",),
        was=("was {late} late",),
        at_end=_NOTHING,
    ),
    "oom_recovered": Wording(
        what=("out of memory, recovered",),
        many=("ran out of memory, recovered",),
        to_do=("A smaller batch would avoid it.",),
        was=("after running out of memory",),
    ),
    "overfit": Wording(
        what=("overfitting",),
        many=("overfitting",),
        to_do=("Keep the best checkpoint.",),
        was=("was overfitting",),
    ),
    "plateau": Wording(
        what=("{metric} flat {span}", "on a plateau"),
        many=("on a plateau",),
        to_do=_KEEP_BEST,
        was=("was on a plateau",),
    ),
    "goal": Wording(
        what=("{metric} reached {value}", "{metric} will hardly be {goal}", "about its goal"),
        many=("with news of their goal",),
        to_do=("The goal was {goal}.",),
        was=("about its goal of {goal}",),
    ),
    "finished": Wording(
        what=("",),
        many=("done",),
        to_do=("",),
        was=("goes on",),
        tail=("{done}", ""),
    ),
}
"""The rules in the order of their weight: of equally severe alerts the earlier one makes the title."""

_OWN = Wording(what=(), many=("with {rule_words}",), to_do=("{rule} is a rule of your own.",))
"""A rule of the user's own: what it says itself is its title."""
_WEIGHTS = {rule: weight for weight, rule in enumerate(WORDINGS)}


def wording_of(rule: str) -> Wording:
    """Return how *rule* is worded; a rule of the user's own is by its name."""
    return WORDINGS.get(rule, _OWN)


def weight_of(rule: str) -> int:
    """Return the place of *rule* among all: the smaller, the weightier; a user's own are like `interrupted`."""
    return _WEIGHTS.get(rule, _WEIGHTS["interrupted"])
