"""Curves drawn in cells: small pictures, and what holds for any data in any box."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanwatch.model.curve import Bucket, Curve
from nanwatch.views.curves.plot import Chart, Mark, draw, frame_of
from nanwatch.views.curves.scale import round_values, scale_of, value_text
from nanwatch.views.curves.series import Axis, BadBits, Series, bad_columns
from nanwatch.views.page import Line, Span
from nanwatch.views.words import ASCII, UNICODE

NAN = math.nan


def bucket(start: int, low: float, high: float | None = None, bad: int = 0, end: int | None = None) -> Bucket:
    """Return a bucket as a curve yields it."""
    high = low if high is None else high
    return Bucket(start, start + 1 if end is None else end, low, high, high, bad, 100 * start)


def line_of(values: Sequence[float], **more: object) -> Series:
    """Return a series with one value at each position."""
    buckets = [bucket(n, v if math.isfinite(v) else NAN, bad=not math.isfinite(v)) for n, v in enumerate(values)]
    return replace(Series("loss", buckets), **more)  # type: ignore[arg-type]


def chart(values: Sequence[float], **more: object) -> Chart:
    """Return a chart of these values over steps."""
    return replace(Chart("loss", [line_of(values)], Axis(0, max(1, len(values)))), **more)  # type: ignore[arg-type]


def text(lines: Sequence[Line]) -> list[str]:
    """Return what is seen, without the blanks at the right."""
    return ["".join(span.text for span in line.spans).rstrip() for line in lines]


def test_a_falling_line_is_drawn_with_dots_round_labels_and_steps() -> None:
    """A finite curve has a title, a scale and an axis, and nothing else."""
    assert text(draw(chart([10 - n for n in range(11)]), 26, 8)) == [
        "loss",
        "10┤ ⠉⠒⢄⡀",
        "  │    ⠈⠒⠤⣀",
        "  │        ⠉⠒⠤⣀",
        " 5┤            ⠉⠢⢄⡀",
        "  │               ⠈⠑⠢⣀",
        " 0┤                   ⠑⠢⢄",
        "  └0───────────────────10─",
    ]


def test_nan_break_the_line_and_have_a_row_of_their_own() -> None:
    """Where values are NaN there is no dot, but a sign in the row below, and how many they are."""
    shown = text(draw(chart([3, 2, NAN, NAN, NAN, 2, 3]), 18, 7))
    assert shown == [
        "loss",
        "   │ ⢣          ⢠⠃",
        "2.5┤ ⠘⡄         ⡜",
        "   │  ⢱        ⢰⠁",
        "2.0┤  ⠈⡆       ⡎",
        "NaN│    ××××××3",
        "   └0─────────────",
    ]


def test_infinite_values_have_their_own_sign() -> None:
    """A measurement of Inf shows as ∞, not as NaN."""
    series = Series("loss", [bucket(0, 1.0), Bucket(1, 2, NAN, NAN, math.inf, 1, 0), bucket(2, 2.0)])
    assert "∞" in text(draw(Chart("loss", [series], Axis(0, 3)), 30, 8))[-2]
    assert "i" in text(draw(Chart("loss", [series], Axis(0, 3)), 30, 8, ASCII))[-2]


def test_the_count_of_nan_is_exact_whatever_the_curve_sampled() -> None:
    """The bits of an epoch's batches tell where NaN are, also those that the curve never saw."""
    bits = sum(1 << b for b in (32, 33, 34, 99))
    series = Series("loss", [bucket(0, 1.0), bucket(150, 0.5)], 1, 0.01, [BadBits(100, 100, bits)])
    axis = Axis(1, 3, "epoch", 100)
    assert bad_columns(series, axis, 20).counts == [0] * 13 + [3] + [0] * 5 + [1]
    shown = text(draw(Chart("loss", [series], axis), 24, 8))
    assert shown[-2] == "NaN│             ×3    ×"
    assert series.non_finite == 4


def test_a_last_batch_counted_from_one_belongs_to_its_epoch() -> None:
    """Bit 100 of an epoch with 100 batches is its last one, not the next epoch's first."""
    series = Series("loss", [], 1, 0.01, [BadBits(0, 100, 1 << 100)])
    assert bad_columns(series, Axis(1, 3, "epoch", 100), 4).counts == [0, 1, 0, 0]


def test_a_bucket_tells_the_exact_count_of_its_nan() -> None:
    """Whatever a bucket's own counter says, its range of batches is what counts; each NaN is in one bucket."""
    series = Series(
        "loss", [bucket(0, 1.0, bad=9, end=64), bucket(64, 1.0, end=128)], 0, 0.01, [BadBits(0, 100, 7 << 62)]
    )
    assert [series.bad_of(item) for item in series.buckets] == [2, 1]
    assert series.bad_of(bucket(128, 1.0, end=192)) == 0


def test_alerts_stand_on_the_axis_and_epochs_are_dotted_lines() -> None:
    """An alert's sign stands where it began; each epoch that has room begins with a dotted line."""
    series = Series("loss", [bucket(n, 1.0) for n in range(40)], 1, 0.1)
    marks = [Mark(2.5, "!", "warning"), Mark(4.0, "X", "critical")]
    shown = text(draw(Chart("loss", [series], Axis(1, 5, "epoch", 10), marks=marks), 50, 14))
    assert shown[-1].split() == ["e1", "e2", "e3", "e4"]
    assert shown[-2].index("X") == shown[-1].index("e4")
    assert "!" in shown[-2]
    assert shown[2].count("┊") == 3


def test_the_cursor_is_a_column_that_leaves_the_dots() -> None:
    """The cursor is drawn where there are no dots, and its column is marked where there are."""
    lines = draw(chart([1.0] * 40, cursor=20.5), 46, 9)
    assert sum("│" in row[6:] for row in text(lines)) >= 4
    assert any(span.role == "chosen" for line in lines for span in line.spans)


def test_several_series_have_letters_not_only_colours() -> None:
    """Each line carries its letter at its end, with and without braille."""
    several = Chart("loss", [line_of([3] * 40), line_of([1] * 40), line_of([2] * 9)], Axis(0, 40))
    for glyphs in (UNICODE, ASCII):
        rows = text(draw(several, 60, 12, glyphs))[1:-2]
        assert any(row.endswith("A") for row in rows)
        assert any(row.endswith("B") for row in rows)
        assert any("C" in row for row in rows)


def test_a_constant_lies_in_the_middle_and_has_the_only_label() -> None:
    """What never changes has no range: its own value is all that the axis says, also where it is logarithmic."""
    for value, label in ((0.0, "0"), (0.25, "0.25"), (-3.0, "-3")):
        for is_log in (False, True):
            rows = text(draw(chart([value] * 20, is_log=is_log), 40, 12))[1:-2]
            labelled = [n for n, row in enumerate(rows) if "┤" in row]
            assert labelled == [4]
            assert rows[4].startswith(f"{label}┤")
            assert set(rows[4][len(label) + 1 :]) - {" "}
            assert not any(set(row[len(label) + 1 :]) - {" "} for n, row in enumerate(rows) if n != 4)


def test_nan_of_several_series_are_counted_apart() -> None:
    """Each series has its own row of NaN with its letter; where there is no room, a common one has no sum."""
    values = [1.0, 2, NAN, NAN, NAN, 3, *[1.0] * 20]
    more = [2.0, 1, NAN, NAN, *[1.0] * 22]
    several = Chart("loss", [line_of(values), line_of(more)], Axis(0, 26))
    rows = text(draw(several, 40, 11))
    assert [row for row in rows if " NaN│" in row] == ["A NaN│  ××××3", "B NaN│  ×××2"]
    rows = text(draw(several, 40, 8))
    assert [row for row in rows if "NaN│" in row] == ["  NaN│  ××××"]


def test_what_was_done_to_a_curve_is_said_on_it() -> None:
    """Logarithm, mean and clipping are told in the title; so is a logarithm that cannot be."""
    spiky = chart([1.0] * 200 + [1e9], is_log=True, smoothing=1, is_clipped=True)
    title = text(draw(spiky, 80, 10))[0]
    assert "log" in title
    assert "mean of 5" in title
    assert "1 clipped ↑" in title
    assert "nothing clipped" in text(draw(chart([1, 2], is_clipped=True), 80, 10))[0]
    assert "linear: no value above 0" in text(draw(chart([-1, -2], is_log=True), 80, 10))[0]
    assert "not above 0" in text(draw(chart([-1, 2], is_log=True), 80, 10))[0]


def test_statistics_that_do_not_fit_are_left_out_whole() -> None:
    """A number in the title is never cut."""
    full = chart([1, 2], stats=[Span("last 0.3391"), Span("85 NaN")], more=[Span("min 0.2874")])
    assert text(draw(full, 30, 8))[0] == "loss  last 0.3391  85 NaN"
    assert text(draw(full, 16, 8))[0] == "loss  85 NaN"


@pytest.mark.parametrize("values", [[], [1.0], [2.5] * 9, [NAN] * 9, [0.0, 0.0], [1e308, -1e308], [5e-324, 0]])
@pytest.mark.parametrize("size", [(18, 4), (38, 9), (300, 80), (1, 1)])
def test_unusual_data_fit_into_any_box(values: list[float], size: tuple[int, int]) -> None:
    """Empty, constant, extreme and NaN-only data are drawn, or it is said that there is nothing."""
    lines = draw(chart(values), *size)
    assert [line.cells for line in lines] == [size[0]] * size[1]
    if not values and size[0] > 20:
        assert any("no value yet" in row for row in text(lines))
    if len(values) == 9 and values[0] != 2.5 and size[0] > 20:
        assert any("no finite value" in row for row in text(lines))


FLOATS = st.floats(allow_nan=True, allow_infinity=True)


@st.composite
def buckets(draw_: st.DrawFn) -> list[Bucket]:
    """Return buckets as a curve may yield them, and worse."""
    found, start = [], 0
    for _ in range(draw_(st.integers(0, 12))):
        start += draw_(st.integers(0, 30))
        end = start + draw_(st.sampled_from([1, 2, 8]))
        low, high = draw_(FLOATS), draw_(FLOATS)
        if math.isfinite(low) and math.isfinite(high):
            low, high = min(low, high), max(low, high)
        else:
            low = high = NAN
        bad = draw_(st.integers(0, 99)) if math.isfinite(low) else draw_(st.integers(1, 99))
        found.append(Bucket(start, end, low, high, high if math.isfinite(low) else draw_(FLOATS), bad, 7))
        start = end
    return found


@settings(max_examples=250, deadline=None)
@given(
    st.lists(buckets(), min_size=1, max_size=6), st.integers(1, 90), st.integers(1, 30), st.floats(0, 50),
    st.floats(0.5, 200), st.booleans(), st.integers(0, 2), st.booleans(), st.none() | st.floats(-5, 300), st.booleans(),
)  # fmt: skip
def test_any_data_are_drawn_exactly_into_any_box(
    many: list[list[Bucket]], width: int, height: int, start: float, span: float, is_log: bool, smoothing: int,
    is_clipped: bool, cursor: float | None, is_ascii: bool,
) -> None:  # fmt: skip
    """Whatever the data and the settings, the lines fill the box, and every column with NaN shows it."""
    series = [Series(f"s{n}", items, is_sparse=n == 1) for n, items in enumerate(many)]
    axis = Axis(start, start + span)
    marks = [Mark(start + 1, "X", "critical")]
    asked = Chart("loss \u4e2d", series, axis, (), (), is_log, smoothing, is_clipped, cursor, marks)
    lines = draw(asked, width, height, ASCII if is_ascii else UNICODE)
    assert [line.cells for line in lines] == [width] * height
    frame = frame_of(asked, width, height)
    if frame.nan_rows != 1 or width < 12:
        return
    row = text(lines)[frame.top + frame.rows].ljust(width)[frame.left :]
    for line in series:
        for column, count in enumerate(bad_columns(line, axis, frame.columns).counts):
            assert not count or row[column] in "×∞xi"


def test_one_redraw_takes_a_few_milliseconds() -> None:
    """A full curve on a large screen is drawn in a few milliseconds at most."""
    curve = Curve()
    for position in range(20_000):
        curve.add(position, math.sin(position / 900) + (position % 7) / 50, position)
    full = Chart("loss", [Series("loss", list(curve.buckets()))], Axis(0, 20_000))
    times = []
    for _ in range(7):
        begun = time.perf_counter()
        draw(full, 150, 44)
        times.append(time.perf_counter() - begun)
    assert min(times) < 0.012  # 2 ms on an idle machine


@given(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300), st.integers(1, 12))
def test_labels_are_round_and_within_their_scale(a: float, b: float, rows: int) -> None:
    """Every label lies on a row of the plot, and no two on the same one."""
    scale, _ = scale_of([bucket(0, min(a, b), max(a, b))])
    labels = scale.labels(rows)
    assert all(0 <= label.row < rows for label in labels)
    assert len({label.row for label in labels}) == len(labels)


def test_labels_are_as_short_as_they_can_be() -> None:
    """Round values are written with the digits that tell them apart."""
    values = round_values(0.29, 1.87, 3)
    assert [value_text(v, values) for v in values] == ["0.5", "1.0", "1.5"]
    assert value_text(2e-5, [1e-5, 2e-5]) == "2e-5"
    assert value_text(5e18, [1e18, 5e18]) == "5e18"
    assert value_text(0.0, [0.0, 1.0]) == "0"
    assert value_text(1000.0, [0.0, 1000.0]) == "1000"
