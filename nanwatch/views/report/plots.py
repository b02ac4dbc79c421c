"""The charts of a report as Plotly draws them: figures as JSON that cannot end the script around it, and its script."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from importlib.util import find_spec
from itertools import groupby
from typing import TYPE_CHECKING, Any

from nanwatch.views.report.page import AlertMark, Chart, Point
from nanwatch.views.words import number

if TYPE_CHECKING:
    import plotly.graph_objects as go

_LINE, _BAND = "#0072B2", "rgba(86,180,233,0.30)"
_SEVERITIES = {"critical": "#D55E00", "warning": "#E69F00"}
_NAN = "#D55E00"
"""Colours that people with red-green blindness can tell apart; signs and words say the same."""
_BOUNDARIES = 30
"""Epochs up to which each has its line."""
_APART = 1.5 / 120
"""Share of the axis from which on two marks of NaN are two stretches, each with its own count."""
_LONGEST_ALERT = 160
_FEW_EPOCHS = 12
"""Up to so many epochs each has its tick: what lies between them is no epoch."""


def has_plots() -> bool:
    """Tell whether Plotly is installed."""
    return find_spec("plotly") is not None


def script() -> str:
    """Return Plotly's own script, to be put into the page: nothing of it is fetched."""
    from plotly.offline import get_plotlyjs

    text: str = get_plotlyjs()
    return text.replace("\r\n", "\n").replace("</script", "<\\/script").replace("<!--", "<\\!--")


def figure_json(chart: Chart) -> str:
    """Return *chart* as JSON; `<`, `>` and `/` are written as escapes, so that no text in it ends the script."""
    text: str = _figure(chart).to_json()
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("/", "\\u002f")


def _figure(chart: Chart) -> go.Figure:
    import plotly.graph_objects as go

    traces = [go.Scatter(**trace) for trace in (*_band(chart), _line(chart), *_bad(chart), *_alerts(chart))]
    return go.Figure(traces, _layout(chart))


def _line(chart: Chart) -> dict[str, Any]:
    """Return the last values; the line is broken where there is none."""
    return {
        "x": [point.x for point in chart.points], "y": [point.value for point in chart.points],
        "mode": "lines+markers" if chart.is_sparse else "lines", "meta": "line", "name": escape(chart.title),
        "line": {"color": _LINE, "width": 1.6}, "marker": {"size": 5}, "connectgaps": False, "hoverinfo": "text",
        "hovertext": [_hover(point) for point in chart.points],
    }  # fmt: skip


def _hover(point: Point) -> str:
    if point.value is None:
        return ""
    is_one = point.low == point.high
    spread = "" if is_one else f"<br>{number(point.low)} to {number(point.high)} around it"
    return f"{escape(point.where)}: {number(point.value)}{spread}"


def _band(chart: Chart) -> Iterator[dict[str, Any]]:
    """Yield from lowest to highest as one trace of closed shapes: gaps stay gaps."""
    x: list[float | None] = []
    y: list[float | None] = []
    for is_known, group in groupby(chart.points, key=lambda point: point.value is not None):
        points = list(group)
        if is_known and not all(point.low == point.high for point in points):
            x += [*(p.x for p in points), *(p.x for p in reversed(points)), None]
            y += [*(p.high for p in points), *(p.low for p in reversed(points)), None]
    if x:
        yield {
            "x": x, "y": y, "mode": "lines", "fill": "toself", "fillcolor": _BAND, "line": {"width": 0},
            "hoverinfo": "skip", "name": "lowest to highest",
        }  # fmt: skip


def _bad(chart: Chart) -> Iterator[dict[str, Any]]:
    """Yield the NaN in a row of their own, so that no zoom hides them."""
    if not chart.bad:
        return
    yield {
        "x": [mark.x for mark in chart.bad], "y": [0] * len(chart.bad), "yaxis": "y2", "name": "NaN",
        "mode": "markers+text", "textposition": "middle left", "text": _totals(chart), "textfont": {"color": _NAN},
        "marker": {"symbol": "x", "color": _NAN, "size": 7}, "hoverinfo": "text",
        "hovertext": [f"{mark.values:,} NaN from {escape(mark.where)} on" for mark in chart.bad],
    }  # fmt: skip


def _totals(chart: Chart) -> list[str]:
    """Return how many NaN a stretch of marks stands for, at its first one."""
    totals: list[int] = []
    before = None
    for mark in chart.bad:
        is_near = before is not None and mark.x - before <= _APART * (chart.end - chart.start)
        totals.append(0)
        first = max((n for n, total in enumerate(totals[:-1]) if total), default=0) if is_near else len(totals) - 1
        totals[first] += mark.values
        before = mark.x
    return [f"{total:,} " if total else "" for total in totals]


def _alerts(chart: Chart) -> Iterator[dict[str, Any]]:
    """Yield the heads of the alerts' lines, which say what they are."""
    if not chart.alerts:
        return
    places = [(x, list(marks)) for x, marks in groupby(chart.alerts, key=lambda mark: mark.x)]
    yield {
        "x": [x for x, _ in places], "y": [1] * len(places), "yaxis": "y3", "mode": "markers", "name": "alerts",
        "cliponaxis": False, "hoverinfo": "text", "hovertext": [_alert_text(marks) for _, marks in places],
        "marker": {
            "symbol": ["triangle-down" if _worst(marks) == "critical" else "triangle-down-open" for _, marks in places],
            "color": [_SEVERITIES[_worst(marks)] for _, marks in places], "size": 10,
        },
    }  # fmt: skip


def _alert_text(marks: list[AlertMark]) -> str:
    return "<br>".join(f"{mark.severity} {escape(mark.text[:_LONGEST_ALERT])}" for mark in marks)


def _worst(marks: list[AlertMark]) -> str:
    return min((mark.severity for mark in marks), key=list(_SEVERITIES).index)


def _layout(chart: Chart) -> dict[str, Any]:
    span = chart.end - chart.start
    is_epoch = chart.unit == "epoch"
    boundaries = range(int(chart.start) + 1, int(chart.end) + 1) if is_epoch and span <= _BOUNDARIES else ()
    row = 0.14 if chart.bad else 0.0
    return {
        "template": "none", "height": 240, "margin": {"l": 56, "r": 18, "t": 14, "b": 34}, "showlegend": False,
        "hovermode": "closest", "dragmode": "zoom", "font": {"size": 11},
        "shapes": [*(_upright(x, "#999999", 0.6, "dot") for x in boundaries), *_alert_lines(chart)],
        "xaxis": {
            "range": [chart.start, chart.end + 0.02 * span], "tickprefix": "e" if is_epoch else "", "zeroline": False,
            **({"dtick": 1} if is_epoch and 1 < span <= _FEW_EPOCHS else {}),
            "showgrid": not boundaries, "anchor": "free" if row else "y", "position": 0.0, "nticks": 9,
            "tickformat": ".6~g" if is_epoch else ",d",
        },
        "yaxis": {"domain": [row + 0.04 if row else 0.0, 1.0], "zeroline": False, "nticks": 6, "exponentformat": "e"},
        "yaxis2": {
            "domain": [0.0, row or 0.01], "range": [-1, 1], "tickvals": [0] if row else [], "ticktext": ["NaN"],
            "fixedrange": True, "showgrid": False, "zeroline": False, "visible": bool(row),
        },
        "yaxis3": {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True},
    }  # fmt: skip


def _alert_lines(chart: Chart) -> Iterator[dict[str, Any]]:
    for x, marks in groupby(chart.alerts, key=lambda mark: mark.x):
        worst = _worst(list(marks))
        yield _upright(x, _SEVERITIES[worst], 1.2, "solid" if worst == "critical" else "dash")


def _upright(x: float, color: str, width: float, dash: str) -> dict[str, Any]:
    return {
        "type": "line", "xref": "x", "yref": "paper", "x0": x, "x1": x, "y0": 0, "y1": 1, "layer": "below",
        "line": {"color": color, "width": width, "dash": dash},
    }  # fmt: skip
