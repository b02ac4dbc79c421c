"""The types of the model that are put aside between two looks at a log, by name."""

from __future__ import annotations

from typing import Any

from nanwatch.model.alert import Alert, Mark
from nanwatch.model.run import Best, Epoch, Evaluation, Peak, Process, Rollback, Run, RunFailure, Stretch

KEPT_KINDS: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (Alert, Best, Epoch, Evaluation, Mark, Peak, Process, Rollback, Run, RunFailure, Stretch)
}
