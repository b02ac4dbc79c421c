"""The tab with a run's curves: one big chart or a grid of them, a cursor across all, and keys for every view of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType

from nanwatch.model.snapshot import Snapshot
from nanwatch.views.curves import charts
from nanwatch.views.curves.settings import settings_from
from nanwatch.views.dashboard.curves import grid
from nanwatch.views.dashboard.curves.axis_keys import ZOOM, AxisKeys
from nanwatch.views.dashboard.curves.view import CurvesView
from nanwatch.views.dashboard.lines import LinesView
from nanwatch.views.dashboard.messages import BackWanted, CopyWanted, LogWanted
from nanwatch.views.dashboard.panel import Key, glyphs_of


class CurvesPanel(AxisKeys[CurvesView], LinesView, inherit_bindings=False):
    """A run's curves. It repaints no more than the lines that changed."""

    DEFAULT_CSS = """
    CurvesPanel { overflow: hidden hidden; }
    """

    KEYS: tuple[Key, ...] = (
        Key("h l", "cursor"), Key("+ - 0", "zoom"), Key("j k", "figure"), Key("L", "log scale"),
        Key("t", "by batch or epoch"), Key("~", "smooth"), Key("enter", "log line"), Key("z", "big chart or grid"),
        Key("e E", "next, previous NaN or alert"), Key("!", "only with NaN"), Key("space", "hide the figure"),
        Key("v", "choose figures"), Key("/", "filter by name"), Key("c", "clip outliers"), Key("y", "copy as TSV"),
        Key("g G", "first, last figure"), Key("pgdn pgup", "page of figures"), Key("shift+left/right", "cursor faster"),
        Key("home end", "start, end"), Key("wheel", "page of figures, zoom of a big chart"), Key("esc", "undo, back"),
    )  # fmt: skip

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "figure(1)", "Next figure", show=False),
        Binding("k,up", "figure(-1)", "Previous figure", show=False),
        Binding("g", "figure(-9999)", "First figure", show=False),
        Binding("G", "figure(9999)", "Last figure", show=False),
        Binding("pagedown,ctrl+d", "page(1)", "Next page of figures", show=False),
        Binding("pageup,ctrl+u", "page(-1)", "Previous page of figures", show=False),
        Binding("h,left", "cursor(-1)", "Cursor to the left", show=False),
        Binding("l,right", "cursor(1)", "Cursor to the right", show=False),
        Binding("shift+left", "cursor(-10)", "Cursor far to the left", show=False),
        Binding("shift+right", "cursor(10)", "Cursor far to the right", show=False),
        Binding("home", "edge(False)", "Cursor to the start", show=False),
        Binding("end", "edge(True)", "Cursor to the end", show=False),
        Binding("plus,equals_sign", "zoom(True)", "Zoom in", show=False),
        Binding("minus", "zoom(False)", "Zoom out", show=False),
        Binding("0", "whole", "Show everything", show=False),
        Binding("L", "flip('is_log')", "Logarithmic or linear", show=False),
        Binding("t", "flip('is_by_epoch')", "By batch or by epoch", show=False),
        Binding("tilde", "flip('smoothing')", "Smooth", show=False),
        Binding("c", "flip('is_clipped')", "Clip outliers", show=False),
        Binding("z", "flip('is_big')", "One big chart or a grid", show=False),
        Binding("exclamation_mark", "flip('only_bad')", "Only figures with NaN", show=False),
        Binding("e", "jump(1)", "Next NaN or alert", show=False),
        Binding("E", "jump(-1)", "Previous NaN or alert", show=False),
        Binding("space", "hide", "Hide the figure", show=False),
        Binding("v", "choose_figures", "Choose figures", show=False),
        Binding("slash", "filter", "Filter by name", show=False),
        Binding("enter", "open", "Show the log there", show=False),
        Binding("y", "copy", "Copy the figure as TSV", show=False),
        Binding("escape", "back(True)", "Undo, or back", show=False),
        Binding("q", "back(False)", "Back", show=False),
    ]

    def __init__(self, *, is_ascii: bool = False, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - Textual's name
        super().__init__(id=id, classes=classes)
        self.view = CurvesView()
        self._glyphs = glyphs_of(is_ascii)
        self._is_typing = False
        self._choice: int | None = None

    @property
    def settings(self) -> dict[str, object]:
        """What somebody set here, as plain values to be remembered."""
        return self.view.settings.as_dict()

    def restore(self, settings: Mapping[str, object]) -> None:
        """Set what was remembered; what does not fit is passed over."""
        self.view.settings = settings_from(settings, self.view.settings)
        self.repaint()

    def show_run(self, snapshot: Snapshot, now: float) -> None:  # noqa: ARG002 - a curve does not age
        """Show *snapshot*; only what changed of it is painted."""
        self.view.show(snapshot)
        self.repaint()

    def repaint(self) -> None:
        """Draw what is to be seen now."""
        width, height = self.size
        if not (width and height):
            return
        if self._choice is not None:
            self._choice = max(0, min(self._choice, len(self.view.figures) - 1))
            self.show_lines(grid.choices(self.view, self._choice, width, height, self._glyphs))
            return
        lines = grid.lines_of(self.view, width, height, self._glyphs)
        if self._is_typing:
            lines[-1] = grid.prompt(self.view, width)
        self.show_lines(lines)

    def on_resize(self) -> None:
        """Fit the charts to the new size."""
        self.repaint()

    # -- figures

    def action_figure(self, by: int) -> None:
        """Go to another figure."""
        if self._choice is None:
            self.view.choose(by)
        else:
            self._choice += by
        self.repaint()

    def action_page(self, pages: float) -> None:
        """Go to the next page of charts, or the one before."""
        page = 10 if self._choice is not None else max(1, len(grid.places_of(self.view, *self.size)))
        self.action_figure(round(pages * page))

    def action_hide(self) -> None:
        """Hide the chosen figure; in the list, show or hide the one at the cursor."""
        if self._choice is None:
            self.view.hide_chosen()
        elif self.view.figures:
            self.view.toggle(self.view.figures[self._choice].name)
        self.repaint()

    def action_choose_figures(self) -> None:
        """Open or close the list of figures."""
        self._choice = None if self._choice is not None else self._place_of_chosen()
        self.repaint()

    def _place_of_chosen(self) -> int:
        chosen = self.view.chosen
        return next((n for n, figure in enumerate(self.view.figures) if figure is chosen), 0)

    def action_filter(self) -> None:
        """Type a part of the names that are wanted."""
        self._choice, self._is_typing = None, True
        self.repaint()

    # -- the axis

    def action_edge(self, is_end: bool) -> None:
        """Put the cursor at the start or the end of the run."""
        self.view.point(self.view.extent.end if is_end else self.view.extent.start)
        self.repaint()

    def action_jump(self, by: int) -> None:
        """Go to the next onset of NaN or alert, or the one before."""
        if not self.view.jump(by):
            self.notify(f"no NaN and no alert {'after' if by > 0 else 'before'} the cursor", timeout=2)
        self.repaint()

    # -- wishes

    def action_open(self) -> None:
        """Ask for the log where the cursor is; in the list, show the figure."""
        if self._choice is not None:
            self._open_choice()
            return
        offset = self.view.offset()
        if offset is not None:
            self.post_message(LogWanted(offset))

    def _open_choice(self) -> None:
        view = self.view
        if view.figures and self._choice is not None:
            name = view.figures[self._choice].name
            view.settings.hidden = tuple(n for n in view.settings.hidden if n != name)
            view.settings.chosen, view.settings.only_bad, view.words = name, False, ""
        self._choice = None
        self.repaint()

    def action_copy(self) -> None:
        """Ask for the chosen figure as a table on the clipboard."""
        chosen = self.view.chosen
        if chosen is not None:
            series = self.view.series(chosen)
            axis = self.view.extent._replace(batches=None) if series.is_sparse else self.view.extent
            self.post_message(CopyWanted(charts.tsv(chosen, series, axis), f"{chosen.title} as TSV"))

    def action_back(self, may_undo: bool) -> None:
        """Close the list, undo filter, cursor and zoom, or go back."""
        if self._choice is not None:
            self._choice = None
        elif not (may_undo and self.view.undo()):
            self.post_message(BackWanted())
        self.repaint()

    # -- keys that are text

    def check_consume_key(self, key: str, character: str | None) -> bool:  # noqa: ARG002 - Textual's name
        """Tell whether a key is text for the filter."""
        return self._is_typing and character is not None and character.isprintable()

    def on_key(self, event: events.Key) -> None:
        """Take what is typed for the filter, and `a` in the list."""
        if self._is_typing and self._type(event):
            event.stop()
            event.prevent_default()
            self.repaint()
        elif self._choice is not None and event.key == "a":
            event.stop()
            event.prevent_default()
            hidden = self.view.settings.hidden
            self.view.settings.hidden = () if hidden else tuple(f.name for f in self.view.figures)
            self.repaint()

    def _type(self, event: events.Key) -> bool:
        """Take a key for the filter; False if it is none."""
        if event.key in ("enter", "escape"):
            self._is_typing = False
            self.view.words = "" if event.key == "escape" else self.view.words
        elif event.key in ("backspace", "ctrl+h"):
            self.view.words = self.view.words[:-1]
        elif event.key == "ctrl+u":
            self.view.words = ""
        elif event.character is not None and event.character.isprintable():
            self.view.words += event.character
        else:
            return False
        return True

    # -- mouse

    def on_click(self, event: events.Click) -> None:
        """Put the cursor there; on a mark of NaN, show the log there."""
        offset = event.get_content_offset(self)
        if offset is None or self._choice is not None:
            return
        is_nan = self._point_at(offset.x, offset.y)
        self.repaint()
        if is_nan:
            self.action_open()

    def _point_at(self, x: int, y: int) -> bool:
        """Choose the figure there, put the cursor there, and tell whether it is in a row of NaN."""
        spot = grid.spot_at(self.view, x, y, *self.size)
        if spot is None:
            return False
        self.view.settings.chosen = spot.figure.name
        if spot.x is None:
            return False
        self.view.point(spot.x)
        return spot.is_nan

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Go to the next page of charts; zoom out where there is but one chart, or with Ctrl."""
        self._wheel(event, 1)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Go to the page of charts before; zoom in where there is but one chart, or with Ctrl."""
        self._wheel(event, -1)

    def _wheel(self, event: events.MouseEvent, by: int) -> None:
        event.stop()
        event.prevent_default()
        if self._choice is not None:
            self.action_figure(by)
            return
        charts_ = grid.shape_of(*self.size, len(self.view.shown), self.view.settings.is_big).charts
        if event.ctrl or charts_ == 1:
            self._zoom_at(event, by < 0)
        else:
            self.view.turn(by, charts_)
        self.repaint()

    def _zoom_at(self, event: events.MouseEvent, is_in: bool) -> None:
        """Zoom about the pointer."""
        offset = event.get_content_offset(self)
        spot = None if offset is None else grid.spot_at(self.view, offset.x, offset.y, *self.size)
        about = None if spot is None else spot.x
        self.view.scale(ZOOM if is_in else 1 / ZOOM, about)
