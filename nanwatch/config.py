"""All settings and their defaults: frozen, and nowhere else.

Named tuples, because they are made in a third of the time of dataclasses, and every command starts with them.
A `Duration` is in seconds, a `Moment` in Unix seconds. `nanwatch.configfile` reads them from `nanwatch.toml`.
"""

from __future__ import annotations

import os
from typing import Literal, NamedTuple

from nanwatch.model.alert import Severity, Silence
from nanwatch.secret import Secret


class Duration(float):
    """Seconds, written as `"10m"`."""


class Moment(float):
    """Unix seconds, written as a date and time."""


class Hold(NamedTuple):
    """How long something must last: so many seconds, epochs or batches."""

    amount: float = 0.0
    unit: Literal["seconds", "epochs", "batches"] = "seconds"


class Life(NamedTuple):
    """From finding to alert: it fires once it has lasted for `hold` (in the file: `for`), and fires on for `keep`
    (`keep_firing_for`) after it is gone. `severity` takes the place of the rule's own.
    """

    hold: Hold = Hold()
    keep: Hold = Hold()
    severity: Severity | None = None


class Switch(NamedTuple):
    """A rule without thresholds."""

    enabled: bool = True
    life: Life = Life()


class NanLoss(NamedTuple):
    """A batch's loss is non-finite: told once an epoch, with its first batch."""

    enabled: bool = True
    life: Life = Life()


class NanBurst(NamedTuple):
    """`batches` non-finite ones within `within`, or none finite for `streak`."""

    enabled: bool = True
    life: Life = Life()
    batches: int = 3
    within: int = 100
    streak: int = 20


class GradSkip(NamedTuple):
    """Optimizer steps skipped; a loss scaler may adjust itself fewer than `scaler` times within 100 batches."""

    enabled: bool = True
    life: Life = Life()
    scaler: int = 3


class VramJump(NamedTuple):
    """Peak VRAM of an epoch above the median of the epochs before by `percent` and by `gb`."""

    enabled: bool = True
    life: Life = Life()
    percent: float = 10.0
    gb: float = 0.25


class MetricDecline(NamedTuple):
    """The primary metric got worse in `epochs` epochs in a row; critical beyond `critical_percent` of its best.

    A change of less than `min_percent` of the best, or a rising metric whose best is below `noise`, is none. Nor
    is the fall that follows a learning rate that was set up `restart` times or more.
    """

    enabled: bool = True
    life: Life = Life()
    epochs: int = 3
    critical_percent: float = 5.0
    min_percent: float = 0.5
    noise: float = 0.01
    restart: float = 2.0


class MetricCollapse(NamedTuple):
    """A rising primary metric below `share` of its best, which was at least `least_best`."""

    enabled: bool = True
    life: Life = Life()
    share: float = 0.5
    least_best: float = 0.1


class LossExplosion(NamedTuple):
    """A training loss `times` its recent median: an epoch's, or (10 times at least) in `batches` of `within` batches.

    What stays below `least_share` of the loss of the run's first epoch is noise near zero.
    """

    enabled: bool = True
    life: Life = Life()
    times: float = 10.0
    batches: int = 10
    within: int = 100
    least_share: float = 0.05


class Stall(NamedTuple):
    """Silence longer than `silence` and than `times` the longest healthy one; `startup` before the first batch."""

    enabled: bool = True
    life: Life = Life()
    silence: Duration = Duration(600)
    times: float = 5.0
    startup: Duration = Duration(1800)


class Slowdown(NamedTuple):
    """Batches a second below `share` of the run's own median, for `batches` batches."""

    enabled: bool = True
    life: Life = Life()
    share: float = 0.5
    batches: int = 200


class Plateau(NamedTuple):
    """No better primary metric for `epochs` epochs."""

    enabled: bool = False
    life: Life = Life()
    epochs: int = 20


class Overfit(NamedTuple):
    """The validation loss rose and the training loss fell in `epochs` epochs in a row."""

    enabled: bool = False
    life: Life = Life()
    epochs: int = 5


class Deadline(NamedTuple):
    """The run will not be done `at` the time that is set; 0: none is."""

    enabled: bool = True
    life: Life = Life()
    at: Moment = Moment(0)


class Goal(NamedTuple):
    """The `metric` (default: the primary one) has reached `value`, or can no longer; unset: no goal."""

    enabled: bool = True
    life: Life = Life()
    value: float | None = None
    metric: str = ""


class FrozenMetric(NamedTuple):
    """All validation metrics the same to the last digit in `epochs` epochs; `digits` of them must be able to differ."""

    enabled: bool = True
    life: Life = Life()
    epochs: int = 3
    digits: int = 6


class CheckpointUnsaved(NamedTuple):
    """After `epochs` epochs that were each saved, `missing` ones in a row were not; or the trainer says so."""

    enabled: bool = True
    life: Life = Life()
    epochs: int = 3
    missing: int = 2


class CustomRule(NamedTuple):
    """A rule of the user's own: `condition` is asked of the run (see `nanwatch.rules.custom`)."""

    name: str
    condition: str
    enabled: bool = True
    life: Life = Life()
    message: str = ""
    source: str = ""


class Rules(NamedTuple):
    """Thresholds of each rule, and the user's own rules."""

    nan_loss: NanLoss = NanLoss()
    nan_burst: NanBurst = NanBurst()
    grad_skip: GradSkip = GradSkip()
    vram_jump: VramJump = VramJump()
    metric_decline: MetricDecline = MetricDecline()
    metric_collapse: MetricCollapse = MetricCollapse()
    loss_explosion: LossExplosion = LossExplosion()
    stall: Stall = Stall()
    process_gone: Switch = Switch()
    oom: Switch = Switch()
    oom_recovered: Switch = Switch()
    crash: Switch = Switch()
    interrupted: Switch = Switch()
    slowdown: Slowdown = Slowdown()
    plateau: Plateau = Plateau()
    overfit: Overfit = Overfit()
    deadline: Deadline = Deadline()
    goal: Goal = Goal()
    frozen_metric: FrozenMetric = FrozenMetric()
    rollback: Switch = Switch()
    checkpoint_unsaved: CheckpointUnsaved = CheckpointUnsaved()
    finished: Switch = Switch()
    custom: tuple[CustomRule, ...] = ()


class AlertSettings(NamedTuple):
    """Who is told of alerts, and how often: again after `repeat_interval` while one fires."""

    repeat_interval: Duration = Duration(4 * 3600)
    silences: tuple[Silence, ...] = ()


class QuietHours(NamedTuple):
    """From minute `start` of the day to minute `end`, in local time; past midnight where `end` comes first."""

    start: int
    end: int


class Receiver(NamedTuple):
    """A list of destinations, and what they are told of: alerts of at least `min_severity` that match the patterns.

    `urls` are Apprise's, `command` a program with its arguments, `alertmanager` the addresses of Alertmanagers.
    `runs` and `rules` are shell patterns over the run's id (or its log's name) and the rule's name, `tags` names of
    tags; an empty list matches everything. At most `rate_limit` messages go out in an hour; 0: as many as come.
    `timeout` is how long one delivery may take.
    """

    name: str
    urls: tuple[Secret, ...] = ()
    command: tuple[str, ...] = ()
    alertmanager: tuple[Secret, ...] = ()
    min_severity: Severity = "info"
    runs: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    resolved: bool = True
    quiet_hours: QuietHours | None = None
    rate_limit: int = 30
    timeout: Duration = Duration(30)


class Tag(NamedTuple):
    """A name for the alerts of some runs, or of some rules, or of both together."""

    name: str
    runs: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()


class NotifySettings(NamedTuple):
    """How messages are put together: they wait for what belongs to them, and are given up after `give_up`.

    `host` is what this machine is called in messages; empty: its own name.
    """

    group_wait: Duration = Duration(30)
    group_wait_critical: Duration = Duration(5)
    give_up: Duration = Duration(3 * 86400)
    host: str = ""


class DaemonSettings(NamedTuple):
    """The service itself: where it keeps its `state` (empty: the user's state folder), and where it serves `metrics`.

    At the first look at a log, alerts are told only if the log has grown within the last `history`.
    """

    state: str = ""
    metrics: str = ""
    history: Duration = Duration(86400)


class CheckpointSettings(NamedTuple):
    """Whether a run's checkpoints are looked through (`scan`) when its loss or its metric is lost, or it ends badly.

    One folder at a time, for at most `timeout`; the message of a critical alert waits up to `wait` for it. `folders`
    are pairs of a shell pattern (over the log's path or name) and the folder where such runs keep their weights, for
    trainers that do not say.
    """

    scan: bool = True
    wait: Duration = Duration(15)
    timeout: Duration = Duration(120)
    folders: tuple[tuple[str, str], ...] = ()


class Config(NamedTuple):
    """All settings. `logs` are files, globs and folders, relative to the config's own folder; so are `scenarios`."""

    logs: tuple[str, ...] = ("logs/*.log",)
    rules: Rules = Rules()
    alerts: AlertSettings = AlertSettings()
    scenarios: tuple[str, ...] = ()
    path: str | None = None
    receivers: tuple[Receiver, ...] = ()
    tags: tuple[Tag, ...] = ()
    notify: NotifySettings = NotifySettings()
    daemon: DaemonSettings = DaemonSettings()
    checkpoints: CheckpointSettings = CheckpointSettings()

    def absolute(self) -> Config:
        """Return the same with absolute paths: a service outlives the folder that it was started in."""
        folders = tuple((pattern, os.path.abspath(folder)) for pattern, folder in self.checkpoints.folders)  # noqa: PTH100
        return self._replace(
            logs=tuple(p if p == "-" else os.path.abspath(p) for p in self.logs),  # noqa: PTH100
            checkpoints=self.checkpoints._replace(folders=folders),
        )
