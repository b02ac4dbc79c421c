"""Roles -> styles of the theme that is chosen: the same for every widget, and looked up without a style sheet."""

from __future__ import annotations

from rich.color import Color as RichColor
from rich.style import Style
from textual.app import App
from textual.color import Color, ColorParseError

_COLORS = {
    "critical": "role-critical", "warning": "role-warning", "running": "role-running", "finished": "role-finished",
    "quiet": "role-quiet", "head": "role-quiet",
}  # fmt: skip
_BOLD = {"title", "critical", "chosen"}
_REVERSE = {"chosen", "cursor"}


def style_of(app: App[object], role: str) -> Style:
    """Return how text of *role* looks: what is bold or reversed is so in every theme, also in one without colours."""
    variable = _COLORS.get(role) or (f"series-{role[-1]}" if role.startswith("series") else None)
    return Style(
        color=None if variable is None else _color(app, variable),
        bold=True if role in _BOLD else None,
        reverse=True if role in _REVERSE else None,
        underline=True if role == "head" else None,
    )


def _color(app: App[object], variable: str) -> RichColor | None:
    try:
        return Color.parse(app.theme_variables[variable]).rich_color
    except (KeyError, ColorParseError):  # a theme of somebody else: the text keeps its own colour
        return None
