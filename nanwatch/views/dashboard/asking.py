"""What people ask of alerts: to be quiet until they end, or for a time. Says what became of it."""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from nanwatch.alerts.suppression import is_silenced
from nanwatch.model.alert import Alert, Silence
from nanwatch.model.outlook import eta_of
from nanwatch.views.dashboard.dialogs import ChoiceDialog
from nanwatch.views.dashboard.messages import AckWanted, SilenceWanted
from nanwatch.views.words import clean, moment, plural

if TYPE_CHECKING:
    from nanwatch.views.dashboard.app import Dashboard

_HOUR = 3600.0
_UNSILENCE = "end the silence"


class Asking:
    """Passes on what people ask of alerts in *app* to what follows the logs."""

    def __init__(self, app: Dashboard) -> None:
        self._app = app
        self._to_silence: list[SilenceWanted] = []

    def may_ask(self, path: Path, alerts: list[Alert]) -> list[Alert]:
        """Return those of *alerts* of which something can be asked; say why it cannot, where there are none."""
        snapshot = self._app.snapshot(path)
        if snapshot is not None and (snapshot.is_history or snapshot.is_estimate):
            self._app.notify("still reading the log: ask again in a moment", severity="information")
            return []
        firing = [alert for alert in alerts if alert.state == "firing"]
        if not firing:
            self._app.notify("no alert fires here", severity="information")
        return firing

    def acknowledge(self, message: AckWanted) -> None:
        """Keep alerts quiet until they end, or take that back."""
        alerts = self.may_ask(message.path, message.alerts)
        if self._app.live is None or not alerts:
            return
        self._app.live.acknowledge(message.path, [alert.id for alert in alerts], message.undo)
        what = plural(len(alerts), "alert")
        self._app.notify(f"{what} no longer acknowledged" if message.undo else f"{what} acknowledged until it ends")

    def silence(self, message: SilenceWanted) -> None:
        """Ask for how long nobody is to be told of these alerts; those of several runs are asked for together."""
        if not self.may_ask(message.path, message.alerts):
            return
        self._to_silence.append(message)
        if len(self._to_silence) == 1:  # of several runs that are marked, each is asked for
            self._app.call_later(self._ask_how_long)

    def _ask_how_long(self) -> None:
        wanted, self._to_silence = self._to_silence, []
        targets = [(rule, self._run_id(w.path)) for w in wanted for rule in sorted({a.rule for a in w.alerts})]
        rules = ", ".join(dict.fromkeys(rule for rule, _ in targets))
        names = self._app.main.runs.names
        where = clean(names.get(wanted[0].path, str(wanted[0].path))) if len(wanted) == 1 else f"{len(wanted)} runs"
        terms = list(self._terms(wanted[0].path))
        choices = [words if words.startswith(("until", "end")) else f"for {words}" for words, _ in terms]

        def silence(chosen: int | None) -> None:
            if chosen is None or self._app.live is None:
                return
            words, ends_at = terms[chosen]
            if words == _UNSILENCE:
                now = self._app.clock.now()
                silenced = [(alert, self._run_id(w.path)) for w in wanted for alert in w.alerts]
                self._app.live.end_silences(lambda s: any(is_silenced(alert, run, s, now) for alert, run in silenced))
                self._app.notify("the silences that cover this were ended; those of the config stay")
                return
            for rule, run in targets:
                now = self._app.clock.now()
                comment = "" if ends_at is None else f"until {moment(ends_at, now)}"
                self._app.live.silence(Silence(rule, glob.escape(run), starts_at=now, ends_at=ends_at, comment=comment))
            self._app.notify(f"{rules} silenced {choices[chosen]}", markup=False)

        self._app.push_screen(ChoiceDialog(f"Silence {rules} of {where}", choices), silence)

    def _terms(self, path: Path) -> Iterable[tuple[str, float | None]]:
        now = self._app.clock.now()
        yield "1 hour", now + _HOUR
        yield "4 hours", now + 4 * _HOUR
        yield "24 hours", now + 24 * _HOUR
        snapshot = self._app.snapshot(path)
        left = None if snapshot is None or snapshot.view is None else eta_of(snapshot.view.run)
        if left:
            yield "until the run should be done", now + left
        yield "until it is ended here", None
        if snapshot is not None and snapshot.view is not None and _is_silenced(snapshot.view.alerts):
            yield _UNSILENCE, None

    def _run_id(self, path: Path) -> str:
        snapshot = self._app.snapshot(path)
        return str(path) if snapshot is None or snapshot.view is None else snapshot.view.run.id


def _is_silenced(alerts: Iterable[Alert]) -> bool:
    return any(reason.startswith("silenced") for alert in alerts for reason in alert.suppressed)
