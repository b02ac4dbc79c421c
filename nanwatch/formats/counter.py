"""Which batch a bar's frame speaks of: tqdm draws a batch's values with the counter of the batch before."""

from __future__ import annotations

from dataclasses import dataclass

from nanwatch.formats.bars import Bar
from nanwatch.model.frame import Passed


@dataclass(slots=True)
class BatchCounter:
    """Tells the number of the batch that a frame shows.

    A loop over tqdm that sets the description after each batch draws one frame a batch with the new values
    and the old counter; a second frame with the same values and a higher counter may follow. So a frame
    whose counter rose is a redraw, and each further frame with that counter is one batch more: `repeats`.
    Bars that are updated by hand, and other bars, draw the right counter: `exact`. Which of the two a
    trainer is shows at counter 0, where only the first kind has values to show.

    `passed` holds frames that nobody read, to be counted when the next frame is.
    """

    exact: bool | None = None
    key: str = ""
    counter: int = -1
    repeats: int = 0
    passed: Passed | None = None

    def number(self, bar: Bar, key: str, has_values: bool) -> int:
        """Return the batch that *bar* shows; *key* tells one bar from the next (the epoch's number)."""
        passed, self.passed = self.passed, None
        if self.exact:
            return bar.n
        if key != self.key or bar.n < self.counter:
            self.key, self.counter, self.repeats = key, bar.n, 0
            if bar.n == 0 and has_values:
                self.repeats = 1
                if self.exact is None:
                    self.exact = False
        elif bar.n > self.counter:
            if self.exact is None and self.counter == 0 and self.repeats == 0 and has_values:
                self.exact = True
            self.repeats = _frames_with(passed, bar) if passed else 0
            self.counter = bar.n
        else:
            self.repeats += 1 + (passed.buffer.count(b"\r", passed.begin, passed.end) if passed else 0)
            if self.exact is None and bar.n == 0 and has_values:
                self.exact = False
        batch = self.counter + self.repeats
        return batch if bar.total is None else min(batch, bar.total)

    def forget(self) -> None:
        """Begin anew: another bar follows."""
        self.key, self.counter, self.repeats, self.passed = "", -1, 0, None


def _frames_with(passed: Passed, bar: Bar) -> int:
    """Count the frames at the end of *passed* that show the counter of *bar*."""
    shown = b"| %d/%d " % (bar.n, bar.total or 0)
    frames, end = 0, passed.end
    while end > passed.begin:
        begin = passed.buffer.rfind(b"\r", passed.begin, end)
        if passed.buffer.find(shown, begin, end) < 0:
            break
        frames, end = frames + 1, begin
    return frames
