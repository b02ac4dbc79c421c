"""What a pickle would build, as records that do nothing; and who is told of what it would do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Global:
    """A name that the pickle asks for: `name` of `module`."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(frozen=True, slots=True)
class Blob:
    """A long text or long bytes, left where they are: `size` bytes from `offset` of the stream on."""

    offset: int
    size: int


@dataclass(eq=False, slots=True)
class Instance:
    """What calling `made_by` with `args` would give, with the state and the items that the pickle would put in."""

    made_by: object
    args: object = ()
    state: object = None
    items: list[object] | None = None
    entries: dict[object, object] | None = None


@dataclass(eq=False, slots=True)
class Stored:
    """What is kept outside of the pickle, under the id that the writer gave it."""

    key: object


class Witness(Protocol):
    """Is told of everything that loading the pickle would do besides building data."""

    def names(self, what: Global) -> None:
        """The pickle asks for a name."""

    def calls(self, what: object, args: object, is_set_up: bool) -> None:
        """It would call *what* (a `Global`, or something that it has built); a class only makes a bare object unless
        it *is_set_up*.
        """

    def changes(self, what: object) -> None:
        """It would set attributes of a name that it asked for."""
