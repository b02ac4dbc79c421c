"""The colours: dark, light, high contrast, and the terminal's own; and which of them suits a terminal best."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from textual.app import App
from textual.theme import BUILTIN_THEMES, Theme

# Colours that people with any kind of colour vision tell apart (Okabe and Ito), lighter or darker for the background.
_DARK = {
    "role-critical": "#FF7A45", "role-warning": "#F0B323", "role-running": "#7CC4F0", "role-finished": "#35C79A",
    "role-quiet": "#9AA0A6",
    "series-1": "#7CC4F0", "series-2": "#F0B323", "series-3": "#35C79A", "series-4": "#E29AC6", "series-5": "#F0E442",
    "series-6": "#C9CDD2",
}  # fmt: skip
_LIGHT = {
    "role-critical": "#B33C00", "role-warning": "#8A5A00", "role-running": "#00598F", "role-finished": "#00704F",
    "role-quiet": "#5C6167",
    "series-1": "#00598F", "series-2": "#8A5A00", "series-3": "#00704F", "series-4": "#94407A", "series-5": "#6B6200",
    "series-6": "#3C4147",
}  # fmt: skip
_CONTRAST = {
    "role-critical": "#FF8C66", "role-warning": "#FFD75F", "role-running": "#9BE1FF", "role-finished": "#5CFFC0",
    "role-quiet": "#FFFFFF",
    "series-1": "#9BE1FF", "series-2": "#FFD75F", "series-3": "#5CFFC0", "series-4": "#FFB3E0", "series-5": "#FFFF66",
    "series-6": "#FFFFFF",
}  # fmt: skip
_ANSI = {
    "role-critical": "ansi_red", "role-warning": "ansi_yellow", "role-running": "ansi_cyan",
    "role-finished": "ansi_green", "role-quiet": "ansi_default",
    "series-1": "ansi_cyan", "series-2": "ansi_yellow", "series-3": "ansi_green", "series-4": "ansi_magenta",
    "series-5": "ansi_red", "series-6": "ansi_default",
}  # fmt: skip
_OWN = BUILTIN_THEMES["ansi-dark"]

DARK, LIGHT, CONTRAST, ANSI = "nanwatch-dark", "nanwatch-light", "nanwatch-contrast", "nanwatch-ansi"
THEMES: tuple[Theme, ...] = (
    Theme(
        DARK, primary="#7CC4F0", secondary="#35C79A", accent="#7CC4F0", warning="#F0B323", error="#FF7A45",
        success="#35C79A", foreground="#D8DBDF", background="#101214", surface="#181B1E", panel="#23282C",
        variables=_DARK,
    ),
    Theme(
        LIGHT, primary="#00598F", secondary="#00704F", accent="#00598F", warning="#8A5A00", error="#B33C00",
        success="#00704F", foreground="#1B1F23", background="#FCFCFA", surface="#F1F1EE", panel="#E4E4E0", dark=False,
        variables=_LIGHT,
    ),
    Theme(
        CONTRAST, primary="#9BE1FF", secondary="#5CFFC0", accent="#9BE1FF", warning="#FFD75F", error="#FF8C66",
        success="#5CFFC0", foreground="#FFFFFF", background="#000000", surface="#000000", panel="#202020",
        text_alpha=1.0, variables=_CONTRAST,
    ),
    replace(
        _OWN, name=ANSI, primary="ansi_cyan", variables={
            **_OWN.variables, **_ANSI,
            "block-cursor-foreground": "ansi_default", "block-cursor-background": "ansi_default",
            "block-cursor-text-style": "reverse", "input-cursor-background": "ansi_default",
            "input-cursor-foreground": "ansi_default", "input-cursor-text-style": "reverse",
            "scrollbar": "ansi_default", "scrollbar-hover": "ansi_default", "scrollbar-active": "ansi_cyan",
            "scrollbar-background": "ansi_black", "scrollbar-background-hover": "ansi_black",
            "scrollbar-background-active": "ansi_black",
        },
    ),
)  # fmt: skip


def best_theme(environ: Mapping[str, str], color_system: str | None) -> str:
    """Return the theme for a terminal with these variables, of which Rich says that it is a *color_system*.

    Where there are 16 colours or none, they are the terminal's own: ours would come out as something else, and
    without any colour as grey on grey.
    """
    if environ.get("NO_COLOR") or color_system not in ("256", "truecolor"):
        return ANSI
    background = environ.get("COLORFGBG", "").rpartition(";")[2]
    return LIGHT if background in ("7", "15") else DARK


def full_name(name: str | None) -> str | None:
    """Return the theme that a person means: ours are named without our name in front."""
    ours = {DARK, LIGHT, CONTRAST, ANSI}
    return f"nanwatch-{name}" if f"nanwatch-{name}" in ours else name


class ThemedApp(App[None]):
    """An application that knows the colours of the dashboard; every theme of Textual can be chosen too."""

    def __init__(self, *, theme: object = None) -> None:
        environ = dict(os.environ)  # Textual takes NO_COLOR out of it
        # Without colours, it must know at once that the terminal's own are meant: it would turn ours into greys.
        super().__init__(ansi_color=True if environ.get("NO_COLOR") else None)
        for own in THEMES:
            self.register_theme(own)
        wanted = full_name(theme) if isinstance(theme, str) else None
        known = wanted in self.available_themes
        self.theme = wanted if wanted and known else best_theme(environ, self.console.color_system)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Return the colours for themes that are not ours."""
        return _DARK if self.current_theme.dark else _LIGHT
