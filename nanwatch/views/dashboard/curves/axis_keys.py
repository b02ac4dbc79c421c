"""The keys that move along an axis: what the curves of one run and those of several have in common."""

from __future__ import annotations

from abc import abstractmethod
from typing import Generic, TypeVar

from nanwatch.views.dashboard.curves.view import AxisView

ZOOM = 0.5
View = TypeVar("View", bound=AxisView)


class AxisKeys(Generic[View]):
    """What has a `view` along an axis, and can `repaint` it."""

    view: View

    @abstractmethod
    def repaint(self) -> None:
        """Draw what is to be seen now."""

    def action_cursor(self, columns: int) -> None:
        """Move the cursor along the axis."""
        self.view.move(columns)
        self.repaint()

    def action_zoom(self, is_in: bool) -> None:
        """Zoom in or out about the cursor."""
        self.view.scale(ZOOM if is_in else 1 / ZOOM)
        self.repaint()

    def action_whole(self) -> None:
        """Show the whole axis."""
        self.view.zoom = None
        self.repaint()

    def action_flip(self, setting: str) -> None:
        """Change how curves are drawn."""
        self.view.flip(setting)
        self.repaint()
